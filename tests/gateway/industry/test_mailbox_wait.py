"""`GET /v1/mailbox?wait=`: answered when a message comes, and no thread is held by those that wait."""

import asyncio
import dataclasses
import re
from collections.abc import Callable
from http import HTTPStatus

import pytest

from gateway.web import wsgi_bridge
from gateway.web.server_process import make_body_rule
from gateway.web.wsgi_bridge import BodyReader, WsgiBridge
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import to_base64url
from partner_sdk.wire.mailbox import MAX_WAIT_SECONDS
from tests.builders import House, Partner, seal_report
from tests.gateway.industry.partner_calls import PartnerCall, put_message
from tests.gateway.web.bridge_builders import LEAVES, Call
from tests.house.sources import ROOT
from tests.problem_shape import check_problem

LOOK_SECONDS = 0.01
PATIENCE_SECONDS = 20


def make_bridge(house: House) -> WsgiBridge:
    """Return the bridge of the real door with a single thread."""
    app = house.open_app("industry")
    return WsgiBridge(
        app, body_rule=make_body_rule(app), bodies=BodyReader(seconds=5), threads=1, look_seconds=LOOK_SECONDS
    )


def make_call(house: House, partner: Partner, call: PartnerCall, *, pieces: tuple[bytes | None, ...] = ()) -> Call:
    """Return a signed call as the bridge gets it."""
    door = house.open_industry(partner)
    headers = call.sign(origin=door.origin, key=partner.submission_key, now=house.clock())
    path, _, query = call.path.partition("?")
    body = call.body
    return Call(
        method=call.method,
        path=path.encode(),
        query=query.encode(),
        headers=[(name.lower().encode(), value.encode()) for name, value in headers.items()],
        length=None if body is None else len(body),
        pieces=iter(pieces if body is None else (body,)),
    )


def wait_call(house: House, partner: Partner, *, seconds: int = MAX_WAIT_SECONDS, leaves: bool = False) -> Call:
    """Return a call that waits."""
    return make_call(
        house, partner, PartnerCall("GET", f"/v1/mailbox?wait={seconds}"), pieces=(b"", LEAVES) if leaves else ()
    )


async def until(is_true: Callable[[], bool]) -> None:
    """Let the event loop work until something is so."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_true():
            await asyncio.sleep(LOOK_SECONDS)


@pytest.mark.parametrize("places", [wsgi_bridge.MOST_WAITING, 1], ids=["of-one-partner", "of-all"])
def test_all_places_to_wait_are_taken_and_a_p1_is_stored_at_once_until_a_message_ends_the_waits(
    house: House, partner: Partner, monkeypatch: pytest.MonkeyPatch, places: int
) -> None:
    monkeypatch.setattr(wsgi_bridge, "MOST_WAITING", places)
    monkeypatch.setattr(wsgi_bridge, "log_failure", lambda error: pytest.fail(repr(error)))
    report = seal_report(partner, key=house.agency.sealing_key, priority="P1")

    async def play() -> None:
        bridge = make_bridge(house)

        def start(call: Call) -> "asyncio.Task[None]":
            return asyncio.ensure_future(bridge(call.scope(), call.receive, call.send))

        calls = [wait_call(house, partner) for _ in range(min(places, wsgi_bridge.MOST_OF_ONE))]
        waiting = [start(call) for call in calls]
        await until(lambda: bridge.count_waiting() == len(calls))
        surplus = wait_call(house, partner)
        await start(surplus)
        assert (surplus.status, surplus.body) == (HTTPStatus.OK, b'{"messages":[]}')
        assert surplus.answer_headers["retry-after"] == str(wsgi_bridge.COME_BACK_SECONDS)
        urgent = make_call(house, partner, PartnerCall("POST", "/v1/reports", report.body))
        await start(urgent)
        assert urgent.status == HTTPStatus.CREATED
        assert [task.done() for task in waiting] == [False] * len(calls)
        envelope = put_message(house, partner)
        await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE_SECONDS)
        for call in calls:
            assert to_base64url(envelope).encode() in call.body
            assert call.answer_headers["content-length"] == str(len(call.body))
            assert "retry-after" not in call.answer_headers
        assert bridge.count_waiting() == 0

    asyncio.run(play())


def test_wait_ends_at_once_with_a_message_there_at_its_time_or_when_the_caller_or_the_worker_leaves(
    house: House, partner: Partner
) -> None:
    async def play() -> None:
        bridge = make_bridge(house)

        async def ask(call: Call) -> Call:
            await asyncio.wait_for(bridge(call.scope(), call.receive, call.send), PATIENCE_SECONDS)
            return call

        gone = await ask(wait_call(house, partner, leaves=True))
        assert (gone.sent, bridge.count_waiting()) == ([], 0)
        over = await ask(wait_call(house, partner, seconds=1))
        assert (over.status, over.body) == (HTTPStatus.OK, b'{"messages":[]}')
        leaving = asyncio.ensure_future(ask(wait_call(house, partner)))
        await until(lambda: bridge.count_waiting() == 1)
        bridge.leave()
        assert (await leaving).body == b'{"messages":[]}'
        envelope = put_message(house, partner)
        assert to_base64url(envelope).encode() in (await ask(wait_call(house, partner))).body

    asyncio.run(play())


def test_request_that_is_sent_again_as_it_was_holds_no_place(house: House, partner: Partner) -> None:
    async def play() -> None:
        bridge = make_bridge(house)
        first = wait_call(house, partner)
        waiting = asyncio.ensure_future(bridge(first.scope(), first.receive, first.send))
        await until(lambda: bridge.count_waiting() == 1)
        again = dataclasses.replace(wait_call(house, partner), headers=first.headers)
        await asyncio.wait_for(bridge(again.scope(), again.receive, again.send), PATIENCE_SECONDS)
        assert (again.body, bridge.count_waiting()) == (b'{"messages":[]}', 1)
        bridge.leave()
        await waiting

    asyncio.run(play())


def test_wait_is_shorter_than_the_proxy_waits_for_an_answer() -> None:
    proxy = (ROOT / "gateway/web/nginx/report-abuse.conf").read_text("utf-8")
    (seconds,) = re.findall(r"^\s*proxy_read_timeout (\d+)s;", proxy, re.MULTILINE)
    assert int(seconds) >= MAX_WAIT_SECONDS + 2 * wsgi_bridge.LOOK_SECONDS


@pytest.mark.parametrize("wait", ["26", "-1", "1.5", "01", "", "1&wait=2", "1e1"])
def test_wait_is_one_whole_number_of_seconds(house: House, partner: Partner, wait: str) -> None:
    door = house.open_industry(partner)
    check_problem(door.get(f"/v1/mailbox?wait={wait}"), problems.MALFORMED_REQUEST)
