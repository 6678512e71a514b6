"""Asks a partner one question about its own report, and says how its clock stands.

Never asks about a report of the public, and never two things at once: a question is open until it is answered or late.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

from sqlalchemy import Connection

from gateway.desk.casework.cases import CaseError, CaseRow
from gateway.desk.casework.partner_outcomes import check_from_partner, get_first_case
from gateway.desk.casework.promised_days import UK, get_uk_day, get_uk_day_of, spell_day, spell_lateness
from gateway.desk.partnership.questions import QuestionDraft, QuestionRow, list_questions, store_question
from gateway.desk.wiring import Desk
from partner_sdk.wire.mailbox_message import MAX_PURPOSE_CHARACTERS, MAX_QUESTION_CHARACTERS

DAYS_TO_ANSWER: Final = 7  # SI 2026/268
MOST_DAYS_TO_ANSWER: Final = 90
_KEPT_CONTROLS: Final = frozenset("\n\t")


@dataclass(frozen=True, slots=True)
class Question:
    """What a person of the desk wants to know, what for, and by which law. `due` is a day of the United Kingdom."""

    question: str
    purpose: str
    legal_basis: str
    due: date | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """How the clock of a question stands, in words."""

    words: str
    is_late: bool


def ask_partner(desk: Desk, wanted: str, question: Question, *, actor: str) -> str:
    """Write a question to the mailbox of the partner that sent the report, and return its request id.

    Raises `CaseError`: `unknown-case`, `public-report`, `synthetic`, `not-opened`, `already-closed`, `question-open`,
    `no-question`, `no-purpose`, `no-legal-basis`, `too-long`, `unprintable`, `bad-day`; and what the keys raise.
    """
    cleaned = clean_question(question)
    now = desk.clock()
    today = get_uk_day(now)
    with desk.store.write() as connection:
        found = get_first_case(connection, wanted)
        _check_may_ask(connection, found, today=today)
        draft = QuestionDraft(
            report_id=found.report_id,
            reference=found.reference,
            question=cleaned.question,
            purpose=cleaned.purpose,
            legal_basis=cleaned.legal_basis,
            due_at=_choose_due(cleaned.due, now=now),
        )
        return store_question(desk, connection, draft, case_id=found.case_id, partner=found.partner, actor=actor)


def clean_question(question: Question) -> Question:
    """Return the question without space around its words, or raise `CaseError` for what is missing or too long."""
    parts = (
        ("question", "no-question", "Write the question first.", MAX_QUESTION_CHARACTERS),
        ("purpose", "no-purpose", "Say what the answer is needed for.", MAX_PURPOSE_CHARACTERS),
        ("legal_basis", "no-legal-basis", "Name the law that it is asked under.", MAX_PURPOSE_CHARACTERS),
    )
    cleaned = {name: _clean(getattr(question, name)) for name, *_ in parts}
    for name, reason, words, most in parts:
        if not cleaned[name]:
            raise CaseError(words, reason=reason)
        if len(cleaned[name]) > most:
            said = name.replace("_", " ")
            raise CaseError(f"The {said} has at most {most:,} characters.", reason="too-long")
        if any(unicodedata.category(one) == "Cc" and one not in _KEPT_CONTROLS for one in cleaned[name]):
            raise CaseError("The text holds signs that no page can show. Take them out.", reason="unprintable")
    return Question(due=question.due, **cleaned)


def find_open_question(questions: Sequence[QuestionRow], *, today: date) -> QuestionRow | None:
    """Return the question that is neither answered nor late, if there is one."""
    waiting = (one for one in questions if one.answered_at is None)
    return next((one for one in waiting if count_days_left(one, today=today) >= 0), None)


def count_days_left(question: QuestionRow, *, today: date) -> int:
    """Return how many days of the United Kingdom are left, below 0 when it is late; of an answer, when it came."""
    until = today if question.answered_at is None else get_uk_day_of(question.answered_at)
    return (get_uk_day_of(question.due_at) - until).days


def spell_clock(question: QuestionRow, *, today: date) -> Clock:
    """Return how the clock of a question stands."""
    left = count_days_left(question, today=today)
    if question.answered_at is not None:
        day = spell_day(get_uk_day_of(question.answered_at))
        return Clock(f"Answered {day}" + (f", {spell_lateness(-left)}" if left < 0 else ""), is_late=False)
    if left < 0:
        return Clock(spell_lateness(-left), is_late=True)
    return Clock("Due today" if left == 0 else f"{left} {'day' if left == 1 else 'days'} left", is_late=False)


def _check_may_ask(connection: Connection, found: CaseRow, *, today: date) -> None:
    check_from_partner(found)
    if found.opened_at is None:
        raise CaseError("Nobody has read this report yet: open it first (`case show`).", reason="not-opened")
    if found.closed_at is not None:
        raise CaseError("This case is closed already.", reason="already-closed")
    if find_open_question(list_questions(connection, case_id=found.case_id), today=today) is not None:
        raise CaseError(
            "A question about this case is open: wait for its answer, or for its last day.", reason="question-open"
        )


def _choose_due(day: date | None, *, now: datetime) -> datetime:
    if day is None:
        return now + timedelta(days=DAYS_TO_ANSWER)
    if not 0 < (day - get_uk_day(now)).days <= MOST_DAYS_TO_ANSWER:
        raise CaseError(f"Name a day within {MOST_DAYS_TO_ANSWER} days that is still to come.", reason="bad-day")
    return datetime.combine(day, time(23, 59, 59), tzinfo=UK)


def _clean(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
