"""The queue: one line for each case, whatever its sender added to it, and what was added that nobody has read.

Never hides what came after a case was closed: that stands in the queue for itself, until a person closes it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from gateway.desk.casework.cases import CaseRow, CaseState, list_cases, to_case
from gateway.desk.store.schema import CASES

_MOST_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Later:
    """What a sender added to a case: how many reports, the kinds that nobody has read, and whether it took it back."""

    count: int
    unread: tuple[str, ...]
    is_taken_back: bool


def list_queue(connection: Connection, *, state: CaseState = "open") -> list[CaseRow]:
    """Return cases by risk, then by clock. A report that is joined to a case of this list is left to that case."""
    found = list_cases(connection, state=state)
    listed = {case.case_id for case in found}
    return [case for case in found if case.joined_to is None or case.joined_to not in listed]


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
