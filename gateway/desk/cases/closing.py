"""Closes a case with its outcome and the lesson that digests count, and reopens it.

Never closes a case automatically, nor one that still owes something: a reply to a child, an assessment of everything
that was read, a package where police or child protection need one urgently, contact with an adult where that was
decided. Never changes a digest: a case that was counted stays counted where it was (digests/freezing.py).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, update

from gateway.desk.cases.assessing import YES, get_standing
from gateway.desk.cases.guards import list_open, list_owed
from gateway.desk.cases.holding import check_open, get_lead, hold
from gateway.desk.cases.linking import record_link
from gateway.desk.cases.model import (
    MOST_WEAKNESSES,
    OUT_OF_REMIT,
    OUTCOMES,
    REDIRECTS,
    WEAKNESSES,
    CaseError,
    CaseRow,
    check_code,
    get_case,
)
from gateway.desk.cases.partner_side import check_may_send_outcome, choose_partner_outcome, find_waiting
from gateway.desk.cases.steps import StepText, add_step, get_clean_reason
from gateway.desk.collection.joining import get_unhandled_tier
from gateway.desk.digests.facts import choose_facts, load_facts
from gateway.desk.partners.outcomes import record_outcome, take_back_outcome
from gateway.desk.people.permissions import CaseScope, Permission, Role, check_permission
from gateway.desk.store.schema import CASES
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.submission import PUBLIC_SENDER

# The columns that closing writes, into a case and, with its kind and age, into the later reports joined to it.
_JUDGED: Final = ("closed_at", "outcome", "weakness_1", "weakness_2", "redirected_to", *load_facts())


class ClosingRefusedError(CaseError):
    """A case may not close yet; `refusals` has every reason, and its own is the first of them."""

    def __init__(self, refusals: Sequence[CaseError]) -> None:
        self.refusals = tuple(refusals)
        super().__init__(str(refusals[0]), reason=refusals[0].reason)


@dataclass(frozen=True, slots=True)
class Closing:
    """The answers needed to close a case; the others are those of its assessment.

    `same_as` is the id or reference of another case about the same person or incident, to which this one is linked.
    `redirected_to` is the service to which a person with an out-of-remit report was sent (R7); required then, else
    refused. `facts` are those known (`digests/facts.py`), e.g. `{"moved_to": "messenger"}`. `release_outcome` informs
    the sending partner.
    """

    outcome: str
    weaknesses: tuple[str, ...] = ()
    same_as: str | None = None
    redirected_to: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    release_outcome: bool = False


def close_case(desk: Desk, wanted: str, closing: Closing, *, actor: str) -> CaseRow:
    """Close a case and its sender's additions that were read.

    Raises `CaseError`: `unknown-case`, `bad-code`, `no-redirect`, `own-case`, and `ClosingRefusedError` with every
    reason of `list_refusals`.
    """
    check_closing(closing)
    now = desk.clock()
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        if refusals := list(list_refusals(desk, connection, found, closing, actor=actor)):
            raise ClosingRefusedError(refusals)
        found = hold(desk, connection, found, actor=actor)
        if closing.same_as is not None:
            record_link(desk, connection, found, closing.same_as, text=None, actor=actor)
        first, second = (*closing.weaknesses, None, None)[:2]
        connection.execute(
            update(CASES)
            .where(CASES.c.case_id == found.case_id)
            .values(
                closed_at=format_time(now),
                holder=None,
                held_since=None,
                tier=get_unhandled_tier(found),
                outcome=closing.outcome,
                weakness_1=first,
                weakness_2=second,
                redirected_to=closing.redirected_to,
                **choose_facts(closing.facts),
            )
        )
        closed = get_case(connection, found.case_id)
        _close_joined(connection, closed)
        if closing.release_outcome and closed.partner != PUBLIC_SENDER:
            _record_outcome(desk, connection, closed, actor=actor, now=now)
        codes = {
            "outcome": closing.outcome,
            "weaknesses": " ".join(closing.weaknesses),
            "redirected_to": closing.redirected_to,
            "released": closing.release_outcome,
        }
        add_step(desk, connection, found.case_id, "close", actor=actor, codes=codes)
        return closed


def exempt_case(desk: Desk, wanted: str, *, reason: str, actor: str) -> CaseRow:
    """Record why a case may close without an acknowledged package although its assessment asks for one.

    It holds for the standing assessment: a newer one that asks for a package needs a new record. Raises `CaseError`:
    `unknown-case`, `already-closed`, `not-assessed`, `no-package-owed`, and those of a reason.
    """
    text = StepText(reason=get_clean_reason(reason))
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        check_open(found)
        if get_standing(connection, found).urgent_dissemination != YES:
            raise CaseError("This case does not wait for a package.", reason="no-package-owed")
        add_step(desk, connection, found.case_id, "exempt", actor=actor, text=text)
        return found


def reopen_case(desk: Desk, wanted: str, *, reason: str, actor: str) -> CaseRow:
    """Open a closed case again, with a reason, and give it to this person; it needs a new assessment to close.

    An outcome that still waits to be sent is taken back; one that was sent stays. Raises `CaseError`: `unknown-case`,
    `not-closed`, `synthetic`, `destroyed`, and those of a reason.
    """
    text, now = StepText(reason=get_clean_reason(reason)), desk.clock()
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        if found.closed_at is None:
            raise CaseError("This case is open.", reason="not-closed")
        if found.synthetic:
            raise CaseError("This is a synthetic case: there is nothing to work on.", reason="synthetic")
        if found.destroyed_at is not None:
            raise CaseError("This case was destroyed: there is nothing left to work on.", reason="destroyed")
        same = CASES.c.case_id == found.case_id
        joined = (CASES.c.joined_to == found.case_id) & (CASES.c.closed_at == found.closed_at)
        connection.execute(update(CASES).where(same | joined).values(dict.fromkeys(_JUDGED)))
        waiting = find_waiting(connection, found)
        if waiting is not None:
            take_back_outcome(connection, waiting, actor=actor, now=now)
        codes = {"was": found.outcome, "closed_at": found.closed_at, "taken_back": waiting is not None}
        add_step(desk, connection, found.case_id, "reopen", actor=actor, text=text, codes=codes)
        return hold(desk, connection, get_case(connection, found.case_id), actor=actor)


def check_closing(closing: Closing) -> None:
    """Raise `CaseError` for a missing answer or an unknown code."""
    check_code("outcome", closing.outcome, OUTCOMES)
    for weakness in closing.weaknesses:
        check_code("weakness", weakness, WEAKNESSES)
    if len(closing.weaknesses) > MOST_WEAKNESSES or len(set(closing.weaknesses)) != len(closing.weaknesses):
        raise CaseError(f"Name at most {MOST_WEAKNESSES} weaknesses, each of them once.", reason="bad-code")
    known = load_facts()
    for name, code in closing.facts.items():
        check_code("fact", name, tuple(known))
        if code:
            check_code(name, code, tuple(known[name].answers))
    if closing.outcome == OUT_OF_REMIT and closing.redirected_to is None:
        raise CaseError("Give the service that this person was sent to.", reason="no-redirect")
    if closing.redirected_to is None:
        return
    check_code("redirected_to", closing.redirected_to, REDIRECTS)
    if closing.outcome != OUT_OF_REMIT:
        raise CaseError(f"Only the outcome {OUT_OF_REMIT} names where the person was sent.", reason="bad-code")


def check_may_close(roles: Collection[Role], closing: Closing, *, case: CaseScope) -> None:
    """Check the permissions for linking a case and informing its partner at closing. Raises `NotPermittedError`."""
    if closing.same_as is not None:
        check_permission(roles, Permission.LINK_CASES, case=case)
    if closing.release_outcome:
        check_permission(roles, Permission.TELL_OUTCOMES, case=case)


def list_refusals(
    desk: Desk, connection: Connection, found: CaseRow, closing: Closing, *, actor: str
) -> Iterator[CaseError]:
    """Yield every reason why this case may not close yet, e.g. unread and still owing a reply.

    Those of `list_owed`, and `unknown-case`, `outcome-waits`.
    """
    yield from list_owed(connection, found, list_open(desk, connection, found), actor=actor)
    if found.closed_at is not None or found.holder not in {None, actor}:
        return
    try:
        if closing.same_as is not None:
            get_case(connection, closing.same_as)
        if closing.release_outcome and found.partner != PUBLIC_SENDER:
            check_may_send_outcome(connection, found)
    except CaseError as error:
        yield error


def _record_outcome(desk: Desk, connection: Connection, closed: CaseRow, *, actor: str, now: datetime) -> None:
    outcome = choose_partner_outcome(connection, closed)
    if outcome is not None:
        record_outcome(
            desk,
            connection,
            case_id=closed.case_id,
            partner=closed.partner,
            outcome=outcome,
            held_until=now,
            actor=actor,
        )


def _close_joined(connection: Connection, closed: CaseRow) -> None:
    # Additions by the sender belong to the case and close with it; unread ones stay open for their own assessment.
    joined = (CASES.c.joined_to == closed.case_id) & CASES.c.closed_at.is_(None) & CASES.c.opened_at.is_not(None)
    same = {name: getattr(closed, name) for name in ("kind", "age_band", *_JUDGED)}
    connection.execute(update(CASES).where(joined).values(**same))
