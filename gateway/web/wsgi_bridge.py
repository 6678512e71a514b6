"""Serves a WSGI app behind an event loop: the loop reads heads and bodies, and threads make answers.

A thread is used only for a complete request, and is free again once the answer is made, so neither a slow sender nor a
slow reader holds one. Why: docs/decisions/0009. Bodies are read within a deadline and a total of memory, of which each
network has a share; never without a Content-Length. Headers with underscores are dropped, as nginx does: in WSGI
`X_Forwarded_For` would override the proxy's.

A view that has nothing to tell yet puts a `Wait` into its request, beside its ordinary answer. The bridge
holds that answer back and looks (`Wait.find_body`) for a better one. Between two looks a wait costs a connection and no
thread, and one process looks with one thread at most: a silent database cannot take the others. Why:
docs/decisions/0067.
"""

import asyncio
import io
import secrets
import sys
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from gateway.web.callers import Caller, CallerNetworks, CallerTurns, RequestThreads, TooManyWaitingError
from gateway.web.logs import log_failure
from gateway.web.rules import NO_BODY, REFUSED, SAFE_METHODS, BodyRoom, BodyTerms

Scope = Mapping[str, Any]
"""`scope` of an HTTP request (ASGI 3.0): raw bytes; `raw_path` is the path before decoding."""

OPENED_SESSION: Final = "report_abuse.session"
"""Environ key: the session in the caller's cookie, which the bridge has opened to know the journey."""
# A proxy and we could read two of them differently; RFC 9110 §5.3 allows no list for these.
_SINGLE: Final = frozenset(
    {"CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_CONTENT_ENCODING", "HTTP_HOST", "HTTP_TRANSFER_ENCODING"}
)
_CONSTANT: Final[Mapping[str, Any]] = {
    "SCRIPT_NAME": "",
    "wsgi.errors": sys.stderr,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}


class AmbiguousHeadersError(Exception):
    """A header that must be unique came twice. `environ` holds the first of each."""

    def __init__(self, environ: dict[str, Any]) -> None:
        super().__init__("A header came twice.")
        self.environ = environ


def make_environ(scope: Scope) -> dict[str, Any]:
    """Return the environ of a request with an empty body; raises `AmbiguousHeadersError`."""
    raw_path: bytes = scope["raw_path"]
    query = scope["query_string"].decode("latin-1")
    target = raw_path.decode("latin-1")
    environ: dict[str, Any] = {
        **_CONSTANT,
        "PATH_INFO": unquote_to_bytes(raw_path).decode("latin-1") if b"%" in raw_path else target,
        "QUERY_STRING": query,
        # The request target as sent: signatures cover it (`signed_request.check_path`).
        "RAW_URI": f"{target}?{query}" if query else target,
        "REMOTE_ADDR": scope["client"][0],
        "REMOTE_PORT": str(scope["client"][1]),
        "REQUEST_METHOD": scope["method"],
        "SERVER_NAME": scope["server"][0],
        "SERVER_PORT": str(scope["server"][1]),
        "SERVER_PROTOCOL": "HTTP/1.1" if scope["http_version"] == "1.1" else "HTTP/1.0",
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": scope["scheme"],
    }
    is_ambiguous = False
    for name, value in scope["headers"]:
        key = _find_key(name)
        if key is None:
            continue
        text = value.decode("latin-1")
        if key not in environ:
            environ[key] = text
        elif key in _SINGLE:
            is_ambiguous = True
        else:
            environ[key] += f"; {text}" if key == "HTTP_COOKIE" else f",{text}"
    if is_ambiguous:
        raise AmbiguousHeadersError(environ)
    return environ


def drop_headers(environ: Mapping[str, Any]) -> dict[str, Any]:
    """Return an environ without the caller's headers and session, for the answer to a head that is too large."""
    dropped = ("HTTP_", "CONTENT_", "QUERY_", OPENED_SESSION)
    return {name: value for name, value in environ.items() if not name.startswith(dropped)}


@lru_cache(maxsize=512)
def _find_key(name: bytes) -> str | None:
    if b"_" in name:
        return None
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in {"CONTENT_LENGTH", "CONTENT_TYPE"} else f"HTTP_{key}"


Receive = Callable[[], Awaitable[Mapping[str, Any]]]
"""Returns the next part of a body (ASGI 3.0, `http.request`), or reports a disconnect."""

# Ordinary reports are small. They have a memory limit of their own, because large bodies are anonymous until they are
# read.
SMALL_BODY_BYTES: Final = 256 * 1024
ROOM_BYTES: Final = 64 * 1024 * 1024
# The share of one network, e.g. 32 of the largest forms at the same time, four large reports, four parts in flight.
FORM_SHARE: Final = 1 / 8
SMALL_SHARE: Final = 1 / 4
LARGE_SHARE: Final = 3 / 8
PART_SHARE: Final = 1 / 2


class BodyNotReadError(Exception):
    """The body did not arrive complete; `status` gives the reason."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class Room:
    """The bytes of bodies that a process may buffer, in total and per network. Only for the event loop's thread."""

    def __init__(self, capacity: int, *, share: float) -> None:
        self._free = capacity
        self._share_bytes = int(capacity * share)
        self._taken: dict[bytes, int] = {}

    def take(self, count: int, *, network: bytes) -> bool:
        """Reserve bytes for a network; returns False, and reserves nothing, above the limit."""
        taken = self._taken.get(network, 0) + count
        if count > self._free or taken > self._share_bytes:
            return False
        self._free -= count
        self._taken[network] = taken
        return True

    def give_back(self, count: int, *, network: bytes) -> None:
        """Release reserved bytes."""
        self._free += count
        left = self._taken.get(network, 0) - count
        if left > 0:
            self._taken[network] = left
        else:
            self._taken.pop(network, None)


class BodyStream(io.RawIOBase):
    """A complete body as the received pieces (`wsgi.input`, PEP 3333): not joined, each freed once it is read."""

    def __init__(self, pieces: deque[bytes]) -> None:
        self._pieces = pieces

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes, at most `size`; without `size`, the rest. A piece that fits is not copied."""
        if size is None or size < 0:
            return self.readall()
        if not size or not self._pieces:
            return b""
        piece = self._pieces.popleft()
        if len(piece) > size:
            self._pieces.appendleft(piece[size:])
            return piece[:size]
        return piece

    def readall(self) -> bytes:
        """Return the rest."""
        left = b"".join(self._pieces)
        self._pieces.clear()
        return left

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, and return the number of bytes written."""
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


class HeldBody:
    """The received bytes of one body. Their reservation is released at the end of the `with` block."""

    def __init__(self, room: Room, *, network: bytes) -> None:
        self._room = room
        self._network = network
        self._pieces: deque[bytes] = deque()
        self._size = 0

    def __enter__(self) -> "HeldBody":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.give_back(self._size, network=self._network)

    async def read(self, receive: Receive, *, length: int, seconds: float) -> BodyStream:
        """Return the body; raises `BodyNotReadError`: 408 if slow, 503 if there is no room, 400 if cut short.

        Reserves received bytes, not announced ones, because announcing costs a caller nothing.
        """
        try:
            async with asyncio.timeout(seconds):
                while self._size < length:
                    self._keep(await receive())
        except TimeoutError:
            raise BodyNotReadError(HTTPStatus.REQUEST_TIMEOUT) from None
        return BodyStream(self._pieces)

    def _keep(self, message: Mapping[str, Any]) -> None:
        piece = message.get("body", b"")
        if not piece:
            # The caller disconnected or closed its side before the end.
            raise BodyNotReadError(HTTPStatus.BAD_REQUEST)
        if not self._room.take(len(piece), network=self._network):
            raise BodyNotReadError(HTTPStatus.SERVICE_UNAVAILABLE)
        self._size += len(piece)
        self._pieces.append(piece)


class BodyReader:
    """The rooms and the deadline of one server process. With `is_shared` False a single network may fill a room."""

    def __init__(self, *, seconds: float, room_bytes: int = ROOM_BYTES, is_shared: bool = True) -> None:
        def make_room(share: float) -> Room:
            return Room(room_bytes, share=share if is_shared else 1)

        self.seconds = seconds
        self._forms, self._parts = make_room(FORM_SHARE), make_room(PART_SHARE)
        self._small, self._large = make_room(SMALL_SHARE), make_room(LARGE_SHARE)

    def hold(self, length: int, *, room: BodyRoom, network: bytes) -> HeldBody:
        """Return a buffer for a body of this length from a network; `room` comes from the rule of the route."""
        return HeldBody(self._get_room(length, room=room), network=network)

    def _get_room(self, length: int, *, room: BodyRoom) -> Room:
        if room is BodyRoom.FORMS:
            return self._forms
        if room is BodyRoom.PARTS:
            return self._parts
        return self._small if length <= SMALL_BODY_BYTES else self._large


WAIT_KEY: Final = "report_abuse.wait"
LOOK_SECONDS: Final = 1.0
# Of one process. Each look is one read by an index, so that all of them take some hundredths of a CPU.
MOST_WAITING: Final = 64
# One that a caller lost with its network, and the one that follows; or two copies of a program.
MOST_OF_ONE: Final = 2
# For a caller that finds no place: ask again as if there were no waiting.
COME_BACK_SECONDS: Final = 10
# The newest signatures that held a place. Far more than all partners send within the 360 seconds that one is accepted.
MOST_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Wait:
    """A request that waits at most `seconds`, as one of `subject`, e.g. a partner.

    `find_body` returns the body that the answer then has, or None while there is no news; it is called in a thread.
    `signature` is that of the request: a repeat of the same bytes gets no place, so a captured request cannot take the
    places of its partner, also where no store of nonces is shared.
    """

    subject: str
    signature: str
    seconds: float
    find_body: Callable[[], bytes | None]


class NoPlaceError(Exception):
    """Every place to wait is taken, the subject has its share, or the same request held one before."""


class CallerLeftError(Exception):
    """The caller closed the connection."""


class Waits:
    """The waiting requests of one process. Only for the event loop's thread."""

    def __init__(self, threads: RequestThreads, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._threads = threads
        self._look_seconds = look_seconds
        self._held: Counter[str] = Counter()
        self._remembered: dict[str, None] = {}
        self._looking = asyncio.Lock()
        self._is_ended = False

    def end(self) -> None:
        """Let every wait end at its next look, as if its time were over."""
        self._is_ended = True

    def count(self) -> int:
        """Return the number of waiting requests."""
        return self._held.total()

    async def find_body(self, wait: Wait, *, receive: Receive) -> bytes | None:
        """Wait for news; None when there was none in time. Raises `NoPlaceError` at once, and `CallerLeftError`."""
        if self.count() >= MOST_WAITING or self._held[wait.subject] >= MOST_OF_ONE:
            raise NoPlaceError
        if wait.signature in self._remembered:
            raise NoPlaceError
        self._remembered[wait.signature] = None
        if len(self._remembered) > MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._held[wait.subject] += 1
        leaving = asyncio.ensure_future(_wait_until_gone(receive))
        try:
            return await self._look_on(wait, leaving)
        finally:
            leaving.cancel()
            self._held[wait.subject] -= 1
            self._held += Counter()  # drops subjects without a wait

    async def _look_on(self, wait: Wait, leaving: "asyncio.Future[None]") -> bytes | None:
        clock = asyncio.get_running_loop().time
        ends_at = clock() + wait.seconds
        # Callers that came in the same moment, e.g. after a restart, do not look in the same moment for ever.
        pause = self._look_seconds * (1 + secrets.randbelow(100) / 100) / 2
        while not self._is_ended and clock() < ends_at:
            await asyncio.wait({leaving}, timeout=min(pause, ends_at - clock()))
            if leaving.done():
                raise CallerLeftError
            pause = self._look_seconds
            async with self._looking:
                found = await self._look(wait)
            if found is not None:
                return found
        return None

    async def _look(self, wait: Wait) -> bytes | None:
        found: list[bytes | None] = []

        def look() -> None:
            try:
                found.append(wait.find_body())
            except Exception as error:  # noqa: BLE001 - the database may be away for a moment, and the caller waits on
                log_failure(error)

        await self._threads.run(look)
        return found[0] if found else None


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


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
        head_bytes = len(scope["raw_path"]) + len(scope["query_string"])
        if head_bytes + sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEAD_BYTES:
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

        With `receive`, a view may have the answer wait for news.
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

        try:
            await self._turns.run(caller, self._threads, answer)
            if kept and receive is not None:
                await self._answer_later(kept[0], environ[WAIT_KEY], send, receive=receive)
        except TooManyWaitingError:
            _send(await self._get_busy_answer(environ), send, closes=True)
            return
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
