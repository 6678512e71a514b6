"""The outcomes that a case's partner may receive about its own report.

A person decides, this module checks. Never reveals anything about a public report, and never "duplicate" of another
sender's report.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, select

from gateway.desk.cases.assessing import get_standing
from gateway.desk.cases.holding import hold_unless_closed
from gateway.desk.cases.model import (
    OUTCOMES,
    CaseError,
    CaseRow,
    check_code,
    get_case,
)
from gateway.desk.cases.opening import OpenedReport
from gateway.desk.collection.links import list_cluster
from gateway.desk.partners.outcomes import (
    OutcomeSignal,
    list_signals,
    record_outcome,
    take_back_outcome,
)
from gateway.desk.partners.registrations import find_authorisation
from gateway.desk.store.schema import CASES
from gateway.desk.uk_times import get_start_of, get_uk_day
from gateway.desk.wiring import Desk
from partner_sdk.wire.submission import PUBLIC_SENDER

DUPLICATE: Final = "duplicate"
USED: Final = "used"
# Longer than any planned investigation: probably a mistyped year.
MOST_DAYS_HELD: Final = 3 * 366


def schedule_outcome(desk: Desk, wanted: str, *, outcome: str, hold_until: date | None, actor: str) -> OutcomeSignal:
    """Record the outcome for the sending partner. It leaves with the next collection, or the first on that UK day.

    Raises `CaseError`: `unknown-case`, `bad-code`, `public-report`, `synthetic`, `not-opened`, `outcome-waits`,
    `not-own-duplicate`, `bad-day`, `held`, `not-assessed`.
    """
    check_code("outcome", outcome, OUTCOMES)
    now = desk.clock()
    with desk.store.write() as connection:
        found = get_first_case(connection, wanted)
        check_may_send_outcome(connection, found)
        if found.opened_at is None:
            raise CaseError("This report is still unread: open it first.", reason="not-opened")
        get_standing(connection, found)
        hold_unless_closed(desk, connection, found, actor=actor)
        if outcome == DUPLICATE and not has_own_earlier(connection, found):
            raise CaseError(
                (
                    "A partner may hear “known already” only about its own earlier reports: anything else "
                    f"would reveal another sender's report. Use {USED}."
                ),
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
    """Take back a case's waiting outcome. Raises `CaseError` (`unknown-case`, `nothing-waits`)."""
    with desk.store.write() as connection:
        found = get_first_case(connection, wanted)
        signal = find_waiting(connection, found)
        if signal is None or not take_back_outcome(connection, signal, actor=actor, now=desk.clock()):
            raise CaseError(
                (
                    "No outcome is waiting in this case. A released outcome cannot be taken back: record a "
                    "new one instead."
                ),
                reason="nothing-waits",
            )
        return signal


def get_first_case(connection: Connection, wanted: str) -> CaseRow:
    """Return the first report of the case with this id or reference. Raises `CaseError` (`unknown-case`)."""
    found = get_case(connection, wanted)
    return found if found.joined_to is None else get_case(connection, found.joined_to)


def check_may_send_outcome(connection: Connection, found: CaseRow) -> None:
    """Raise `CaseError` unless a partner sent this report and no other outcome waits."""
    check_from_partner(found)
    if find_waiting(connection, found) is not None:
        raise CaseError(
            "An outcome is already waiting in this case: take it back first.",
            reason="outcome-waits",
        )


def check_from_partner(found: CaseRow) -> None:
    """Raise `CaseError` (`synthetic`, `public-report`) for a case without a partner as its sender."""
    if found.synthetic:
        raise CaseError("This is a synthetic case: it has no sender.", reason="synthetic")
    if found.partner == PUBLIC_SENDER:
        raise CaseError("A person sent this report, so there is no partner to inform.", reason="public-report")


def find_waiting(connection: Connection, found: CaseRow) -> OutcomeSignal | None:
    """Return the outcome of a case that can still be taken back."""
    return next((one for one in list_signals(connection, case_id=found.case_id) if one.waits), None)


def choose_partner_outcome(connection: Connection, closed: CaseRow) -> str | None:
    """Return the outcome that a closed case's partner may see: "used" for a "duplicate" of another sender's report."""
    if closed.outcome == DUPLICATE and not has_own_earlier(connection, closed):
        return USED
    return closed.outcome


def has_own_earlier(connection: Connection, found: CaseRow) -> bool:
    """Return whether the same partner sent another case about the same incident before this one.

    Its additions to this case do not count. Of two cases from the same second, neither is the earlier one.
    """
    other = connection.execute(
        select(CASES.c.case_id).where(
            CASES.c.partner == found.partner,
            CASES.c.case_id.in_(list_cluster(connection, found.case_id) - {found.case_id}),
            CASES.c.received_at < found.received_at,
            CASES.c.joined_to.is_distinct_from(found.case_id),
        )
    ).first()
    return other is not None


def _begin_day(day: date, *, today: date) -> datetime:
    if not 0 < (day - today).days <= MOST_DAYS_HELD:
        raise CaseError("Hold it back until a future date within three years.", reason="bad-day")
    return get_start_of(day)


def list_submitter_doubts(connection: Connection, opened: Sequence[OpenedReport]) -> list[tuple[str, str]]:
    """Return the opened reports whose submitter their partner has not registered (SI 2026/268).

    Only a notice: the report counts like any other, and a partner without registered persons gets none.
    """
    strangers = []
    for one in opened:
        if one.content is None:
            continue
        said = one.content.report.reporter
        if (
            find_authorisation(connection, one.case.partner, email=said.submitter_email, name=said.submitter_name)
            is False
        ):
            strangers.append(one.case.reference)
    if not strangers:
        return []
    head = f"{', '.join(strangers)}: submitted by a person who is not on the partner's list of authorised persons."
    return [(head, "The report still counts. Ask the partner to check that its registration is complete.")]
