"""What is open about a case, in one list for its page, the night's hand-over and the duty page; and what guards it.

The guards are judged in the transaction that closes the case, and each one is named on its page.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, and_, or_, select

from gateway.desk.actions.model import KIND_TITLES, Action, list_actions_of
from gateway.desk.actions.recipients import name_recipients
from gateway.desk.actions.waiting import list_told, list_unread
from gateway.desk.cases.assessing import YES, Standing, count_read, find_standing
from gateway.desk.cases.holding import check_not_held
from gateway.desk.cases.model import CaseError, CaseRow, to_case
from gateway.desk.cases.opening import is_proven, list_additions, list_reports
from gateway.desk.cases.replying.no_reply import list_no_reply_refusals
from gateway.desk.cases.steps import list_steps
from gateway.desk.outbox.replies import has_reply
from gateway.desk.store.schema import CASES
from gateway.desk.wiring import Desk
from partner_sdk.wire.submission import PUBLIC_SENDER

# A person has it to do, and the case may close meanwhile: a later report stays open by itself, and so does a request.
_CLOSES_ALL_THE_SAME: Final = frozenset({"later-open", "request-open", "entry-unread", "draft-waits", "not-sent"})


def list_open(desk: Desk, connection: Connection, found: CaseRow) -> list[CaseError]:
    """Return everything that is open about a case, by the reason of each; of a closed one, what came from outside."""
    mine = list[CaseError]()
    if found.closed_at is None:
        if found.opened_at is None:
            mine.append(CaseError("This report is still unread: open it first.", reason="not-opened"))
        mine += _list_unsettled(connection, found, find_standing(connection, found))
    return [*mine, *list_open_outside(desk, connection, [found])[found.case_id]]


def list_owed(connection: Connection, found: CaseRow, matters: Iterable[CaseError], *, actor: str) -> list[CaseError]:
    """Return every reason why this person may not close this case yet; `matters` are those of `list_open`.

    `already-closed` or `held` alone, or any of `not-opened`, `not-assessed`, `assessment-stale`, `package-owed`,
    `reply-owed`, `no-reply-unsigned`, `contact-owed`, `question-open`, `outcome-unrecorded`.
    """
    if found.closed_at is not None:
        return [CaseError("This case is already closed.", reason="already-closed")]
    try:
        check_not_held(connection, found, actor=actor)
    except CaseError as error:
        return [error]
    return [one for one in matters if one.reason not in _CLOSES_ALL_THE_SAME]


def list_open_outside(
    desk: Desk, connection: Connection, cases: Sequence[CaseRow]
) -> Mapping[str, Sequence[CaseError]]:
    """Return what the other sides wait for, by the id of each of these cases: bodies, services, and the person.

    A question without an answer stays open however its action stands, e.g. a package that was "answered" before.
    """
    leads: dict[str, str] = {case.case_id: case.case_id for case in cases}
    joined = select(CASES.c.case_id, CASES.c.joined_to).where(CASES.c.joined_to.in_(leads))
    leads |= {row.case_id: row.joined_to for row in connection.execute(joined)}
    actions = list_actions_of(connection, leads)
    names = name_recipients(desk, connection, actions)
    ids = [one.action_id for one in actions]
    told, unread = list_told(connection, ids), list_unread(connection, ids)
    matters: tuple[tuple[str, str, Callable[[Action], bool]], ...] = (
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


def _list_unsettled(connection: Connection, found: CaseRow, standing: Standing | None) -> Iterator[CaseError]:
    if standing is None:
        yield CaseError("Assess this case first: none closes without an assessment.", reason="not-assessed")
    elif standing.is_stale:
        yield CaseError(
            "More was read, or the case was reopened, after its assessment: assess it again.", reason="assessment-stale"
        )
    if (
        standing is not None
        and standing.urgent_dissemination == YES
        and not _is_passed_on(connection, found)
        and not _is_exempt(connection, found, standing)
    ):
        yield CaseError(
            (
                "Its assessment says that police or child protection need it urgently: send them a package and wait "
                "until they acknowledge it, record who took it there, or a supervisor records why not."
            ),
            reason="package-owed",
        )
    yield from list_no_reply_refusals(connection, found)
    if found.reply_code is not None:
        return
    if found.reply_owed:
        yield CaseError(
            (
                "This child is still owed a reply (R23). Answer, and record it on the page of the case; or explain "
                "there why a reply would do harm."
            ),
            reason="reply-owed",
        )
    elif standing is not None and standing.contact == YES and not has_reply(connection, case_id=found.case_id):
        yield CaseError(
            "Its assessment says to contact the adult who reported: record that, or assess it again.",
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


def _is_exempt(connection: Connection, found: CaseRow, standing: Standing) -> bool:
    newer = (one for one in list_steps(connection, found) if one.number > standing.step.number)
    return any(one.kind == "exempt" and one.case_id == found.case_id for one in newer)
