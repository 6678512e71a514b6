"""Distinguishes a database from an older copy of itself, by its epoch and its high-water mark.

The mark is one line in a file beside the database: the newest committed report. A database behind its mark (e.g. a
deleted write-ahead log, an old copy restored) has lost reports whose senders hold receipts, and would issue their
numbers again, so the store refuses it (docs/decisions/0023). The epoch is a row, and changes after every restore.
"""

import os
import zlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select

from gateway.databases.failures import find_driver_reason, get_system_reason, make_storage_error
from gateway.store.prepared import PreparedStatement
from gateway.store.schema import instance, reports, to_epoch_seconds

_LINE: Final = "{:020d} {} {:08x}\n"
_LINE_BYTES: Final = len(_LINE.format(0, "0" * 64, 0))


class Mark(NamedTuple):
    """The newest committed report: its position, and the digest of its statement."""

    position: int
    intake_sha256: bytes


NOTHING_YET: Final = Mark(0, bytes(32))
_AT_MARK = PreparedStatement(select(reports.c.intake_sha256).where(reports.c.position == bindparam("position")))


def holds_report(connection: Connection, mark: Mark) -> bool:
    """Return whether the database holds the report of the mark; its row is never deleted."""
    if mark.position == 0:
        return True
    try:
        row = _AT_MARK.run(connection, {"position": mark.position}).fetchone()
    except connection.dialect.loaded_dbapi.Error as error:
        # A damaged page must not block the other reports.
        if find_driver_reason(error) == "broken":
            return True
        raise
    return row is not None and row[0] == mark.intake_sha256


class HighWaterMark:
    """The mark of one database. Only the holder of the writer lock may write it."""

    __slots__ = ("_file", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        # Kept open: opening it twice for each report would cost more than everything else here.
        self._file: int | None = None

    def find(self) -> Mark | None:
        """Return the mark, or None if it is missing or unreadable. Raises StorageUnavailableError."""
        try:
            file = self._file if self._file is not None else self._open()
            return _parse(os.pread(file, _LINE_BYTES, 0))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise make_storage_error(get_system_reason(error)) from error

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def put(self, mark: Mark) -> None:
        """Overwrite the mark. Raises `OSError`.

        One write within one sector, of constant length, without a sync: after a kill the system has the whole write or
        nothing. After a power failure the mark may be older, never ahead of the database, whose commit was synced
        earlier. An older mark detects less, and refuses no intact database. A sync would be a second wait for the disk
        at each report.
        """
        file = self._file if self._file is not None else self._open(flags=os.O_CREAT)
        if not self._is_in_place(file):
            # A mark in a removed or replaced file would be lost. Keep the number of the open file, because another
            # thread may be reading from it.
            other = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT, 0o600)
            os.dup2(other, file, inheritable=False)
            os.close(other)
        os.pwrite(file, _format(mark), 0)

    def _is_in_place(self, file: int) -> bool:
        own = os.fstat(file)
        try:
            found = os.stat(self._path)  # noqa: PTH116 - runs for every report, and is several times as fast as Path
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)

    def _open(self, *, flags: int = 0) -> int:
        file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
        if self._file is not None:
            os.close(file)  # another thread was faster
            return self._file
        self._file = file
        return file


def _format(mark: Mark) -> bytes:
    return _LINE.format(mark.position, mark.intake_sha256.hex(), _sum_of(mark)).encode()


def _parse(raw: bytes) -> Mark | None:
    try:
        position, digest, _ = raw.decode("ascii").split()
        mark = Mark(int(position), bytes.fromhex(digest))
    except ValueError:
        return None
    return mark if _format(mark) == raw else None


def _sum_of(mark: Mark) -> int:
    return zlib.crc32(mark.intake_sha256, mark.position & 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Instance:
    """The name of this gateway and the epoch of its chains, as in intake statements."""

    name: str
    epoch: str


_FIND = select(instance.c.name, instance.c.epoch)


def find_instance(connection: Connection) -> Instance | None:
    """Return the instance, or None if the database has none."""
    row = connection.execute(_FIND).first()
    return None if row is None else Instance(name=row.name, epoch=row.epoch)


def put_instance(connection: Connection, *, name: str, epoch: str, now: datetime) -> None:
    """Write the single row."""
    connection.execute(delete(instance))
    connection.execute(
        insert(instance), {"position": 1, "name": name, "epoch": epoch, "began_at": to_epoch_seconds(now)}
    )
