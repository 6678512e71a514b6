"""The bridge between event loop and WSGI app: bytes read and left unread, and answers passed on."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from gateway.web.web_app import WebApp
from gateway.web.wsgi_bridge import SMALL_BODY_BYTES
from tests.gateway.web.bridge_builders import LEAVES, Call, make_bridge, serve
from tests.gateway.web_builders import FORM_BYTES, JSON_BYTES, MARKER, LogCatcher, make_test_app

FORM = ((b"content-type", b"application/x-www-form-urlencoded"),)
Environ = dict[str, Any]
Start = Callable[..., Any]


class SlowCall(Call):
    """A caller that pauses before each piece."""

    async def receive(self) -> dict[str, Any]:
        """Give the next piece, later."""
        await asyncio.sleep(0.01)
        return await super().receive()


def make_large_app() -> WebApp:
    """Return the test app with one route more, for bodies that are not small."""
    app = make_test_app()
    take = rule(login=Login.PARTNER, limit=NO_LIMIT, csrf=CsrfRule.SIGNED, body_bytes=10 * SMALL_BODY_BYTES)
    app.add_url_rule("/v1/large", "large", take(lambda: {"taken": True}), methods=["POST"])
    return app


def ask(answer: Callable[[Environ, Start], Iterable[bytes]], **call: Any) -> Call:
    """Ask a WSGI app that is no app of the house; it takes no body."""
    return serve(make_bridge(answer), Call(**{"method": "GET", "path": b"/", **call}))


def test_body_in_pieces_reaches_the_app_whole() -> None:
    call = serve(make_bridge(make_test_app()), Call(length=6, pieces=(b"ab", b"cde", b"f")))
    assert call.status == 200
    assert b'"size":6' in call.body
    assert "connection" not in call.answer_headers


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (Call(length=JSON_BYTES + 1), 413),
        (Call(length=10**15), 413),
        (Call(headers=((b"content-type", b"application/json"), (b"transfer-encoding", b"chunked"))), 411),
        (Call(path=b"/3", headers=FORM, length=FORM_BYTES + 1), 413),
        (Call(path=b"/v1/nothing", length=1), 404),
        (Call(method="GET", path=b"/3", length=1), 400),
        (Call(method="PUT", path=b"/3", length=1), 405),
    ],
)
def test_refused_body_is_not_read_and_the_connection_ends(call: Call, status: int) -> None:
    serve(make_bridge(make_test_app()), call)
    assert (call.status, call.read) == (status, 0)
    assert call.answer_headers["connection"] == "close"
    assert "x-request-id" in call.answer_headers  # the app's own words


def test_stalled_body_is_408_at_the_deadline_and_the_connection_ends() -> None:
    call = serve(make_bridge(make_test_app(), seconds=0.1), Call(length=9, pieces=(b"x",)))
    assert call.status == 408
    assert call.answer_headers["content-type"] == "application/problem+json"
    assert call.answer_headers["connection"] == "close"


def test_deadline_is_for_the_whole_body_and_not_for_each_piece() -> None:
    def drip() -> Iterator[bytes]:
        while True:
            yield b"x"

    call = serve(make_bridge(make_test_app(), seconds=0.05), SlowCall(length=JSON_BYTES, pieces=drip()))
    assert call.status == 408
    assert call.read < JSON_BYTES


def test_body_that_is_cut_is_400() -> None:
    assert serve(make_bridge(make_test_app()), Call(length=9, pieces=(b"x", LEAVES))).status == 400


def test_bytes_beyond_the_room_are_503_with_a_time_and_the_rest_goes_on() -> None:
    bridge = make_bridge(make_test_app(), seconds=0.2, room_bytes=1_500)
    holder = Call(length=JSON_BYTES, pieces=(b"x" * 999,))
    late = Call(length=JSON_BYTES, pieces=(b"x" * 999,))
    little = Call(length=2, pieces=(b"ab",))
    serve(bridge, holder, late, little)
    assert (holder.status, late.status, little.status) == (408, 503, 200)
    assert int(late.answer_headers["retry-after"]) > 0
    assert late.answer_headers["connection"] == "close"


def test_room_is_given_back_whatever_became_of_the_body() -> None:
    bridge = make_bridge(make_test_app(), seconds=0.05, room_bytes=JSON_BYTES)
    for pieces in ((b"x" * 999,), (b"x" * 999, LEAVES), (b"x" * 1000,)) * 2:
        serve(bridge, Call(length=JSON_BYTES, pieces=pieces))
    assert serve(bridge, Call(length=JSON_BYTES, pieces=(b"x" * JSON_BYTES,))).status == 200


def test_large_bodies_do_not_take_the_room_of_small_ones() -> None:
    bridge = make_bridge(make_large_app(), seconds=0.3, room_bytes=SMALL_BODY_BYTES + 10)
    large = [
        Call(path=b"/v1/large", length=SMALL_BODY_BYTES + 9, pieces=(b"x" * (SMALL_BODY_BYTES + 8),)) for _ in range(3)
    ]
    small = Call(length=JSON_BYTES, pieces=(b"x" * JSON_BYTES,))
    serve(bridge, *large, small)
    assert sorted(call.status for call in large) == [408, 503, 503]
    assert small.status == 200


@pytest.mark.parametrize("name", [b"host", b"content-length", b"content-type", b"content-encoding"])
def test_header_that_may_come_once_is_refused_twice(name: bytes) -> None:
    headers = ((b"content-type", b"application/json"), (name, b"2"), (name, b"3"))
    call = serve(make_bridge(make_test_app()), Call(headers=headers, pieces=(b"ab",)))
    assert (call.status, call.read) == (400, 0)
    assert call.answer_headers["connection"] == "close"


def test_environ_is_what_was_sent_and_names_with_underscores_do_not_exist() -> None:
    seen: Environ = {}

    def look(environ: Environ, start: Start) -> list[bytes]:
        seen.update(environ)
        start("200 OK", [])
        return []

    headers = (
        (b"x-forwarded-for", b"198.51.100.1"),
        (b"x_forwarded_for", b"203.0.113.1"),
        (b"x-forwarded_for", b"203.0.113.2"),
        (b"content_length", b"7"),
        (b"x-many", b"1"),
        (b"x-many", b"2"),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
        (b"x-odd", b"\xff"),
    )
    ask(look, path=b"/caf%C3%A9/%73", query=b"a=%20", headers=headers)
    assert seen["HTTP_X_FORWARDED_FOR"] == "198.51.100.1"
    assert "CONTENT_LENGTH" not in seen
    assert seen["HTTP_X_MANY"] == "1,2"
    assert seen["HTTP_COOKIE"] == "a=1; b=2"
    assert seen["HTTP_X_ODD"] == "\u00ff"
    assert seen["PATH_INFO"] == "/caf\u00c3\u00a9/s"  # bytes as Latin-1 (PEP 3333)
    assert seen["RAW_URI"] == "/caf%C3%A9/%73?a=%20"
    assert (seen["REMOTE_ADDR"], seen["SERVER_PORT"]) == ("192.0.2.7", "8080")
    assert "PATH" not in seen  # the process's environment is not the request's


def test_streamed_answer_is_whole_and_closed() -> None:
    closed: list[bool] = []

    class Stream:
        def __init__(self, start: Start) -> None:
            self.start = start

        def __iter__(self) -> Iterator[bytes]:
            self.start("200 OK", [("X-One", "1"), ("X-One", "2")])
            yield b"a"
            yield b"b"

        def close(self) -> None:
            closed.append(True)

    call = ask(lambda _environ, start: Stream(start))
    assert (call.status, call.body, closed) == (200, b"ab", [True])
    assert call.sent[0]["headers"] == [(b"X-One", b"1"), (b"X-One", b"2")]


def test_answer_is_closed_also_when_it_fails_and_the_caller_gets_500() -> None:
    closed: list[bool] = []

    class Broken:
        def __iter__(self) -> Iterator[bytes]:
            raise RuntimeError(MARKER)

        def close(self) -> None:
            closed.append(True)

    with LogCatcher() as log:
        call = ask(lambda _environ, _start: Broken())
    assert (call.status, call.body, closed) == (500, b"", [True])
    assert "RuntimeError" in log.text
    assert MARKER not in log.text


def test_answer_may_be_replaced_until_it_is_sent_and_written_in_the_old_way() -> None:
    def answer(_environ: Environ, start: Start) -> list[bytes]:
        start("200 OK", [])
        write = start("503 Service Unavailable", [("X-One", "1")], (RuntimeError, RuntimeError(), None))
        write(b"a")
        return [b"b"]

    call = ask(answer)
    assert (call.status, call.body, call.answer_headers) == (503, b"ab", {"x-one": "1"})


@pytest.mark.parametrize("starts", [0, 2])
def test_app_that_does_not_start_its_answer_once_is_500(starts: int) -> None:
    def answer(_environ: Environ, start: Start) -> list[bytes]:
        for _ in range(starts):
            start("200 OK", [])
        return []

    with LogCatcher():
        assert ask(answer).status == 500


def test_app_that_overlooks_a_refusal_is_overruled() -> None:
    def answer(_environ: Environ, start: Start) -> list[bytes]:
        start("200 OK", [])
        return [b"welcome"]

    call = ask(answer, headers=((b"host", b"other.example"),))
    assert (call.status, call.body) == (400, b"")


def test_announced_bytes_take_no_room() -> None:
    bridge = make_bridge(make_test_app(), seconds=0.2, room_bytes=JSON_BYTES)
    stalled = [Call(length=JSON_BYTES, pieces=(b"x",)) for _ in range(50)]
    assert serve(bridge, *stalled, Call(length=900, pieces=(b"x" * 900,))).status == 200
