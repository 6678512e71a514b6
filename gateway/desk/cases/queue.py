"""Moves of cases in the queue by a person, and the additions to each line of it; `lanes.py` lists the queue.

A move removes no factor and no owed reply: the reports stay in view, and a later report that adds a factor raises the
case again (`collection/joining.py`).
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, insert, select, update

from gateway.desk import audit
from gateway.desk.cases.model import (
    CaseError,
    CaseRow,
    get_case,
    to_case,
)
from gateway.desk.outbox.alerts import queue_alert
from gateway.desk.people.permissions import Permission, Role, check_permission
from gateway.desk.store.schema import CASE_MOVES, CASES
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time, parse_time

_MOST_AT_ONCE: Final = 500
CRISIS: Final = "crisis"
QUEUE: Final = "queue"
LANES: Final = (CRISIS, QUEUE)
MOST_SCORE: Final = 999
MAX_REASON_CHARACTERS: Final = 300


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


@dataclass(frozen=True, slots=True)
class CaseMove:
    """One recorded move: its actor, time, start, destination and reason."""

    moved_at: str
    moved_by: str
    crisis_before: bool
    score_before: int
    crisis: bool
    score: int
    reason: str


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
        found = _get_movable(connection, wanted)
        crisis, score = lane == CRISIS, found.score if score is None else score
        if (crisis, score) == (found.crisis, found.score):
            raise CaseError("The case already has this lane and score.", reason="not-moved")
        if (crisis, score) < (found.crisis, found.score):
            check_permission(roles, Permission.MOVE_CASES)
        if found.crisis and not crisis:
            _check_read(connection, found)
        came_in = crisis and not found.crisis
        connection.execute(
            insert(CASE_MOVES).values(
                case_id=found.case_id,
                moved_at=format_time(now),
                moved_by=actor,
                crisis_before=found.crisis,
                score_before=found.score,
                crisis=crisis,
                score=score,
                reason=reason,
            )
        )
        since = _get_later(found.opened_at, now=now) if came_in else found.crisis_since if crisis else None
        same = CASES.c.case_id == found.case_id
        connection.execute(
            update(CASES).where(same).values(crisis=crisis, score=score, crisis_since=since, is_behind=False)
        )
        queue_alert(connection, count=int(came_in), now=now)
        # The reason itself stays beside the case: an auditor cannot read it here, but can prove it.
        proof = hashlib.sha256(reason.encode()).hexdigest()
        audit.append_entry(
            connection, "move-case", found.case_id, at=now, actor=actor, lane=lane, score=score, reason_sha256=proof
        )
        return get_case(connection, found.case_id)


def list_moves(connection: Connection, case: CaseRow) -> list[CaseMove]:
    """Return the moves of a case, the newest first."""
    columns = [CASE_MOVES.c[name] for name in CaseMove.__dataclass_fields__]
    query = select(*columns).where(CASE_MOVES.c.case_id.in_({case.case_id, case.first_id}))
    return [CaseMove(**row._mapping) for row in connection.execute(query.order_by(CASE_MOVES.c.id.desc()))]


def _get_later(opened_at: str | None, *, now: datetime) -> str:
    """Return the time of coming into the crisis lane: later than the reading, or `count_unread` drops its alert.

    Times have whole seconds, so a case can be read and moved in the same one.
    """
    after = now if opened_at is None else parse_time(opened_at) + timedelta(seconds=1)
    return format_time(max(now, after))


def _get_movable(connection: Connection, wanted: str) -> CaseRow:
    found = get_case(connection, wanted)
    if found.joined_to is not None:
        first = get_case(connection, found.joined_to)
        # A report that arrived after its case was closed is in the queue on its own.
        found = first if first.closed_at is None else found
    if found.closed_at is not None:
        raise CaseError("This case is closed, so it is in no queue.", reason="already-closed")
    return found


def _check_read(connection: Connection, found: CaseRow) -> None:
    # Lowering a case ends its alert: the person has read the report behind it, even if that was added later.
    same = (CASES.c.case_id == found.case_id) | (CASES.c.joined_to == found.case_id)
    if connection.execute(select(CASES.c.case_id).where(same, CASES.c.opened_at.is_(None)).limit(1)).first():
        raise CaseError(
            "Part of this case is unread: open each report first (`case show`), then move it.",
            reason="lowered-unread",
        )


def _check(lane: str, score: int | None, reason: str) -> str:
    if lane not in LANES:
        raise CaseError(f"The lane must be one of: {', '.join(LANES)}.", reason="bad-lane")
    if score is not None and not 0 <= score <= MOST_SCORE:
        raise CaseError(f"The score must be a number from 0 to {MOST_SCORE}.", reason="bad-score")
    return get_clean_reason(reason)


def get_clean_reason(reason: str) -> str:
    """Return a person's reason for a change. Raises `CaseError` if it is missing, too long or unprintable."""
    reason = reason.strip()
    if not reason:
        raise CaseError("Give a reason for the change: --reason.", reason="reason-missing")
    if len(reason) > MAX_REASON_CHARACTERS:
        raise CaseError(f"A reason can have up to {MAX_REASON_CHARACTERS} characters.", reason="reason-too-long")
    if not reason.isprintable():
        raise CaseError("The reason contains characters that a page cannot show. Remove them.", reason="unprintable")
    return reason
