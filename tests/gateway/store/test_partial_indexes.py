"""A partial index has the SQL for PostgreSQL that SQLAlchemy itself would write, from SQL in our own code."""

import ast

from sqlalchemy import Column, Index, Integer, MetaData, Table, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex

from gateway.databases.columns import add_partial_index
from tests.house.sources import files, module_of

CONDITION = "done_at IS NULL"


def make_table() -> Table:
    return Table("things", MetaData(), Column("thing_id", Integer), Column("done_at", Integer))


def spell(index: Index, *, dialect: type[sqlite.dialect] | type[postgresql.dialect]) -> str:
    return str(CreateIndex(index).compile(dialect=dialect()))


def test_partial_index_is_spelled_as_sqlalchemy_spells_one_that_names_both_databases() -> None:
    ours, plain = make_table(), make_table()
    add_partial_index("waiting", ours.c.thing_id, ours.c.done_at, where=CONDITION)
    condition = text(CONDITION)
    Index("waiting", plain.c.thing_id, plain.c.done_at, sqlite_where=condition, postgresql_where=condition)
    ((own,), (named,)) = (ours.indexes, plain.indexes)
    for dialect in (sqlite.dialect, postgresql.dialect):
        assert spell(own, dialect=dialect) == spell(named, dialect=dialect)
        assert spell(own, dialect=dialect).endswith(f" WHERE {CONDITION}")


def test_index_of_every_row_keeps_the_words_of_sqlalchemy() -> None:
    table = make_table()
    index = Index("all_things", table.c.thing_id, unique=True)
    for dialect in (sqlite.dialect, postgresql.dialect):
        assert spell(index, dialect=dialect) == "CREATE UNIQUE INDEX all_things ON things (thing_id)"


def list_conditions(source: ast.Module) -> list[ast.expr]:
    """Return the condition in each call of a file: a name is followed to its definition."""
    named = {
        target.id: line.value
        for line in source.body
        if isinstance(line, ast.Assign | ast.AnnAssign) and line.value is not None
        for target in (line.targets if isinstance(line, ast.Assign) else [line.target])
        if isinstance(target, ast.Name)
    }
    given = [
        word.value
        for call in ast.walk(source)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == add_partial_index.__name__
        for word in call.keywords
        if word.arg == "where"
    ]
    return [named[one.id] if isinstance(one, ast.Name) else one for one in given]


def test_condition_of_every_partial_index_is_a_text_in_the_file_of_its_table() -> None:
    sources = {module_of(path): path.read_text(encoding="utf-8") for path in files(".py", below=("gateway",))}
    callers = {
        module: list_conditions(ast.parse(source))
        for module, source in sources.items()
        if f"{add_partial_index.__name__}(" in source and module != add_partial_index.__module__
    }
    assert {"gateway.store.schema", "gateway.desk.store.schema"} == set(callers)
    assert len(callers["gateway.store.schema"]) >= 8
    assert [ast.unparse(one) for one in callers["gateway.store.schema"] if not isinstance(one, ast.Constant)] == []
    # Those of the desk are expressions of columns, truth and NULL.
    of_desk = [word for one in callers["gateway.desk.store.schema"] for word in ast.walk(one)]
    assert len(of_desk) >= 30
    assert {one.id for one in of_desk if isinstance(one, ast.Name)} <= {
        *("CASES", "CHAIN_LINKS", "QUARANTINE", "true", "false", "_IN_CRISIS"),
    }
    assert {one.value for one in of_desk if isinstance(one, ast.Constant)} == {None}
