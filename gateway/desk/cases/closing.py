"""Closes a case with its outcome and the lesson that digests count, and reopens it; and all that it still owes.

Never closes a case automatically, nor one that still owes something: a reply to a child, an assessment of everything
that was read, a package where police or child protection need one urgently, contact with an adult where that was
decided. Never changes a digest: a case that was counted stays counted where it was (digests/making.py).

Three outcomes differ: the one that closes the case; the one for the child, as a body outside reports it, perhaps
months later (R52); and the one that a partner receives about its own report. That one reveals nothing about a public
report, and never "duplicate" of another sender's report.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, and_, or_, select, update

from gateway.desk.cases.actions.model import (
    KIND_TITLES,
    Action,
    list_actions_of,
    list_told,
    list_unread,
    name_recipients,
)
from gateway.desk.cases.assessing import YES, CurrentAssessment, count_read, find_assessment, get_assessment
from gateway.desk.cases.choices import choose_facts, load_facts
from gateway.desk.cases.holding import check_not_held, get_lead, hold, hold_unless_closed
from gateway.desk.cases.linking import record_link
from gateway.desk.cases.model import (
    MOST_WEAKNESSES,
    OUT_OF_REMIT,
    OUTCOMES,
    REDIRECTS,
    WEAKNESSES,
    CaseError,
    CaseReason,
    CaseRow,
    CaseStep,
    StepKind,
    StepText,
    add_step,
    check_code,
    check_open,
    check_read,
    get_case,
    get_clean_note,
    get_clean_reason,
    list_steps,
    to_case,
)
from gateway.desk.cases.opening import OpenedReport, is_proven, list_additions, list_reports
from gateway.desk.cases.replies import list_no_reply_refusals
from gateway.desk.cases.stages import OutcomeSignal, list_signals, record_outcome, take_back_outcome
from gateway.desk.collection.joining import get_unhandled_tier, list_cluster
from gateway.desk.office.people.permissions import CaseScope, Permission, Role, check_permission
from gateway.desk.office.uk_times import get_start_of, get_uk_day
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.replies import has_reply
from gateway.desk.partners.account_changes import find_authorisation
from gateway.desk.store.schema import CASES
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.mailbox import PACKAGE_OUTCOMES
from partner_sdk.wire.submission import PUBLIC_SENDER

# A person has it to do, and the case may close meanwhile: a later report stays open by itself, and so does a request.
_CLOSES_ALL_THE_SAME: Final = frozenset({"later-open", "request-open", "entry-unread", "draft-waits", "not-sent"})


def list_open(desk: Desk, connection: Connection, found: CaseRow) -> list[CaseError]:
    """Return all that is open about a case, by the reason of each; of a closed one, only messages from outside."""
    mine = list[CaseError]()
    if found.closed_at is None:
        if found.opened_at is None:
            mine.append(CaseError("This report is still unread. Open it first.", reason="not-opened"))
        mine += _list_unsettled(connection, found, find_assessment(connection, found))
    return [*mine, *list_open_outside(desk, connection, [found])[found.case_id]]


def list_owed(connection: Connection, found: CaseRow, matters: Iterable[CaseError], *, actor: str) -> list[CaseError]:
    """Return every reason why this person may not close this case yet; `matters` are those of `list_open`."""
    try:
        check_open(found)
        check_not_held(connection, found, actor=actor)
    except CaseError as error:
        return [error]
    return [one for one in matters if one.reason not in _CLOSES_ALL_THE_SAME]


def list_open_outside(
    desk: Desk, connection: Connection, cases: Sequence[CaseRow]
) -> Mapping[str, Sequence[CaseError]]:
    """Return the matters that other sides wait for, by the id of each of these cases: bodies, services, and the person.

    A question without an answer stays open however its action stands, e.g. a package that was "answered" before.
    """
    leads: dict[str, str] = {case.case_id: case.case_id for case in cases}
    joined = select(CASES.c.case_id, CASES.c.joined_to).where(CASES.c.joined_to.in_(leads))
    leads |= {row.case_id: row.joined_to for row in connection.execute(joined)}
    actions = list_actions_of(connection, leads)
    names = name_recipients(desk, connection, actions)
    ids = [one.action_id for one in actions]
    told, unread = list_told(connection, ids), list_unread(connection, ids)
    matters: tuple[tuple[CaseReason, str, Callable[[Action], bool]], ...] = (
        ("question-open", "{} asked something and has no answer yet", lambda one: one.asked_at is not None),
        ("outcome-unrecorded", "{} told an outcome for the child: record it", lambda one: one.action_id in told),
        ("entry-unread", "{} wrote: read it", lambda one: one.action_id in unread and one.asked_at is None),
        ("draft-waits", "{kind} to {} is a draft: it has not left", lambda one: one.state == "drafted"),
        ("not-sent", "{kind} to {} could not be sent", lambda one: one.state == "failed"),
    )
    found = defaultdict[str, list[CaseError]](list)
    for reason, words, is_open in matters:
        said = defaultdict[str, list[str]](list)
        for one in filter(is_open, actions):
            said[leads[one.case_id or ""]].append(words.format(names[one.action_id], kind=KIND_TITLES[one.kind]))
        for case_id, sentences in said.items():
            found[case_id].append(CaseError(f"{'. '.join(dict.fromkeys(sentences))}.", reason=reason))
    for case_id, references in _list_later(connection, cases).items():
        found[case_id].append(CaseError(f"Came later, and is open: {', '.join(references)}.", reason="later-open"))
    for case in cases:
        if case.requests:
            asks = "The person asks to see, correct or wipe their report: answer them."
            found[case.case_id].append(CaseError(asks, reason="request-open"))
    return found


def _list_later(connection: Connection, cases: Sequence[CaseRow]) -> Mapping[str, Sequence[str]]:
    """Return the references of later reports that are unread or wait for a reply, by the case that they add to."""
    named = {name: one.case_id for one in cases for name in (one.reference, one.other_reference) if name is not None}
    public = {one.case_id for one in cases if one.partner == PUBLIC_SENDER}
    of_person = and_(
        CASES.c.partner == PUBLIC_SENDER,
        CASES.c.adds_to.in_([name for name, case_id in named.items() if case_id in public]),
        or_(CASES.c.opened_at.is_(None), and_(CASES.c.reply_owed, CASES.c.reply_code.is_(None))),
    )
    of_partner = and_(CASES.c.joined_to.in_([one.case_id for one in cases]), CASES.c.opened_at.is_(None))
    later = select(CASES).where(CASES.c.closed_at.is_(None), or_(of_person, of_partner)).order_by(CASES.c.received_at)
    found = defaultdict[str, list[str]](list)
    for one in map(to_case, connection.execute(later)):
        found[one.joined_to or named[one.adds_to or ""]].append(one.reference)
    return found


def _list_unsettled(connection: Connection, found: CaseRow, current: CurrentAssessment | None) -> Iterator[CaseError]:
    if current is None:
        yield CaseError(
            "Assess the case first. Nothing leaves the desk and nothing closes before it is assessed.",
            reason="not-assessed",
        )
    elif current.is_stale:
        yield CaseError(
            "Assess the case again: more was read, or it was reopened, after its assessment.", reason="assessment-stale"
        )
    if (
        current is not None
        and current.urgent_dissemination == YES
        and not _is_passed_on(connection, found)
        and not _is_exempt(connection, found, current)
    ):
        yield CaseError(
            (
                "Police or child protection need this urgently: send them a package and wait until they "
                "acknowledge it, record who took it there, or a supervisor records why not."
            ),
            reason="package-owed",
        )
    yield from list_no_reply_refusals(connection, found)
    if found.reply_code is not None:
        return
    if found.reply_owed:
        yield CaseError(
            ("A reply is owed to the person who reported. Record the reply below before you close the case."),
            reason="reply-owed",
        )
    elif current is not None and current.contact == YES and not has_reply(connection, case_id=found.case_id):
        yield CaseError(
            "The assessment says to contact the adult who reported. Record that, or assess the case again.",
            reason="contact-owed",
        )


def _is_passed_on(connection: Connection, found: CaseRow) -> bool:
    """Return whether police or child protection have taken the case with every report of it that was read.

    A package counts once it was acknowledged, and a call once a person recorded it.
    """
    read = count_read(connection, found)
    steps = list_steps(connection, found, kinds={"pass-on", "choose-body"})
    passed = (one for one in steps if one.kind == "pass-on" and one.case_id == found.case_id)
    if any(one.detail["protects"] and one.detail["read"] >= read for one in passed):
        return True
    packages = [one for one in list_actions_of(connection, [found.case_id]) if one.is_taken and one.protects]
    if not any((one.covers or 0) >= read for one in packages):
        return False
    taken = {one.action_id for one in packages}
    chosen = (one.detail for one in steps if one.kind == "choose-body" and one.detail["action_id"] in taken)
    sent = {case_id for one in chosen for case_id in one["reports"].split(",")}
    return _list_proven(connection, found) <= sent


def _list_proven(connection: Connection, found: CaseRow) -> set[str]:
    """Return the ids of the read reports of a case, without an addition that may be from another person."""
    added = list_additions(connection, found) if found.partner == PUBLIC_SENDER else ()
    joined = (one for one in list_reports(connection, found.case_id))
    proven = (*joined, *(one for one in added if is_proven(one, earlier=found)))
    return {one.case_id for one in proven if one.opened_at is not None}


def _is_exempt(connection: Connection, found: CaseRow, current: CurrentAssessment) -> bool:
    newer = (one for one in list_steps(connection, found) if one.number > current.step.number)
    return any(one.kind == "exempt" and one.case_id == found.case_id for one in newer)


# The codes with which a body answers a package; each as the page has it.
CHILD_OUTCOMES: Final[Mapping[str, str]] = {code: title.removesuffix(".") for code, title in PACKAGE_OUTCOMES.items()}

_STEP: Final[StepKind] = "child-outcome"


@dataclass(frozen=True, slots=True)
class ChildOutcome:
    """One outcome that holds; `by` recorded it here. `action_id` is the package that it answers."""

    code: str
    at: str
    by: str
    action_id: str | None

    @property
    def title(self) -> str:
        """The outcome in words."""
        return CHILD_OUTCOMES.get(self.code, self.code)


def record_child_outcome(
    desk: Desk, wanted: str, *, outcome: str, told_by: str, actor: str, action_id: str | None = None
) -> CaseRow:
    """Record an outcome, also of a closed case; `told_by` names its source, e.g. an officer, and is sealed."""
    return _record(desk, wanted, outcome, note=told_by, actor=actor, action_id=action_id, holds=True)


def take_back_child_outcome(desk: Desk, wanted: str, *, outcome: str, reason: str, actor: str) -> CaseRow:
    """Record that an outcome was recorded in error. Raises `CaseError`, also `outcome-not-recorded`."""
    return _record(desk, wanted, outcome, note=reason, actor=actor, action_id=None, holds=False)


def list_child_outcomes(steps: Iterable[CaseStep]) -> list[ChildOutcome]:
    """Return the outcomes that hold, the oldest first, from the steps of a case, the newest first."""
    found: dict[str, ChildOutcome] = {}
    for step in sorted((one for one in steps if one.kind == _STEP), key=lambda one: one.number):
        code = step.detail["outcome"]
        found.pop(code, None)
        if step.detail["holds"]:
            found[code] = ChildOutcome(code, step.at, step.by, step.detail["action_id"])
    return list(found.values())


def _record(
    desk: Desk, wanted: str, outcome: str, *, note: str, actor: str, action_id: str | None, holds: bool
) -> CaseRow:
    check_code("outcome for the child", outcome, tuple(CHILD_OUTCOMES))
    text = StepText(note=get_clean_note(note))
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        check_read(found)
        held = {one.code for one in list_child_outcomes(list_steps(connection, found, kinds={_STEP}))}
        if holds and outcome in held:
            raise CaseError("This outcome is recorded already. Choose another one.", reason="outcome-recorded")
        if not holds and outcome not in held:
            raise CaseError(
                "This outcome is not recorded, so there is nothing to take back. Choose a recorded one.",
                reason="outcome-not-recorded",
            )
        codes = {"outcome": outcome, "action_id": action_id, "holds": holds}
        add_step(desk, connection, found.case_id, _STEP, actor=actor, text=text, codes=codes)
        return found


DUPLICATE: Final = "duplicate"
USED: Final = "used"
# Longer than any planned investigation: probably a mistyped year.
MOST_DAYS_HELD: Final = 3 * 366


def schedule_outcome(desk: Desk, wanted: str, *, outcome: str, hold_until: date | None, actor: str) -> OutcomeSignal:
    """Record the outcome for the sending partner. It leaves with the next collection, or the first on that UK day."""
    check_code("outcome", outcome, OUTCOMES)
    now = desk.clock()
    if hold_until is not None and not 0 < (hold_until - get_uk_day(now)).days <= MOST_DAYS_HELD:
        raise CaseError("Hold it back until a future date within three years.", reason="bad-day")
    with desk.store.write() as connection:
        found = get_first_case(connection, wanted)
        check_may_send_outcome(connection, found)
        check_read(found)
        get_assessment(connection, found)
        hold_unless_closed(desk, connection, found, actor=actor)
        if outcome == DUPLICATE and not has_own_earlier(connection, found):
            raise CaseError(
                ("“Known already” is only for reports that this partner sent before. Choose “Used” instead."),
                reason="not-own-duplicate",
            )
        signal_id = record_outcome(
            desk,
            connection,
            case_id=found.case_id,
            partner=found.partner,
            outcome=outcome,
            held_until=now if hold_until is None else get_start_of(hold_until),
            actor=actor,
        )
        return next(one for one in list_signals(connection, case_id=found.case_id) if one.signal_id == signal_id)


def take_back(desk: Desk, wanted: str, *, actor: str) -> OutcomeSignal:
    """Take back a case's waiting outcome."""
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
    """Return the first report of the case with this id or reference."""
    found = get_case(connection, wanted)
    return found if found.joined_to is None else get_case(connection, found.joined_to)


def check_may_send_outcome(connection: Connection, found: CaseRow) -> None:
    """Raise `CaseError` unless a partner sent this report and no other outcome waits."""
    if found.synthetic:
        raise CaseError("This is a synthetic case: it has no sender.", reason="synthetic")
    if found.partner == PUBLIC_SENDER:
        raise CaseError("A person sent this report, so there is no partner to inform.", reason="public-report")
    if find_waiting(connection, found) is not None:
        raise CaseError(
            "An outcome is already waiting. Take it back before you choose another.",
            reason="outcome-waits",
        )


def find_waiting(connection: Connection, found: CaseRow) -> OutcomeSignal | None:
    """Return the outcome of a case that can still be taken back."""
    return next((one for one in list_signals(connection, case_id=found.case_id) if one.waits), None)


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
    refused. `facts` are those known (`choices.py`), e.g. `{"moved_to": "messenger"}`. `release_outcome` informs
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

    Raises `CaseError`, and `ClosingRefusedError` with every reason of `list_refusals`.
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
        # Additions by the sender belong to the case and close with it; unread ones stay open for their own assessment.
        joined = (CASES.c.joined_to == closed.case_id) & CASES.c.closed_at.is_(None) & CASES.c.opened_at.is_not(None)
        same = {name: getattr(closed, name) for name in ("kind", "age_band", *_JUDGED)}
        connection.execute(update(CASES).where(joined).values(**same))
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

    It holds for the current assessment: a newer one that asks for a package needs a new record.
    """
    text = StepText(reason=get_clean_reason(reason))
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        check_open(found)
        if get_assessment(connection, found).urgent_dissemination != YES:
            raise CaseError("This case does not wait for a package.", reason="no-package-owed")
        add_step(desk, connection, found.case_id, "exempt", actor=actor, text=text)
        return found


def reopen_case(desk: Desk, wanted: str, *, reason: str, actor: str) -> CaseRow:
    """Open a closed case again, with a reason, and give it to this person; it needs a new assessment to close.

    An outcome that still waits to be sent is taken back; one that was sent stays.
    """
    text, now = StepText(reason=get_clean_reason(reason)), desk.clock()
    with desk.store.write() as connection:
        found = get_lead(connection, wanted)
        if found.closed_at is None:
            raise CaseError("This case is open. Nothing was changed.", reason="not-closed")
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
        raise CaseError("One of the answers is not on the list. Choose it again.", reason="bad-code")
    known = load_facts()
    for name, code in closing.facts.items():
        check_code("fact", name, tuple(known))
        if code:
            check_code(name, code, tuple(known[name].answers))
    if closing.outcome == OUT_OF_REMIT and closing.redirected_to is None:
        raise CaseError("This is out of remit: choose where they were sent.", reason="no-redirect")
    if closing.redirected_to is None:
        return
    check_code("redirected_to", closing.redirected_to, REDIRECTS)
    if closing.outcome != OUT_OF_REMIT:
        raise CaseError("One of the answers is not on the list. Choose it again.", reason="bad-code")


def check_may_close(roles: Collection[Role], closing: Closing, *, case: CaseScope) -> None:
    """Check the permissions for linking a case and informing its partner at closing. Raises `NotPermittedError`."""
    if closing.same_as is not None:
        check_permission(roles, Permission.LINK_CASES, case=case)
    if closing.release_outcome:
        check_permission(roles, Permission.TELL_OUTCOMES, case=case)


def list_refusals(
    desk: Desk, connection: Connection, found: CaseRow, closing: Closing, *, actor: str
) -> Iterator[CaseError]:
    """Yield every reason why this case may not close yet, e.g. unread and still owing a reply."""
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
    outcome = closed.outcome
    if outcome == DUPLICATE and not has_own_earlier(connection, closed):
        outcome = USED  # the other report is another sender's
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
