"""Adds an index that holds only some rows of a table, on SQLite and on PostgreSQL.

Not by `postgresql_where`: naming it loads the whole of that dialect, some 30 ms of the start of every process.
"""

from typing import Any

from sqlalchemy import Column, Index, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex

_WHERE = "rows_held"


def add_partial_index(name: str, *columns: Column[Any], where: str) -> None:
    """Add an index to the table of `columns`, of the rows for which `where`, an SQL condition of ours, is true."""
    Index(name, *columns, sqlite_where=text(where), info={_WHERE: where})


@compiles(CreateIndex, "postgresql")
def _spell_for_postgresql(create: CreateIndex, compiler: Any, **options: Any) -> str:
    spelled: str = compiler.visit_create_index(create, **options)
    where = create.element.info.get(_WHERE)
    return spelled if where is None else f"{spelled} WHERE {where}"
