"""Moves of cases in the queue by a person, and the additions to each line of it; `lanes.py` lists the queue.

A move removes no factor and no owed reply: the reports stay in view, and a later report that adds a factor raises the
case again (`collection/joining.py`).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select, update

from gateway.desk.cases.assessing import enter_lane
from gateway.desk.cases.holding import get_lead, release_if_unable
from gateway.desk.cases.model import (
    CaseError,
    CaseRow,
    get_case,
    to_case,
)
from gateway.desk.cases.steps import StepText, add_step, get_clean_reason
from gateway.desk.people.permissions import Permission, Role, check_permission
from gateway.desk.store.schema import CASES, Tier
from gateway.desk.wiring import Desk

_MOST_AT_ONCE: Final = 500
CRISIS: Final = "crisis"
QUEUE: Final = "queue"
LANES: Final = (CRISIS, QUEUE)
MOST_SCORE: Final = 999


@dataclass(frozen=True, slots=True)
class Later:
    """The additions to a case: the number of reports, the unread kinds, and whether the sender took it back."""

    count: int
    unread: tuple[str, ...]
    is_taken_back: bool


def list_later(connection: Connection, cases: Collection[CaseRow]) -> dict[str, Later]:
    """Return the additions to each of these cases, by case id; a case without additions is left out."""
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


def move_case(
    desk: Desk, wanted: str, *, lane: str, score: int | None, reason: str, actor: str, roles: Collection[Role]
) -> CaseRow:
    """Move a case to a lane and a score (None: unchanged); a report joined to an open case moves that case.

    Raises `CaseError`: `unknown-case`, `already-closed`, `bad-lane`, `bad-score`, `reason-missing`,
    `reason-too-long`, `unprintable`, `not-moved`, `lowered-unread`; `NotPermittedError` if these roles only raise.
    """
    reason = _check(lane, score, reason)
    now = desk.clock()
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        if found.closed_at is not None:
            raise CaseError("This case is closed, so it is in no queue.", reason="already-closed")
        crisis, score = lane == CRISIS, found.score if score is None else score
        if (crisis, score) == (found.crisis, found.score):
            raise CaseError("The case already has this lane and score.", reason="not-moved")
        if (crisis, score) < (found.crisis, found.score):
            check_permission(roles, Permission.MOVE_CASES)
        if found.crisis and not crisis:
            _check_read(connection, found)
        add_step(
            desk,
            connection,
            found.case_id,
            "move",
            actor=actor,
            text=StepText(reason=reason),
            codes={
                "lane_before": CRISIS if found.crisis else QUEUE,
                "score_before": found.score,
                "lane": lane,
                "score": score,
            },
        )
        same = CASES.c.case_id == found.case_id
        if crisis and not found.crisis:
            enter_lane(connection, found, now=now)
        elif not crisis:
            connection.execute(update(CASES).where(same).values(crisis=False, crisis_since=None))
            release_if_unable(desk, connection, found, actor=actor)
        connection.execute(update(CASES).where(same).values(score=score, tier=Tier.FIRST))
        return get_case(connection, found.case_id)


def _check_read(connection: Connection, found: CaseRow) -> None:
    # Lowering a case ends its alert: the person has read the report behind it, even if that was added later.
    same = (CASES.c.case_id == found.case_id) | (CASES.c.joined_to == found.case_id)
    if connection.execute(select(CASES.c.case_id).where(same, CASES.c.opened_at.is_(None)).limit(1)).first():
        raise CaseError(
            "Part of this case is unread: open each report first, then move it.",
            reason="lowered-unread",
        )


def _check(lane: str, score: int | None, reason: str) -> str:
    if lane not in LANES:
        raise CaseError(f"The lane must be one of: {', '.join(LANES)}.", reason="bad-lane")
    if score is not None and not 0 <= score <= MOST_SCORE:
        raise CaseError(f"The score must be a number from 0 to {MOST_SCORE}.", reason="bad-score")
    return get_clean_reason(reason)
