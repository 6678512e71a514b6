"""The store: transactions on connections that stay open, writers in one queue.

Never answers a write before it is committed and synced; never keeps half of one.
"""

import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, delete, insert, or_, select, text
from sqlalchemy.exc import DBAPIError

from gateway.store.engine import begin_read, begin_write, make_sqlite_engine
from gateway.store.failures import (
    StorageUnavailableError,
    find_driver_reason,
    get_system_reason,
    make_storage_error,
)
from gateway.store.prepared import PreparedStatement
from gateway.store.schema import SCHEMA_REVISION, probes
from gateway.store.writer_lock import WriterLock

DEFAULT_LOCK_TIMEOUT_SECONDS = 5.0
TRUNCATE_WAIT_MILLISECONDS = 200
PROBE_BYTES = 68 * 1024  # a padded report of the public with its statement

_OWN_PROBE = probes.c.process == bindparam("process")
# The row of this process is written anew, and that of a process which ended an hour ago goes.
_FORGET_PROBES = PreparedStatement(
    delete(probes).where(or_(_OWN_PROBE, probes.c.written_at < bindparam("forgotten_before")))
)
_WRITE_PROBE = PreparedStatement(insert(probes).values({c.name: bindparam(c.name) for c in probes.c}))
_READ_PROBE = PreparedStatement(select(probes.c.token).where(_OWN_PROBE))

_READ_REVISION = select(text("version_num")).select_from(text("alembic_version"))


FileIdentity = tuple[int, int]
KeptConnection = tuple[FileIdentity, Connection]


class Store:
    """One database as one process sees it: `write()` and `read()` give a connection inside one transaction."""

    def __init__(self, path: Path, *, engine: Engine, lock: WriterLock) -> None:
        self.path = path
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

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection that may write; when the block ends, all of it is committed and synced, or none.

        Raises StorageUnavailableError when the storage can not take it or the turn does not come in time.
        """
        with (
            self._lock.hold(),
            self._connected(self._idle_writers) as connection,
            self._transaction(connection, is_write=True),
        ):
            yield connection

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
        """
        token = os.urandom(PROBE_BYTES)
        now = int(time.time())
        values = {"process": self._process_id, "written_at": now, "forgotten_before": now - 3600, "token": token}
        with self.write() as connection:
            _FORGET_PROBES.run(connection, values)
            _WRITE_PROBE.run(connection, values)
        with self.read() as connection:
            row = _READ_PROBE.run(connection, values).fetchone()
        if row is None or row[0] != token:
            raise make_storage_error("broken")

    def has_damage(self) -> bool:
        """Return whether SQLite's own check finds a page that is none; reads the whole database, and blocks nobody.

        Raises StorageUnavailableError where the file can not be opened at all.
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
            return os.stat(f"{self.path}-wal").st_size > 0  # noqa: PTH116 - the name is not a path's suffix
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
        with self._lock.hold():
            _close_all(self._idle_writers)
        _close_all(self._idle_readers)
        self._lock.close()

    @contextmanager
    def _connected(self, idle: list[KeptConnection]) -> Iterator[Connection]:
        if os.getpid() != self._process_id:
            # https://www.sqlite.org/howtocorrupt.html §2.6: a connection must not be carried across a fork.
            raise RuntimeError("A store must be opened in the process that uses it.")
        file = self._identify_file()
        connection = _take_idle(idle, file=file) or self._open()
        try:
            yield connection
        finally:
            if not connection.closed:
                idle.append((file, connection))

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
        return connection


def _take_idle(idle: list[KeptConnection], *, file: FileIdentity) -> Connection | None:
    """Return a kept connection to this very file; close those to a file that is not there any more."""
    while True:
        try:
            kept_file, connection = idle.pop()
        except IndexError:
            return None
        if kept_file == file:
            return connection
        connection.close()


def _close_lists(*idle: list[KeptConnection]) -> None:
    for one in idle:
        _close_all(one)


def _close_all(idle: list[KeptConnection]) -> None:
    while idle:
        idle.pop()[1].close()


def _abandon(connection: Connection) -> None:
    # A rollback that fails as well must not hide the first error; closing the file gives up the transaction anyway.
    connection.invalidate()
    connection.close()


def _translate(error: Exception) -> Exception:
    reason = find_driver_reason(error.orig if isinstance(error, DBAPIError) else error)
    return error if reason is None else make_storage_error(reason)


def open_store(path: Path, *, lock_path: Path, lock_timeout_seconds: float = DEFAULT_LOCK_TIMEOUT_SECONDS) -> Store:
    """Return the store over an existing database file; it is opened at the first use.

    A missing file is no error here: the doors must run, and say 503 or show the phone numbers.
    """
    engine = make_sqlite_engine(path, busy_timeout_seconds=lock_timeout_seconds)
    return Store(path, engine=engine, lock=WriterLock(lock_path, timeout_seconds=lock_timeout_seconds))
