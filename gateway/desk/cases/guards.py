"""The guards against closing a case: each one is judged in the transaction that closes it, and named on its page."""

from collections.abc import Iterator

from sqlalchemy import Connection

from gateway.desk.actions.model import list_actions_of
from gateway.desk.cases.assessing import YES, Standing, count_read, find_standing
from gateway.desk.cases.holding import check_not_held
from gateway.desk.cases.model import CaseError, CaseRow
from gateway.desk.cases.opening import is_proven, list_additions, list_reports
from gateway.desk.cases.replying.no_reply import list_no_reply_refusals
from gateway.desk.cases.steps import list_steps
from gateway.desk.outbox.replies import has_reply
from partner_sdk.wire.submission import PUBLIC_SENDER


def list_owed(connection: Connection, found: CaseRow, *, actor: str) -> Iterator[CaseError]:
    """Yield every reason why this person may not close this case yet, e.g. unread and still owing a reply.

    `already-closed` or `held` alone, or any of `not-opened`, `not-assessed`, `assessment-stale`, `package-owed`,
    `reply-owed`, `no-reply-unsigned`, `contact-owed`.
    """
    if found.closed_at is not None:
        yield CaseError("This case is already closed.", reason="already-closed")
        return
    try:
        check_not_held(connection, found, actor=actor)
    except CaseError as error:
        yield error
        return
    if found.opened_at is None:
        yield CaseError("This report is still unread: open it first (`case show`).", reason="not-opened")
    standing = find_standing(connection, found)
    yield from _list_unsettled(connection, found, standing)


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
