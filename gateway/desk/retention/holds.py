"""Legal holds: a case that is not destroyed until a supervisor lifts the hold, with a day on which to look again.

The reason is a text of the case's steps, sealed like every other one. The day never lifts a hold by itself.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

from sqlalchemy import Connection, func, select, update

from gateway.desk.cases.holding import get_lead
from gateway.desk.cases.model import CaseError, CaseRow, StepText, add_step, get_case, get_clean_reason, to_case
from gateway.desk.store.schema import CASES
from gateway.desk.uk_times import get_uk_day
from gateway.desk.wiring import Desk

# A hold is looked at at least once a year: a court's own order is renewed no less often.
MOST_DAYS_TO_REVIEW: Final = 366


def place_hold(desk: Desk, wanted: str, *, reason: str, review: date, actor: str) -> CaseRow:
    """Hold a case, open or closed, or give a held one another day and reason.

    Raises `CaseError`: `unknown-case`, `destroyed`, `bad-day`, and those of a reason.
    """
    text, today = StepText(reason=get_clean_reason(reason)), get_uk_day(desk.clock())
    if not 0 < (review - today).days <= MOST_DAYS_TO_REVIEW:
        raise CaseError("Look at a hold again on a future date within a year.", reason="bad-day")
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        if found.destroyed_at is not None:
            raise CaseError(
                "This case was destroyed, or will be: stop that on the page Retention to hold it.", reason="destroyed"
            )
        codes = {"review": review.isoformat()}
        add_step(desk, connection, found.case_id, "legal-hold", actor=actor, text=text, codes=codes)
        return _set(connection, found, review.isoformat())


def lift_hold(desk: Desk, wanted: str, *, reason: str, actor: str) -> CaseRow:
    """Lift the hold of a case. Raises `CaseError`: `unknown-case`, `no-hold`, and those of a reason."""
    text = StepText(reason=get_clean_reason(reason))
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        if found.hold_review is None:
            raise CaseError("No legal hold is on this case.", reason="no-hold")
        add_step(desk, connection, found.case_id, "lift-hold", actor=actor, text=text)
        return _set(connection, found, None)


def list_holds(connection: Connection) -> Sequence[CaseRow]:
    """Return the held cases, the one to be looked at first at the head."""
    held = select(CASES).where(CASES.c.hold_review.is_not(None)).order_by(CASES.c.hold_review, CASES.c.case_id)
    return [to_case(row) for row in connection.execute(held)]


def count_past_review(connection: Connection, *, today: date) -> int:
    """Return the number of holds whose day to look again has passed."""
    past = select(func.count()).select_from(CASES).where(CASES.c.hold_review < today.isoformat())
    return int(connection.execute(past).scalar_one())


def _set(connection: Connection, found: CaseRow, review: str | None) -> CaseRow:
    connection.execute(update(CASES).where(CASES.c.case_id == found.case_id).values(hold_review=review))
    return get_case(connection, found.case_id)
