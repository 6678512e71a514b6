"""Serves a WSGI app behind an event loop: bodies are read by the loop, answers are made by threads.

A thread is taken only for a request that is there to its last byte, and is free again when the answer is made: neither
a caller that sends slowly nor one that reads slowly holds one. Why: docs/decisions/0009.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from gateway.web.body_limit import REFUSED
from gateway.web.body_reader import BodyNotReadError, BodyReader, Receive
from gateway.web.logs import log_failure
from gateway.web.request_threads import RequestThreads
from gateway.web.rules import NO_BODY, BodyRoom, BodyTerms
from gateway.web.wsgi_environ import AmbiguousHeadersError, Scope, make_environ

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
BodyRule = Callable[[str, str], BodyTerms]
"""Returns the terms for a body, for a method and a path; `NO_BODY` where none is taken."""

_CLOSE: Final = (b"connection", b"close")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an app answered, whole."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""


class WsgiBridge:
    """The app of one server process, as the server calls it (ASGI 3.0, HTTP alone)."""

    def __init__(self, app: WsgiApp, *, body_rule: BodyRule, bodies: BodyReader, threads: int) -> None:
        self._app = app
        self._body_rule = body_rule
        self._bodies = bodies
        self._threads = RequestThreads(threads)
        # A part of a file waits for the disk. Forms and reports must find a thread meanwhile.
        self._part_turns = asyncio.Semaphore(max(1, threads // 2))
        self._is_leaving = False

    def leave(self) -> None:
        """From now on end each connection with its answer: the next request goes to another worker."""
        self._is_leaving = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            environ = make_environ(scope)
        except AmbiguousHeadersError as error:
            await self._refuse(error.environ, send, status=HTTPStatus.BAD_REQUEST)
            return
        length = int(environ.get("CONTENT_LENGTH") or 0)
        is_chunked = "HTTP_TRANSFER_ENCODING" in environ
        terms = self._body_rule(environ["REQUEST_METHOD"], scope["path"]) if length else NO_BODY
        if is_chunked or length > terms.ceiling:
            # The app refuses it by the rule of its route, in its own words. It finds no byte to read.
            await self._threads.run(lambda: _send(self._ask(environ), send, closes=True))
            return
        with self._bodies.hold(length, room=terms.room) as held:
            if length:
                try:
                    environ["wsgi.input"] = await held.read(receive, length=length, seconds=self._bodies.seconds)
                except BodyNotReadError as error:
                    await self._refuse(environ, send, status=error.status)
                    return
            async with self._turn(terms.room):
                await self._threads.run(lambda: _send(self._ask(environ), send, closes=self._is_leaving))

    def _turn(self, room: BodyRoom) -> AbstractAsyncContextManager[object]:
        return self._part_turns if room is BodyRoom.PARTS else nullcontext()

    async def _refuse(self, environ: Environ, send: Send, *, status: HTTPStatus) -> None:
        """Let the app say in its own words that the request is refused; what it says counts only with this status."""
        environ.pop("CONTENT_LENGTH", None)
        environ[REFUSED] = status

        def answer() -> None:
            said = self._ask(environ)
            _send(said if said.status == status else Answer(status, []), send, closes=True)

        await self._threads.run(answer)

    def _ask(self, environ: Environ) -> Answer:
        """Return the app's answer; a failure that it did not answer itself is a bare 500."""
        try:
            return collect_answer(self._app, environ)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            log_failure(error)
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, [])


def _send(answer: Answer, send: Send, *, closes: bool = False) -> None:
    headers = [*answer.headers, _CLOSE] if closes else answer.headers
    _finish(send({"type": "http.response.start", "status": answer.status, "headers": headers}))
    _finish(send({"type": "http.response.body", "body": answer.body}))


def _finish(sent: Awaitable[None]) -> None:
    """Make sure that what was sent is sent: granian takes whole answers at once, from any thread.

    Sent from here, an answer need not wait until the event loop gets its turn among the threads.
    """
    try:
        next(iter(sent.__await__()))
    except StopIteration:
        return
    raise RuntimeError("The server does not take an answer at once.")


def collect_answer(app: WsgiApp, environ: Environ) -> Answer:
    """Return the whole answer of a WSGI app (PEP 3333): nothing is sent before all of it is made."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    parts: list[bytes] = []

    def start(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[[bytes], None]:
        if started and exc_info is None:
            raise RuntimeError("The app started its answer twice.")
        started.append((status, headers))
        return parts.append

    made = app(environ, start)
    try:
        parts.extend(made)
    finally:
        close = getattr(made, "close", None)
        if close is not None:
            close()
    status, headers = started[-1]
    return Answer(
        status=int(status[:3]),
        headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        body=parts[0] if len(parts) == 1 else b"".join(parts),
    )
