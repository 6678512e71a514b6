"""Closes a case with a named person's assessment and the answers that digests count.

Never closes a case automatically, and never before a child has had the reply it is owed, or a reason why no reply is
safe.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from sqlalchemy import Connection, update

from gateway.desk import audit
from gateway.desk.cases.linking import AT_CLOSING, record_link
from gateway.desk.cases.model import (
    AGE_BANDS,
    BEST_PLACED,
    KINDS,
    MOST_WEAKNESSES,
    NO_SAFE_CONTACT,
    OUT_OF_REMIT,
    OUTCOMES,
    REDIRECTS,
    WEAKNESSES,
    YES_NO,
    CaseError,
    CaseRow,
    check_code,
    get_case,
)
from gateway.desk.cases.partner_side import check_may_send_outcome, choose_partner_outcome
from gateway.desk.digests.facts import choose_facts, load_facts
from gateway.desk.partners.outcomes import record_outcome
from gateway.desk.store.schema import CASES
from gateway.desk.wiring import Desk
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.submission import PUBLIC_SENDER

# The columns that closing writes, into a case and into the later reports joined to it.
_JUDGED: Final = (
    *("closed_at", "assessor", "immediate_risk", "urgent", "urgent_dissemination", "best_placed"),
    *("kind", "age_band", "outcome", "weakness_1", "weakness_2", "redirected_to", *load_facts()),
)


@dataclass(frozen=True, slots=True)
class Assessment:
    """The four explicit answers and the name of the assessor (R15, R16)."""

    assessor: str
    immediate_risk: str
    urgent: str
    urgent_dissemination: str
    best_placed: str


@dataclass(frozen=True, slots=True)
class Closing:
    """The answers needed to close a case.

    `same_as` is the id or reference of another case about the same person or incident, to which this one is linked.
    `redirected_to` is the service to which a person with an out-of-remit report was sent (R7); required then, else
    refused. `facts` are those known (`digests/facts.py`), e.g. `{"moved_to": "messenger"}`.
    """

    assessment: Assessment
    outcome: str
    kind: str
    age_band: str
    weaknesses: tuple[str, ...] = ()
    same_as: str | None = None
    redirected_to: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


def close_case(desk: Desk, wanted: str, closing: Closing, *, actor: str, release_outcome: bool = False) -> CaseRow:
    """Close a case and its sender's additions with an assessment. `release_outcome` informs the sending partner.

    Raises `CaseError`: `unknown-case`, `already-closed`, `not-opened`, `bad-code`, `no-assessor`, `no-redirect`,
    `reply-owed`, `outcome-waits`.
    """
    check_closing(closing)
    now = desk.clock()
    with desk.store.write() as connection:
        found = get_case(connection, wanted)
        for refusal in list_refusals(connection, found, same_as=closing.same_as, release_outcome=release_outcome):
            raise refusal
        if closing.same_as is not None:
            record_link(connection, found, closing.same_as, reason=AT_CLOSING, actor=actor, now=now)
        first, second = (*closing.weaknesses, None, None)[:2]
        connection.execute(
            update(CASES)
            .where(CASES.c.case_id == found.case_id)
            .values(
                closed_at=format_time(now),
                **asdict(closing.assessment) | {"assessor": closing.assessment.assessor.strip()},
                kind=closing.kind,
                age_band=closing.age_band,
                outcome=closing.outcome,
                weakness_1=first,
                weakness_2=second,
                redirected_to=closing.redirected_to,
                **choose_facts(closing.facts),
            )
        )
        closed = get_case(connection, found.case_id)
        _close_joined(connection, closed)
        is_to_send = release_outcome and closed.partner != PUBLIC_SENDER
        outcome = choose_partner_outcome(connection, closed) if is_to_send else None
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
        audit.append_entry(
            connection,
            "close-case",
            found.case_id,
            at=now,
            actor=actor,
            outcome=closing.outcome,
            redirected_to=closing.redirected_to,
            released=release_outcome,
        )
        return closed


def check_closing(closing: Closing) -> None:
    """Raise `CaseError` for a missing answer or an unknown code."""
    if not closing.assessment.assessor.strip():
        raise CaseError("Name the person who assessed this: --assessor.", reason="no-assessor")
    for name in ("immediate_risk", "urgent", "urgent_dissemination"):
        check_code(name, getattr(closing.assessment, name), YES_NO)
    check_code("best_placed", closing.assessment.best_placed, BEST_PLACED)
    check_code("outcome", closing.outcome, OUTCOMES)
    check_code("kind", closing.kind, KINDS)
    check_code("age_band", closing.age_band, AGE_BANDS)
    for weakness in closing.weaknesses:
        check_code("weakness", weakness, WEAKNESSES)
    if len(closing.weaknesses) > MOST_WEAKNESSES or len(set(closing.weaknesses)) != len(closing.weaknesses):
        raise CaseError(f"Name at most {MOST_WEAKNESSES} weaknesses, each of them once.", reason="bad-code")
    _check_redirect(closing)
    _check_facts(closing.facts)


def _check_facts(facts: Mapping[str, str]) -> None:
    known = load_facts()
    for name, code in facts.items():
        check_code("fact", name, tuple(known))
        if code:
            check_code(name, code, tuple(known[name].answers))


def _check_redirect(closing: Closing) -> None:
    if closing.outcome == OUT_OF_REMIT and closing.redirected_to is None:
        raise CaseError("Give the service that this person was sent to: --redirected-to.", reason="no-redirect")
    if closing.redirected_to is None:
        return
    check_code("redirected_to", closing.redirected_to, REDIRECTS)
    if closing.outcome != OUT_OF_REMIT:
        raise CaseError(f"--redirected-to goes only with the outcome {OUT_OF_REMIT}.", reason="bad-code")


def list_refusals(
    connection: Connection, found: CaseRow, *, same_as: str | None, release_outcome: bool
) -> Iterator[CaseError]:
    """Yield every reason why this case may not close yet, e.g. unread and still owing a reply."""
    if found.closed_at is not None:
        yield CaseError("This case is already closed.", reason="already-closed")
        return
    if found.opened_at is None:
        yield CaseError("This report is still unread: open it first (`case show`).", reason="not-opened")
    if found.reply_owed and found.reply_code is None:
        yield CaseError(
            (
                "This child is still owed a reply (R23). Record it with --reply-recorded, or explain why "
                f"a reply would do harm with --reply-recorded {NO_SAFE_CONTACT} --reply-reason."
            ),
            reason="reply-owed",
        )
    try:
        if same_as is not None:
            get_case(connection, same_as)
        if release_outcome and found.partner != PUBLIC_SENDER:
            check_may_send_outcome(connection, found)
    except CaseError as error:
        yield error


def _close_joined(connection: Connection, closed: CaseRow) -> None:
    # Additions by the sender belong to the case and close with it; unread ones stay open for their own assessment.
    joined = (CASES.c.joined_to == closed.case_id) & CASES.c.closed_at.is_(None) & CASES.c.opened_at.is_not(None)
    same = {name: getattr(closed, name) for name in _JUDGED}
    connection.execute(update(CASES).where(joined).values(**same))
