"""Limits flag at the public door and refuse at the others, keep no address, and outlive their store."""

import dataclasses
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from flask import Blueprint, Flask, current_app
from flask.typing import ResponseReturnValue
from limits.storage import MemoryStorage
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import TestResponse

from gateway.config import utc_now
from gateway.limits import SWEEP_EVERY, Effect, Limits, ProcessStore, make_rows, open_shared_store
from gateway.web.callers import BucketHasher, list_networks
from gateway.web.rules import CsrfRule, Login, rule
from gateway.web.settings import SettingsError
from gateway.web.web_app import finish_web_app, make_web_app
from tests.gateway.web_builders import LogCatcher, make_html_error, surface_of

ADDRESS = "203.0.113.77"
SECRET = b"c" * 32

counted = Blueprint("counted", __name__)


class BrokenStorage(MemoryStorage):
    """A store that fails on request; used by naming it in a storage address."""

    STORAGE_SCHEME = ["broken"]  # noqa: RUF012 - the library's own way to register a store
    is_down = True
    tries = 0

    def __init__(self, uri: str | None = None, **options: str) -> None:
        super().__init__(uri, **options)  # type: ignore[arg-type]  # the library types its options loosely

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Fail, or count."""
        type(self).tries += 1
        if type(self).is_down:
            raise ConnectionError("the store is down")
        return super().incr(key, expiry, amount)

    def get(self, key: str) -> int:
        """Fail, or read."""
        if type(self).is_down:
            raise ConnectionError("the store is down")
        return super().get(key)

    def check(self) -> bool:
        """Report whether it is up."""
        return not type(self).is_down


def get_limits() -> Limits:
    limits = current_app.extensions["limits-under-test"]
    assert isinstance(limits, Limits)
    return limits


@counted.get("/v1/status")
@rule(login=Login.OPEN, limit="open-read", csrf=CsrfRule.NO_POST, body_bytes=0)
def get_status() -> ResponseReturnValue:
    return {}


@counted.get("/flagged")
@rule(login=Login.OPEN, limit="public-send", csrf=CsrfRule.NO_POST, body_bytes=0)
def get_flagged() -> ResponseReturnValue:
    return {"over": get_limits().is_over("public-send")}


@counted.get("/v1/reports/<partner>/<name>")
@rule(login=Login.PARTNER, limit="partner-report", csrf=CsrfRule.NO_POST, body_bytes=0)
def get_report(partner: str, name: str) -> ResponseReturnValue:
    get_limits().check(name, subject=partner)
    return {}


def make_app(*, storage_uri: str = "memory://", now: Callable[[], datetime] | None = None) -> Flask:
    """Return an app whose quotas are small."""
    quotas = {"open-read": 2, "public-send": 2, "partner-report": 2, "partner-report-p1": 2}
    rows = tuple(
        dataclasses.replace(row, quota=quotas.get(row.name, row.quota), window_seconds=3600)
        for row in make_rows(partner_reports_per_minute=2)
    )
    clock = now or utc_now
    limits = Limits(
        rows=rows,
        store=open_shared_store(storage_uri),
        hasher=BucketHasher(SECRET, clock=clock),
        clock=lambda: utc_now().timestamp(),
    )
    app = make_web_app(
        "limits-test",
        origin="https://report.example",
        secret_key=b"k" * 32,
        surface_of=surface_of,
        html_error=make_html_error,
        cookie_name="journey",
    )
    app.extensions["limits-under-test"] = limits
    limits.register(app)
    app.register_blueprint(counted)
    finish_web_app(app, limits=limits.rows)
    return app


def get(app: Flask, path: str, *, address: str = ADDRESS, headers: dict[str, str] | None = None) -> TestResponse:
    return app.test_client().get(path, environ_overrides={"REMOTE_ADDR": address}, headers=headers)


def statuses(app: Flask, path: str, *addresses: str) -> list[int]:
    return [get(app, path, address=address).status_code for address in addresses]


def test_open_route_answers_429_with_retry_after_and_ratelimit_headers() -> None:
    app = make_app()
    assert statuses(app, "/v1/status", ADDRESS, ADDRESS) == [200, 200]
    answer = get(app, "/v1/status")
    assert answer.status_code == 429
    assert answer.get_json(force=True)["type"].endswith("/problems/rate-limited")
    assert 0 < int(answer.headers["Retry-After"]) <= 3601
    assert answer.headers["RateLimit-Policy"] == '"open-read";q=2;w=3600'
    assert answer.headers["RateLimit"].startswith('"open-read";r=0;t=')


def test_public_limit_says_over_and_never_refuses() -> None:
    app = make_app()
    answers = [get(app, "/flagged") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert [answer.get_json()["over"] for answer in answers] == [False, False, True, True, True]
    assert {name for answer in answers for name, _ in answer.headers if name.startswith("RateLimit")} == set()


def test_no_public_limit_is_one_that_refuses() -> None:
    rows = [row for row in make_rows(partner_reports_per_minute=1) if row.name.startswith("public-")]
    assert len(rows) == 8
    assert all(row.effect is Effect.FLAG for row in rows)


def count_tries(app: Flask, *, address: str, times: int, reference: str = "K7QF") -> list[bool]:
    """Count tries for one reference from one address; return each time whether it was over."""
    environ = {"REMOTE_ADDR": address}
    with app.test_request_context("/flagged", environ_overrides=environ):
        limits = app.extensions["limits-under-test"]
        return [limits.is_over("come-back", subject=reference) for _ in range(times)]


@pytest.mark.parametrize("storage_uri", ["memory://", "broken://"])
def test_tries_from_one_network_take_nothing_from_another_or_from_another_reference(storage_uri: str) -> None:
    BrokenStorage.is_down = storage_uri == "broken://"
    app = make_app(storage_uri=storage_uri)
    assert count_tries(app, address=ADDRESS, times=12) == [False] * 10 + [True] * 2
    assert count_tries(app, address=ADDRESS, times=1, reference="C5H6") == [False]
    for elsewhere in ("198.51.100.9", "2001:db8::1"):
        assert count_tries(app, address=elsewhere, times=11) == [False] * 10 + [True]


def test_p1_has_its_own_bucket_and_each_partner_too() -> None:
    app = make_app()
    assert statuses(app, "/v1/reports/one/partner-report", *[ADDRESS] * 3) == [200, 200, 429]
    assert statuses(app, "/v1/reports/one/partner-report-p1", *[ADDRESS] * 3) == [200, 200, 429]
    assert statuses(app, "/v1/reports/two/partner-report", ADDRESS) == [200]
    # A partner is counted by its name, wherever it calls from.
    assert statuses(app, "/v1/reports/one/partner-report", "198.51.100.9") == [429]


def test_limit_must_be_asked_for_the_subject_that_it_counts() -> None:
    app = make_app()
    with app.test_request_context("/v1/status"):
        with pytest.raises(ValueError, match="counts"):
            get_limits().is_over("partner-report")
        with pytest.raises(ValueError, match="counts"):
            get_limits().is_over("public-send", subject="one")
        with pytest.raises(ValueError, match="counts"):
            get_limits().is_over("come-back")
        with pytest.raises(KeyError):
            get_limits().is_over("no-such-limit")


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (("203.0.113.1", "203.0.113.2", "203.0.113.254"), [200, 200, 429]),
        (("203.0.113.1", "203.0.113.2", "203.0.114.1"), [200, 200, 200]),
        (("2001:db8::1", "2001:db8::ffff", "2001:db8:0:0:1::"), [200, 200, 429]),
        (("2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1"), [200, 200, 200]),
        (("::ffff:203.0.113.1", "203.0.113.2", "203.0.113.3"), [200, 200, 429]),
        (("fe80::1%eth0", "fe80::2%eth1", "fe80::3"), [200, 200, 429]),
        (("", "not an address", "unix:"), [200, 200, 429]),
    ],
)
def test_network_and_not_the_address_is_counted(addresses: tuple[str, ...], expected: list[int]) -> None:
    assert statuses(make_app(), "/v1/status", *addresses) == expected


def test_wider_ipv6_networks_are_counted_too() -> None:
    # 2 for each /64, 8 for the /56 and 32 for the /48 above them.
    app = make_app()
    in_one_56 = [f"2001:db8:0:{number:x}::1" for number in range(9)]
    assert statuses(app, "/v1/status", *in_one_56) == [200] * 8 + [429]
    app = make_app()
    in_one_48 = [f"2001:db8:0:{number:x}00::1" for number in range(33)]
    assert statuses(app, "/v1/status", *in_one_48) == [200] * 32 + [429]


def test_behind_one_proxy_only_its_own_word_is_believed() -> None:
    app = make_app()
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=0)  # type: ignore[method-assign]  # as Flask documents
    forged = [get(app, "/v1/status", headers={"X-Forwarded-For": f"198.51.{n}.1, 192.0.2.9"}) for n in range(3)]
    assert [answer.status_code for answer in forged] == [200, 200, 429]
    assert get(app, "/v1/status", headers={"X-Forwarded-For": "198.51.9.9"}).status_code == 200


def test_store_and_log_hold_no_address_and_no_partner() -> None:
    app = make_app()
    with LogCatcher() as log:
        for _ in range(4):
            get(app, "/v1/status")
            get(app, "/v1/reports/partner-one/partner-report")
    storage = app.extensions["limits-under-test"].store.storage
    assert isinstance(storage, ProcessStore)
    keys = storage.keys
    assert len(keys) == 2
    for piece in ("203.0.113", "203.0", "partner-one"):
        assert not any(piece in key for key in keys)
        assert piece not in log.text


def test_key_of_the_hash_is_new_every_day_and_the_same_in_every_worker() -> None:
    clock = {"now": datetime(2026, 11, 25, 23, 59, tzinfo=UTC)}
    one = BucketHasher(SECRET, clock=lambda: clock["now"])
    two = BucketHasher(SECRET, clock=lambda: clock["now"])
    other = BucketHasher(b"d" * 32, clock=lambda: clock["now"])
    today = one.hash_networks(ADDRESS)
    assert today == two.hash_networks(ADDRESS)
    assert today != other.hash_networks(ADDRESS)
    clock["now"] += timedelta(minutes=1)
    tomorrow = one.hash_networks(ADDRESS)
    assert today != tomorrow
    assert tomorrow == two.hash_networks(ADDRESS)


def test_addresses_have_the_tiers_of_their_kind() -> None:
    assert list_networks(ADDRESS) == [("/24", "203.0.113.0/24")]
    networks = dict(list_networks("2001:db8:1:2:3::"))
    assert list(networks) == ["/64", "/56", "/48"]
    assert networks["/48"] == "2001:db8:1::/48"


def test_store_that_is_down_leaves_every_door_open_and_counts_in_memory() -> None:
    BrokenStorage.is_down, BrokenStorage.tries = True, 0
    app = make_app(storage_uri="broken://")
    assert statuses(app, "/v1/status", *[ADDRESS] * 3) == [200, 200, 429]
    assert BrokenStorage.tries >= 1
    assert [get(app, "/flagged").get_json()["over"] for _ in range(3)] == [False, False, True]
    assert statuses(app, "/v1/reports/one/partner-report", *[ADDRESS] * 3) == [200, 200, 429]


def test_store_that_comes_back_counts_again_and_is_left_alone_until_then() -> None:
    BrokenStorage.is_down, BrokenStorage.tries = True, 0
    app = make_app(storage_uri="broken://")
    assert statuses(app, "/v1/status", *[ADDRESS] * 3) == [200, 200, 429]
    assert BrokenStorage.tries == 1  # a store that hangs costs one request its patience, not each
    BrokenStorage.is_down = False
    app.extensions["limits-under-test"].store.look_again()  # as RETRY_SECONDS later
    assert statuses(app, "/v1/status", *[ADDRESS] * 3) == [200, 200, 429]
    assert BrokenStorage.tries == 4


def test_window_of_the_own_store_ends_and_what_has_passed_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"now": 1_000.0}
    monkeypatch.setattr("gateway.limits.time", SimpleNamespace(time=lambda: clock["now"]))
    store = ProcessStore()
    assert [store.incr("one", 60), store.incr("one", 60), store.incr("two", 600)] == [1, 2, 1]
    assert (store.get("one"), store.get_expiry("one")) == (2, 1_060.0)
    clock["now"] += 60
    assert store.get("one") == 0
    for _ in range(SWEEP_EVERY):
        store.incr("two", 600)
    assert store.keys == {"two"}
    clock["now"] += 60
    assert store.incr("one", 60) == 1
    store.clear("one")
    assert (store.reset(), store.keys) == (1, frozenset())


def test_counting_starts_no_threads() -> None:
    app = make_app()
    before = set(threading.enumerate())
    for _ in range(3):
        get(app, "/v1/status")
        assert set(threading.enumerate()) <= before


def test_unknown_store_is_an_error_that_does_not_repeat_its_password() -> None:
    with pytest.raises(SettingsError, match=r"limits\.storage_uri") as caught:
        make_app(storage_uri="nosuchstore://:s3cret@host/0")
    assert "s3cret" not in str(caught.value)
