"""Every call of the stores that differs between the two databases.

Never creates a database: a missing one is a failure to report, not a reason to start an empty store. Writers take turns
on both: SQLite has one writer by itself, and PostgreSQL lends one lock.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, Select, inspect
from sqlalchemy.exc import DBAPIError

from gateway.databases.failures import find_driver_reason, make_storage_error
from gateway.databases.postgresql import PostgresqlServer
from gateway.databases.sqlite_file import Identity, SqliteFile


class Database(Protocol):
    """The calls of the stores that differ between the two."""

    engine: Engine
    has_one_writer: bool

    def identify(self) -> Identity:
        """Identify the database that a new connection would open. Raises StorageUnavailableError."""

    def find_own_log(self) -> Identity | None:
        """Identify the log that this machine keeps beside the database, or None if there is none here."""

    def has_deleted_bytes(self) -> bool:
        """Return whether deleted bytes may be left that `erase_deleted_bytes` would remove."""

    def erase_deleted_bytes(self, connection: Connection) -> bool:
        """Erase the bytes of deleted rows, if they are ours to erase; returns False if a reader was in the way."""

    def save_removed_log(self, connection: Connection) -> None:
        """Move the content of a removed log that this connection has open into the database."""

    def check_safety(self, connection: Connection) -> None:
        """Raise StorageUnavailableError if the database could lose a committed report."""

    def begin_write(self, connection: Connection) -> None:
        """Begin a transaction in the writer's turn, so that it cannot fail half-way with a deadlock."""

    def begin_write_beside(self, connection: Connection) -> None:
        """Begin a transaction that writes beside other writers, and waits for no standby.

        Never called where there is one writer.
        """

    def check_unbroken(self, connection: Connection) -> None:
        """Raise RuntimeError if the transaction of a block that ended well can no longer be committed."""

    def begin_read(self, connection: Connection) -> None:
        """Begin a transaction that sees one snapshot of the database."""

    def commit(self, connection: Connection) -> None:
        """Commit, and return once the transaction is durable."""

    def lift_time_limit(self, connection: Connection) -> None:
        """Let the statements of this connection take as long as they need: for migrations."""

    def has_damage(self, connection: Connection, *, is_deep: bool = False) -> bool:
        """Return whether the database's own check has found a damaged page."""

    def reads_every_page(self, connection: Connection) -> bool:
        """Return whether a deep check reads every page, beyond the faults that a server notices by itself."""


def make_database(path: Path, *, uri: str, lock_timeout_seconds: float, kept_connections: int = 0) -> Database:
    """Return the database of a state folder: the server at `uri`, or the file `path` if it is empty.

    Opens nothing yet. `kept_connections` to a server stay open after their use; none to a file, which may be replaced.
    Raises SettingsError if the server's driver is not installed.
    """
    if uri:
        return PostgresqlServer(uri, lock_timeout_seconds=lock_timeout_seconds, kept_connections=kept_connections)
    return SqliteFile(path, lock_timeout_seconds=lock_timeout_seconds)


def surviving_damage(connection: Connection) -> AbstractContextManager[Any]:
    """Let the transaction go on after a read in the block failed: PostgreSQL would refuse every later statement."""
    return connection.begin_nested() if connection.dialect.name == "postgresql" else nullcontext()


def stream_rows(
    connection: Connection, query: Select[Any], asked: Mapping[str, Any], *, batch: int
) -> Iterator[Sequence[tuple[Any, ...]]]:
    """Yield the rows of a query in batches, in the driver's own types and without holding them all.

    For millions of rows: those of SQLAlchemy cost twice as much. `batch` is the number of rows in each round trip.
    """
    result = connection.execute(query, asked, execution_options={"stream_results": True})
    cursor: Any = result.cursor
    first = result.fetchone()
    if first is not None:
        # SQLAlchemy has read this row ahead where it streams; the cursor goes on after it.
        yield [tuple(first)]
        while rows := cursor.fetchmany(batch):
            yield rows
    result.close()


def list_revisions(connection: Connection) -> list[str]:
    """Return the revisions that the database states; none if it has no tables yet."""
    known = inspect(connection).has_table("alembic_version")
    return list(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars()) if known else []


def translate_error(error: Exception) -> Exception:
    """Return the storage's own error for one of the driver, or the same error if a statement was wrong.

    Its text is then shortened to its first line: PostgreSQL's DETAIL repeats the values of the row.
    """
    driver_error = error.orig if isinstance(error, DBAPIError) else None
    reason = find_driver_reason(driver_error or error)
    if reason is not None:
        return make_storage_error(reason)
    for one in (error, driver_error):
        if one is not None and one.args and isinstance(one.args[0], str):
            one.args = (one.args[0].split("\n", 1)[0], *one.args[1:])
    return error
