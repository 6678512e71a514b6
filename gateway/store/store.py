"""The store: transactions on connections that stay open, writers in one queue.

Never answers a write before it is committed and synced; never keeps half of one.
"""

import contextlib
import logging
import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, delete, insert, or_, select, text
from sqlalchemy.exc import DBAPIError

from gateway.store.engine import PreparedStatement, WriterLock, begin_read, begin_write, make_sqlite_engine
from gateway.store.failures import (
    StorageUnavailableError,
    find_driver_reason,
    get_system_reason,
    make_storage_error,
)
from gateway.store.high_water import HighWaterMark, Mark
from gateway.store.schema import SCHEMA_REVISION, probes, reports
from gateway.web.logs import log_event, log_failure

DEFAULT_LOCK_TIMEOUT_SECONDS = 5.0
TRUNCATE_WAIT_MILLISECONDS = 200
PROBE_BYTES = 68 * 1024  # a padded report of the public with its statement

_OWN_PROBE = probes.c.process == bindparam("process")
# The row of this process is written anew, and that of a process which ended an hour ago goes.
_FORGET_PROBES = PreparedStatement(
    delete(probes).where(or_(_OWN_PROBE, probes.c.written_at < bindparam("forgotten_before")))
)
_WRITE_PROBE = PreparedStatement(insert(probes).values({c.name: bindparam(c.name) for c in probes.c}))
_AT_MARK = PreparedStatement(select(reports.c.intake_sha256).where(reports.c.position == bindparam("position")))
_READ_PROBE = PreparedStatement(select(probes.c.token).where(_OWN_PROBE))

_READ_REVISION = select(text("version_num")).select_from(text("alembic_version"))


FileIdentity = tuple[int, int]
# A connection with the database file and the write-ahead log that it has open; None where it has no log.
KeptConnection = tuple[FileIdentity, FileIdentity | None, Connection]


class Store:
    """One database as one process sees it: `write()` and `read()` give a connection inside one transaction."""

    def __init__(self, path: Path, *, engine: Engine, lock: WriterLock, is_checked: bool = True) -> None:
        self.path = path
        self._mark = HighWaterMark(path.with_suffix(".mark"))
        self._is_checked = is_checked
        self._next_mark: Mark | None = None  # of the write that is under way: there is one at a time
        self._is_log_gone = False
        self._left_open: list[Connection] = []
        self._log_path = f"{path}-wal"
        self._engine = engine
        self._lock = lock
        self._process_id = os.getpid()
        # Core wraps the driver's errors; statements that run at the driver's level (`look`, `prepared`) give them bare.
        self._driver_errors = (DBAPIError, engine.dialect.loaded_dbapi.Error)
        # Each connection is kept with the file that it has open. append and pop are atomic: reading needs no lock.
        self._idle_writers: list[KeptConnection] = []
        self._idle_readers: list[KeptConnection] = []
        # A store that nobody closed leaves no open file behind (Python 3.13 warns of each). Not at exit: the system
        # closes them then, and a forked child must not touch its parent's.
        weakref.finalize(self, _close_lists, self._idle_writers, self._idle_readers).atexit = False
        weakref.finalize(self, self._mark.close).atexit = False

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection that may write; when the block ends, all of it is committed and synced, or none.

        Raises StorageUnavailableError when the storage cannot take it or the turn does not come in time.
        """
        with self._lock.hold(), self._connected(self._idle_writers) as connection:
            self._next_mark = None
            with self._transaction(connection, is_write=True):
                yield connection
            if self._next_mark is not None:
                self._put_mark(self._next_mark)

    def advance_mark(self, mark: Mark) -> None:
        """Let the high-water mark follow the report that this write stores, once it is committed.

        Raises StorageUnavailableError (`behind`) where the mark has gone past it: reports were taken out meanwhile.
        """
        before = self.find_mark()
        if before is not None and mark.position <= before.position:
            raise make_storage_error("behind")
        self._next_mark = mark

    def find_mark(self) -> Mark | None:
        """Return the high-water mark; None where there is none that can be read. Raises StorageUnavailableError."""
        try:
            return self._mark.find()
        except OSError as error:
            raise make_storage_error(get_system_reason(error)) from error

    def reset_mark(self, mark: Mark) -> None:
        """Let the mark stand at `mark` once this write is committed, wherever it was: after a restore."""
        self._next_mark = mark

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the database throughout; never waits for a writer."""
        with self._connected(self._idle_readers) as connection, self._transaction(connection, is_write=False):
            yield connection

    def look(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of one query without parameters; for what every request looks at.

        One statement sees one state by itself, so this does without a transaction: a quarter of the time of `read`.
        """
        with self._connected(self._idle_readers) as connection:
            driver_connection = connection.connection
            try:
                cursor = driver_connection.cursor()
                cursor.execute(query)
                rows = list(cursor.fetchall())
                cursor.close()
                driver_connection.rollback()
            except self._driver_errors as error:
                _abandon(connection)
                raise _translate(error) from error
        return rows

    def check(self) -> None:
        """Write as much as a report of the public takes, and read it back; raises StorageUnavailableError.

        A full disk takes an empty transaction, and often a short row in the room that the write-ahead log has already.
        What is behind its mark refuses every report, and so is unavailable (`behind`) here too.
        """
        token = os.urandom(PROBE_BYTES)
        now = int(time.time())
        values = {"process": self._process_id, "written_at": now, "forgotten_before": now - 3600, "token": token}
        with self.write() as connection:
            # Nobody else stores a report or puts the mark meanwhile.
            mark = self.find_mark() if self._is_checked else None
            if mark is not None and not _holds(connection, mark):
                raise make_storage_error("behind")
            _FORGET_PROBES.run(connection, values)
            _WRITE_PROBE.run(connection, values)
        with self.read() as connection:
            row = _READ_PROBE.run(connection, values).fetchone()
        if row is None or row[0] != token:
            raise make_storage_error("broken")

    def has_damage(self) -> bool:
        """Return whether SQLite's own check finds a page that is none; reads the whole database, and blocks nobody.

        Raises StorageUnavailableError where the file cannot be opened at all.
        """
        try:
            return self.look("PRAGMA quick_check(1)") != [("ok",)]
        except StorageUnavailableError as error:
            if error.reason != "broken":
                raise
            return True

    def has_log(self) -> bool:
        """Return whether the write-ahead log holds anything."""
        try:
            return os.stat(self._log_path).st_size > 0  # noqa: PTH116 - as in _identify_file
        except FileNotFoundError:
            return False

    def truncate_log(self) -> bool:
        """Move the write-ahead log into the database and empty it; return False when a reader was in the way.

        Until then the log may still hold bytes that were deleted. Waits for a reader for a moment only, because all
        writers wait meanwhile.
        """
        with self._lock.hold(), self._connected(self._idle_writers) as connection:
            try:
                patience = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {min(patience, TRUNCATE_WAIT_MILLISECONDS)}")
                busy, _pages, _moved = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {patience}")
                connection.rollback()
            except self._driver_errors as error:
                _abandon(connection)
                raise _translate(error) from error
        return not busy

    def close(self) -> None:
        """Close what is idle; the store opens again at its next use."""
        if not self._is_log_gone:
            with self._lock.hold():
                _close_all(self._idle_writers)
                self._mark.close()
            _close_all(self._idle_readers)
        self._lock.close()

    @contextmanager
    def _connected(self, idle: list[KeptConnection]) -> Iterator[Connection]:
        if os.getpid() != self._process_id:
            # https://www.sqlite.org/howtocorrupt.html §2.6: a connection must not be carried across a fork.
            raise RuntimeError("A store must be opened in the process that uses it.")
        kept = self._take(idle)
        connection = kept[2]
        try:
            yield connection
        finally:
            if not connection.closed:
                idle.append(kept)

    def _take(self, idle: list[KeptConnection]) -> KeptConnection:
        """Return a connection to the files that are there now; raises StorageUnavailableError."""
        if self._is_log_gone:
            raise make_storage_error("log-gone")
        file = self._identify_file()
        kept = _take_idle(idle, file=file)
        # A new connection would make a new log beside the one that the others still write to.
        in_use = kept or self._find_neighbour(file)
        if in_use is not None and in_use[1] is not None and in_use[1] != self._find_log():
            self._leave_log(in_use[2])
            raise make_storage_error("log-gone")
        if kept is None:
            connection = self._open()
            kept = (file, self._find_log(), connection)
        return kept

    def _find_neighbour(self, file: FileIdentity) -> KeptConnection | None:
        for idle in (self._idle_writers, self._idle_readers):
            for kept in idle[-1:]:
                if kept[0] == file:
                    return kept
        return None

    def _find_log(self) -> FileIdentity | None:
        try:
            found = os.stat(self._log_path)  # noqa: PTH116 - as in _identify_file
        except OSError:
            return None
        return (found.st_dev, found.st_ino)

    def _leave_log(self, connection: Connection) -> None:
        """Save what the removed log holds, and touch the database no more until this process ends.

        The log lives on, without a name, as long as we have it open: moved into the database now, its reports are kept.
        Only while no other log has taken its place, because SQLite would mix the two; and the connection stays open,
        because closing it would move them whatever is there.
        """
        self._is_log_gone = True
        self._left_open.append(connection)
        log_event("storage-log-gone", level=logging.ERROR)
        if self._find_log() is None:
            with contextlib.suppress(*self._driver_errors):
                connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def _put_mark(self, mark: Mark) -> None:
        try:
            self._mark.put(mark)
        except OSError as error:
            # The report is stored, and its sender is told so; an older mark notices less.
            log_failure(error, event="mark-not-written")

    @contextmanager
    def _transaction(self, connection: Connection, *, is_write: bool) -> Iterator[None]:
        """Run the block in one transaction; after a failure of the driver the connection is closed, not used again."""
        try:
            if is_write:
                begin_write(connection)
            else:
                begin_read(connection)
            yield
            if is_write:
                connection.commit()
            else:
                connection.rollback()
        except self._driver_errors as error:
            _abandon(connection)
            raise _translate(error) from error
        except BaseException:
            try:
                connection.rollback()
            except self._driver_errors:
                _abandon(connection)
            raise

    def _identify_file(self) -> FileIdentity:
        # An open connection to a file that was removed or replaced would go on "committing" into nothing.
        try:
            found = os.stat(self.path)  # noqa: PTH116 - on the way of every commit, and several times as fast as Path
        except OSError as error:
            raise make_storage_error(get_system_reason(error)) from error
        return (found.st_dev, found.st_ino)

    def _open(self) -> Connection:
        # The mark first: what is read afterwards is never older than it.
        mark = self.find_mark() if self._is_checked else None
        try:
            connection = self._engine.connect()
        except DBAPIError as error:
            raise _translate(error) from error
        try:
            revision = connection.execute(_READ_REVISION).scalar_one_or_none()
            connection.rollback()
        except DBAPIError as error:
            connection.close()
            # A file without our tables answers with a plain "no such table".
            raise make_storage_error(find_driver_reason(error.orig) or "schema") from error
        if revision != SCHEMA_REVISION:
            connection.close()
            raise make_storage_error("schema")
        if mark is not None and not _reaches(connection, mark):
            connection.close()
            raise make_storage_error("behind")
        return connection


def _reaches(connection: Connection, mark: Mark) -> bool:
    """Return whether the database holds the very report that the mark names. Its row stays for good."""
    try:
        return _holds(connection, mark)
    except connection.dialect.loaded_dbapi.Error as error:
        connection.close()
        raise _translate(error) from error
    finally:
        if not connection.closed:
            connection.rollback()


def _holds(connection: Connection, mark: Mark) -> bool:
    if mark.position == 0:
        return True
    try:
        row = _AT_MARK.run(connection, {"position": mark.position}).fetchone()
    except connection.dialect.loaded_dbapi.Error as error:
        # A damaged page keeps nothing else back: the rest is to be handed over.
        if find_driver_reason(error) == "broken":
            return True
        raise
    return row is not None and row[0] == mark.intake_sha256


def _take_idle(idle: list[KeptConnection], *, file: FileIdentity) -> KeptConnection | None:
    """Return a kept connection to this very file; close those to a file that is not there any more."""
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
    # A rollback that fails as well must not hide the first error; closing the file gives up the transaction anyway.
    connection.invalidate()
    connection.close()


def _translate(error: Exception) -> Exception:
    reason = find_driver_reason(error.orig if isinstance(error, DBAPIError) else error)
    return error if reason is None else make_storage_error(reason)


def open_store(
    path: Path,
    *,
    lock_path: Path,
    lock_timeout_seconds: float = DEFAULT_LOCK_TIMEOUT_SECONDS,
    is_checked: bool = True,
) -> Store:
    """Return the store over an existing database file; it is opened at the first use.

    A missing file is no error here: the doors must run, and say 503 or show the phone numbers. `is_checked` refuses a
    database that is behind its high-water mark; only what begins a new epoch goes without.
    """
    engine = make_sqlite_engine(path, busy_timeout_seconds=lock_timeout_seconds)
    lock = WriterLock(lock_path, timeout_seconds=lock_timeout_seconds)
    return Store(path, engine=engine, lock=lock, is_checked=is_checked)
