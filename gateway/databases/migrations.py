"""Migrates the tables of a database, and moves all rows of an SQLite file to a PostgreSQL server.

A migration is one transaction of one process. Imported where it is used: Alembic takes 60 to 100 ms, and nearly every
start finds the current schema.

A move never changes the file, and lets no other process write to it until the move has ended. All of it is one
transaction at the server, so a move that ends early leaves nothing there and can be run again; one that was finished is
recognised, because each table is compared on both sides.
"""

import hashlib
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, Row, Table, create_engine, func, insert, inspect, select, text
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.pool import NullPool

from gateway.databases.database import Database, list_revisions, translate_error
from gateway.databases.failures import ADVICE_ON_SERVERS, StorageUnavailableError, UnknownSchemaError
from partner_sdk.errors import ReportAbuseError


def migrate(connection: Connection, *, database: Database, folder: Path) -> None:
    """Run the migrations in `folder` on an open connection. Raises `UnknownSchemaError`.

    All in one transaction, so that a half-migrated database cannot exist. Another process that migrates the same
    database waits for its turn, and then finds nothing to do.
    """
    script = open_scripts(folder)
    unknown = set(list_revisions(connection)) - {one.revision for one in script.walk_revisions()}
    connection.rollback()
    if unknown:
        raise UnknownSchemaError(unknown.pop())
    with EnvironmentContext(Config(), script, fn=lambda found, _: script._upgrade_revs("head", found)) as environment:
        # transactional_ddl stays off, because Alembic would commit the transaction begun here.
        environment.configure(connection=connection, transactional_ddl=False)
        database.begin_write(connection)
        environment.run_migrations()
        database.commit(connection)


def open_scripts(folder: Path) -> ScriptDirectory:
    """Return the migrations in a folder, as Alembic reads them."""
    return ScriptDirectory(str(folder), version_locations=[str(folder)])


BATCH_ROWS: Final = 200
_ADVANCE: Final = text("SELECT setval(pg_get_serial_sequence(:table, :column), :number)")


class MoveError(ReportAbuseError):
    """Rows cannot be moved to this server; nothing was changed there."""


@dataclass(slots=True)
class Tally:
    """The number of rows of one table, and a digest of them in any order."""

    rows: int = 0
    digest: int = 0

    def add(self, rows: Sequence[Row[Any]]) -> None:
        """Count these rows too."""
        for row in rows:
            self.rows += 1
            digest = hashlib.sha256(repr(tuple(row)).encode("utf-8", "surrogatepass")).digest()
            self.digest = (self.digest + int.from_bytes(digest)) % (1 << 256)


def move_rows(
    file: Path,
    target: Database,
    *,
    metadata: MetaData,
    revision: str,
    migrate: Callable[[], object],
    check: Callable[[Connection], object],
) -> dict[str, int]:
    """Copy the rows of every table, and return the number of each. Shows its progress on a terminal.

    `migrate` makes the tables in an empty database; `check` looks at the copied rows and raises if they are not whole.
    Raises `MoveError`; one of the file or the server has the reason of its storage, e.g. `unsafe`.
    """
    if target.has_one_writer:
        raise MoveError("Write the address of the server into the settings first (database_uri).", reason="no-server")
    if not file.is_file():
        raise MoveError(f"There is no {file}: nothing to move.", reason="no-file")
    with _named_errors(), _reading(file) as source:
        if list_revisions(source) != [revision]:
            raise MoveError(f"{file} is of another release: start this one with it first.", reason="schema")
        with target.engine.connect() as connection:
            target.check_safety(connection)
            target.lift_time_limit(connection)
            tables = set(inspect(connection).get_table_names())
            connection.rollback()
            if not tables:
                migrate()
            elif tables != {"alembic_version", *metadata.tables} or list_revisions(connection) != [revision]:
                raise MoveError("The database of database_uri has other tables: it must be empty.", reason="not-empty")
            connection.rollback()
            target.begin_write(connection)
            moved = _copy(source, connection, metadata.sorted_tables)
            check(connection)
            target.commit(connection)
    return {name: tally.rows for name, tally in moved.items()}


def _copy(source: Connection, target: Connection, tables: Sequence[Table]) -> dict[str, Tally]:
    """Copy every table, or only compare them if the target has rows already."""
    is_empty = all(target.execute(select(table).limit(1)).first() is None for table in tables)
    total = sum(source.execute(select(func.count()).select_from(table)).scalar_one() for table in tables)
    moved, done = {table.name: Tally() for table in tables}, 0
    for table in tables:
        for rows in _read(source, table):
            moved[table.name].add(rows)
            if is_empty:
                target.execute(insert(table), [dict(row._mapping) for row in rows])
            done += len(rows)
            _show(done, total)
        found = Tally()
        for rows in _read(target, table):
            found.add(rows)
        if found != moved[table.name]:
            if is_empty:
                raise MoveError(f"The rows of {table.name} differ from those of the file.", reason="differs")
            raise MoveError(
                "The database of database_uri has rows that are not those of the file: it must be empty.",
                reason="not-empty",
            )
        if is_empty:
            _advance_sequence(source, target, table)
    return moved


def _read(connection: Connection, table: Table) -> Iterator[Sequence[Row[Any]]]:
    yield from connection.execute(select(table).execution_options(yield_per=BATCH_ROWS)).partitions()


def _advance_sequence(source: Connection, target: Connection, table: Table) -> None:
    """Let the server count on from the highest number of the file, also where the row with it was deleted."""
    column = table.autoincrement_column
    if column is None:
        return
    highest = source.execute(select(func.max(column))).scalar_one() or 0
    if table.dialect_options["sqlite"]["autoincrement"]:
        query = "SELECT seq FROM sqlite_sequence WHERE name = ?"
        highest = max(highest, source.exec_driver_sql(query, (table.name,)).scalar_one_or_none() or 0)
    if highest:
        target.execute(_ADVANCE, {"table": table.name, "column": column.name, "number": highest})


@contextmanager
def _reading(file: Path) -> Iterator[Connection]:
    """Give a connection that cannot change the file, while no other can: not even its log is emptied.

    Raises `MoveError` (`in-use`) if another process is writing.
    """
    address = f"file:{quote(str(file.absolute()))}?mode="
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(f"{address}ro", uri=True), poolclass=NullPool, hide_parameters=True
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA schema_version")  # opens the log; the last to close it would empty it
        with closing(sqlite3.connect(f"{address}rw", uri=True, isolation_level=None)) as writer:
            try:
                writer.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                raise MoveError(
                    f"{file} is being written to: stop every process that uses it.", reason="in-use"
                ) from None
            yield connection
            writer.rollback()


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, StorageUnavailableError) as error:
        found = error if isinstance(error, StorageUnavailableError) else translate_error(error)
        if isinstance(found, StorageUnavailableError):
            advice = ADVICE_ON_SERVERS.get(found.reason, "")
            raise MoveError(f"{found} {advice}".rstrip(), reason=found.reason) from None
        if not isinstance(found, DataError):
            raise
        # Not the driver's text, which could repeat a value.
        raise MoveError(
            "PostgreSQL refuses a row of the file, e.g. for text with a zero byte.", reason="refused"
        ) from None


def _show(done: int, total: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done} of {total} rows" + ("\n" if done == total else ""))
        sys.stderr.flush()
