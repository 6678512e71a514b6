"""The queue: one line for each case, whatever its sender added to it, and what was added that nobody has read.

Never hides what came after a case was closed: that stands in the queue for itself, until a person closes it. Never
loads more cases than it returns.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, Select, TextClause, func, or_, select, text

from gateway.desk.cases.model import (
    IS_OPEN,
    QUEUE_ORDER,
    WHOLE_ORDER,
    CaseRow,
    to_case,
)
from gateway.desk.store.schema import CASES

_MOST_AT_ONCE: Final = 500
QueueState = Literal["open", "overdue", "closed", "all"]


@dataclass(frozen=True, slots=True)
class Later:
    """What a sender added to a case: how many reports, the kinds that nobody has read, and whether it took it back."""

    count: int
    unread: tuple[str, ...]
    is_taken_back: bool


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """What waits: open lines of the queue, those in the crisis lane, replies that are owed, and those that are late."""

    open: int
    crisis: int
    owed: int
    overdue: int


def list_queue(
    connection: Connection, *, state: QueueState = "open", today: date | None = None, rows: slice = slice(0, None)
) -> list[CaseRow]:
    """Return some lines of the queue in its order: crisis lane, score, waiting time.

    A report that is joined to a case of this list is left to that case. `today` is needed for `overdue` alone.
    """
    order = WHOLE_ORDER if state == "all" else QUEUE_ORDER
    query = select(CASES).where(*_choose(state, today)).order_by(*order).offset(rows.start)
    if rows.stop is not None:
        query = query.limit(rows.stop - rows.start)
    return [to_case(row) for row in connection.execute(query)]


def count_queue(connection: Connection, *, state: QueueState, today: date | None = None) -> int:
    """Return how many lines the queue has in this state."""
    if state == "overdue":
        return _count(connection, *_choose(state, today))
    # All of the state, which an index counts at once, less those few that are left to the case they are joined to.
    closed_at = CASES.c.closed_at
    of_state = () if state == "all" else (closed_at.is_(None) if state == "open" else closed_at.is_not(None),)
    # The sign keeps the condition from being looked up first: there are many open cases, and few joined ones.
    each = () if state == "all" else (text(f"+cases.closed_at IS {'NULL' if state == 'open' else 'NOT NULL'}"),)
    joined = _count(connection, CASES.c.joined_to > "", *each, _make_first_query(state).exists())
    return _count(connection, *of_state) - joined


def _count(connection: Connection, *conditions: ColumnElement[bool] | TextClause) -> int:
    return int(connection.execute(select(func.count()).select_from(CASES).where(*conditions)).scalar_one())


def count_waiting(connection: Connection, *, today: date) -> QueueCounts:
    """Return the counts above the queue, each from an index: no case is loaded for them."""
    return QueueCounts(
        open=count_queue(connection, state="open"),
        crisis=_count(connection, *_choose("open", None), CASES.c.crisis),
        owed=_count(connection, *_OWES_A_REPLY),
        overdue=count_queue(connection, state="overdue", today=today),
    )


def find_next(connection: Connection) -> CaseRow | None:
    """Return the case that a person reads next: the first of the queue that nobody has opened."""
    query = select(CASES).where(*_choose("open", None), CASES.c.opened_at.is_(None)).order_by(*QUEUE_ORDER).limit(1)
    row = connection.execute(query).first()
    return None if row is None else to_case(row)


_OWES_A_REPLY: Final = (CASES.c.reply_owed, CASES.c.reply_code.is_(None), CASES.c.closed_at.is_(None))
_FIRST: Final = CASES.alias("first")


def _choose(state: QueueState, today: date | None) -> tuple[ColumnElement[bool], ...]:
    if state == "overdue":
        # A day as it is stored sorts as text. A late reply is owed to the public, whose reports are joined to nothing.
        return (*_OWES_A_REPLY, CASES.c.reply_by < ("" if today is None else today.isoformat()))
    shown = or_(CASES.c.joined_to.is_(None), ~_make_first_query(state).exists())
    return (shown,) if state == "all" else (IS_OPEN.is_(state == "open"), shown)


def _make_first_query(state: QueueState) -> Select[Any]:
    """Return the question for the case of a list that a report is joined to."""
    first = select(_FIRST.c.case_id).where(_FIRST.c.case_id == CASES.c.joined_to)
    if state == "all":
        return first
    return first.where(_FIRST.c.closed_at.is_(None) if state == "open" else _FIRST.c.closed_at.is_not(None))


def list_later(connection: Connection, cases: Collection[CaseRow]) -> dict[str, Later]:
    """Return by case id what was added to each of these cases; a case without additions is not in it."""
    ids = [case.case_id for case in cases]
    joined: dict[str, list[CaseRow]] = {}
    for start in range(0, len(ids), _MOST_AT_ONCE):
        some = ids[start : start + _MOST_AT_ONCE]
        rows = connection.execute(select(CASES).where(CASES.c.joined_to.in_(some)).order_by(CASES.c.received_at))
        for one in map(to_case, rows):
            joined.setdefault(one.first_id, []).append(one)
    return {case_id: _sum_up(reports) for case_id, reports in joined.items()}


def _sum_up(reports: Collection[CaseRow]) -> Later:
    return Later(
        count=len(reports),
        unread=tuple(one.report_kind or "report" for one in reports if one.opened_at is None),
        is_taken_back=any(one.report_kind == "retraction" for one in reports),
    )
