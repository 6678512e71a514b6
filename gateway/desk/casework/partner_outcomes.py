"""What a partner may be told of its own report, and from which day: decided by a person, checked here.

Never tells anything about a report of the public, and never "duplicate" of a report that another sender made (R49).
"""

from datetime import date, datetime, time
from typing import Final

from sqlalchemy import Connection, select

from gateway.desk.casework.case_codes import OUTCOMES, check_code
from gateway.desk.casework.cases import CaseError, CaseRow, get_case
from gateway.desk.casework.promised_days import UK, get_uk_day
from gateway.desk.partnership.outcomes import OutcomeSignal, list_signals, record_outcome, take_back_outcome
from gateway.desk.store.schema import CASES
from gateway.desk.wiring import Desk
from partner_sdk.wire.submission import PUBLIC_SENDER

DUPLICATE: Final = "duplicate"
USED: Final = "used"
# Longer than any investigation is planned: a slip of the year is more likely.
MOST_DAYS_HELD: Final = 3 * 366


def tell_outcome(desk: Desk, wanted: str, *, outcome: str, hold_until: date | None, actor: str) -> OutcomeSignal:
    """Note what the sending partner is told of a case. It goes with the next collect, or with the first on that UK day.

    Raises `CaseError`: `unknown-case`, `bad-code`, `public-report`, `synthetic`, `not-opened`, `outcome-waits`,
    `not-own-duplicate`, `bad-day`.
    """
    check_code("outcome", outcome, OUTCOMES)
    now = desk.clock()
    with desk.store.write() as connection:
        found = get_first_case(connection, wanted)
        check_may_tell(connection, found)
        if found.opened_at is None:
            raise CaseError("Nobody has read this report yet: open it first (`case show`).", reason="not-opened")
        if outcome == DUPLICATE and not has_own_earlier(connection, found):
            raise CaseError(
                "Only what this very partner had reported before is told as a duplicate: of another sender's report it "
                f"would tell one service about another. Use {USED}.",
                reason="not-own-duplicate",
            )
        signal_id = record_outcome(
            desk,
            connection,
            case_id=found.case_id,
            partner=found.partner,
            outcome=outcome,
            held_until=now if hold_until is None else _begin_day(hold_until, today=get_uk_day(now)),
            actor=actor,
        )
        return next(one for one in list_signals(connection, case_id=found.case_id) if one.signal_id == signal_id)


def take_back(desk: Desk, wanted: str, *, actor: str) -> OutcomeSignal:
    """Take back the outcome of a case that waits. Raises `CaseError` (`unknown-case`, `nothing-waits`)."""
    with desk.store.write() as connection:
        found = get_first_case(connection, wanted)
        signal = find_waiting(connection, found)
        if signal is None or not take_back_outcome(connection, signal, actor=actor, now=desk.clock()):
            raise CaseError(
                "No outcome of this case waits. What was released can not be taken back: tell a later one.",
                reason="nothing-waits",
            )
        return signal


def get_first_case(connection: Connection, wanted: str) -> CaseRow:
    """Return the first report of the case that this id or reference belongs to. Raises `CaseError` (`unknown-case`)."""
    found = get_case(connection, wanted)
    return found if found.joined_to is None else get_case(connection, found.joined_to)


def check_may_tell(connection: Connection, found: CaseRow) -> None:
    """Raise `CaseError` unless a partner sent this report and no other outcome waits."""
    check_from_partner(found)
    if find_waiting(connection, found) is not None:
        raise CaseError(
            "An outcome of this case waits already: take it back first (`case outcome --take-back`).",
            reason="outcome-waits",
        )


def check_from_partner(found: CaseRow) -> None:
    """Raise `CaseError` (`synthetic`, `public-report`) for a case that no partner sent."""
    if found.synthetic:
        raise CaseError("This is a marked synthetic case: nobody sent it.", reason="synthetic")
    if found.partner == PUBLIC_SENDER:
        raise CaseError("A person sent this, not a partner: no partner learns of it.", reason="public-report")


def find_waiting(connection: Connection, found: CaseRow) -> OutcomeSignal | None:
    """Return the outcome of a case that can still be taken back."""
    return next((one for one in list_signals(connection, case_id=found.case_id) if one.waits), None)


def choose_told(connection: Connection, closed: CaseRow) -> str | None:
    """Return what a closed case's own partner may be told: "duplicate" of somebody else's report is told as "used"."""
    if closed.outcome == DUPLICATE and not has_own_earlier(connection, closed):
        return USED
    return closed.outcome


def has_own_earlier(connection: Connection, found: CaseRow) -> bool:
    """Return whether the same partner sent another case about the same incident before this one.

    What it added to this case is none. Of two that came in the same second neither is the earlier one.
    """
    other = connection.execute(
        select(CASES.c.case_id).where(
            CASES.c.partner == found.partner,
            CASES.c.cluster_id == found.cluster_id,
            CASES.c.case_id != found.case_id,
            CASES.c.received_at < found.received_at,
            CASES.c.joined_to.is_distinct_from(found.case_id),
        )
    ).first()
    return other is not None


def _begin_day(day: date, *, today: date) -> datetime:
    if not 0 < (day - today).days <= MOST_DAYS_HELD:
        raise CaseError("Hold it back until a day that is still to come, within three years.", reason="bad-day")
    return datetime.combine(day, time.min, tzinfo=UK)
