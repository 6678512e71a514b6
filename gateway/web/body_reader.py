"""Reads request bodies without holding a thread: complete, within a deadline, within a total memory limit.

Each network has a share of each limit, so that e.g. unsigned posts from one machine keep no other sender out. Never
reads a body without a Content-Length, and never buffers more than its limit.
"""

import asyncio
import io
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final

from gateway.web.rules import BodyRoom

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
