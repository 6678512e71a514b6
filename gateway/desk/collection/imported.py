"""Reports that came as a file, when the same report comes through the gateway too: one case, with both references."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from gateway.desk import audit
from gateway.desk.collection.joining import settle_case
from gateway.desk.collection.row_checks import VerifiedRow
from gateway.desk.collection.stage_queue import queue_stage_again
from gateway.desk.outbox.alerts import queue_alert
from gateway.desk.store.evidence_tables import IMPORTED_REPORTS
from gateway.desk.store.schema import CASES
from partner_sdk.wire.statements import parse_statement
from partner_sdk.wire.submission import ClearFields, clear_fields_of, peek_submission


@dataclass(frozen=True, slots=True)
class ImportedReport:
    """What is kept of a report that came as a file: whose word it is and which box, whatever key signed it."""

    clear: ClearFields
    envelope_sha256: bytes


ByReport = Mapping[tuple[str, str], ImportedReport]


def list_imported(connection: Connection, report_ids: Collection[str]) -> ByReport:
    """Return, by partner and report id, each of these that came as a file."""
    columns = (IMPORTED_REPORTS.c.submission, IMPORTED_REPORTS.c.envelope)
    rows = connection.execute(
        select(IMPORTED_REPORTS.c.partner, IMPORTED_REPORTS.c.report_id, *columns).where(
            IMPORTED_REPORTS.c.report_id.in_(report_ids)
        )
    )
    return {
        (row.partner, row.report_id): ImportedReport(
            clear=read_clear_fields(bytes(row.submission)),
            envelope_sha256=hashlib.sha256(row.envelope).digest(),
        )
        for row in rows
    }


def read_clear_fields(submission_raw: bytes) -> ClearFields:
    """Return the clear fields of a stored submission that was verified before; raises `FormatError`."""
    return clear_fields_of(peek_submission(parse_statement(submission_raw)))


def list_imported_references(connection: Connection, references: Collection[str]) -> frozenset[str]:
    """Return those of these references that a report has which came as a file."""
    rows = connection.execute(select(IMPORTED_REPORTS.c.reference).where(IMPORTED_REPORTS.c.reference.in_(references)))
    return frozenset(rows.scalars())


def is_another(row: VerifiedRow, *, imported: ByReport) -> bool:
    """Return whether a file brought another report under this row's id.

    The same box with the same clear fields is the same report. Its signature may be another: a partner that changed
    its key signs anew what lies in its spool. Both were checked, each by a key that was the partner's.
    """
    clear = row.intake.clear
    held = imported.get((clear.partner, clear.report_id))
    return held is not None and held != ImportedReport(clear, bytes.fromhex(row.intake.envelope_sha256))


def link_to_case(connection: Connection, row: VerifiedRow, *, actor: str, now: datetime) -> None:
    """Note at the case that was filed from a file that its report came through the gateway now, under a reference too.

    What was told of it before did not reach the gateway, which did not know it: it is told again.
    What was added under that reference meanwhile is joined to the case now.
    """
    clear, reference = row.intake.clear, row.intake.reference
    case = (
        (CASES.c.environment == clear.environment)
        & (CASES.c.partner == clear.partner)
        & (CASES.c.report_id == clear.report_id)
    )
    connection.execute(update(CASES).where(case, CASES.c.reference != reference).values(other_reference=reference))
    queue_stage_again(connection, partner=clear.partner, report_id=clear.report_id, now=now)
    case_id = connection.execute(select(CASES.c.case_id).where(case)).scalar_one()
    raised = settle_case(connection, case_id, now=now)
    queue_alert(connection, count=len(raised), now=now)
    audit.append_entry(connection, "came-through-gateway-too", case_id, at=now, actor=actor, **{"as": reference})
