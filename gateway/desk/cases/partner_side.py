"""A case's partner: one question at a time about its own report, and the outcomes that it may receive.

A person decides, this module checks. Never asks or reveals anything about a public report, and never "duplicate" of
another sender's report. A question is open until it is answered or late.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

from sqlalchemy import Connection, select

from gateway.desk.cases.assessing import get_standing
from gateway.desk.cases.holding import hold_unless_closed
from gateway.desk.cases.model import (
    OUTCOMES,
    CaseError,
    CaseRow,
    check_code,
    format_day,
    format_lateness,
    get_case,
    has_control_characters,
    normalise,
)
from gateway.desk.cases.opening import OpenedReport
from gateway.desk.collection.links import list_cluster
from gateway.desk.partners.outcomes import (
    OutcomeSignal,
    list_signals,
    record_outcome,
    take_back_outcome,
)
from gateway.desk.partners.questions import (
    QuestionRow,
    list_questions,
    store_question,
)
from gateway.desk.partners.registrations import find_authorisation
from gateway.desk.store.schema import CASES
from gateway.desk.uk_times import UK, get_start_of, get_uk_day, get_uk_day_of
from gateway.desk.wiring import Desk
from partner_sdk.wire.action_bodies import MAX_PURPOSE_CHARACTERS, MAX_QUESTION_CHARACTERS
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.mailbox_message import InformationRequest
from partner_sdk.wire.submission import PUBLIC_SENDER

DUPLICATE: Final = "duplicate"
USED: Final = "used"
# Longer than any planned investigation: probably a mistyped year.
MOST_DAYS_HELD: Final = 3 * 366
DAYS_TO_ANSWER: Final = 7  # SI 2026/268
MOST_DAYS_TO_ANSWER: Final = 90


def schedule_outcome(desk: Desk, wanted: str, *, outcome: str, hold_until: date | None, actor: str) -> OutcomeSignal:
    """Record the outcome for the sending partner. It leaves with the next collection, or the first on that UK day.

    Raises `CaseError`: `unknown-case`, `bad-code`, `public-report`, `synthetic`, `not-opened`, `outcome-waits`,
    `not-own-duplicate`, `bad-day`, `held`, `not-assessed`.
    """
    check_code("outcome", outcome, OUTCOMES)
    now = desk.clock()
    with desk.store.write() as connection:
        found = get_first_case(connection, wanted)
        check_may_send_outcome(connection, found)
        if found.opened_at is None:
            raise CaseError("This report is still unread: open it first (`case show`).", reason="not-opened")
        get_standing(connection, found)
        hold_unless_closed(desk, connection, found, actor=actor)
        if outcome == DUPLICATE and not has_own_earlier(connection, found):
            raise CaseError(
                (
                    "A partner may hear “known already” only about its own earlier reports: anything else "
                    f"would reveal another sender's report. Use {USED}."
                ),
                reason="not-own-duplicate",
            )
        signal_id = record_outcome(
            desk,
            connection,
            case_id=found.case_id,
            partner=found.partner,
            outcome=outcome,
            held_until=now if hold_until is None else _begin_day(hold_until, today=get_uk_day(now)),
            actor=actor,
        )
        return next(one for one in list_signals(connection, case_id=found.case_id) if one.signal_id == signal_id)


def take_back(desk: Desk, wanted: str, *, actor: str) -> OutcomeSignal:
    """Take back a case's waiting outcome. Raises `CaseError` (`unknown-case`, `nothing-waits`)."""
    with desk.store.write() as connection:
        found = get_first_case(connection, wanted)
        signal = find_waiting(connection, found)
        if signal is None or not take_back_outcome(connection, signal, actor=actor, now=desk.clock()):
            raise CaseError(
                (
                    "No outcome is waiting in this case. A released outcome cannot be taken back: record a "
                    "new one instead."
                ),
                reason="nothing-waits",
            )
        return signal


def get_first_case(connection: Connection, wanted: str) -> CaseRow:
    """Return the first report of the case with this id or reference. Raises `CaseError` (`unknown-case`)."""
    found = get_case(connection, wanted)
    return found if found.joined_to is None else get_case(connection, found.joined_to)


def check_may_send_outcome(connection: Connection, found: CaseRow) -> None:
    """Raise `CaseError` unless a partner sent this report and no other outcome waits."""
    check_from_partner(found)
    if find_waiting(connection, found) is not None:
        raise CaseError(
            "An outcome is already waiting in this case: take it back first.",
            reason="outcome-waits",
        )


def check_from_partner(found: CaseRow) -> None:
    """Raise `CaseError` (`synthetic`, `public-report`) for a case without a partner as its sender."""
    if found.synthetic:
        raise CaseError("This is a synthetic case: it has no sender.", reason="synthetic")
    if found.partner == PUBLIC_SENDER:
        raise CaseError("A person sent this report, so there is no partner to inform.", reason="public-report")


def find_waiting(connection: Connection, found: CaseRow) -> OutcomeSignal | None:
    """Return the outcome of a case that can still be taken back."""
    return next((one for one in list_signals(connection, case_id=found.case_id) if one.waits), None)


def choose_partner_outcome(connection: Connection, closed: CaseRow) -> str | None:
    """Return the outcome that a closed case's partner may see: "used" for a "duplicate" of another sender's report."""
    if closed.outcome == DUPLICATE and not has_own_earlier(connection, closed):
        return USED
    return closed.outcome


def has_own_earlier(connection: Connection, found: CaseRow) -> bool:
    """Return whether the same partner sent another case about the same incident before this one.

    Its additions to this case do not count. Of two cases from the same second, neither is the earlier one.
    """
    other = connection.execute(
        select(CASES.c.case_id).where(
            CASES.c.partner == found.partner,
            CASES.c.case_id.in_(list_cluster(connection, found.case_id) - {found.case_id}),
            CASES.c.received_at < found.received_at,
            CASES.c.joined_to.is_distinct_from(found.case_id),
        )
    ).first()
    return other is not None


def _begin_day(day: date, *, today: date) -> datetime:
    if not 0 < (day - today).days <= MOST_DAYS_HELD:
        raise CaseError("Hold it back until a future date within three years.", reason="bad-day")
    return get_start_of(day)


@dataclass(frozen=True, slots=True)
class Question:
    """A question to a partner, its purpose and its legal basis. `due` is a day of the United Kingdom."""

    question: str
    purpose: str
    legal_basis: str
    due: date | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """The state of a question's clock, as text."""

    words: str
    is_late: bool


def ask_partner(desk: Desk, wanted: str, question: Question, *, actor: str) -> str:
    """Write a question to the mailbox of the partner that sent the report, and return its request id.

    Raises `CaseError`: `unknown-case`, `public-report`, `synthetic`, `not-opened`, `already-closed`, `question-open`,
    `no-question`, `no-purpose`, `no-legal-basis`, `too-long`, `unprintable`, `bad-day`, `not-assessed`; and the errors
    of the keys.
    """
    cleaned = clean_question(question)
    now = desk.clock()
    today = get_uk_day(now)
    with desk.store.write() as connection:
        found = get_first_case(connection, wanted)
        _check_may_ask(connection, found, today=today)
        # Only the accredited officer asks (R45), about a case that an analyst may have.
        get_standing(connection, found)
        request = InformationRequest(
            due_at=format_time(_choose_due(cleaned.due, now=now)),
            legal_basis=cleaned.legal_basis,
            purpose=cleaned.purpose,
            question=cleaned.question,
            reference=found.reference,
            report_id=found.report_id,
            request_id=desk.make_id(),
        )
        return store_question(desk, connection, request, case_id=found.case_id, partner=found.partner, actor=actor)


def clean_question(question: Question) -> Question:
    """Return the question stripped of outer spaces, or raise `CaseError` for missing or overlong parts."""
    parts = (
        ("question", "no-question", "Write the question first.", MAX_QUESTION_CHARACTERS),
        ("purpose", "no-purpose", "Give the purpose of the question.", MAX_PURPOSE_CHARACTERS),
        ("legal_basis", "no-legal-basis", "Name the law that allows the question.", MAX_PURPOSE_CHARACTERS),
    )
    cleaned = {name: normalise(getattr(question, name)) for name, *_ in parts}
    for name, reason, message, most in parts:
        if not cleaned[name]:
            raise CaseError(message, reason=reason)
        if len(cleaned[name]) > most:
            said = name.replace("_", " ")
            raise CaseError(f"The {said} can have up to {most:,} characters.", reason="too-long")
        if has_control_characters(cleaned[name]):
            raise CaseError("The text contains characters that a page cannot show. Remove them.", reason="unprintable")
    return Question(due=question.due, **cleaned)


def find_open_question(questions: Sequence[QuestionRow], *, today: date) -> QuestionRow | None:
    """Return the question that is neither answered nor late, if any."""
    waiting = (one for one in questions if one.answered_at is None)
    return next((one for one in waiting if count_days_left(one, today=today) >= 0), None)


def count_days_left(question: QuestionRow, *, today: date) -> int:
    """Return the days of the United Kingdom left, below 0 if late; for an answered one, at the answer."""
    until = today if question.answered_at is None else get_uk_day_of(question.answered_at)
    return (get_uk_day_of(question.due_at) - until).days


def format_clock(question: QuestionRow, *, today: date) -> Clock:
    """Return the state of a question's clock, e.g. `2 days late`."""
    left = count_days_left(question, today=today)
    if question.answered_at is not None:
        day = format_day(get_uk_day_of(question.answered_at))
        return Clock(f"Answered {day}" + (f", {format_lateness(-left)}" if left < 0 else ""), is_late=False)
    if left < 0:
        return Clock(format_lateness(-left), is_late=True)
    return Clock("Due today" if left == 0 else f"{left} {'day' if left == 1 else 'days'} left", is_late=False)


def format_open_questions(questions: Sequence[QuestionRow], *, today: date) -> dict[str, Clock]:
    """Return the clock of each case's question that is due last, by case id; for lists."""
    return {one.case_id: format_clock(one, today=today) for one in questions}


def _check_may_ask(connection: Connection, found: CaseRow, *, today: date) -> None:
    check_from_partner(found)
    if found.opened_at is None:
        raise CaseError("This report is still unread: open it first (`case show`).", reason="not-opened")
    if found.closed_at is not None:
        raise CaseError("This case is already closed.", reason="already-closed")
    if find_open_question(list_questions(connection, case_id=found.case_id), today=today) is not None:
        raise CaseError(
            "This case already has an open question: wait for the answer or the due date.", reason="question-open"
        )


def _choose_due(day: date | None, *, now: datetime) -> datetime:
    if day is None:
        return now + timedelta(days=DAYS_TO_ANSWER)
    if not 0 < (day - get_uk_day(now)).days <= MOST_DAYS_TO_ANSWER:
        raise CaseError(f"Choose a future date within {MOST_DAYS_TO_ANSWER} days.", reason="bad-day")
    return datetime.combine(day, time(23, 59, 59), tzinfo=UK)


def list_submitter_doubts(connection: Connection, opened: Sequence[OpenedReport]) -> list[tuple[str, str]]:
    """Return the opened reports whose submitter their partner has not registered (SI 2026/268).

    Only a notice: the report counts like any other, and a partner without registered persons gets none.
    """
    strangers = []
    for one in opened:
        if one.content is None:
            continue
        said = one.content.report.reporter
        if (
            find_authorisation(connection, one.case.partner, email=said.submitter_email, name=said.submitter_name)
            is False
        ):
            strangers.append(one.case.reference)
    if not strangers:
        return []
    head = f"{', '.join(strangers)}: submitted by a person who is not on the partner's list of authorised persons."
    return [(head, "The report still counts. Ask the partner to check that its registration is complete.")]
