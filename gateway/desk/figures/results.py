"""What came of the cases: the actions of each kind and how far they came, and the outcomes for children (R52).

Counts of codes alone; nothing is opened.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from gateway.desk.actions.model import KIND_TITLES
from gateway.desk.cases.closing import CHILD_OUTCOMES
from gateway.desk.digests.child_outcomes import list_outcomes_of_cases
from gateway.desk.store.schema import CASE_ACTIONS
from partner_sdk.wire.canonical import format_time

_REACHED: Final = ("sent", "acknowledged", "answered", "withdrawn", "failed")


@dataclass(frozen=True, slots=True)
class ActionCounts:
    """The actions of one kind that were drafted in a span; an action counts in each state that it reached."""

    title: str
    drafted: int
    sent: int
    acknowledged: int
    answered: int
    withdrawn: int
    failed: int


def count_actions(connection: Connection, *, since: datetime) -> list[ActionCounts]:
    """Return the counts of every kind that was drafted since a time."""
    reached = [func.count(CASE_ACTIONS.c[f"{one}_at"]) for one in _REACHED]
    query = select(CASE_ACTIONS.c.kind, func.count(), *reached).where(CASE_ACTIONS.c.drafted_at >= format_time(since))
    found = {row[0]: row[1:] for row in connection.execute(query.group_by(CASE_ACTIONS.c.kind))}
    return [ActionCounts(title, *map(int, found[kind])) for kind, title in KIND_TITLES.items() if kind in found]


def count_child_outcomes(connection: Connection, *, since: datetime) -> list[tuple[str, int]]:
    """Return each outcome in words with the number of its cases, of those received since a time.

    A case may have several; one that was taken back does not count.
    """
    counts = Counter(code for one in list_outcomes_of_cases(connection, since=since) for code in one.codes)
    return [(title, counts[code]) for code, title in CHILD_OUTCOMES.items()]
