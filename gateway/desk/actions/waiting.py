"""The actions that wait, by stage: for our answer, for a record here, for a release, for sending, for the other side.

Chosen, counted and cut into pages in SQL; an action may wait in two stages, e.g. late, and with an unread question.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, case, exists, false, func, literal, or_, select, true

from gateway.desk.actions.model import ASKING, IS_ASKED, Action, ActionKind, list_where
from gateway.desk.people.permissions import ANY_CASE, FACULTY_OF, CaseScope, Permission, Role, is_allowed
from gateway.desk.store.action_tables import CASE_ACTIONS, THREAD_ENTRIES
from gateway.desk.store.schema import CASE_STEPS, CASES
from partner_sdk.wire.canonical import format_time, parse_time

# An officer takes them by name; a request is answered, and a referral or an invitation asks for nothing.
ACKNOWLEDGED: Final[frozenset[ActionKind]] = frozenset({"package", "redirect", "alert"})
_IS_UNREAD: Final = (THREAD_ENTRIES.c.direction == "in") & THREAD_ENTRIES.c.read_at.is_(None)
_UNREAD: Final = select(THREAD_ENTRIES.c.action_id).where(_IS_UNREAD)
_ASKED: Final = select(CASE_ACTIONS.c.action_id).join(THREAD_ENTRIES, IS_ASKED)
# An outcome for the child that the other side told, and that nobody has recorded on the case since.
_OF_CASE: Final = CASES.alias("of_case")
_IS_RECORDED: Final = exists().where(
    _OF_CASE.c.case_id == CASE_ACTIONS.c.case_id,
    CASE_STEPS.c.case_id == func.coalesce(_OF_CASE.c.joined_to, _OF_CASE.c.case_id),
    CASE_STEPS.c.kind == "child-outcome",
    CASE_STEPS.c.at >= THREAD_ENTRIES.c.at,
)
_TOLD: Final = (
    select(THREAD_ENTRIES.c.action_id)
    .join(CASE_ACTIONS, CASE_ACTIONS.c.action_id == THREAD_ENTRIES.c.action_id)
    .where(THREAD_ENTRIES.c.direction == "in", THREAD_ENTRIES.c.kind == "outcome", ~_IS_RECORDED)
    .where(or_(CASE_ACTIONS.c.ended_at.is_(None), CASE_ACTIONS.c.ended_at < THREAD_ENTRIES.c.at))
)
_ACKNOWLEDGE: Final = (CASE_ACTIONS.c.state == "sent") & CASE_ACTIONS.c.kind.in_(ACKNOWLEDGED)
_ANSWER: Final = CASE_ACTIONS.c.state.in_(("sent", "acknowledged")) & CASE_ACTIONS.c.kind.in_(ASKING)
FOR_OTHERS: Final = or_(_ACKNOWLEDGE, _ANSWER)
# A case with the one in which it is worked (`holding.get_lead`), and what of that one decides who reads it.
_OWN: Final = CASES.alias("own_case")
_LEAD: Final = CASES.alias("lead_case")
_OF_LEAD: Final = select(_OWN.c.case_id).outerjoin(
    _LEAD, (_LEAD.c.case_id == _OWN.c.joined_to) & _LEAD.c.closed_at.is_(None)
)
_SCOPE: Final = ("crisis", "faculty", "holder")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: a name for addresses, a title, the condition on the table, and whether a person looks at it first."""

    code: str
    title: str
    condition: ColumnElement[bool]
    is_urgent: bool = False


STAGES: Final = (
    Stage("question", "They wait for our answer", CASE_ACTIONS.c.action_id.in_(_ASKED), is_urgent=True),
    Stage("outcome", "An outcome to record", CASE_ACTIONS.c.action_id.in_(_TOLD), is_urgent=True),
    Stage("failed", "Could not be sent", CASE_ACTIONS.c.state == "failed", is_urgent=True),
    Stage("read", "New entries to read", CASE_ACTIONS.c.action_id.in_(_UNREAD), is_urgent=True),
    Stage("release", "To be released", CASE_ACTIONS.c.state == "drafted"),
    Stage("send", "To be sent", CASE_ACTIONS.c.state == "released"),
    Stage("acknowledge", "To be acknowledged", _ACKNOWLEDGE),
    Stage("answer", "To be answered", _ANSWER),
    Stage("all", "All actions", true()),
)
BY_CODE: Final[Mapping[str, Stage]] = {stage.code: stage for stage in STAGES}


@dataclass(frozen=True, slots=True)
class StageCount:
    """How many actions wait in a stage, and how many of them are late."""

    waiting: int
    late: int


def choose_reached(roles: Collection[Role], *, person: str) -> ColumnElement[bool]:
    """Return the condition that a person with these roles may read the case of an action, as each page checks it."""

    def may(scope: CaseScope) -> bool:
        return is_allowed(roles, Permission.READ_CASES, case=scope)

    if may(ANY_CASE):
        return true()
    crisis, faculty, holder = (case((_LEAD.c.case_id.is_not(None), _LEAD.c[n]), else_=_OWN.c[n]) for n in _SCOPE)
    faculties = [one for one in FACULTY_OF.values() if may(CaseScope(faculty=one))]
    ways = or_(
        faculty.in_(faculties),
        crisis if may(CaseScope(is_crisis=True)) else false(),
        holder == person if may(CaseScope(is_held=True)) else false(),
    )
    return or_(CASE_ACTIONS.c.case_id.is_(None), CASE_ACTIONS.c.case_id.in_(_OF_LEAD.where(ways)))


def count_stages(connection: Connection, *, now: datetime, reached: ColumnElement[bool]) -> dict[str, StageCount]:
    """Return the counts of every stage, by its code."""
    late = CASE_ACTIONS.c.due_at < format_time(now)
    sums = []
    for stage in STAGES:
        waits_for_others = stage.code in ("acknowledge", "answer")
        mine = stage.condition & reached
        sums += [_count(mine), _count(mine & late) if waits_for_others else literal(0)]
    row = connection.execute(select(*sums)).one()
    return {stage.code: StageCount(int(row[2 * place]), int(row[2 * place + 1])) for place, stage in enumerate(STAGES)}


def list_stage(connection: Connection, code: str, *, rows: slice, reached: ColumnElement[bool]) -> list[Action]:
    """Return actions of a stage, those due first at the head, then the oldest."""
    return list_where(connection, BY_CODE[code].condition & reached, rows=rows, is_due_first=True)


def count_unread(connection: Connection) -> int:
    """Return the number of actions with an unread entry."""
    return int(connection.execute(select(func.count(_UNREAD.distinct().subquery().c.action_id))).scalar_one())


def count_asked(connection: Connection) -> int:
    """Return the number of actions with an unanswered question of the other side."""
    return int(connection.execute(select(func.count(_ASKED.distinct().subquery().c.action_id))).scalar_one())


def list_told(connection: Connection, action_ids: Sequence[str]) -> dict[str, str]:
    """Return when the first unrecorded outcome came, of each of these actions that has one."""
    query = _TOLD.add_columns(func.min(THREAD_ENTRIES.c.at)).where(THREAD_ENTRIES.c.action_id.in_(action_ids))
    rows = connection.execute(query.group_by(THREAD_ENTRIES.c.action_id))
    return {str(action_id): str(at) for action_id, at in rows}


def list_unread(connection: Connection, action_ids: list[str]) -> dict[str, int]:
    """Return the number of unread entries of each of these actions that has any."""
    query = select(THREAD_ENTRIES.c.action_id, func.count()).where(
        THREAD_ENTRIES.c.action_id.in_(action_ids), _IS_UNREAD
    )
    rows = connection.execute(query.group_by(THREAD_ENTRIES.c.action_id))
    return {str(action_id): int(count) for action_id, count in rows}


def is_late(action: Action, *, now: datetime) -> bool:
    """Return whether an action waits for others past its due time."""
    waits = (action.kind in ACKNOWLEDGED and action.state == "sent") or action.awaits_answer
    return waits and action.due_at is not None and action.due_at < format_time(now)


def find_late(connection: Connection, *, now: datetime) -> tuple[int, datetime] | None:
    """Return how many actions wait for others past their due time, and the earliest of these times, or None."""
    late = FOR_OTHERS & (CASE_ACTIONS.c.due_at < format_time(now))
    count, first = connection.execute(select(func.count(), func.min(CASE_ACTIONS.c.due_at)).where(late)).one()
    return (int(count), parse_time(first)) if count else None


# The leads of cases with an action that waits for others; an action stays with the report that led the case then.
_ABOUT: Final = CASES.alias("about")
CASES_FOR_OTHERS: Final = (
    select(func.coalesce(_ABOUT.c.joined_to, _ABOUT.c.case_id))
    .join(CASE_ACTIONS, CASE_ACTIONS.c.case_id == _ABOUT.c.case_id)
    .where(FOR_OTHERS)
)


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
