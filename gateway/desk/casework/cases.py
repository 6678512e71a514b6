"""Cases: listed, opened to be read, assessed by a named person, closed with what digests are made of.

Never keeps what was read: the content goes to the caller and stays in its envelope here. Never closes by itself.
"""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, case, select, update

from gateway.desk import audit
from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.partnership import stages
from gateway.desk.replying.reply_post import Recipient, queue_read_note
from gateway.desk.store.schema import CASES, REPORTS
from gateway.desk.wiring import Desk
from partner_sdk.canonical import format_time
from partner_sdk.envelope import Envelope
from partner_sdk.errors import ReportAbuseError
from partner_sdk.intake import peek_intake
from partner_sdk.public_report import PublicReport, parse_public_report
from partner_sdk.report import parse_sealed_report
from partner_sdk.submission import PUBLIC_SENDER, report_context

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


@dataclass(frozen=True, slots=True)
class OpenedCase:
    """A case with what was said in it. The content is for the eyes of the reader: never store or log it."""

    case: CaseRow
    content: SealedContent


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


def open_case(desk: Desk, wanted: str, *, actor: str) -> OpenedCase:
    """Open the envelope of a case for a person to read; the first time is noted, and told to whom it may be told.

    Raises `CaseError` (`unknown-case`, `synthetic`), `OpeningError` when its key is gone.
    """
    now = desk.clock()
    with desk.store.read() as connection:
        found = get_case(connection, wanted)
    content = open_report(desk, found)
    with desk.store.write() as connection:
        first_time = connection.execute(
            update(CASES)
            .where(CASES.c.case_id == found.case_id, CASES.c.opened_at.is_(None))
            .values(opened_at=format_time(now))
        ).rowcount
        audit.append_entry(connection, at=now, actor=actor, action="open-case", subject=found.case_id)
        if first_time:
            stages.queue_stage(connection, partner=found.partner, report_id=found.report_id, outcome=None, now=now)
            recipient = find_recipient(found, content)
            # That an addition was read says nothing about the report that it adds to.
            if recipient is not None and recipient.reference == found.reference:
                queue_read_note(desk, connection, recipient, actor=actor, now=now)
        return OpenedCase(case=get_case(connection, found.case_id), content=content)


def open_report(desk: Desk, found: CaseRow) -> SealedContent:
    """Open the envelope of a case without noting who reads it: whoever calls this has that to do.

    Raises `CaseError` (`synthetic`), `OpeningError` when its key is gone.
    """
    with desk.store.read() as connection:
        report = connection.execute(
            select(REPORTS).where(
                REPORTS.c.environment == found.environment,
                REPORTS.c.partner == found.partner,
                REPORTS.c.report_id == found.report_id,
            )
        ).first()
    if report is None:
        raise CaseError("This is a marked synthetic case: there is no report behind it to read.", reason="synthetic")
    clear = peek_intake(bytes(report.intake)).clear  # verified when it was collected
    plain = desk.load_vault().open_report(Envelope.parse(bytes(report.envelope)), context=report_context(clear))
    return parse_public_report(plain) if report.partner == PUBLIC_SENDER else parse_sealed_report(plain)


def find_recipient(found: CaseRow, content: SealedContent) -> Recipient | None:
    """Return who is written to through the return code, or None where the report has none.

    What was added later carries the code of the first report: the person comes back with the first one's reference.
    """
    if not isinstance(content, PublicReport) or content.reply_key is None:
        return None
    reference = content.clear.earlier_reference or found.reference
    return Recipient(case_id=found.case_id, reference=reference, reply_key=content.reply_key)


def _to_case(row: Row[Any]) -> CaseRow:
    return CaseRow(**row._mapping)
