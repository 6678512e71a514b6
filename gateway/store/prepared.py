"""Statements that are compiled once and run by the driver itself, on both databases."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.sql import ClauseElement


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
