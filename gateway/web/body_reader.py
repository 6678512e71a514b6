"""Reads the body of a request while no thread waits for it: whole, within a deadline, within a ceiling for all bodies.

Each network has a share of each ceiling, so that e.g. unsigned posts from one machine keep no other sender out. Never
reads a body of which the caller has not said the length, and never keeps more than is held for it.
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
"""Gives the next piece of a body (ASGI 3.0, `http.request`), or says that the caller is gone."""

# Ordinary reports are small. They have room of their own, which large bodies cannot take: nobody knows whose they are
# before they are read.
SMALL_BODY_BYTES: Final = 256 * 1024
ROOM_BYTES: Final = 64 * 1024 * 1024
# What one network may take of a room: e.g. 32 of the largest forms at once, four large reports, four parts in flight.
FORM_SHARE: Final = 1 / 8
SMALL_SHARE: Final = 1 / 4
LARGE_SHARE: Final = 3 / 8
PART_SHARE: Final = 1 / 2


class BodyNotReadError(Exception):
    """The body did not come whole; `status` says why."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class Room:
    """How many bytes of bodies one process may hold at once, and of one network. Only for the event loop's thread."""

    def __init__(self, capacity: int, *, share: float) -> None:
        self._free = capacity
        self._share_bytes = int(capacity * share)
        self._taken: dict[bytes, int] = {}

    def take(self, count: int, *, network: bytes) -> bool:
        """Take so many bytes for a network; returns False, and takes nothing, when it may not have as many."""
        taken = self._taken.get(network, 0) + count
        if count > self._free or taken > self._share_bytes:
            return False
        self._free -= count
        self._taken[network] = taken
        return True

    def give_back(self, count: int, *, network: bytes) -> None:
        """Give back what was taken."""
        self._free += count
        left = self._taken.get(network, 0) - count
        if left > 0:
            self._taken[network] = left
        else:
            self._taken.pop(network, None)


class BodyStream(io.RawIOBase):
    """A body that is there, as the pieces that came (`wsgi.input`, PEP 3333): not joined, each gone once it is read."""

    def __init__(self, pieces: deque[bytes]) -> None:
        self._pieces = pieces

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes, at most `size`: a piece that fits, as it is. Without `size`, all that is left."""
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
        """Return what is left."""
        left = b"".join(self._pieces)
        self._pieces.clear()
        return left

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, and return how much of it."""
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


class HeldBody:
    """The bytes that came of one body. What was taken for them is given back at the end of the `with` block."""

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
        """Return the body; raises `BodyNotReadError`: 408 when slow, 503 when there is no room, 400 when it is cut.

        Received bytes take up room, not announced ones: announcing costs a caller nothing.
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
            # The caller left, or closed its side, in the middle.
            raise BodyNotReadError(HTTPStatus.BAD_REQUEST)
        if not self._room.take(len(piece), network=self._network):
            raise BodyNotReadError(HTTPStatus.SERVICE_UNAVAILABLE)
        self._size += len(piece)
        self._pieces.append(piece)


class BodyReader:
    """The rooms and the deadline of one server process. With `is_shared` false a network may fill a room."""

    def __init__(self, *, seconds: float, room_bytes: int = ROOM_BYTES, is_shared: bool = True) -> None:
        def make_room(share: float) -> Room:
            return Room(room_bytes, share=share if is_shared else 1)

        self.seconds = seconds
        self._forms, self._parts = make_room(FORM_SHARE), make_room(PART_SHARE)
        self._small, self._large = make_room(SMALL_SHARE), make_room(LARGE_SHARE)

    def hold(self, length: int, *, room: BodyRoom, network: bytes) -> HeldBody:
        """Return where a body of this length from a network is kept; `room` is what the rule of its route names."""
        return HeldBody(self._get_room(length, room=room), network=network)

    def _get_room(self, length: int, *, room: BodyRoom) -> Room:
        if room is BodyRoom.FORMS:
            return self._forms
        if room is BodyRoom.PARTS:
            return self._parts
        return self._small if length <= SMALL_BODY_BYTES else self._large
