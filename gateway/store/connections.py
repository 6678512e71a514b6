"""The connections of one process to its database: they stay open between transactions, and are checked when opened.

Never uses a database file that was replaced, one whose write-ahead log was removed, or one behind its high-water mark.
"""

import contextlib
import logging
import os
import weakref
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from gateway.databases.database import Database, translate_error
from gateway.databases.failures import StorageUnavailableError, find_driver_reason, is_overdue, make_storage_error
from gateway.databases.sqlite_file import Identity
from gateway.store.high_water import HighWaterMark, Mark, holds_report
from gateway.store.schema import USABLE_REVISIONS
from gateway.web.logs import log_event

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
        weakref.finalize(self, _close_lists, self.writers, self.readers).atexit = False

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


def _close_lists(*idle: list[KeptConnection]) -> None:
    for one in idle:
        close_all(one)


def close_all(idle: list[KeptConnection]) -> None:
    """Close the idle connections of a list."""
    while idle:
        idle.pop()[2].close()


def abandon(connection: Connection) -> None:
    """Close a connection whose transaction failed."""
    # If the rollback fails too, keep the first error; closing the file ends the transaction anyway.
    connection.invalidate()
    connection.close()
