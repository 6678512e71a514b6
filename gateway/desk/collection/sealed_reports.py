"""Finds the sealed report behind a case, however it came: through the gateway, or as a file. Never opens it."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from gateway.desk.store.evidence_tables import IMPORTED_REPORTS
from gateway.desk.store.schema import REPORTS
from partner_sdk.wire.canonical import parse_base64url, parse_exact
from partner_sdk.wire.intake import peek_intake
from partner_sdk.wire.statements import parse_statement
from partner_sdk.wire.submission import ClearFields, SubmissionStatement, clear_fields_of


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
                peek_intake(bytes(row.intake)).clear if table is REPORTS else _read_submission(bytes(row.submission))
            )
            return SealedReport(clear, bytes(row.envelope))
    return None


def _read_submission(raw: bytes) -> ClearFields:
    body = parse_base64url(parse_statement(raw).payload)
    return clear_fields_of(parse_exact(body, kind=SubmissionStatement, max_bytes=len(body)))
