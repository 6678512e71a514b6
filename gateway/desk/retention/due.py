"""Which cases may be destroyed, and why the others may not: judged by codes alone, nothing is opened.

A case is destroyed whole: the first report with every report that is joined to it. A person's additions are cases of
their own; none of their reports goes while another of them still has work to do, because its reply needs the first.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, or_, select

from gateway.desk.actions.model import list_actions_of
from gateway.desk.cases.model import CaseRow, to_case
from gateway.desk.cases.opening import list_reports
from gateway.desk.collection.joining import find_named, list_added
from gateway.desk.outbox.queue import IS_OPEN
from gateway.desk.retention.classes import ClassCode, RetentionClasses, get_class, get_due_day, load_classes
from gateway.desk.store.agency_tables import MAILBOX_MESSAGES, OUTBOX, OUTCOME_SIGNALS, REPLY_MESSAGES
from gateway.desk.store.schema import CASES
from gateway.desk.uk_times import get_uk_day
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.submission import PUBLIC_SENDER

# Counting stops here: a desk with so many overdue cases has another trouble.
MOST_COUNTED: Final = 1000
# Why a case may not be destroyed, as a page has it.
REFUSALS: Final = {
    "destroyed": "it was destroyed",
    "synthetic": "it is a synthetic case",
    "open": "a report of it is open",
    "owed": "a reply is owed",
    "held": "a legal hold is on it",
    "sending": "an entry of the outbox waits",
    "asked": "a question to a service waits for the answer",
    "action": "an action on it waits to be sent",
    "addition": "another report of the same person still has work",
    "requested": "the person asked to see, correct or wipe it",
    "not-due": "its time is not over",
}


@dataclass(frozen=True, slots=True)
class DueCase:
    """A closed case with the day from which it may go. `refusal` is a code of `REFUSALS`, None if it may go now."""

    case: CaseRow
    code: ClassCode
    closed_at: str
    due: date
    refusal: str | None


def list_due(desk: Desk, connection: Connection, *, most: int) -> list[DueCase]:
    """Return cases whose time is over, the one due first at the head, each with the reason if it may not go yet.

    At most so many that may go, and as many that stay: old cases that are held hide none that may go.
    """
    classes, now = load_classes(desk.paths.state), desk.clock()
    first = CASES.alias("first")
    is_open = select(first.c.case_id).where(first.c.joined_to == CASES.c.case_id, first.c.closed_at.is_(None)).exists()
    query = (
        select(CASES)
        .where(
            CASES.c.closed_at < format_time(now),
            CASES.c.joined_to.is_(None),
            CASES.c.destroyed_at.is_(None),
            ~CASES.c.synthetic,
            ~is_open,
        )
        .order_by(CASES.c.closed_at, CASES.c.case_id)
    )
    found: list[DueCase] = []
    staying = 0
    for row in connection.execute(query):
        one = judge(desk, connection, to_case(row), classes=classes)
        if one.refusal is None or (one.refusal != "not-due" and staying < most):
            found.append(one)
            staying += one.refusal is not None
        if len(found) - staying == most or _is_before_every_class(classes, row.closed_at, today=get_uk_day(now)):
            break
    return found


def list_free(due: Iterable[DueCase], drafted: Collection[str]) -> list[DueCase]:
    """Return the due cases that may go now and stand on no list yet; `drafted` are the ids of those that do."""
    return [one for one in due if one.refusal is None and one.case.case_id not in drafted]


def judge(
    desk: Desk, connection: Connection, case: CaseRow, *, classes: RetentionClasses, is_early: bool = False
) -> DueCase:
    """Return whether the case of a first report may be destroyed; `is_early` does not wait for its day."""
    reports = list_reports(connection, case.case_id)
    closed_at = max((one.closed_at or "" for one in reports), default="")
    code = get_class(case.partner)
    due = get_due_day(classes, code, closed_at=closed_at) if closed_at else date.max
    now = desk.clock()
    refusal = next(_list_refusals(connection, case, reports, now=format_time(now)), None)
    if refusal is None and not is_early and any(one.requests for one in reports):
        refusal = "requested"
    if refusal is None and not is_early and due > get_uk_day(now):
        refusal = "not-due"
    return DueCase(case, code, closed_at, due, refusal)


def _list_refusals(connection: Connection, case: CaseRow, reports: Sequence[CaseRow], *, now: str) -> Iterator[str]:
    if case.destroyed_at is not None:
        yield "destroyed"
    if case.synthetic:
        yield "synthetic"
    if any(one.closed_at is None for one in reports):
        yield "open"
    if any(_is_owed(one) for one in reports):
        yield "owed"
    if case.hold_review is not None:
        yield "held"
    if _has_waiting(connection, reports):
        yield "sending"
    yield from _list_of_actions(connection, reports, now=now)
    if case.partner == PUBLIC_SENDER and _has_work_beside(connection, case):
        yield "addition"


def _list_of_actions(connection: Connection, reports: Sequence[CaseRow], *, now: str) -> Iterator[str]:
    actions = list_actions_of(connection, [one.case_id for one in reports])
    if any(one.state == "released" for one in actions):
        yield "action"
    if any(one.awaits_answer and (one.due_at or now) >= now for one in actions):
        yield "asked"


def _is_owed(case: Any) -> bool:
    # Also on a closed case: the gateway may have refused a reply that counted.
    return bool(case.reply_owed and case.reply_code is None)


def _has_waiting(connection: Connection, reports: Sequence[CaseRow]) -> bool:
    ids = [one.case_id for one in reports]
    stages = [f"{one.partner} {one.report_id}" for one in reports]
    replies = select(REPLY_MESSAGES.c.message_id).where(REPLY_MESSAGES.c.case_id.in_(ids))
    # With them the messages of actions and of their threads, which go under the case.
    questions = select(MAILBOX_MESSAGES.c.message_id).where(MAILBOX_MESSAGES.c.case_id.in_(ids))
    outcomes = select(OUTCOME_SIGNALS.c.message_id).where(OUTCOME_SIGNALS.c.case_id.in_(ids))
    entry = or_(
        (OUTBOX.c.kind == "note") & OUTBOX.c.subject.in_(ids),
        (OUTBOX.c.kind == "stage") & OUTBOX.c.subject.in_(stages),
        (OUTBOX.c.kind == "reply") & OUTBOX.c.subject.in_(replies),
        (OUTBOX.c.kind == "message") & or_(OUTBOX.c.subject.in_(questions), OUTBOX.c.subject.in_(outcomes)),
    )
    waits = (
        OUTCOME_SIGNALS.c.case_id.in_(ids),
        OUTCOME_SIGNALS.c.released_at.is_(None),
        OUTCOME_SIGNALS.c.taken_back_at.is_(None),
    )
    return (
        connection.execute(select(OUTBOX.c.id).where(IS_OPEN, entry).limit(1)).first() is not None
        or connection.execute(select(OUTCOME_SIGNALS.c.signal_id).where(*waits).limit(1)).first() is not None
    )


def _has_work_beside(connection: Connection, case: CaseRow) -> bool:
    earlier = find_named(connection, case)
    first = case if earlier is None else earlier
    family = [first, *list_added(connection, first)]
    return any(
        one.case_id != case.case_id and one.destroyed_at is None and (one.closed_at is None or _is_owed(one))
        for one in family
    )


def _is_before_every_class(classes: RetentionClasses, closed_at: str, *, today: date) -> bool:
    """Return whether a case closed then, and so every later one, is too young for any class."""
    return all(get_due_day(classes, code, closed_at=closed_at) > today for code in ("content", "public"))
