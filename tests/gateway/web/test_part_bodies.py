"""Bodies of parts of files: held once and in pieces, in a room of their own, by half of the threads at most."""

import asyncio
import hashlib
import threading
from collections import deque

import pytest
from flask import Flask, Response, request

from gateway.web.rules import BodyRoom, CsrfRule, Login, apply_body_limits, find_rule, rule
from gateway.web.wsgi_bridge import BodyStream
from partner_sdk.wire.submission import MAX_REPORT_BODY_BYTES
from tests.builders import House
from tests.gateway.web.bridge_builders import Call, make_bridge

OCTETS = "application/octet-stream"
LARGE = 300_000  # over the ceiling of small bodies, so that it needs the room of large ones


class Threads:
    """Counts the threads inside the app, and releases them on request."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.may_go = threading.Event()
        self._guard = threading.Lock()

    def stand(self) -> None:
        """Wait inside the app."""
        with self._guard:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.may_go.wait(10)
        with self._guard:
            self.inside -= 1


def make_app(threads: Threads) -> Flask:
    """Make an app that takes parts of files and reports of the same size: only the rule's room tells them apart."""
    app = Flask("parts-test", static_folder=None)
    apply_body_limits(app)

    @app.put("/v1/parts/<name>")
    @rule(
        login=Login.OPEN,
        limit="none",
        csrf=CsrfRule.SIGNED,
        body_bytes=MAX_REPORT_BODY_BYTES,
        body_room=BodyRoom.PARTS,
        media_type=OCTETS,
    )
    def put_part(name: str) -> Response:
        threads.stand()
        return Response(hashlib.sha256(request.environ["wsgi.input"].read()).hexdigest())

    @app.post("/v1/reports")
    @rule(login=Login.OPEN, limit="none", csrf=CsrfRule.SIGNED, body_bytes=MAX_REPORT_BODY_BYTES)
    def post_report() -> Response:
        return Response(hashlib.sha256(request.get_data()).hexdigest())

    return app


def put(pieces: list[bytes], *, number: int = 0) -> Call:
    headers = ((b"content-type", OCTETS.encode()),)
    length = sum(map(len, pieces))
    return Call(method="PUT", path=b"/v1/parts/%d" % number, headers=headers, length=length, pieces=iter(pieces))


def post(pieces: list[bytes]) -> Call:
    return Call(path=b"/v1/reports", length=sum(map(len, pieces)), pieces=iter(pieces))


def test_route_that_takes_parts_of_evidence_alone_has_their_room(house: House) -> None:
    rooms = {
        route.rule: stated.room
        for role in ("public", "industry", "feed")
        for app in (house.open_app(role),)
        for route in app.url_map.iter_rules()
        if (stated := find_rule(app, route.endpoint)) is not None and stated.body_bytes
    }
    assert set(BodyRoom) == set(rooms.values())
    assert {room is BodyRoom.FORMS for path, room in rooms.items() if path.startswith(("/v1", "/feed"))} == {False}
    assert {room for path, room in rooms.items() if not path.startswith(("/v1", "/feed"))} == {BodyRoom.FORMS}
    assert [path for path, room in rooms.items() if room is BodyRoom.PARTS] == ["/v1/evidence/<evidence_id>/<part>"]


def test_parts_that_fill_their_room_keep_no_report_out_and_reports_no_part() -> None:
    threads = Threads()
    bridge = make_bridge(make_app(threads), room_bytes=LARGE, threads=4)
    parts = [put([bytes(LARGE // 2)] * 2), put([bytes(LARGE // 2)] * 2, number=1)]
    reports = [post([bytes(LARGE // 2)] * 2), post([b"{}"])]

    async def run() -> None:
        first = asyncio.create_task(bridge(parts[0].scope(), parts[0].receive, parts[0].send))
        while not threads.inside:
            await asyncio.sleep(0.001)
        await bridge(parts[1].scope(), parts[1].receive, parts[1].send)
        for report in reports:
            await bridge(report.scope(), report.receive, report.send)
        threads.may_go.set()
        await first

    asyncio.run(asyncio.wait_for(run(), timeout=60))
    assert [call.status for call in (*parts, *reports)] == [200, 503, 200, 200]


def test_parts_take_half_of_the_threads_and_a_report_finds_one() -> None:
    threads = Threads()
    bridge = make_bridge(make_app(threads), threads=4)
    parts = [put([b"x" * 1000], number=number) for number in range(6)]
    report = post([b"{}"])

    async def run() -> None:
        tasks = [asyncio.create_task(bridge(part.scope(), part.receive, part.send)) for part in parts]
        while threads.inside < 2:
            await asyncio.sleep(0.001)
        await asyncio.wait_for(bridge(report.scope(), report.receive, report.send), timeout=5)
        threads.may_go.set()
        await asyncio.gather(*tasks)

    asyncio.run(asyncio.wait_for(run(), timeout=60))
    assert report.status == 200
    assert [part.status for part in parts] == [200] * 6
    assert threads.most == 2


def test_pieces_of_a_part_come_to_the_app_as_they_are_and_in_order() -> None:
    threads = Threads()
    threads.may_go.set()
    pieces = [bytes([number]) * (number + 1) for number in range(50)]
    part, report = put(pieces), post(pieces)
    bridge = make_bridge(make_app(threads))
    for call in (part, report):
        asyncio.run(bridge(call.scope(), call.receive, call.send))
    digest = hashlib.sha256(b"".join(pieces)).hexdigest().encode()
    assert part.body == report.body == digest


@pytest.fixture
def stream() -> BodyStream:
    """A body of three pieces and a line break."""
    return BodyStream(deque([b"first", b"se\ncond", b"third"]))


def test_piece_that_fits_is_given_as_it_is_without_a_copy() -> None:
    piece = b"x" * 1000
    stream = BodyStream(deque([piece]))
    assert stream.read(1000) is piece
    assert stream.read(1000) == b""


def test_stream_reads_as_any_other(stream: BodyStream) -> None:
    """PEP 3333 names read, readline, readlines and iteration."""
    assert stream.read(0) == b""
    assert (stream.read(3), stream.read(100)) == (b"fir", b"st")
    assert stream.readline() == b"se\n"
    assert stream.read() == b"condthird"
    assert (stream.read(), stream.read(5), stream.readline()) == (b"", b"", b"")
