"""Cases as lists show them: found, listed by risk, and what each adds to; codes and times only.

Never opens a report: that is opening.py.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, case, select

from gateway.desk.store.schema import CASES, REPORTS
from partner_sdk.errors import ReportAbuseError

CaseState = Literal["open", "closed", "all"]


class CaseError(ReportAbuseError):
    """A case is not there, or can not be changed in this way; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One case as lists show it: codes and times only."""

    case_id: str
    environment: str
    partner: str
    provider: str | None
    report_id: str
    reference: str
    door: str
    placement: str | None
    priority: str
    received_at: str
    collected_at: str
    opened_at: str | None
    closed_at: str | None
    danger: bool
    reply_owed: bool
    reply_code: str | None
    reply_reason: str | None
    reply_recorded_at: str | None
    assessor: str | None
    immediate_risk: str | None
    urgent: str | None
    urgent_dissemination: str | None
    best_placed: str | None
    kind: str | None
    age_band: str | None
    outcome: str | None
    weakness_1: str | None
    weakness_2: str | None
    cluster_id: str | None
    synthetic: bool
    reply_by: str | None
    region: str | None
    country: str | None
    has_reply_key: bool
    flagged: bool
    redirected_to: str | None
    meeting_soon: bool


def list_cases(connection: Connection, *, state: CaseState = "open") -> list[CaseRow]:
    """Return cases by risk, then by clock: danger first, then priority, then the oldest."""
    query: Select[Any] = select(CASES).order_by(
        case((CASES.c.danger, 0), else_=1), CASES.c.priority, CASES.c.received_at, CASES.c.case_id
    )
    if state != "all":
        query = query.where(CASES.c.closed_at.is_(None) if state == "open" else CASES.c.closed_at.is_not(None))
    return [_to_case(row) for row in connection.execute(query)]


def get_case(connection: Connection, wanted: str) -> CaseRow:
    """Return the case with this case id or reference, or raise `CaseError` (`unknown-case`)."""
    row = connection.execute(select(CASES).where((CASES.c.case_id == wanted) | (CASES.c.reference == wanted))).first()
    if row is None:
        raise CaseError(
            "There is no case with this id or reference. `case list --all` shows them.", reason="unknown-case"
        )
    return _to_case(row)


def find_earlier(connection: Connection, found: CaseRow) -> CaseRow | None:
    """Return the case that a supplement adds to, or None: its sender's own alone."""
    reference = connection.execute(
        select(REPORTS.c.earlier_reference).where(
            REPORTS.c.environment == found.environment,
            REPORTS.c.partner == found.partner,
            REPORTS.c.report_id == found.report_id,
        )
    ).scalar()
    if reference is None:
        return None
    row = connection.execute(
        select(CASES).where(CASES.c.partner == found.partner, CASES.c.reference == reference)
    ).first()
    return None if row is None else _to_case(row)


def get_references(connection: Connection, case_ids: Collection[str]) -> dict[str, str]:
    """Return the reference of each of these cases, by case id."""
    rows = connection.execute(select(CASES.c.case_id, CASES.c.reference).where(CASES.c.case_id.in_(case_ids)))
    return {row.case_id: row.reference for row in rows}


def _to_case(row: Row[Any]) -> CaseRow:
    return CaseRow(**row._mapping)
