"""Adds an index that holds only some rows of a table, on SQLite and on PostgreSQL.

Not by `postgresql_where`: naming it loads the whole of that dialect, some 30 ms of the start of every process. In its
place this file replaces how SQLAlchemy spells every CREATE INDEX for PostgreSQL, in every process that imports it: an
index that was not added here keeps SQLAlchemy's own words, and one that was gets a WHERE behind them.
tests/gateway/test_partial_indexes.py holds both against SQLAlchemy's own spelling.

Never takes a condition from outside: it is SQL, and becomes a part of a statement as it is. Only the files of our own
tables name one, and that test reads them.
"""

from typing import Any

from sqlalchemy import Column, Index, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex

_WHERE = "rows_held"


def add_partial_index(name: str, *columns: Column[Any], where: str) -> None:
    """Add an index to the table of `columns`, of the rows for which `where` is true: SQL of our own code."""
    Index(name, *columns, sqlite_where=text(where), info={_WHERE: where})


@compiles(CreateIndex, "postgresql")
def _spell_for_postgresql(create: CreateIndex, compiler: Any, **options: Any) -> str:
    spelled: str = compiler.visit_create_index(create, **options)
    where = create.element.info.get(_WHERE)
    return spelled if where is None else " WHERE ".join((spelled, where))
