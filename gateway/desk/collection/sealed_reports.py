"""Finds the sealed report behind a case, however it came: through the gateway, or as a file. Never opens it."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from gateway.desk.store.evidence_tables import IMPORTED_REPORTS
from gateway.desk.store.schema import REPORTS
from partner_sdk.wire.intake import peek_intake
from partner_sdk.wire.statements import parse_statement
from partner_sdk.wire.submission import ClearFields, clear_fields_of, peek_submission


@dataclass(frozen=True, slots=True)
class SealedReport:
    """An envelope and the clear fields that it is sealed under, both verified when the desk took them in."""

    clear: ClearFields
    envelope: bytes


def find_sealed_report(
    connection: Connection, *, environment: str, partner: str, report_id: str
) -> SealedReport | None:
    """Return the sealed report of this sender and id, or None where there is none, as for a synthetic case."""
    for table in (REPORTS, IMPORTED_REPORTS):
        row = connection.execute(
            select(table).where(
                table.c.environment == environment, table.c.partner == partner, table.c.report_id == report_id
            )
        ).first()
        if row is not None:
            clear = (
                peek_intake(bytes(row.intake)).clear
                if table is REPORTS
                else clear_fields_of(peek_submission(parse_statement(bytes(row.submission))))
            )
            return SealedReport(clear, bytes(row.envelope))
    return None


def list_sealed_sizes(
    connection: Connection, *, environment: str, partner: str, report_ids: Collection[str]
) -> dict[str, int]:
    """Return by report id how many bytes the envelopes of these reports have; what is not here is not in it."""
    sizes: dict[str, int] = {}
    for table in (IMPORTED_REPORTS, REPORTS):
        rows = connection.execute(
            select(table.c.report_id, func.length(table.c.envelope).label("size")).where(
                table.c.environment == environment, table.c.partner == partner, table.c.report_id.in_(report_ids)
            )
        )
        sizes |= {row.report_id: row.size for row in rows}
    return sizes
