"""The clock of a request, in words: how long its answer may take, or how late it is or came."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import Connection, func, select

from gateway.desk.actions.model import ASKING, Action
from gateway.desk.store.action_tables import CASE_ACTIONS
from gateway.desk.store.schema import CASES
from gateway.desk.uk_times import format_uk_day_of, get_uk_day_of

IS_ASKED: Final = CASE_ACTIONS.c.kind.in_(ASKING) & CASE_ACTIONS.c.state.in_(("released", "sent", "acknowledged"))
# The leads of the cases that wait for an answer: a request stays with the report that led the case when it was made.
_ABOUT: Final = CASES.alias("about")
_LEAD: Final = func.coalesce(_ABOUT.c.joined_to, _ABOUT.c.case_id)


@dataclass(frozen=True, slots=True)
class Clock:
    """The state of a clock, e.g. `2 days late`."""

    words: str
    is_late: bool


def format_clock(action: Action, *, today: date) -> Clock:
    """Return the clock of a request; days are those of the United Kingdom."""
    left = count_days_left(action, today=today)
    if action.answered_at is not None:
        late = f", {_format_late(-left)}" if left < 0 else ""
        return Clock(f"Answered {format_uk_day_of(action.answered_at)}{late}", is_late=False)
    if action.state in {"withdrawn", "failed", "ended"}:
        return Clock(action.state.capitalize(), is_late=action.state == "failed")
    return _format_left(left)


def count_days_left(action: Action, *, today: date) -> int:
    """Return the days left, below 0 if late; of an answered request, at the answer. 0 for one without a due time."""
    if action.due_at is None:
        return 0
    until = today if action.answered_at is None else get_uk_day_of(action.answered_at)
    return (get_uk_day_of(action.due_at) - until).days


def list_clocks(connection: Connection, *, today: date) -> Mapping[str, Clock]:
    """Return the clock of each case that waits for an answer, by the id of its lead: that of the first one due."""
    # Without an order: a page reads every open request, and the earliest is found on the way.
    asked = select(_LEAD.label("lead"), CASE_ACTIONS.c.due_at).join(_ABOUT, _ABOUT.c.case_id == CASE_ACTIONS.c.case_id)
    due: dict[str, str] = {}
    for row in connection.execute(asked.where(IS_ASKED, CASE_ACTIONS.c.due_at.is_not(None))):
        due[row.lead] = min(row.due_at, due.get(row.lead, row.due_at))
    return {lead: _format_left((get_uk_day_of(due_at) - today).days) for lead, due_at in due.items()}


def _format_left(left: int) -> Clock:
    if left < 0:
        return Clock(_format_late(-left), is_late=True)
    return Clock("Due today" if left == 0 else f"{left} {'day' if left == 1 else 'days'} left", is_late=False)


def _format_late(days: int) -> str:
    return "1 day late" if days == 1 else f"{days} days late"
