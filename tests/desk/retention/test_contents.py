"""Everything that the desk keeps of a case is on one list, so that a destruction forgets none of it."""

from sqlalchemy import Table

from gateway.databases.columns import SealedBytes
from gateway.desk.retention.lists import BOXES, ROWS
from gateway.desk.store.schema import EVIDENCE, METADATA, NAMED_EVIDENCE

# Tables about cases that hold codes, days and hashes only.
CODES = {
    "cases",
    "chain_links",
    "destroyed_cases",
    "outcome_signals",
    "stages",
}


def names_case(table: Table) -> bool:
    return bool({"case_id", "report_id"} & {column.name for column in table.columns})


def test_every_table_about_cases_is_on_the_list_or_holds_codes_alone() -> None:
    listed = {boxes.table.name for boxes in BOXES} | {table.name for table in (*ROWS, EVIDENCE, NAMED_EVIDENCE)}
    about = {table.name for table in METADATA.tables.values() if names_case(table)}
    assert len(about) >= 12
    assert about - listed <= CODES


def test_every_sealed_column_of_a_listed_table_is_counted_and_emptied() -> None:
    for boxes in BOXES:
        sealed = {column.name for column in boxes.table.columns if isinstance(column.type, SealedBytes)}
        assert set(boxes.emptied) == sealed, boxes.table.name
