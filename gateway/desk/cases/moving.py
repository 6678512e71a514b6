"""Moves a case in the queue by a person's word: into or out of the crisis lane, or to another score, with a reason.

Never takes a factor away, and never un-owes anything: what the reports say stays in view, and a report that joins later
and says more brings the case back up (`collection/joining.py`).
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, insert, select, update

from gateway.desk import audit
from gateway.desk.cases.model import CaseError, CaseRow, get_case
from gateway.desk.outbox.alerts import queue_alert
from gateway.desk.store.schema import CASE_MOVES, CASES
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time

CRISIS: Final = "crisis"
QUEUE: Final = "queue"
LANES: Final = (CRISIS, QUEUE)
MOST_SCORE: Final = 999
MAX_REASON_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class CaseMove:
    """One move as it stays: who, when, from where to where, and why."""

    moved_at: str
    moved_by: str
    crisis_before: bool
    score_before: int
    crisis: bool
    score: int
    reason: str


def move_case(desk: Desk, wanted: str, *, lane: str, score: int | None, reason: str, actor: str) -> CaseRow:
    """Put a case into a lane and at a score (None: as it is); a report that is joined to an open case moves that.

    Raises `CaseError`: `unknown-case`, `already-closed`, `bad-lane`, `bad-score`, `move-reason-missing`,
    `reason-too-long`, `unprintable`, `not-moved`, `lowered-unread`.
    """
    reason = _check(lane, score, reason)
    now = desk.clock()
    with desk.store.write() as connection:
        found = _get_movable(connection, wanted)
        crisis, score = lane == CRISIS, found.score if score is None else score
        if (crisis, score) == (found.crisis, found.score):
            raise CaseError("The case stands there already.", reason="not-moved")
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
        since = format_time(now) if came_in else found.crisis_since if crisis else None
        same = CASES.c.case_id == found.case_id
        connection.execute(
            update(CASES).where(same).values(crisis=crisis, score=score, crisis_since=since, is_behind=False)
        )
        queue_alert(connection, count=int(came_in), now=now)
        # The reason itself stays beside the case: whoever audits reads no words about it, but can prove them.
        proof = hashlib.sha256(reason.encode()).hexdigest()
        audit.append_entry(
            connection, "move-case", found.case_id, at=now, actor=actor, lane=lane, score=score, reason_sha256=proof
        )
        return get_case(connection, found.case_id)


def list_moves(connection: Connection, case: CaseRow) -> list[CaseMove]:
    """Return how a case was moved, the newest first."""
    columns = [CASE_MOVES.c[name] for name in CaseMove.__dataclass_fields__]
    query = select(*columns).where(CASE_MOVES.c.case_id.in_({case.case_id, case.first_id}))
    return [CaseMove(**row._mapping) for row in connection.execute(query.order_by(CASE_MOVES.c.id.desc()))]


def _get_movable(connection: Connection, wanted: str) -> CaseRow:
    found = get_case(connection, wanted)
    if found.joined_to is not None:
        first = get_case(connection, found.joined_to)
        # What came after its case was closed stands in the queue for itself.
        found = first if first.closed_at is None else found
    if found.closed_at is not None:
        raise CaseError("This case is closed: it stands in no queue.", reason="already-closed")
    return found


def _check_read(connection: Connection, found: CaseRow) -> None:
    # Whoever lowers a case ends its alert: they have read what it came for, also where that was added later.
    same = (CASES.c.case_id == found.case_id) | (CASES.c.joined_to == found.case_id)
    if connection.execute(select(CASES.c.case_id).where(same, CASES.c.opened_at.is_(None)).limit(1)).first():
        raise CaseError(
            "Nobody has read all of this case yet: open each report first (`case show`), then move it.",
            reason="lowered-unread",
        )


def _check(lane: str, score: int | None, reason: str) -> str:
    if lane not in LANES:
        raise CaseError(f"A lane is one of: {', '.join(LANES)}.", reason="bad-lane")
    if score is not None and not 0 <= score <= MOST_SCORE:
        raise CaseError(f"A score is a number from 0 to {MOST_SCORE}.", reason="bad-score")
    reason = reason.strip()
    if not reason:
        raise CaseError("Say why the case is moved: --reason.", reason="move-reason-missing")
    if len(reason) > MAX_REASON_CHARACTERS:
        raise CaseError(f"A reason has at most {MAX_REASON_CHARACTERS} characters.", reason="reason-too-long")
    if not reason.isprintable():
        raise CaseError("The reason holds signs that no page can show. Take them out.", reason="unprintable")
    return reason
