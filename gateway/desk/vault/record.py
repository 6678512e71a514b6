"""The vault's own records: a line for each act, written before it happens; never any content.

The audit log is the web process's to write. These are the vault's: no caller can open a box without a line of the
record of openings. Each line names the SHA-256 of the line before, so that a changed or removed line shows
(docs/decisions/0049). Those of destructions are in `destructions`.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final, Generic, Literal, Protocol, TypeVar

import msgspec

from gateway.desk.vault import OpenBox
from partner_sdk.errors import FormatError, LocalStateError, RefusalError
from partner_sdk.wire.canonical import encode, parse_exact, to_base64url
from partner_sdk.wire.sealing import KEY_ID_BYTES

OPENINGS_FILE: Final = "openings.jsonl"
FIRST_PREVIOUS: Final = bytes(32)
# Four fields of a line have up to MAX_FIELD_CHARACTERS, a control character takes six bytes in JSON (`\u0001`), and the
# other fields are short.
MAX_LINE_BYTES: Final = 16 * 1024
MAX_FIELD_CHARACTERS: Final = 200
# Content reaches a person: the line is on the disk first. Openings of the collector, a thousand a second, are left to
# the kernel, which keeps them if the vault is killed, but not if the machine loses power.
_DURABLE: Final = frozenset({"read", "send"})
_KEY_ID: Final = slice(1, 1 + KEY_ID_BYTES)  # of an envelope: behind its version


class RecordError(RefusalError[Literal["broken-record", "unreadable-line"]]):
    """A record of the vault was altered, cut or cannot be read."""


class Opening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line. `sender`, `kind` and `id` are those of the box's context."""

    actor: str
    at: str
    id: str
    key_id: str
    kind: str
    previous: str
    purpose: str
    reason: str
    sender: str


class Line(Protocol):
    """A line of a record."""

    @property
    def previous(self) -> str:
        """The SHA-256 of the line before."""


LineT = TypeVar("LineT", bound=Line)


class Record(Generic[LineT]):
    """A record in one file; several processes and threads may append to it."""

    def __init__(self, path: Path, kind: type[LineT], *, max_line_bytes: int) -> None:
        self._path, self._kind, self._max_line_bytes = path, kind, max_line_bytes
        self._lock = Lock()
        self._size, self._head = 0, FIRST_PREVIOUS

    def add(self, make_line: Callable[[str], LineT], *, is_durable: bool = True) -> None:
        """Add the line of an act that is about to happen. Raises `LocalStateError` (`not-recorded`)."""
        try:
            with self._lock, self._open() as descriptor:
                self._catch_up(descriptor)
                self._write(descriptor, encode(make_line(to_base64url(self._head))), is_durable=is_durable)
        except OSError as error:
            raise LocalStateError(
                f"The vault's record in {self._path} cannot be written ({error.strerror}), so nothing is done.",
                reason="not-recorded",
            ) from None

    def get_head(self) -> bytes:
        """Return the SHA-256 of the newest line, `FIRST_PREVIOUS` before the first. Raises `LocalStateError`."""
        try:
            with self._lock, self._open() as descriptor:
                self._catch_up(descriptor)
                return self._head
        except OSError as error:
            raise LocalStateError(
                f"The vault's record in {self._path} cannot be read ({error.strerror}).", reason="not-recorded"
            ) from None

    @contextmanager
    def _open(self) -> Iterator[int]:
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _catch_up(self, descriptor: int) -> None:
        """Find the newest line, if another process wrote it."""
        size = os.fstat(descriptor).st_size
        if size == self._size:
            return
        tail = os.pread(descriptor, self._max_line_bytes + 1, max(0, size - self._max_line_bytes - 1))
        if tail and not tail.endswith(b"\n"):
            # A machine that lost power in the middle of a line: end it, so that it stays as it is, and go on behind it.
            os.write(descriptor, b"\n")
            tail, size = tail + b"\n", size + 1
        self._size, self._head = size, _hash(tail[:-1].rpartition(b"\n")[2]) if tail else FIRST_PREVIOUS

    def _write(self, descriptor: int, line: bytes, *, is_durable: bool) -> None:
        if os.write(descriptor, line + b"\n") != len(line) + 1:
            # Nothing is opened for this line, so its beginning goes again and the next line follows the last whole one.
            os.ftruncate(descriptor, self._size)
            raise OSError(errno.ENOSPC, "the disk is full")
        if is_durable:
            os.fsync(descriptor)
        self._size, self._head = self._size + len(line) + 1, _hash(line)

    def read(self) -> Iterator[tuple[LineT, bytes]]:
        """Yield each line with its SHA-256, or raise `RecordError` at the first that does not follow the one before."""
        previous = FIRST_PREVIOUS
        try:
            with self._path.open("rb") as handle:
                for number, raw in enumerate(handle, 1):
                    line = raw.removesuffix(b"\n")
                    yield self._parse(line, number=number, previous=previous), (previous := _hash(line))
        except FileNotFoundError:
            return

    def _parse(self, line: bytes, *, number: int, previous: bytes) -> LineT:
        name = f"the vault's record {self._path.name}"
        try:
            found = parse_exact(line, kind=self._kind, max_bytes=self._max_line_bytes)
        except FormatError:
            raise RecordError(
                f"Line {number} of {name} cannot be read. Keep a copy of the file, and ask whether the machine lost "
                "power then.",
                reason="unreadable-line",
            ) from None
        if found.previous != to_base64url(previous):
            raise RecordError(
                f"A line before line {number} of {name} was changed or removed. Keep a copy of the file, and compare "
                "it with the audit log.",
                reason="broken-record",
            )
        return found


class OpeningRecord(Record[Opening]):
    """The record of openings."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, Opening, max_line_bytes=MAX_LINE_BYTES)

    def append(self, request: OpenBox, *, at: str) -> None:
        """Add the line of an opening that is about to happen. Raises `LocalStateError` (`not-recorded`)."""
        context = request.context
        fields = (request.actor, context.sender, context.kind, context.id)
        if any(len(field) > MAX_FIELD_CHARACTERS for field in fields):
            raise FormatError("A name or an id of this box is too long.", reason="too-large")
        self.add(
            lambda previous: Opening(
                actor=request.actor,
                at=at,
                id=context.id,
                key_id=to_base64url(request.envelope[_KEY_ID]),
                kind=context.kind,
                previous=previous,
                purpose=request.purpose,
                reason=request.reason,
                sender=context.sender,
            ),
            is_durable=request.reason in _DURABLE,
        )


def _hash(line: bytes) -> bytes:
    return hashlib.sha256(line).digest()
