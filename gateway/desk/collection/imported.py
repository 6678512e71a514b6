"""Reports that came as a file, when the same report comes through the gateway too: one case, with both references."""

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Connection, select, update

from gateway.desk import audit
from gateway.desk.collection.row_checks import VerifiedRow
from gateway.desk.store.evidence_tables import IMPORTED_REPORTS
from gateway.desk.store.schema import CASES, STAGES

ByReport = Mapping[tuple[str, str], bytes]


def find_imported(connection: Connection, report_ids: Collection[str]) -> ByReport:
    """Return, by partner and report id, the SHA-256 of the submission of each of these that came as a file."""
    rows = connection.execute(
        select(IMPORTED_REPORTS.c.partner, IMPORTED_REPORTS.c.report_id, IMPORTED_REPORTS.c.submission_sha256).where(
            IMPORTED_REPORTS.c.report_id.in_(report_ids)
        )
    )
    return {(row.partner, row.report_id): bytes(row.submission_sha256) for row in rows}


def list_imported_references(connection: Connection, references: Collection[str]) -> frozenset[str]:
    """Return those of these references that a report has which came as a file."""
    rows = connection.execute(select(IMPORTED_REPORTS.c.reference).where(IMPORTED_REPORTS.c.reference.in_(references)))
    return frozenset(rows.scalars())


def is_another(row: VerifiedRow, *, imported: ByReport) -> bool:
    """Return whether a file brought another submission under this row's id."""
    held = imported.get((row.intake.clear.partner, row.intake.clear.report_id))
    return held is not None and held != hashlib.sha256(row.submission_raw or b"").digest()


def link_to_case(connection: Connection, row: VerifiedRow, *, actor: str, now: datetime) -> None:
    """Note at the case that was filed from a file that its report came through the gateway now, under a reference too.

    What was told of it before did not reach the gateway, which did not know it: it is told again.
    """
    clear, reference = row.intake.clear, row.intake.reference
    case = (
        (CASES.c.environment == clear.environment)
        & (CASES.c.partner == clear.partner)
        & (CASES.c.report_id == clear.report_id)
    )
    connection.execute(update(CASES).where(case, CASES.c.reference != reference).values(other_reference=reference))
    same = (STAGES.c.partner == clear.partner) & (STAGES.c.report_id == clear.report_id)
    connection.execute(update(STAGES).where(same).values(sent_at=None))
    case_id = connection.execute(select(CASES.c.case_id).where(case)).scalar_one()
    audit.append_entry(
        connection, at=now, actor=actor, action="came-through-gateway-too", subject=case_id, detail={"as": reference}
    )
