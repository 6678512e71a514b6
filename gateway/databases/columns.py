"""Columns, indexes and compiled statements that mean the same on SQLite and PostgreSQL."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    TextClause,
    TypeDecorator,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.functions import GenericFunction

# SQLite makes a key its row id only if the type is exactly INTEGER, which holds 64 bits there and 32 on PostgreSQL.
Number: Final = BigInteger().with_variant(Integer, "sqlite")
# SQLite compares text by its bytes; PostgreSQL would use the language of the database.
PlainText: Final = Text().with_variant(Text(collation="C"), "postgresql")

_WHERE: Final = "rows_held"
DIGEST_BYTES: Final = 32


class SealedBytes(TypeDecorator[bytes]):
    """A sealed box, stored with its SHA-256 behind it, so that a changed byte shows without a key (`is_sound`).

    Empty bytes stay empty. A read takes the digest off and does not compare it: a box that is opened proves itself.
    """

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: object) -> bytes | None:
        """Add the digest."""
        return value + hashlib.sha256(value).digest() if value else value

    def process_result_value(self, value: Any, dialect: object) -> bytes | None:
        """Take the digest off."""
        return None if value is None else bytes(value[:-DIGEST_BYTES])


def is_sound(stored: bytes | None) -> bool:
    """Return whether the raw bytes of a `SealedBytes` column are those that were stored."""
    return not stored or hashlib.sha256(stored[:-DIGEST_BYTES]).digest() == bytes(stored[-DIGEST_BYTES:])


class FindBytes(GenericFunction[int]):
    """The place of the second bytes in the first, from 1, or 0: SQLite calls it `instr`, PostgreSQL `position`."""

    name = "instr"
    identifier = "find_bytes"
    type = Integer()
    inherit_cache = True


@compiles(FindBytes, "postgresql")
def _format_position(found: FindBytes, compiler: Any, **options: Any) -> str:
    within, sought = (compiler.process(one, **options) for one in found.clauses)
    return f"position({sought} IN {within})"


def add_partial_index(name: str, *columns: ColumnElement[Any], where: str | ColumnElement[bool]) -> None:
    """Add a partial index to the table of `columns`, for rows where `where` is true, on SQLite and PostgreSQL.

    Never pass a condition from outside: it becomes part of a statement unescaped. Give a condition on a Boolean as an
    expression, e.g. `CASES.c.crisis == true()`: SQLite spells it `crisis = 1`.
    """
    condition = text(where) if isinstance(where, str) else where
    Index(name, *columns, sqlite_where=condition, info={_WHERE: condition})


def insert_new(table: Table, *names: str) -> TextClause:
    """Return the INSERT of these columns that leaves out a row whose key is there.

    Text, because Core has ON CONFLICT only by dialect, and PostgreSQL's adds 26 ms to the start of a process.
    """
    values = ", ".join(f":{table.c[name].name}" for name in names)
    return text(f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({values}) ON CONFLICT DO NOTHING")  # noqa: S608 - our own names


# Not `postgresql_where`, which loads the whole dialect and adds about 30 ms to the start of every process. Instead this
# file replaces SQLAlchemy's CREATE INDEX for PostgreSQL, in every process that imports it: other indexes keep
# SQLAlchemy's text, and those added here get a WHERE after it. tests/gateway/store/test_partial_indexes.py compares
# both with SQLAlchemy's own.
@compiles(CreateIndex, "postgresql")
def _format_for_postgresql(create: CreateIndex, compiler: Any, **options: Any) -> str:
    formatted: str = compiler.visit_create_index(create, **options)
    where = create.element.info.get(_WHERE)
    if where is None:
        return formatted
    return f"{formatted} WHERE {compiler.sql_compiler.process(where, include_table=False, literal_binds=True)}"


class PreparedStatement:
    """A SQLAlchemy Core statement, compiled once and run by the driver itself.

    All parameters are named `bindparam`s of plain types: numbers, text, bytes. Core's own execution adds 10 to 30
    microseconds to SQLite's 3 for each statement; a report has four of them, a walk through the form about fifty. Rare
    statements use Core.
    """

    __slots__ = ("_compiled", "_statement")

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        # By dialect: SQL text and the order of its parameters.
        self._compiled: dict[str, tuple[str, tuple[str, ...] | None]] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Run the statement in the connection's transaction and return the driver's cursor (PEP 249)."""
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
