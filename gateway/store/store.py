"""The store: transactions on persistent connections, with writers in one queue.

Never confirms a write before it is committed and synced; never keeps half of one.
"""

import contextlib
import logging
import os
import secrets
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, delete, insert, or_, select, text
from sqlalchemy.exc import DBAPIError

from gateway.databases.database import Database, make_database, translate_error
from gateway.databases.failures import (
    StorageUnavailableError,
    find_driver_reason,
    get_system_reason,
    is_overdue,
    make_storage_error,
)
from gateway.databases.sqlite_file import FileIdentity
from gateway.store.high_water import HighWaterMark, Mark, holds_report
from gateway.store.prepared import PreparedStatement
from gateway.store.schema import SCHEMA_REVISION, probes
from gateway.store.writer_lock import WriterLock
from gateway.web.logs import log_event, log_failure

DEFAULT_LOCK_TIMEOUT_SECONDS = 5.0
PROBE_BYTES = 68 * 1024  # a padded public report with its statement

_OWN_PROBE = probes.c.process == bindparam("process")
# Each store rewrites its own row and deletes rows older than an hour. The number of its row is random, because process
# ids repeat on two machines.
_FORGET_PROBES = PreparedStatement(
    delete(probes).where(or_(_OWN_PROBE, probes.c.written_at < bindparam("forgotten_before")))
)
_WRITE_PROBE = PreparedStatement(insert(probes).values({c.name: bindparam(c.name) for c in probes.c}))
_READ_PROBE = PreparedStatement(select(probes.c.token).where(_OWN_PROBE))

_READ_REVISION = select(text("version_num")).select_from(text("alembic_version"))

# A connection with the database file and the write-ahead log that it has open; None without a log.
KeptConnection = tuple[FileIdentity, FileIdentity | None, Connection]
Result = TypeVar("Result")


class Store:
    """One database in one process: `write()` and `read()` give a connection inside one transaction."""

    def __init__(self, path: Path, *, database: Database, lock: WriterLock, is_checked: bool = True) -> None:
        self.path = path  # the mark and other files of this gateway's own have its name
        self._mark = HighWaterMark(path.with_suffix(".mark"))
        self._is_checked = is_checked
        self._next_mark: Mark | None = None  # of the current write; there is only one at a time
        self._is_log_gone = False
        self._left_open: list[Connection] = []
        self._database = database
        self._lock = lock
        self._process_id = os.getpid()
        self._probe_id = secrets.randbits(62)
        # Core wraps the driver's errors; statements run by the driver itself (`look`, `prepared`) raise them unwrapped.
        self._driver_errors = (DBAPIError, database.engine.dialect.loaded_dbapi.Error)
        # Each connection is kept with its open file. append and pop are atomic, so reading needs no lock.
        self._idle_writers: list[KeptConnection] = []
        self._idle_readers: list[KeptConnection] = []
        # An unclosed store leaves no open file behind (Python 3.13 warns of each). Not at exit: the system closes them
        # then, and a forked child must not touch its parent's.
        weakref.finalize(self, _close_lists, self._idle_writers, self._idle_readers).atexit = False
        weakref.finalize(self, self._mark.close).atexit = False

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection for writing; when the block ends, all of it is committed and synced, or nothing.

        Raises StorageUnavailableError when the storage fails or the turn does not come in time.
        """
        with self._lock.hold():
            self._next_mark = None
            with self._transaction(self._idle_writers, self._database.begin_write) as connection:
                yield connection
            if self._next_mark is not None:
                self._put_mark(self._next_mark)

    @contextmanager
    def write_beside(self) -> Iterator[Connection]:
        """As `write`, but beside other writers where the database can: a child's page never waits behind reports.

        Only for statements that are right whatever others commit between them.
        """
        if self._database.has_one_writer:
            with self.write() as connection:
                yield connection
        else:
            with self._transaction(self._idle_writers, self._database.begin_write_beside) as connection:
                yield connection

    def advance_mark(self, mark: Mark) -> None:
        """Advance the high-water mark to the report of this write, once it is committed.

        Raises StorageUnavailableError (`behind`) if the mark is already past it, because reports were removed
        meanwhile.
        """
        before = self.find_mark()
        if before is not None and mark.position <= before.position:
            raise make_storage_error("behind")
        self._next_mark = mark

    def find_mark(self) -> Mark | None:
        """Return the high-water mark, or None if it is missing or unreadable. Raises StorageUnavailableError."""
        try:
            return self._mark.find()
        except OSError as error:
            raise make_storage_error(get_system_reason(error)) from error

    def reset_mark(self, mark: Mark) -> None:
        """Set the mark to `mark` once this write is committed, in either direction: for a restore."""
        self._next_mark = mark

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection for reading one snapshot of the database; never waits for a writer."""
        with self._transaction(self._idle_readers, self._database.begin_read, is_write=False) as connection:
            yield connection

    def look(self, query: str | PreparedStatement, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of one query, in a quarter of the time of `read`: alone it is consistent anyway."""

        def run(connection: Connection) -> list[tuple[Any, ...]]:
            if isinstance(query, PreparedStatement):
                cursor = query.run(connection, values or {})
            else:
                cursor = connection.connection.cursor()
                cursor.execute(query)
            rows = list(cursor.fetchall())
            cursor.close()
            connection.connection.rollback()
            return rows

        connection, rows = self._start(self._idle_readers, run)
        self._give_back(self._idle_readers, connection)
        return rows

    def check(self) -> None:
        """Write as much as a public report takes, and read it back; raises StorageUnavailableError.

        An empty transaction succeeds on a full disk, and often so does a short row, in the free space of the
        write-ahead log. A database behind its mark refuses every report, so it is unavailable (`behind`) here too.
        """
        token = os.urandom(PROBE_BYTES)
        now = int(time.time())
        values = {"process": self._probe_id, "written_at": now, "forgotten_before": now - 3600, "token": token}
        with self.write() as connection:
            self._database.check_safety(connection)
            # No other process stores a report or writes the mark meanwhile.
            mark = self.find_mark() if self._is_checked else None
            if mark is not None and not holds_report(connection, mark):
                raise make_storage_error("behind")
            _FORGET_PROBES.run(connection, values)
            _WRITE_PROBE.run(connection, values)
        with self.read() as connection:
            row = _READ_PROBE.run(connection, values).fetchone()
        if row is None or row[0] != token:
            raise make_storage_error("broken")

    def has_damage(self) -> bool:
        """Return whether the database's own check finds a malformed page; reads all of it, and blocks no one.

        Raises StorageUnavailableError if the database cannot be opened at all.
        """
        try:
            with self.read() as connection:
                return self._database.has_damage(connection)
        except StorageUnavailableError as error:
            if error.reason != "broken":
                raise
            return True

    def has_log(self) -> bool:
        """Return whether `truncate_log` has anything to do."""
        return self._database.has_log()

    def truncate_log(self) -> bool:
        """Move the write-ahead log into the database and truncate it; returns False if a reader was in the way.

        Until then the log may still hold deleted bytes. Waits only briefly for a reader, because all writers wait
        meanwhile.
        """
        with self._lock.hold():
            connection, was_truncated = self._start(self._idle_writers, self._database.truncate_log)
            self._give_back(self._idle_writers, connection)
        return was_truncated

    def close(self) -> None:
        """Close idle connections; the store opens again at its next use."""
        if not self._is_log_gone:
            with self._lock.hold():
                _close_all(self._idle_writers)
                self._mark.close()
            _close_all(self._idle_readers)
        self._lock.close()

    def _start(
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
            except self._driver_errors as error:
                _abandon(kept[2])
                failure = translate_error(error)
                if is_new or is_overdue(error) or getattr(failure, "reason", "") != "missing":
                    raise failure from error
            except BaseException:
                _abandon(kept[2])
                raise

    def _give_back(self, idle: list[KeptConnection], kept: KeptConnection) -> None:
        if not kept[2].closed:
            idle.append(kept)

    def _take(self, idle: list[KeptConnection]) -> tuple[KeptConnection, bool]:
        """Return a connection to the current database, and whether it is new; raises StorageUnavailableError."""
        if self._is_log_gone:
            raise make_storage_error("log-gone")
        file = self._database.identify()
        kept = _take_idle(idle, file=file)
        # A new connection would make a new log beside the one that the others still write to.
        in_use = kept or self._find_neighbour(file)
        if in_use is not None and in_use[1] is not None and in_use[1] != self._database.find_log():
            self._leave_log(in_use[2])
            raise make_storage_error("log-gone")
        if kept is not None:
            return kept, False
        connection = self._open()
        return (file, self._database.find_log(), connection), True

    def _find_neighbour(self, file: FileIdentity) -> KeptConnection | None:
        for idle in (self._idle_writers, self._idle_readers):
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
        self._is_log_gone = True
        self._left_open.append(connection)
        log_event("storage-log-gone", level=logging.ERROR)
        if self._database.find_log() is None:
            with contextlib.suppress(*self._driver_errors):
                self._database.save_removed_log(connection)

    def _put_mark(self, mark: Mark) -> None:
        try:
            self._mark.put(mark)
        except OSError as error:
            # The report is stored and acknowledged; an older mark only detects less.
            log_failure(error, event="mark-not-written")

    @contextmanager
    def _transaction(
        self, idle: list[KeptConnection], begin: Callable[[Connection], None], *, is_write: bool = True
    ) -> Iterator[Connection]:
        """Run the block in one transaction; closes the connection after a failure of the driver."""
        kept, _ = self._start(idle, begin)
        connection = kept[2]
        try:
            yield connection
            if is_write:
                self._database.commit(connection)
            else:
                connection.rollback()
        except self._driver_errors as error:
            _abandon(connection)
            raise translate_error(error) from error
        except BaseException:
            try:
                connection.rollback()
            except self._driver_errors:
                _abandon(connection)
            raise
        finally:
            self._give_back(idle, kept)

    def _open(self) -> Connection:
        # Read the mark first: data read afterwards is never older than it.
        mark = self.find_mark() if self._is_checked else None
        try:
            connection = self._database.engine.connect()
        except DBAPIError as error:
            raise translate_error(error) from error
        try:
            self._database.check_safety(connection)
        except StorageUnavailableError:
            connection.close()
            raise
        except self._driver_errors as error:
            _abandon(connection)
            raise translate_error(error) from error
        try:
            revision = connection.execute(_READ_REVISION).scalar_one_or_none()
            connection.rollback()
        except DBAPIError as error:
            connection.close()
            # A database without our tables fails with a plain "no such table".
            raise make_storage_error(find_driver_reason(error.orig) or "schema") from error
        if revision != SCHEMA_REVISION:
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


def _take_idle(idle: list[KeptConnection], *, file: FileIdentity) -> KeptConnection | None:
    """Return a kept connection to this file; closes those to a file that no longer exists."""
    while True:
        try:
            kept = idle.pop()
        except IndexError:
            return None
        if kept[0] == file:
            return kept
        kept[2].close()


def _close_lists(*idle: list[KeptConnection]) -> None:
    for one in idle:
        _close_all(one)


def _close_all(idle: list[KeptConnection]) -> None:
    while idle:
        idle.pop()[2].close()


def _abandon(connection: Connection) -> None:
    # If the rollback fails too, keep the first error; closing the file ends the transaction anyway.
    connection.invalidate()
    connection.close()


def open_store(
    path: Path,
    *,
    lock_path: Path,
    uri: str = "",
    lock_timeout_seconds: float = DEFAULT_LOCK_TIMEOUT_SECONDS,
    is_checked: bool = True,
) -> Store:
    """Return the store over an existing database: the server at `uri`, or the file `path`; opened at the first use.

    A missing database is not an error here: the doors must run, and answer 503 or show the phone numbers. `is_checked`
    refuses a database behind its high-water mark; only starting a new epoch disables it. Raises SettingsError if the
    server's driver is not installed.
    """
    database = make_database(path, uri=uri, lock_timeout_seconds=lock_timeout_seconds)
    lock = WriterLock(lock_path, timeout_seconds=lock_timeout_seconds)
    return Store(path, database=database, lock=lock, is_checked=is_checked)
