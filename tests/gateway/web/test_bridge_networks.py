"""The bridge shares rooms and threads among networks: one network's requests keep no other one out.

The worker threads of a server process keep nothing of a request that is answered.
"""

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from gateway.web.callers import (
    MAX_WAITING_AFTER_REFUSALS,
    MOST_AFTER_REFUSALS,
    REFUSALS_ALLOWED,
    CallerNetworks,
    NetworkTurns,
    RequestThreads,
    TooManyWaitingError,
    find_caller,
)
from gateway.web.rules import MAX_FORM_FIELDS, REFUSED
from gateway.web.wsgi_bridge import MAX_HEAD_BYTES, SMALL_BODY_BYTES
from tests.builders import House
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.web.bridge_builders import FORM, LEAVES, Call, call_all, hold, make_bridge, serve
from tests.gateway.web_builders import make_test_app

FLOOD, OTHER = "203.0.113.9", "198.51.100.7"
JSON = ((b"content-type", b"application/json"),)
FULL = SMALL_BODY_BYTES


@asynccontextmanager
async def take_turn(turns: NetworkTurns, network: bytes) -> AsyncIterator[None]:
    """Have a place among the requests of a network for as long as the block lasts."""
    await turns.enter(network)
    try:
        yield
    finally:
        turns.leave(network)


def test_unsigned_reports_of_one_network_keep_no_other_network_out(house: House) -> None:
    bridge = make_bridge(house.open_app("public", "industry"), seconds=0.5, room_bytes=4 * FULL, is_shared=True)
    flood = [hold(FLOOD, path=b"/v1/reports", headers=JSON, length=FULL) for _ in range(6)]
    other = Call(path=b"/v1/reports", headers=JSON, length=2, pieces=(b"{}",), address=OTHER)
    serve(bridge, *flood, other)
    assert sorted(call.status for call in flood) == [408] + [503] * 5
    assert other.status == 401  # read, and refused only because it is not signed


def test_whatever_fills_the_rooms_of_machines_the_form_has_its_own(house: House) -> None:
    bridge = make_bridge(house.open_app("public", "industry"), seconds=0.5, room_bytes=4 * FULL, is_shared=True)
    flood = [
        hold(f"10.0.{network}.1", path=b"/v1/reports", headers=JSON, length=FULL)
        for network in range(6)  # more than fill the room
    ]
    child = Call(path=b"/", headers=FORM, length=6, pieces=(b"action",), address="10.0.0.1")
    serve(bridge, *flood, child)
    assert sorted(call.status for call in flood) == [408] * 4 + [503] * 2
    assert child.status == 400  # read and answered: only its token is missing


@pytest.mark.parametrize(
    ("forwarded", "proxies"),
    [
        ("203.0.113.9", 0),
        ("203.0.113.9", 1),
        ("198.51.100.1, 203.0.113.9", 1),
        ("198.51.100.1, 203.0.113.9", 2),
        ("203.0.113.9", 2),
        ("", 1),
        ("2001:db8::1 , 2001:db8::2", 1),
    ],
)
def test_caller_is_the_one_that_the_app_sees_behind_its_proxies(forwarded: str, proxies: int) -> None:
    environ: dict[str, Any] = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": forwarded}
    seen: list[str] = []

    def look(one: dict[str, Any], _start: object) -> list[bytes]:
        seen.append(one["REMOTE_ADDR"])
        return []

    ProxyFix(look, x_for=proxies, x_proto=0)(dict(environ), lambda *_: None)  # type: ignore[arg-type, return-value]  # nothing starts an answer
    assert find_caller(environ, trusted_proxies=proxies) == seen[0]


def test_network_is_named_by_a_hash_whose_key_ends_with_the_process() -> None:
    first, second = CallerNetworks(trusted_proxies=0), CallerNetworks(trusted_proxies=0)
    name = first.name_caller({"REMOTE_ADDR": "203.0.113.9"})
    assert name == first.name_caller({"REMOTE_ADDR": "203.0.113.200"})
    assert name != first.name_caller({"REMOTE_ADDR": "203.0.114.9"})
    assert name != second.name_caller({"REMOTE_ADDR": "203.0.113.9"})
    assert first.name_caller({"REMOTE_ADDR": "2001:db8:1:2::1"}) == first.name_caller(
        {"REMOTE_ADDR": "2001:db8:1:9::1"}
    )


class Gate:
    """An app that keeps its threads until it may answer; counts how many of a network are inside."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.most = 0
        self.refused = 0
        self.may_go = threading.Event()
        self._guard = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        if REFUSED in environ:
            self.refused += 1
            start(f"{int(environ[REFUSED])} Refused", [("Set-Cookie", "a=b"), ("Retry-After", "60")])
            return [b"a kind page"]
        with self._guard:
            self.inside.append(environ["REMOTE_ADDR"])
            self.most = max(self.most, self.inside.count(FLOOD))
        if environ["REMOTE_ADDR"] == FLOOD:
            self.may_go.wait(20)
        start("400 Bad Request" if environ["REQUEST_METHOD"] == "POST" else "200 OK", [])
        with self._guard:
            self.inside.remove(environ["REMOTE_ADDR"])
        return []


def test_flood_of_refused_posts_is_answered_few_at_a_time_and_another_network_at_once() -> None:
    gate = Gate()
    bridge = make_bridge(gate, threads=8)
    gate.may_go.set()
    for _ in range(REFUSALS_ALLOWED + 1):
        assert serve(bridge, Call(path=b"/", headers=FORM, address=FLOOD)).status == 400
    assert gate.most == 1
    gate.may_go.clear()
    most = MOST_AFTER_REFUSALS + MAX_WAITING_AFTER_REFUSALS
    flood = [Call(path=b"/", headers=FORM, address=FLOOD) for _ in range(most + 4)]
    other = Call(method="GET", path=b"/", address=OTHER)

    async def run() -> None:
        waiting = asyncio.create_task(call_all(bridge, flood))
        await call_all(bridge, [other])  # answered while the flood stands in the app
        assert other.status == 200
        assert sum(bool(call.sent) for call in flood) <= 4
        while gate.inside.count(FLOOD) < MOST_AFTER_REFUSALS:  # a busy machine starts their threads late
            await asyncio.sleep(0.001)
        gate.may_go.set()
        await waiting

    asyncio.run(asyncio.wait_for(run(), timeout=60))
    assert gate.most == MOST_AFTER_REFUSALS
    # Four were answered at once and 16 waited for their turn; the others came to nothing, and cost no thread.
    assert sorted(call.status for call in flood) == [400] * most + [503] * 4
    assert gate.refused == 1
    busy = next(call for call in flood if call.status == 503)
    assert (busy.body, busy.answer_headers) == (b"a kind page", {"retry-after": "60", "connection": "close"})


def test_one_network_never_has_all_places_at_the_threads() -> None:
    gate = Gate()
    bridge = make_bridge(gate, threads=2)
    flood = [Call(method="GET", path=b"/", address=FLOOD) for _ in range(50)]

    async def run() -> None:
        turns = bridge._turns.strangers
        waiting = asyncio.create_task(call_all(bridge, flood))
        while sum(turns._at_work.values()) < 4:
            await asyncio.sleep(0.001)
        assert sum(len(one) for one in turns._waiting.values()) == 46
        gate.may_go.set()
        await waiting
        assert (turns._at_work, turns._waiting) == ({}, {})

    asyncio.run(asyncio.wait_for(run(), timeout=60))
    assert {call.status for call in flood} == {200}


def test_refusals_are_forgotten_after_their_window_and_of_one_network_alone() -> None:
    clock = {"now": 0.0}
    turns = NetworkTurns(6, clock=lambda: clock["now"])

    async def run(network: bytes) -> int:
        """Return how many are let in at once."""
        inside = asyncio.Event()

        async def take() -> None:
            async with take_turn(turns, network):
                await inside.wait()

        tasks = [asyncio.create_task(take()) for _ in range(8)]
        await asyncio.sleep(0)
        number = turns._at_work[network]
        inside.set()
        await asyncio.gather(*tasks)
        return number

    for _ in range(REFUSALS_ALLOWED + 1):
        turns.count_refusal(b"flood")
    assert asyncio.run(run(b"flood")) == MOST_AFTER_REFUSALS
    assert asyncio.run(run(b"other")) == 6
    clock["now"] += 600
    assert asyncio.run(run(b"flood")) == 6


def test_who_waits_and_leaves_takes_no_place_with_them() -> None:
    turns = NetworkTurns(1)

    async def run() -> None:
        async with take_turn(turns, b"one"):
            waiting = [asyncio.create_task(enter()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*waiting, return_exceptions=True)
        assert (turns._at_work, turns._waiting) == ({}, {})

    async def enter() -> None:
        async with take_turn(turns, b"one"):
            await asyncio.sleep(0)

    asyncio.run(run())


def test_waiting_without_end_is_refused_to_a_network_that_was_refused_alone() -> None:
    turns = NetworkTurns(1)
    for _ in range(REFUSALS_ALLOWED + 1):
        turns.count_refusal(b"flood")

    async def run(network: bytes) -> int:
        async with take_turn(turns, network):
            tasks = [asyncio.create_task(enter(network)) for _ in range(40)]
            await asyncio.sleep(0)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        return sum(isinstance(one, TooManyWaitingError) for one in results)

    async def enter(network: bytes) -> None:
        async with take_turn(turns, network):
            pass

    assert asyncio.run(run(b"flood")) == 40 - MAX_WAITING_AFTER_REFUSALS
    assert asyncio.run(run(b"other")) == 0


def test_form_of_very_many_fields_is_refused_before_it_is_parsed(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("werkzeug.formparser.parse_qsl", None)  # whoever parses it fails
    body = b"a=&" * 80_000
    bridge = make_bridge(public.app, seconds=5, room_bytes=10**6)
    call = serve(bridge, Call(path=b"/", headers=FORM, length=len(body), pieces=(body,)))
    assert call.status == 413
    assert b"tel:999" in call.body


def test_form_of_as_many_fields_as_may_be_is_parsed() -> None:
    body = b"a=&" * (MAX_FORM_FIELDS - 1)
    call = serve(make_bridge(make_test_app()), Call(path=b"/3", headers=FORM, length=len(body), pieces=(body,)))
    assert call.status == 400  # its token is missing: it was looked for
    body += b"a="
    assert (
        serve(make_bridge(make_test_app()), Call(path=b"/3", headers=FORM, length=len(body), pieces=(body,))).status
        == 400
    )
    body += b"&"
    assert (
        serve(make_bridge(make_test_app()), Call(path=b"/3", headers=FORM, length=len(body), pieces=(body,))).status
        == 413
    )


@pytest.mark.parametrize("name", [b"cookie", b"x-anything", b"content-type", b"accept-language", b"x-forwarded-for"])
def test_head_that_is_too_large_is_431_before_anything_reads_it(public: PublicHouse, name: bytes) -> None:
    heads = ((name, b"a=b; " * (MAX_HEAD_BYTES // 5 + 1)),)
    call = serve(make_bridge(public.app), Call(method="GET", path=b"/", headers=heads))
    assert call.status == 431
    assert b"tel:999" in call.body
    assert call.answer_headers["connection"] == "close"


def test_bodies_that_a_bad_line_cuts_or_slows_are_not_counted_as_refused() -> None:
    bridge = make_bridge(make_test_app(), seconds=0.01)
    for pieces in ((b"x", LEAVES), (b"x",)):
        for _ in range(REFUSALS_ALLOWED):
            call = serve(bridge, Call(length=9, pieces=pieces, address=FLOOD))
            assert call.status in {400, 408}
    assert bridge._turns.strangers._refusals == {}


class _Request:
    """Stands for all that a job holds: the text of a report, and the connection it came on."""


@pytest.mark.parametrize("fails", [False, True])
def test_thread_that_waits_holds_nothing_of_its_last_job(fails: bool) -> None:
    threads, is_gone = RequestThreads(1), threading.Event()

    async def run_once() -> None:
        request = _Request()
        weakref.finalize(request, is_gone.set)

        def job(held: _Request = request) -> None:
            if fails:
                raise ValueError(str(held))

        await threads.run(job)

    asyncio.run(run_once())
    assert is_gone.wait(timeout=10)


def test_long_query_counts_as_part_of_the_head(public: PublicHouse) -> None:
    call = serve(make_bridge(public.app), Call(method="GET", path=b"/", query=b"c=" + b"a" * MAX_HEAD_BYTES))
    assert call.status == 431
