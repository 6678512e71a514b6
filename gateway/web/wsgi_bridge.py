"""Serves a WSGI app behind an event loop: the loop reads bodies, and threads make answers.

A thread is used only for a complete request, and is free again once the answer is made, so neither a slow sender nor a
slow reader holds one. Why: docs/decisions/0009.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from gateway.web.body_reader import BodyNotReadError, BodyReader, Receive
from gateway.web.logs import log_failure
from gateway.web.long_wait import COME_BACK_SECONDS, LOOK_SECONDS, WAIT_KEY, CallerLeftError, NoPlaceError, Wait, Waits
from gateway.web.network_bucket import CallerNetworks
from gateway.web.request_checks import REFUSED
from gateway.web.request_threads import Caller, CallerTurns, RequestThreads, TooManyWaitingError
from gateway.web.rules import NO_BODY, SAFE_METHODS, BodyRoom, BodyTerms
from gateway.web.silent_connections import Peer
from gateway.web.wsgi_environ import AmbiguousHeadersError, Scope, drop_headers, make_environ

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
BodyRule = Callable[[str, str], BodyTerms]
"""Returns the body terms for a method and a path; `NO_BODY` if no body is accepted."""
JourneyFinder = Callable[[Environ], bytes | None]
"""Returns a hash of the journey in a request's cookie, or None without one that this gateway signed."""

_CLOSE: Final = (b"connection", b"close")
# A request of the form has about 2 KiB, a signed one 3 KiB. The server itself stops at 64 KiB and 100 headers.
MAX_HEAD_BYTES: Final = 16 * 1024
_MACHINES: Final = ("/v1", "/feed")
_BEGUN: Final = b"begun"
# Refusals that count against a network: forged, malformed, too large, wrong media type, unsigned.
COUNTED_REFUSALS: Final = frozenset({400, 401, 403, 405, 411, 413, 415, 422, 431})


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer of an app."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""


class WsgiBridge:
    """The app of one server process, as the server calls it (ASGI 3.0, HTTP only)."""

    def __init__(
        self,
        app: WsgiApp,
        *,
        body_rule: BodyRule,
        bodies: BodyReader,
        threads: int,
        trusted_proxies: int = 0,
        find_journey: JourneyFinder = lambda _environ: None,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._app = app
        self._networks = CallerNetworks(trusted_proxies=trusted_proxies)
        # Twice the number of threads, so that a free thread always finds a request.
        self._turns = CallerTurns(2 * threads)
        self._find_journey = find_journey
        self._busy_answers: dict[tuple[bool, bool], Answer] = {}
        self._making_busy_answer = asyncio.Lock()
        self._body_rule = body_rule
        self._bodies = bodies
        self._threads = RequestThreads(threads)
        # Parts of files wait for the disk. Forms and reports must find a thread meanwhile.
        self._part_turns = asyncio.Semaphore(max(1, threads // 2))
        self._waits = Waits(self._threads, look_seconds=look_seconds)
        self._is_leaving = False
        self.busy: set[Peer] = set()
        """The callers whose complete requests are being answered."""

    def leave(self) -> None:
        """From now on close each connection after its answer, so that the next request goes to another worker.

        Requests that wait for news are answered within a second.
        """
        self._is_leaving = True
        self._waits.end()

    def count_waiting(self) -> int:
        """Return the number of requests that wait for news."""
        return self._waits.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        refused = None
        try:
            environ = make_environ(scope)
        except AmbiguousHeadersError as error:
            environ, refused = error.environ, HTTPStatus.BAD_REQUEST
        caller = self._name_caller(environ)
        if _count_head(scope) > MAX_HEAD_BYTES:
            environ, refused = drop_headers(environ), HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        if refused is not None:
            await self._refuse(environ, send, status=refused, caller=caller)
            return
        length = int(environ.get("CONTENT_LENGTH") or 0)
        is_chunked = "HTTP_TRANSFER_ENCODING" in environ
        terms = self._body_rule(environ["REQUEST_METHOD"], scope["path"]) if length else NO_BODY
        if is_chunked or length > terms.ceiling:
            # The app refuses it by the rule of its route, in its own format. The body is empty.
            await self._answer(environ, send, caller=caller, closes=True)
            return
        # Begun journeys have a separate share of the room, so that strangers with slow bodies cannot fill it.
        share = caller.network if self._turns.find_begun(caller) is None else caller.network + _BEGUN
        with self._bodies.hold(length, room=terms.room, network=share) as held:
            if length:
                try:
                    environ["wsgi.input"] = await held.read(receive, length=length, seconds=self._bodies.seconds)
                except BodyNotReadError as error:
                    # Not counted: a bad connection is not a flood.
                    await self._refuse(environ, send, status=error.status, caller=caller, counts=False)
                    return
            async with self._turn(terms.room):
                await self._answer(environ, send, caller=caller, receive=receive)

    def _name_caller(self, environ: Environ) -> Caller:
        network = self._networks.name_caller(environ)
        cookies = environ.get("HTTP_COOKIE")
        if cookies is None or len(cookies) > MAX_HEAD_BYTES or environ["PATH_INFO"].startswith(_MACHINES):
            return Caller(network)
        return Caller(network, self._find_journey(environ))

    def _turn(self, room: BodyRoom) -> AbstractAsyncContextManager[object]:
        return self._part_turns if room is BodyRoom.PARTS else nullcontext()

    async def _answer(
        self,
        environ: Environ,
        send: Send,
        *,
        caller: Caller,
        closes: bool = False,
        must_be: HTTPStatus | None = None,
        counts: bool = True,
        receive: Receive | None = None,
    ) -> None:
        """Have a thread ask the app when it is this caller's turn; an answer counts only with the status `must_be`.

        With `receive`, a view may have the answer wait for news (long_wait.py).
        """
        statuses: list[int] = []
        kept: list[Answer] = []

        def answer() -> None:
            said = self._ask(environ)
            if must_be not in {None, said.status}:
                said = Answer(must_be or said.status, [])
            statuses.append(said.status)
            if receive is not None and WAIT_KEY in environ:
                kept.append(said)
            else:
                _send(said, send, closes=closes or self._is_leaving)

        peer = (environ["REMOTE_ADDR"], environ["REMOTE_PORT"])
        self.busy.add(peer)
        try:
            await self._turns.run(caller, self._threads, answer)
            if kept and receive is not None:
                await self._answer_later(kept[0], environ[WAIT_KEY], send, receive=receive)
        except TooManyWaitingError:
            _send(await self._get_busy_answer(environ), send, closes=True)
            return
        finally:
            self.busy.discard(peer)
        is_refused = environ["REQUEST_METHOD"] not in SAFE_METHODS and not COUNTED_REFUSALS.isdisjoint(statuses)
        if counts and is_refused:
            self._turns.count_refusal(caller)

    async def _answer_later(self, said: Answer, wait: Wait, send: Send, *, receive: Receive) -> None:
        """Send an answer once there is news for its body, or as it is when the wait is over."""
        headers, body = said.headers, None
        try:
            body = await self._waits.find_body(wait, receive=receive)
        except NoPlaceError:
            headers = [*headers, (b"retry-after", str(COME_BACK_SECONDS).encode())]
        except CallerLeftError:
            return
        if body is not None:
            headers = [one for one in headers if one[0].lower() != b"content-length"]
            headers.append((b"content-length", str(len(body)).encode()))
        _send(Answer(said.status, headers, said.body if body is None else body), send, closes=self._is_leaving)

    async def _get_busy_answer(self, environ: Environ) -> Answer:
        """Return the app's own 503, which is made once: a flood of refused posts costs nothing more."""
        kind = (environ["PATH_INFO"].startswith(_MACHINES), environ["REQUEST_METHOD"] not in SAFE_METHODS)
        environ = {**drop_headers(environ), REFUSED: HTTPStatus.SERVICE_UNAVAILABLE}

        def make() -> None:
            said = self._ask(environ)
            headers = [one for one in said.headers if one[0].lower() not in {b"set-cookie", b"x-request-id"}]
            self._busy_answers[kind] = Answer(HTTPStatus.SERVICE_UNAVAILABLE, headers, said.body)

        async with self._making_busy_answer:
            if kind not in self._busy_answers:
                await self._threads.run(make)
        return self._busy_answers[kind]

    async def _refuse(
        self, environ: Environ, send: Send, *, status: HTTPStatus, caller: Caller, counts: bool = True
    ) -> None:
        """Have the app refuse the request in its own format; its answer counts only with this status."""
        environ.pop("CONTENT_LENGTH", None)
        environ[REFUSED] = status
        await self._answer(environ, send, caller=caller, closes=True, must_be=status, counts=counts)

    def _ask(self, environ: Environ) -> Answer:
        """Return the app's answer, or a bare 500 for a failure that it did not answer."""
        try:
            return collect_answer(self._app, environ)
        except Exception as error:  # noqa: BLE001 - the caller always gets an answer
            log_failure(error)
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, [])


def _count_head(scope: Scope) -> int:
    fields = sum(len(name) + len(value) for name, value in scope["headers"])
    return fields + len(scope["raw_path"]) + len(scope["query_string"])


def _send(answer: Answer, send: Send, *, closes: bool = False) -> None:
    headers = [*answer.headers, _CLOSE] if closes else answer.headers
    _finish(send({"type": "http.response.start", "status": answer.status, "headers": headers}))
    _finish(send({"type": "http.response.body", "body": answer.body}))


def _finish(sent: Awaitable[None]) -> None:
    """Complete a send immediately: granian accepts whole answers from any thread.

    An answer sent from here need not wait for the event loop's turn among the threads.
    """
    try:
        next(iter(sent.__await__()))
    except StopIteration:
        return
    raise RuntimeError("The server did not accept the whole answer in one step.")


def collect_answer(app: WsgiApp, environ: Environ) -> Answer:
    """Return the complete answer of a WSGI app (PEP 3333); nothing is sent before it is complete."""
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
