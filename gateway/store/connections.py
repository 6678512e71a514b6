"""The connections of one process to its database, and the mark that tells the database from an older copy of itself.

Connections stay open between transactions and are checked when opened: never one to a database file that was replaced,
whose write-ahead log was removed, or that is behind its high-water mark.

The mark is one line in a file beside the database: the newest committed report. A database behind its mark (e.g. a
deleted write-ahead log, an old copy restored) has lost reports whose senders hold receipts, and would issue their
numbers again, so the store refuses it (docs/decisions/0023). The epoch is a row, and changes after every restore.
"""

import contextlib
import logging
import os
import weakref
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from sqlalchemy import Connection, bindparam, delete, insert, select, text
from sqlalchemy.exc import DBAPIError

from gateway.databases.columns import PreparedStatement
from gateway.databases.database import Database, translate_error
from gateway.databases.failures import (
    StorageUnavailableError,
    find_driver_reason,
    get_system_reason,
    is_overdue,
    make_storage_error,
)
from gateway.databases.sqlite_file import Identity
from gateway.store.schema import USABLE_REVISIONS, instance, reports, to_epoch_seconds
from gateway.web.logs import log_event

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
    checksum = zlib.crc32(mark.intake_sha256, mark.position & 0xFFFFFFFF)
    return _LINE.format(mark.position, mark.intake_sha256.hex(), checksum).encode()


def _parse(raw: bytes) -> Mark | None:
    try:
        position, digest, _ = raw.decode("ascii").split()
        mark = Mark(int(position), bytes.fromhex(digest))
    except ValueError:
        return None
    return mark if _format(mark) == raw else None


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


_READ_REVISION = select(text("version_num")).select_from(text("alembic_version"))

# A connection with the database file and the write-ahead log that it has open; None without a log.
KeptConnection = tuple[Identity, Identity | None, Connection]
Result = TypeVar("Result")


class Connections:
    """Idle connections of writers and of readers. Without a `mark`, none is compared with it."""

    def __init__(self, database: Database, *, mark: HighWaterMark | None) -> None:
        self._database = database
        self._mark = mark
        self._process_id = os.getpid()
        self._left_open: list[Connection] = []
        self.is_log_gone = False
        # Core wraps the driver's errors; statements run by the driver itself (`look`, `prepared`) raise them unwrapped.
        self.driver_errors = (DBAPIError, database.engine.dialect.loaded_dbapi.Error)
        # append and pop are atomic, so reading needs no lock.
        self.writers: list[KeptConnection] = []
        self.readers: list[KeptConnection] = []
        # An unclosed store leaves no open file behind (Python 3.13 warns of each). Not at exit: the system closes them
        # then, and a forked child must not touch its parent's.
        weakref.finalize(self, close_all, self.writers, self.readers).atexit = False

    def start(
        self, idle: list[KeptConnection], action: Callable[[Connection], Result]
    ) -> tuple[KeptConnection, Result]:
        """Take a connection and run `action` on it, which begins a transaction or is one by itself.

        A kept connection may have ended with its server: then nothing was done yet, so another one is tried, and at
        last a new one, unless the server is silent. Closes a connection that failed. Raises StorageUnavailableError.
        """
        if os.getpid() != self._process_id:
            # https://www.sqlite.org/howtocorrupt.html §2.6: a connection must not be carried across a fork.
            raise RuntimeError("A store must be opened in the process that uses it.")
        while True:
            kept, is_new = self._take(idle)
            try:
                return kept, action(kept[2])
            except self.driver_errors as error:
                abandon(kept[2])
                failure = translate_error(error)
                if is_new or is_overdue(error) or getattr(failure, "reason", "") != "missing":
                    raise failure from error
            except BaseException:
                abandon(kept[2])
                raise

    def give_back(self, idle: list[KeptConnection], kept: KeptConnection) -> None:
        """Keep the connection for the next transaction, unless it was closed."""
        if not kept[2].closed:
            idle.append(kept)

    def _take(self, idle: list[KeptConnection]) -> tuple[KeptConnection, bool]:
        """Return a connection to the current database, and whether it is new; raises StorageUnavailableError."""
        if self.is_log_gone:
            raise make_storage_error("log-gone")
        file = self._database.identify()
        kept = _take_idle(idle, file=file)
        # A new connection would make a new log beside the one that the others still write to.
        in_use = kept or self._find_neighbour(file)
        if in_use is not None and in_use[1] is not None and in_use[1] != self._database.find_own_log():
            self._leave_log(in_use[2])
            raise make_storage_error("log-gone")
        if kept is not None:
            return kept, False
        connection = self._open()
        return (file, self._database.find_own_log(), connection), True

    def _find_neighbour(self, file: Identity) -> KeptConnection | None:
        for idle in (self.writers, self.readers):
            for kept in idle[-1:]:
                if kept[0] == file:
                    return kept
        return None

    def _leave_log(self, connection: Connection) -> None:
        """Save the content of a removed log, and use the database no more until this process ends.

        The log still exists without a name while we have it open, so moving it into the database now keeps its reports.
        Only if no other log has replaced it, because SQLite would mix the two. The connection stays open, because
        closing it would move the log in any case.
        """
        self.is_log_gone = True
        self._left_open.append(connection)
        log_event("storage-log-gone", level=logging.ERROR)
        if self._database.find_own_log() is None:
            with contextlib.suppress(*self.driver_errors):
                self._database.save_removed_log(connection)

    def _open(self) -> Connection:
        # Read the mark first: data read afterwards is never older than it.
        mark = None if self._mark is None else self._mark.find()
        try:
            connection = self._database.engine.connect()
        except DBAPIError as error:
            raise translate_error(error) from error
        try:
            self._database.check_safety(connection)
        except StorageUnavailableError:
            connection.close()
            raise
        except self.driver_errors as error:
            abandon(connection)
            raise translate_error(error) from error
        try:
            revision = connection.execute(_READ_REVISION).scalar_one_or_none()
            connection.rollback()
        except DBAPIError as error:
            connection.close()
            # A database without our tables fails with a plain "no such table".
            raise make_storage_error(find_driver_reason(error.orig) or "schema") from error
        if revision not in USABLE_REVISIONS:
            connection.close()
            raise make_storage_error("schema")
        if mark is not None and not _reaches(connection, mark):
            connection.close()
            raise make_storage_error("behind")
        return connection


def _reaches(connection: Connection, mark: Mark) -> bool:
    """Return whether the database contains the report of the mark. Its row is never deleted."""
    try:
        return holds_report(connection, mark)
    except connection.dialect.loaded_dbapi.Error as error:
        connection.close()
        raise translate_error(error) from error
    finally:
        if not connection.closed:
            connection.rollback()


def _take_idle(idle: list[KeptConnection], *, file: Identity) -> KeptConnection | None:
    """Return a kept connection to this file; closes those to a file that no longer exists."""
    while True:
        try:
            kept = idle.pop()
        except IndexError:
            return None
        if kept[0] == file:
            return kept
        kept[2].close()


def close_all(*lists: list[KeptConnection]) -> None:
    """Close the idle connections of each list."""
    for idle in lists:
        while idle:
            idle.pop()[2].close()


def abandon(connection: Connection) -> None:
    """Close a connection whose transaction failed."""
    # If the rollback fails too, keep the first error; closing the file ends the transaction anyway.
    connection.invalidate()
    connection.close()
