"""Cases: one for each report, opened to be read, assessed by a named person, closed with what digests are made of.

Never keeps what was read: the content goes to the caller and stays in its envelope here. Never closes by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, Select, case, insert, select, update

from gateway.desk import audit, stages
from gateway.desk.case_codes import (
    AGE_BANDS,
    BEST_PLACED,
    KINDS,
    MOST_WEAKNESSES,
    NO_SAFE_CONTACT,
    OUTCOMES,
    REPLY_CODES,
    WEAKNESSES,
    YES_NO,
)
from gateway.desk.row_checks import SealedContent, VerifiedRow
from gateway.desk.store.schema import CASES, PARTNERS, REPORTS
from gateway.desk.wiring import Desk
from partner_sdk.canonical import format_time
from partner_sdk.envelope import Envelope
from partner_sdk.errors import ReportAbuseError
from partner_sdk.intake import peek_intake
from partner_sdk.placement import find_owner
from partner_sdk.public_report import PublicReport, parse_public_report
from partner_sdk.report import parse_sealed_report
from partner_sdk.submission import PUBLIC_SENDER, ClearFields, report_context

CaseState = Literal["open", "closed", "all"]

MAX_REASON_CHARACTERS: Final = 300
# Who gets an answer: everyone who did not say that they are grown up (R3, R23).
_GROWN_UP: Final = "no"


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


@dataclass(frozen=True, slots=True)
class OpenedCase:
    """A case with what was said in it. The content is for the eyes of the reader: never store or log it."""

    case: CaseRow
    content: SealedContent


@dataclass(frozen=True, slots=True)
class Assessment:
    """The four explicit answers and who gave them (R15, R16)."""

    assessor: str
    immediate_risk: str
    urgent: str
    urgent_dissemination: str
    best_placed: str


@dataclass(frozen=True, slots=True)
class Closing:
    """What closing asks for.

    `cluster_id` is the id or reference of another case about the same person or incident, which this one is joined to.
    """

    assessment: Assessment
    outcome: str
    kind: str
    age_band: str
    weaknesses: tuple[str, ...] = ()
    cluster_id: str | None = None


def file_cases(connection: Connection, rows: Sequence[VerifiedRow], *, case_ids: Sequence[str], now: datetime) -> None:
    """Make a case for each verified report, in the transaction that stores the reports."""
    partners = _list_partner_ids(connection)
    values = [
        _make_case(connection, row, case_id=case_id, partners=partners, now=now)
        for row, case_id in zip(rows, case_ids, strict=True)
    ]
    if values:
        connection.execute(insert(CASES), values)


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


def open_case(desk: Desk, wanted: str, *, actor: str) -> OpenedCase:
    """Open the envelope of a case for a person to read; the first time is noted and told to the partner.

    Raises `CaseError` (`unknown-case`, `synthetic`), `OpeningError` when its key is gone.
    """
    now = desk.clock()
    with desk.store.read() as connection:
        found = get_case(connection, wanted)
        report = connection.execute(
            select(REPORTS).where(
                REPORTS.c.environment == found.environment,
                REPORTS.c.partner == found.partner,
                REPORTS.c.report_id == found.report_id,
            )
        ).first()
    if report is None:
        raise CaseError("This is a marked synthetic case: there is no report behind it to read.", reason="synthetic")
    content = _open_content(desk, report)
    with desk.store.write() as connection:
        first_time = connection.execute(
            update(CASES)
            .where(CASES.c.case_id == found.case_id, CASES.c.opened_at.is_(None))
            .values(opened_at=format_time(now))
        ).rowcount
        if first_time:
            stages.queue_stage(connection, partner=found.partner, report_id=found.report_id, outcome=None, now=now)
        audit.append_entry(connection, at=now, actor=actor, action="open-case", subject=found.case_id)
        return OpenedCase(case=get_case(connection, found.case_id), content=content)


def record_reply(desk: Desk, wanted: str, *, code: str, reason: str | None, actor: str) -> CaseRow:
    """Record that the person reporting was answered, and how; or why an answer would do harm.

    Raises `CaseError` (`unknown-case`, `bad-code`, `reason-missing`).
    """
    _check_code("reply", code, REPLY_CODES)
    reason = (reason or "").strip() or None
    if code == NO_SAFE_CONTACT and reason is None:
        raise CaseError("Say why there is no safe way to reply: --reply-reason.", reason="reason-missing")
    if reason is not None and len(reason) > MAX_REASON_CHARACTERS:
        raise CaseError(f"A reason has at most {MAX_REASON_CHARACTERS} characters.", reason="bad-code")
    now = desk.clock()
    with desk.store.write() as connection:
        found = get_case(connection, wanted)
        connection.execute(
            update(CASES)
            .where(CASES.c.case_id == found.case_id)
            .values(reply_code=code, reply_reason=reason, reply_recorded_at=format_time(now))
        )
        audit.append_entry(
            connection, at=now, actor=actor, action="record-reply", subject=found.case_id, detail={"code": code}
        )
        return get_case(connection, found.case_id)


def close_case(desk: Desk, wanted: str, closing: Closing, *, actor: str, release_outcome: bool = False) -> CaseRow:
    """Close a case with its assessment. `release_outcome` tells the partner whose own report it is.

    Raises `CaseError`: `unknown-case`, `already-closed`, `not-opened`, `bad-code`, `no-assessor`, `reply-owed`.
    """
    check_closing(closing)
    now = desk.clock()
    with desk.store.write() as connection:
        found = get_case(connection, wanted)
        _check_may_close(found)
        joined = found if closing.cluster_id is None else get_case(connection, closing.cluster_id)
        first, second = (*closing.weaknesses, None, None)[:2]
        connection.execute(
            update(CASES)
            .where(CASES.c.case_id == found.case_id)
            .values(
                closed_at=format_time(now),
                assessor=closing.assessment.assessor.strip(),
                immediate_risk=closing.assessment.immediate_risk,
                urgent=closing.assessment.urgent,
                urgent_dissemination=closing.assessment.urgent_dissemination,
                best_placed=closing.assessment.best_placed,
                kind=closing.kind,
                age_band=closing.age_band,
                outcome=closing.outcome,
                weakness_1=first,
                weakness_2=second,
                cluster_id=joined.cluster_id or joined.case_id,
            )
        )
        closed = get_case(connection, found.case_id)
        if release_outcome:
            outcome = _released_outcome(connection, closed)
            stages.queue_stage(connection, partner=found.partner, report_id=found.report_id, outcome=outcome, now=now)
        audit.append_entry(
            connection,
            at=now,
            actor=actor,
            action="close-case",
            subject=found.case_id,
            detail={"outcome": closing.outcome, "released": release_outcome},
        )
        return closed


def check_closing(closing: Closing) -> None:
    """Raise `CaseError` for an answer that is missing or is no code of the list."""
    if not closing.assessment.assessor.strip():
        raise CaseError("Name the person who assessed this: --assessor.", reason="no-assessor")
    for name in ("immediate_risk", "urgent", "urgent_dissemination"):
        _check_code(name, getattr(closing.assessment, name), YES_NO)
    _check_code("best_placed", closing.assessment.best_placed, BEST_PLACED)
    _check_code("outcome", closing.outcome, OUTCOMES)
    _check_code("kind", closing.kind, KINDS)
    _check_code("age_band", closing.age_band, AGE_BANDS)
    for weakness in closing.weaknesses:
        _check_code("weakness", weakness, WEAKNESSES)
    if len(closing.weaknesses) > MOST_WEAKNESSES or len(set(closing.weaknesses)) != len(closing.weaknesses):
        raise CaseError(f"At most {MOST_WEAKNESSES} weaknesses, each once.", reason="bad-code")


def _check_may_close(found: CaseRow) -> None:
    if found.closed_at is not None:
        raise CaseError("This case is closed already.", reason="already-closed")
    if found.opened_at is None:
        raise CaseError("Nobody has read this report yet: open it first (`case show`).", reason="not-opened")
    if found.reply_owed and found.reply_code is None:
        raise CaseError(
            "A child is owed a reply first (R23). Record it with --reply-recorded, or why it would do harm with "
            f"--reply-recorded {NO_SAFE_CONTACT} --reply-reason.",
            reason="reply-owed",
        )


def _check_code(name: str, code: str, codes: tuple[str, ...]) -> None:
    if code not in codes:
        raise CaseError(f"{name} must be one of: {', '.join(codes)}.", reason="bad-code")


def _released_outcome(connection: Connection, closed: CaseRow) -> str | None:
    # "Duplicate" of somebody else's report would tell one provider about another (R49).
    if closed.outcome != "duplicate":
        return closed.outcome
    own_earlier = connection.execute(
        select(CASES.c.case_id).where(
            CASES.c.partner == closed.partner,
            CASES.c.cluster_id == closed.cluster_id,
            CASES.c.case_id != closed.case_id,
        )
    ).first()
    return "duplicate" if own_earlier is not None else "used"


def _open_content(desk: Desk, report: Row[Any]) -> SealedContent:
    clear = peek_intake(bytes(report.intake)).clear  # verified when it was collected
    plain = desk.load_vault().open_report(Envelope.parse(bytes(report.envelope)), context=report_context(clear))
    return parse_public_report(plain) if report.partner == PUBLIC_SENDER else parse_sealed_report(plain)


def _make_case(
    connection: Connection, row: VerifiedRow, *, case_id: str, partners: frozenset[str], now: datetime
) -> Mapping[str, object]:
    clear, content = row.intake.clear, row.content
    return {
        "case_id": case_id,
        "environment": clear.environment,
        "partner": clear.partner,
        "provider": _find_provider(row, partners=partners),
        "report_id": clear.report_id,
        "reference": row.intake.reference,
        "door": row.intake.door,
        "placement": row.intake.placement,
        "priority": clear.priority,
        "received_at": row.intake.received_at,
        "collected_at": format_time(now),
        "danger": _is_in_danger(content),
        "reply_owed": isinstance(content, PublicReport) and content.under_18 != _GROWN_UP,
        "cluster_id": _find_cluster(connection, clear) or case_id,
        "synthetic": False,
    }


def _is_in_danger(content: SealedContent) -> bool:
    if isinstance(content, PublicReport):
        return content.danger == "yes"
    return any(child.at_risk_now == "yes" for child in content.report.children)


def _find_provider(row: VerifiedRow, *, partners: frozenset[str]) -> str | None:
    if row.intake.clear.partner != PUBLIC_SENDER:
        return row.intake.clear.partner
    return find_owner(row.intake.placement, partners=partners)


def _find_cluster(connection: Connection, clear: ClearFields) -> str | None:
    # A supplement belongs to the sender's own earlier report, never to anyone else's.
    if clear.earlier_reference is None:
        return None
    return connection.execute(
        select(CASES.c.cluster_id).where(CASES.c.partner == clear.partner, CASES.c.reference == clear.earlier_reference)
    ).scalar()


def _list_partner_ids(connection: Connection) -> frozenset[str]:
    return frozenset(connection.execute(select(PARTNERS.c.partner)).scalars())


def _to_case(row: Row[Any]) -> CaseRow:
    return CaseRow(**row._mapping)
