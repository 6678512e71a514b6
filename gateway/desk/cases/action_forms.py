"""The forms on the page of every outgoing action: sign and release, record that it was sent, withdraw.

Each kind has its own page; each act is here once. The second person's signature of a notice covers the
action, its recipient and its content: another content has another hash, so its signature is gone.
"""

from collections.abc import Callable, Collection
from datetime import datetime

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from gateway.desk.actions.ledger import record_sent, release_action, withdraw_action
from gateway.desk.actions.model import KINDS, Action, ActionError, ActionKind, find_action, get_action
from gateway.desk.cases.holding import make_scope
from gateway.desk.cases.model import CaseError, CaseRow, get_case, has_control_characters, normalise
from gateway.desk.people.permissions import CaseScope, Permission
from gateway.desk.people.releases import Release, draft_release, find_release, get_signed
from gateway.desk.views.page import Fault, Forms, Typed, check_route, get_desk, get_name, go_to
from gateway.desk.views.step_up import sign_on_page
from gateway.desk.wiring import Desk
from gateway.web.rules import not_found
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.mailbox import MAX_ALERT_CHARACTERS


def get_case_or_404(case_id: str) -> CaseRow:
    """Return the case of this address, or answer 404.

    A duty officer reaches only cases of the crisis lane, an officer of a faculty those of the faculty too: the route's
    permission holds for this case, or the answer is 403.
    """
    with get_desk().store.read() as connection:
        try:
            found = get_case(connection, case_id)
        except CaseError:
            not_found()
        scope = make_scope(connection, found, person=get_name())
    check_route(case=scope)
    return found


def get_action_or_404(action_id: str, *, kinds: Collection[ActionKind]) -> Action:
    """Return an action of these kinds, of a case that this person reaches, or answer 404 or 403."""
    with get_desk().store.read() as connection:
        action = find_action(connection, action_id)
    if action is None or action.kind not in kinds:
        not_found()
    check_route(case=find_scope(action))
    return action


def find_scope(action: Action) -> CaseScope | None:
    """Return what of the case of an action decides who reaches it; None for an action about no case."""
    if action.case_id is None:
        return None
    with get_desk().store.read() as connection:
        return make_scope(connection, get_case(connection, action.case_id), person=get_name())


def make_action_forms(
    blueprint: Blueprint,
    kinds: Collection[ActionKind],
    path: str,
    *,
    page: str,
    show: Callable[[Action, list[Fault]], ResponseReturnValue],
    sent_at: str = "",
    begins: Callable[[Desk, Connection, Action], datetime] | None = None,
    is_notice: bool = False,
) -> Forms[Action]:
    """Return the decorator for the forms of some kinds, with those that are alike: release, sent by hand, withdrawn.

    `show` gets the action as it is after a refusal. `sent_at` is the place of a refusal to record that it was sent;
    `is_notice` adds the release by `release_notice`.
    """
    (makes,) = {KINDS[kind].makes for kind in kinds}

    def show_now(action: Action, faults: list[Fault]) -> ResponseReturnValue:
        with get_desk().store.read() as connection:
            now = get_action(connection, action.action_id)
        return show(now, faults)

    forms = Forms(
        blueprint,
        find=lambda action_id: get_action_or_404(action_id, kinds=kinds),
        show=show_now,
        then=lambda action, _place: go_to(page, action_id=action.action_id),
    )

    def post_release(action: Action, _typed: Typed) -> None:
        desk = get_desk()
        with desk.store.read() as connection:
            signature = find_signature(connection, action)
        if signature is not None and signature.signed_by is None:
            sign_on_page(signature, body=describe_action(action))
        release_notice(desk, action.action_id, actor=get_name(), begins=begins)

    def post_sent(action: Action, _typed: Typed) -> None:
        with get_desk().store.write() as connection:
            record_sent(get_desk(), connection, action.action_id, actor=get_name())

    def post_withdraw(action: Action, typed: Typed) -> None:
        if action.kind == "invitation" and action.sent_at is not None:
            raise ActionError("It was sent: record the answer instead.", reason="not-open")
        with get_desk().store.write() as connection:
            withdraw_action(get_desk(), connection, action.action_id, reason=typed["withdraw_reason"], actor=get_name())

    if is_notice:
        forms.post(f"{path}/<action_id>/release", Permission.RELEASE_NOTICES, at="release")(post_release)
    if sent_at:
        forms.post(f"{path}/<action_id>/sent", makes, at=sent_at)(post_sent)
    forms.post(f"{path}/<action_id>/withdraw", makes, at="withdraw_reason")(post_withdraw)
    return forms


def release_notice(
    desk: Desk, action_id: str, *, actor: str, begins: Callable[[Desk, Connection, Action], datetime] | None = None
) -> Action:
    """Release a signed notice, to leave at the time that `begins` gives; released before, it stays as it is."""
    with desk.store.write() as connection:
        action = get_action(connection, action_id)
        signature = get_signature(connection, action)
        if action.state == "released":
            return action
        not_before = None if begins is None else begins(desk, connection, action)
        return release_action(desk, connection, action_id, signature=signature, actor=actor, not_before=not_before)


def describe_action(action: Action) -> bytes:
    """Return the bytes that a second person signs."""
    return encode(
        {
            "action": action.action_id,
            "body_sha256": action.body_sha256,
            "case": action.case_id,
            "kind": action.kind,
            "recipient": action.recipient,
        }
    )


def draft_signature(connection: Connection, action: Action, *, by: str, now: datetime) -> None:
    """Enter a drafted action for a second person to sign, as a release of the action's own kind."""
    body = describe_action(action)
    draft_release(connection, kind=action.kind, subject=action.action_id, body=body, by=by, now=now)


def find_signature(connection: Connection, action: Action) -> Release | None:
    """Return the draft of an action's release, signed or not."""
    return find_release(connection, kind=action.kind, subject=action.action_id, body=describe_action(action))


def get_signature(connection: Connection, action: Action) -> Release:
    """Return the signature of an action as it is. Raises `ReleaseError`."""
    return get_signed(connection, kind=action.kind, subject=action.action_id, body=describe_action(action))


def get_clean_text(text: str, field: str) -> str:
    """Return a text for services. Raises `ActionError`."""
    text = normalise(text)
    if not text:
        raise ActionError(f"Fill in the field “{field}”.", reason="no-text")
    if len(text) > MAX_ALERT_CHARACTERS:
        raise ActionError(f"The field “{field}” can have up to {MAX_ALERT_CHARACTERS:,} characters.", reason="too-long")
    if has_control_characters(text):
        raise ActionError("The text contains characters that a page cannot show. Remove them.", reason="unprintable")
    return text
