"""The database engine: how a connection is opened, how its transactions begin, and statements that skip its overhead.

Never creates a database file: a missing file is a failure to report, not a reason to start an empty store.
"""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.sql import ClauseElement

# One row per setting: the reason is part of the table. https://www.sqlite.org/pragma.html
SQLITE_PRAGMAS = (
    ("journal_mode", "WAL", "readers never wait for the writer"),
    ("synchronous", "FULL", "a commit returns after the write-ahead log is on the disk: a receipt is a promise"),
    ("secure_delete", "ON", "what is deleted is overwritten, not only unlinked"),
    ("temp_store", "MEMORY", "no temporary file ever carries a row"),
    ("foreign_keys", "ON", "SQLite leaves them off by default"),
    ("trusted_schema", "OFF", "a file altered by hand must not run functions"),
)


def make_sqlite_engine(path: Path, *, busy_timeout_seconds: float) -> Engine:
    """Build an engine over an existing SQLite file; nothing is opened yet."""
    address = f"file:{quote(str(path.absolute()))}?mode=rw"

    def open_connection() -> sqlite3.Connection:
        # isolation_level=None: the driver begins no transaction behind our back; begin_write and begin_read do.
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

    # The store keeps its connections open by itself, so a pool would only add its own bookkeeping to every commit.
    # hide_parameters: an error text must not repeat what was bound.
    return create_engine("sqlite://", creator=open_connection, poolclass=NullPool, hide_parameters=True)


def begin_write(connection: Connection) -> None:
    """Begin a transaction that already holds the right to write, so that it cannot fail half-way as a deadlock."""
    connection.begin()
    if connection.dialect.name == "sqlite":
        # By the driver: Core's own execution would cost more than the statement.
        connection.connection.cursor().execute("BEGIN IMMEDIATE")


def begin_read(connection: Connection) -> None:
    """Begin a transaction that sees one state of the database throughout."""
    connection.begin()
    if connection.dialect.name == "sqlite":
        connection.connection.cursor().execute("BEGIN")


class PreparedStatement:
    """One statement in SQLAlchemy Core, compiled once, and run by the driver itself.

    Its parameters are all named `bindparam`s of plain types: numbers, text, bytes. Core's own execution costs 10 to 30
    microseconds a statement on top of SQLite's 3: a report has four of them, a walk through the form some fifty. What
    runs more seldom uses Core as it is.
    """

    __slots__ = ("_compiled", "_statement")

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, tuple[str, ...] | None]] = {}  # by dialect: text and order of parameters

    def run(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Run it in the connection's transaction and return the driver's cursor (PEP 249)."""
        text, order = self._compiled.get(connection.dialect.name) or self._compile(connection)
        cursor = connection.connection.cursor()
        cursor.execute(text, values if order is None else tuple([values[name] for name in order]))
        return cursor

    def _compile(self, connection: Connection) -> tuple[str, tuple[str, ...] | None]:
        compiled = self._statement.compile(dialect=connection.dialect)
        order: list[str] | None = getattr(compiled, "positiontup", None)
        result = (str(compiled), None if order is None else tuple(order))
        self._compiled[connection.dialect.name] = result
        return result
