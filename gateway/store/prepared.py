"""Statements on the way of every report: written in SQLAlchemy Core, compiled once, run by the driver itself.

Core's own execution costs 10 to 30 microseconds a statement on top of SQLite's 3: a report has four of them, a walk
through the form some fifty.
Everything else in the store uses Core as it is.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.sql import ClauseElement


class PreparedStatement:
    """One statement whose parameters are all named `bindparam`s of plain types: numbers, text, bytes."""

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
