"""A database in one SQLite file, for the processes of one machine.

Never creates the file: a missing one is a failure to report, not a reason to start an empty store.
"""

import os
import sqlite3
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from gateway.databases.failures import get_system_reason, is_damage, make_storage_error

# One row for each setting, with its reason. https://www.sqlite.org/pragma.html
SQLITE_PRAGMAS: Final = (
    ("journal_mode", "WAL", "readers never wait for the writer"),
    ("synchronous", "FULL", "a commit returns after the write-ahead log is on the disk: a receipt is a promise"),
    ("secure_delete", "ON", "deleted data is overwritten, not only unlinked"),
    ("temp_store", "MEMORY", "no row is ever written to a temporary file"),
    ("foreign_keys", "ON", "SQLite leaves them off by default"),
    ("trusted_schema", "OFF", "a file altered by hand must not run functions"),
)
TRUNCATE_WAIT_MILLISECONDS: Final = 200

Identity = tuple[int, int]


class SqliteFile:
    """A database in one file, for the processes of one machine."""

    has_one_writer = True

    def __init__(self, path: Path, *, lock_timeout_seconds: float) -> None:
        self.path = path
        self.engine = _make_sqlite_engine(path, busy_timeout_seconds=lock_timeout_seconds)
        self._log_path = f"{path}-wal"

    def identify(self) -> Identity:
        """Identify the file: an open connection to a removed or replaced one would "commit" into nothing."""
        try:
            found = os.stat(self.path)  # noqa: PTH116 - runs for every commit, and is several times as fast as Path
        except OSError as error:
            raise make_storage_error(get_system_reason(error)) from error
        return (found.st_dev, found.st_ino)

    def find_own_log(self) -> Identity | None:
        """Identify the write-ahead log."""
        try:
            found = os.stat(self._log_path)  # noqa: PTH116 - as above
        except OSError:
            return None
        return (found.st_dev, found.st_ino)

    def has_deleted_bytes(self) -> bool:
        """Return whether the write-ahead log has any content."""
        try:
            return os.stat(self._log_path).st_size > 0  # noqa: PTH116 - as above
        except FileNotFoundError:
            return False

    def erase_deleted_bytes(self, connection: Connection) -> bool:
        """Move the log into the database and truncate it; waits only briefly for a reader."""
        patience = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {min(patience, TRUNCATE_WAIT_MILLISECONDS)}")
        busy, _pages, _moved = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {patience}")
        connection.rollback()
        return not busy

    def save_removed_log(self, connection: Connection) -> None:
        """Move the log into the database, without waiting."""
        connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def check_safety(self, connection: Connection) -> None:
        """Accept: the connection made its own settings."""

    def begin_write(self, connection: Connection) -> None:
        """Begin a transaction that already has the write lock."""
        connection.begin()
        # Through the driver: Core's own execution would cost more than the statement.
        connection.connection.cursor().execute("BEGIN IMMEDIATE")

    begin_write_beside = begin_write

    def check_unbroken(self, connection: Connection) -> None:
        """Raise RuntimeError if SQLite has rolled the transaction back by itself, e.g. on a full disk."""
        driver: Any = connection.connection.dbapi_connection
        if not driver.in_transaction:
            raise RuntimeError("The transaction ended in a block that did not pass on the error.")

    def begin_read(self, connection: Connection) -> None:
        """Begin a transaction; its first read fixes its snapshot."""
        connection.begin()
        connection.connection.cursor().execute("BEGIN")

    def commit(self, connection: Connection) -> None:
        """Commit."""
        connection.commit()

    def lift_time_limit(self, connection: Connection) -> None:
        """Do nothing: a file answers or fails."""

    def has_damage(self, connection: Connection, *, is_deep: bool = False) -> bool:
        """Read every page, without blocking a writer."""
        try:
            return bool(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one() != "ok")
        except DBAPIError as error:
            if not is_damage(error):  # a page of the schema itself
                raise
            return True

    def reads_every_page(self, connection: Connection) -> bool:
        """Return True: every check does."""
        return True


def _make_sqlite_engine(path: Path, *, busy_timeout_seconds: float) -> Engine:
    address = f"file:{quote(str(path.absolute()))}?mode=rw"

    def open_connection() -> sqlite3.Connection:
        # isolation_level=None: the driver begins no transactions itself; begin_write and begin_read do.
        connection = sqlite3.connect(
            address, uri=True, isolation_level=None, check_same_thread=False, timeout=busy_timeout_seconds
        )
        try:
            for name, value, _reason in SQLITE_PRAGMAS:
                connection.execute(f"PRAGMA {name} = {value}")
        except BaseException:
            connection.close()
            raise
        return connection

    # The store keeps its connections open itself; a pool would add its bookkeeping to every commit. hide_parameters: an
    # error message must not repeat bound values.
    return create_engine("sqlite://", creator=open_connection, poolclass=NullPool, hide_parameters=True)
