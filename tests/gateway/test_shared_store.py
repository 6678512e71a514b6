"""Gateways that share a Valkey count together, refuse replays together, and go on alone while it is away."""

import secrets
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from limits import parse
from limits.strategies import FixedWindowRateLimiter
from werkzeug.test import TestResponse

from gateway.config import LimitsConfig
from gateway.doctor import examine
from gateway.exchange.request_signatures import MAX_AGE_SECONDS, MAX_SKEW_SECONDS
from gateway.limits import ANSWER_SECONDS, MAX_OWN_NONCES, NONCE_SECONDS, OwnNonces, ValkeyStore, open_shared_store
from gateway.signed_request import DELIVERY_VARIABLE
from gateway.web.settings import SettingsError
from gateway.wiring import Gateway
from partner_sdk.finding import Finding
from partner_sdk.wire import problems
from tests.builders import Door, House, Partner, make_house, seal_report
from tests.builders.local_servers import CERTIFICATE, find_free_port, make_tls
from tests.gateway.web_builders import LogCatcher
from tests.problem_shape import check_problem
from tests.valkey import Valkey, running_valkey

DELIVERY_HEADER = DELIVERY_VARIABLE.removeprefix("HTTP_").replace("_", "-")


# A busy machine may let a server wait for longer than a gateway does; only a test of silence has a short patience.
PATIENT_SECONDS, HASTY_SECONDS = 20.0, 1.0


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ANSWER_SECONDS == 0.1
    monkeypatch.setattr("gateway.limits.ANSWER_SECONDS", PATIENT_SECONDS)


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with running_valkey() as started:
        yield started


@pytest.fixture
def valkey(server: Valkey) -> Valkey:
    """The server of this module, empty."""
    storage = open_shared_store(server.uri).storage
    assert isinstance(storage, ValkeyStore)
    storage.storage.flushall()
    storage.storage.close()
    return server


@pytest.fixture
def house(tmp_path: Path, partner: Partner, valkey: Valkey) -> House:
    limits = LimitsConfig(storage_uri=valkey.uri, partner_reports_per_minute=2)
    return make_house(tmp_path / "gateway", partners=(partner,), limits=limits)


class Pair:
    """Two gateways on one database and one Valkey, and a partner that reaches both."""

    def __init__(self, house: House, partner: Partner) -> None:
        self.house, self.partner = house, partner
        self.gateways: tuple[Gateway, ...] = (house.open_gateway(), house.open_gateway())
        self.doors = tuple(house.open_industry(partner, gateway=gateway) for gateway in self.gateways)

    def report(self, number: int) -> TestResponse:
        """Send a new report to one of the gateways."""
        return self.doors[number].post("/v1/reports", seal_report(self.partner, key=self.house.agency.sealing_key).body)

    def repeat(self, number: int, answer: TestResponse, *, body: bytes | None = None, **headers: str) -> TestResponse:
        """Send a signed request again, byte for byte, to one of the gateways."""
        unsigned = Door(self.doors[number].app, self.doors[number].origin, self.house.clock)
        sent = {**dict(answer.request.headers), **headers}
        return unsigned.send(answer.request.method, answer.request.path, body=body, headers=sent)

    def look_again(self) -> None:
        """Let both gateways ask Valkey again, as they do by themselves some seconds after a failure."""
        for gateway in self.gateways:
            gateway.limits.store.look_again()


@pytest.fixture
def pair(house: House, partner: Partner) -> Pair:
    return Pair(house, partner)


def read_status(pair: Pair, number: int, **headers: str) -> TestResponse:
    return pair.doors[number].get("/v1/status", headers=headers)


def test_two_gateways_count_one_limit(pair: Pair) -> None:
    assert [pair.report(number).status_code for number in (0, 1, 0)] == [201, 201, 429]


def test_request_that_was_sent_to_one_gateway_is_refused_by_the_other(pair: Pair) -> None:
    first = read_status(pair, 0)
    assert first.status_code == 200
    for number in (0, 1):
        refused = pair.repeat(number, first)
        check_problem(refused, problems.NOT_AUTHORISED)
        assert "nonce" in refused.get_json()["detail"]
    assert read_status(pair, 1).status_code == 200


def test_replay_takes_nothing_from_the_quota_of_its_partner(pair: Pair) -> None:
    report = seal_report(pair.partner, key=pair.house.agency.sealing_key)
    first = pair.doors[0].post("/v1/reports", report.body)
    assert [pair.repeat(1, first, body=report.body).status_code for _ in range(3)] == [401] * 3
    assert pair.report(1).status_code == 201


def test_request_that_the_proxy_passes_to_a_second_gateway_is_no_replay(pair: Pair) -> None:
    delivery = {DELIVERY_HEADER: secrets.token_hex(16)}
    first = read_status(pair, 0, **delivery)
    assert pair.repeat(1, first).status_code == 200
    for other in ({DELIVERY_HEADER: secrets.token_hex(16)}, {DELIVERY_HEADER: ""}, {DELIVERY_HEADER: "a word"}):
        assert pair.repeat(1, first, **other).status_code == 401


def test_feed_refuses_a_replay_too(house: House, valkey: Valkey) -> None:
    one, two = house.open_feed(), house.open_feed()
    first = one.get("/feed/status")
    again = Door(two.app, two.origin, house.clock).send("GET", "/feed/status", headers=dict(first.request.headers))
    assert (first.status_code, again.status_code) == (200, 401)


def test_store_that_falls_silent_is_replaced_by_memory_and_found_again(
    house: House, partner: Partner, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.limits.ANSWER_SECONDS", HASTY_SECONDS)
    pair = Pair(house, partner)
    assert pair.report(0).status_code == 201
    with LogCatcher() as log:
        with valkey.paused():
            # Each gateway counts from nothing in its own memory, and remembers nonces there.
            assert [pair.report(number).status_code for number in (0, 0, 0, 1)] == [201, 201, 429, 201]
            own = read_status(pair, 0)
            assert [pair.repeat(number, own).status_code for number in (0, 1)] == [401, 200]
        assert log.text.count("limit-store-away") == 2  # a silent store costs each gateway one wait, not one a request
        pair.look_again()
        assert pair.report(0).status_code == 201
        assert log.text.count("limit-store-back") == 1
    assert pair.report(1).status_code == 429


@pytest.mark.parametrize("scheme", ["valkey", "valkeys"])
def test_silent_name_server_holds_no_request(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.limits.ANSWER_SECONDS", 0.1)
    answers, asked = threading.Event(), []

    def wait_for_name(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        answers.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", wait_for_name)
    store = open_shared_store(f"{scheme}://limits.example:6379")
    limit = parse("2/hour")
    with ThreadPoolExecutor(4) as pool:
        try:
            hits = [pool.submit(store.count, lambda limiter: limiter.hit(limit, "key")) for _ in range(4)]
            assert sorted(hit.result(timeout=30) for hit in hits) == [False, False, True, True]
            assert store.is_away()
            assert set(asked) == {"limits.example"}
        finally:
            answers.set()


def test_one_thread_asks_the_store_again_while_the_others_count_in_memory() -> None:
    store = open_shared_store("memory://")
    is_asked, goes_on = threading.Event(), threading.Event()

    def fail(limiter: FixedWindowRateLimiter) -> str:
        if limiter is store._shared:
            raise ConnectionError
        return "own"

    def ask_slowly(limiter: FixedWindowRateLimiter) -> str:
        if limiter is not store._shared:
            return "own"
        is_asked.set()
        goes_on.wait()
        return "shared"

    assert store.count(fail) == "own"
    store.look_again()
    with ThreadPoolExecutor(2) as pool:
        try:
            first = pool.submit(store.count, ask_slowly)
            assert is_asked.wait(30)
            assert pool.submit(store.count, ask_slowly).result(timeout=30) == "own"
        finally:
            goes_on.set()
        assert first.result() == "shared"
    assert store.count(ask_slowly) == "shared"


def test_replay_after_the_store_forgot_its_nonces_changes_nothing(
    house: House, partner: Partner, valkey: Valkey
) -> None:
    pair = Pair(house, partner)
    report = seal_report(partner, key=house.agency.sealing_key)
    first = pair.doors[0].post("/v1/reports", report.body)
    valkey.kill()
    valkey.start()
    repeated = [pair.repeat(1, first, body=report.body) for _ in range(2)]
    assert [(one.status_code, one.data == first.data) for one in repeated] == [(200, True), (401, False)]
    assert len(house.rows("reports")) == 1


def test_gateway_starts_while_the_store_is_away(house: House, partner: Partner, tmp_path: Path) -> None:
    limits = LimitsConfig(storage_uri=f"valkey+unix://{tmp_path}/nothing")
    house.config = msgspec.structs.replace(house.config, limits=limits)
    assert Pair(house, partner).report(0).status_code == 201


def test_store_holds_no_address_no_partner_and_no_key(house: House, partner: Partner, valkey: Valkey) -> None:
    gateway = house.open_gateway()
    door = house.open_industry(partner, gateway=gateway)
    first = door.get("/v1/status", headers={DELIVERY_HEADER: "no words here"})
    assert door.post("/v1/reports", seal_report(partner, key=house.agency.sealing_key).body).status_code == 201
    kept = valkey.read_all()
    assert len(kept.splitlines()) >= 4
    nonce = first.request.headers["Signature-Input"].split('nonce="')[1].split('"')[0]
    for piece in ("127.0.0", partner.partner, partner.entry().key_id, nonce, "no words"):
        assert piece not in kept, piece


def find_limits(house: House) -> Finding:
    (found,) = (one for one in examine(house.state, clock=house.clock) if one.name == "limits")
    return found


def test_doctor_alarms_when_the_store_is_away_writes_to_disk_or_drops_keys(
    house: House, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_limits(house).verdict == "ok"
    with valkey.paused():
        monkeypatch.setattr("gateway.limits.ANSWER_SECONDS", HASTY_SECONDS)
        assert find_limits(house).verdict == "fault"
    monkeypatch.setattr("gateway.limits.ANSWER_SECONDS", PATIENT_SECONDS)
    storage = open_shared_store(valkey.uri).storage
    assert isinstance(storage, ValkeyStore)
    for name, good, bad in (
        ("save", "", "60 1"),
        ("maxmemory-policy", "noeviction", "allkeys-lru"),
        ("appendonly", "no", "yes"),
    ):
        storage.storage.config_set(name, bad)
        assert storage.find_weakness() is not None, name
        storage.storage.config_set(name, good)
    storage.storage.config_set("save", "60 1")
    assert find_limits(house).verdict == "warning"
    storage.storage.config_set("save", "")
    storage.storage.close()


def find_weakness(uri: str, *, password_file: str) -> str | None:
    storage = open_shared_store(uri, password_file=password_file).storage
    assert isinstance(storage, ValkeyStore)
    return storage.find_weakness()


def test_password_comes_from_a_file_and_tls_proves_the_name_of_the_server(tmp_path: Path) -> None:
    make_tls(tmp_path, host="localhost")
    certificate = tmp_path / CERTIFICATE
    secret = tmp_path / "valkey.password"
    secret.write_text("a password of the tests\n")
    port = find_free_port()
    tls = {"tls_port": str(port), "tls_auth_clients": "no", "tls_ca_cert_file": str(certificate)}
    tls |= {"tls_cert_file": str(certificate), "tls_key_file": str(tmp_path / "server.key")}
    with running_valkey(requirepass="a password of the tests", **tls):
        uri = f"valkeys://localhost:{port}/0?ssl_ca_certs={certificate}"
        assert find_weakness(uri, password_file=str(secret)) is None
        for at, password_file, refusal in (
            (uri, "", "AuthenticationError"),
            (uri.replace("localhost", "127.0.0.1"), str(secret), "ConnectionError"),  # not the name of the certificate
            (f"valkeys://localhost:{port}/0", str(secret), "ConnectionError"),  # an authority that nobody trusts
        ):
            with pytest.raises(Exception, match=r".") as caught:
                find_weakness(at, password_file=password_file)
            assert type(caught.value).__name__ == refusal, at


@pytest.mark.parametrize("text", [b"", b"\n", b"one\ntwo\n", b"\xff\n", None])
def test_file_without_one_password_is_an_error_that_does_not_repeat_it(tmp_path: Path, text: bytes | None) -> None:
    path = tmp_path / "valkey.password"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(SettingsError, match=r"limits\.password_file") as caught:
        open_shared_store("valkey://127.0.0.1:1", password_file=str(path))
    assert "two" not in str(caught.value)


def test_nonces_are_kept_as_long_as_any_signature_with_them_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert NONCE_SECONDS >= MAX_AGE_SECONDS + MAX_SKEW_SECONDS
    now = {"now": 1000.0}
    monkeypatch.setattr("gateway.limits.time.monotonic", lambda: now["now"])
    nonces = OwnNonces()
    assert [nonces.claim("one", delivery=delivery) for delivery in ("a", "a", "b")] == [True, True, False]
    now["now"] += NONCE_SECONDS - 1
    assert not nonces.claim("one", delivery="b")
    now["now"] += 1
    assert nonces.claim("one", delivery="b")


def test_own_memory_of_nonces_is_bounded() -> None:
    nonces = OwnNonces()
    for number in range(MAX_OWN_NONCES + 1):
        nonces.claim(str(number), delivery="a")
    assert nonces.claim("0", delivery="b")
    assert not nonces.claim(str(MAX_OWN_NONCES), delivery="b")
