"""Everything that the desk keeps of a case, once: a destruction counts and empties it, and a restore empties it again.

A new table with boxes, rows or files of a case gets its line here (tests/desk/retention/test_contents.py). The row of
the case stays with its codes, days and hashes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, or_, select, update

from gateway.desk.actions.model import end_open_actions
from gateway.desk.cases.model import CaseRow
from gateway.desk.outbox.queue import drop
from gateway.desk.store.agency_tables import MAILBOX_MESSAGES, NOTES, REPLY_MESSAGES
from gateway.desk.store.schema import (
    CASE_ACTIONS,
    CASE_IDENTIFIERS,
    CASE_STEPS,
    CASES,
    EVIDENCE,
    IMPORTED_REPORTS,
    NAMED_EVIDENCE,
    PAGE_CONTEXTS,
    REPORTS,
    SET_ASIDE,
    THREAD_ENTRIES,
)

# The columns of a case that say more about a person than codes do.
_FORGOTTEN: Final = {"reply_key_sha256": None, "has_reply_key": False, "holder": None}
# A request to wipe it is done by this.
_ANSWERED: Final = {"requests": "", "request_due": None}


@dataclass(frozen=True, slots=True)
class Boxes:
    """Sealed columns of a table, each with its value once it is emptied; `of_report` picks the rows of one report."""

    table: Table
    of_report: Callable[[CaseRow], ColumnElement[bool]]
    emptied: Mapping[str, bytes | None]
    is_emptied: bool = True


def _of_report(table: Table) -> Callable[[CaseRow], ColumnElement[bool]]:
    names = ("environment", "partner", "report_id")
    return lambda report: and_(*(table.c[name] == getattr(report, name) for name in names))


def _of_case(table: Table) -> Callable[[CaseRow], ColumnElement[bool]]:
    return lambda report: table.c.case_id == report.case_id


def _of_aside(report: CaseRow) -> ColumnElement[bool]:
    """Return the condition of rows that were set aside as this report and resolved since: its bytes once more."""
    return and_(
        SET_ASIDE.c.claimed_partner == report.partner,
        SET_ASIDE.c.claimed_report_id == report.report_id,
        SET_ASIDE.c.resolved_at.is_not(None),
    )


def _of_thread(report: CaseRow) -> ColumnElement[bool]:
    of_case = CASE_ACTIONS.c.case_id == report.case_id
    return THREAD_ENTRIES.c.action_id.in_(select(CASE_ACTIONS.c.action_id).where(of_case))


BOXES: Final = (
    Boxes(REPORTS, _of_report(REPORTS), {"envelope": b""}),
    Boxes(IMPORTED_REPORTS, _of_report(IMPORTED_REPORTS), {"envelope": b""}),
    Boxes(SET_ASIDE, _of_aside, {"row": b""}),
    # Steps are only ever added; the vault's key was the only way into these boxes.
    Boxes(CASE_STEPS, _of_case(CASE_STEPS), {"box": None}, is_emptied=False),
    Boxes(REPLY_MESSAGES, _of_case(REPLY_MESSAGES), {"envelope": b"", "desk_copy": None}),
    Boxes(MAILBOX_MESSAGES, _of_case(MAILBOX_MESSAGES), {"envelope": b"", "desk_copy": None}),
    Boxes(CASE_ACTIONS, _of_case(CASE_ACTIONS), {"box": b""}),
    Boxes(THREAD_ENTRIES, _of_thread, {"box": b""}),
)
# Rows that go whole.
ROWS: Final = (CASE_IDENTIFIERS, PAGE_CONTEXTS, NOTES)


def count_contents(connection: Connection, reports: Sequence[CaseRow]) -> dict[str, int]:
    """Return how many boxes, rows and files these reports have, and the bytes of boxes and files."""
    rows = row_bytes = 0
    for boxes in BOXES:
        mine = or_(*(boxes.of_report(report) for report in reports))
        for name in boxes.emptied:
            column = boxes.table.c[name]
            counted = select(func.count(column), func.coalesce(func.sum(func.length(column)), 0)).where(mine)
            count, size = connection.execute(counted).one()
            rows, row_bytes = rows + count, row_bytes + size
    for table in ROWS:
        of_cases = table.c.case_id.in_([report.case_id for report in reports])
        rows += connection.execute(select(func.count()).select_from(table).where(of_cases)).scalar_one()
    files = file_bytes = 0
    for partner, evidence_id in list_files(connection, reports):
        held = (EVIDENCE.c.partner == partner) & (EVIDENCE.c.evidence_id == evidence_id)
        size = connection.execute(select(EVIDENCE.c.size_bytes).where(held)).scalar()
        files, file_bytes = files + (size is not None), file_bytes + (size or 0)
    return {"rows": int(rows), "row_bytes": int(row_bytes), "files": files, "file_bytes": int(file_bytes)}


def empty_report(connection: Connection, report: CaseRow, *, at: str) -> None:
    """Take the content of one report, and all that hangs on it, out of the database; what waits to be sent ends."""
    for boxes in BOXES:
        if boxes.is_emptied:
            connection.execute(update(boxes.table).where(boxes.of_report(report)).values(**boxes.emptied))
    for table in ROWS:
        connection.execute(delete(table).where(table.c.case_id == report.case_id))
    end_open_actions(connection, report.case_id, at=at)
    drop(connection, "note", [report.case_id])
    values = {"destroyed_at": at, **_FORGOTTEN, **_ANSWERED}
    connection.execute(update(CASES).where(CASES.c.case_id == report.case_id).values(**values))


def list_digests(connection: Connection, reports: Sequence[CaseRow]) -> tuple[str, ...]:
    """Return the digests of the reports' envelopes, each once and sorted."""
    found = set()
    for table in (REPORTS, IMPORTED_REPORTS):
        for report in reports:
            digests = select(table.c.envelope_sha256).where(_of_report(table)(report))
            found |= {bytes(one).hex() for one in connection.execute(digests).scalars()}
    return tuple(sorted(found))


def list_files(connection: Connection, reports: Sequence[CaseRow]) -> list[tuple[str, str]]:
    """Return the files that these reports name and no other case with content does, by partner and id."""
    mine = {one.case_id for one in reports}
    other = NAMED_EVIDENCE.alias("other")
    of_case = and_(CASES.c.partner == other.c.partner, CASES.c.report_id == other.c.report_id)
    files = []
    for report in reports:
        named = select(NAMED_EVIDENCE.c.evidence_id).where(
            NAMED_EVIDENCE.c.partner == report.partner, NAMED_EVIDENCE.c.report_id == report.report_id
        )
        for evidence_id in connection.execute(named).scalars().all():
            others = (
                select(CASES.c.case_id)
                .select_from(other.join(CASES, of_case))
                .where(
                    other.c.partner == report.partner,
                    other.c.evidence_id == evidence_id,
                    CASES.c.destroyed_at.is_(None),
                    CASES.c.case_id.not_in(mine),
                )
            )
            if connection.execute(others.limit(1)).first() is None:
                files.append((report.partner, evidence_id))
    return list(dict.fromkeys(files))


def forget_files(connection: Connection, reports: Sequence[CaseRow]) -> None:
    """Forget the names of the files that went with these reports."""
    for partner, evidence_id in list_files(connection, reports):
        held = (EVIDENCE.c.partner == partner) & (EVIDENCE.c.evidence_id == evidence_id)
        connection.execute(delete(EVIDENCE).where(held))
    for report in reports:
        named = (NAMED_EVIDENCE.c.partner == report.partner) & (NAMED_EVIDENCE.c.report_id == report.report_id)
        connection.execute(delete(NAMED_EVIDENCE).where(named))
