"""Acts on the page of a referral or an invitation: each answers with that page, with the reason if it is refused."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from flask.typing import ResponseReturnValue

from gateway.desk.actions.ledger import withdraw_action
from gateway.desk.actions.model import Action, ActionError, ActionKind, find_action, get_action
from gateway.desk.notices.signing import describe_action, find_signature
from gateway.desk.views.page import get_desk, get_name, go_to, read_typed
from gateway.desk.views.touch import sign_on_page
from gateway.web.problem_pages import not_found
from partner_sdk.errors import ReportAbuseError

_PAGES: Final[Mapping[ActionKind, str]] = {
    "invitation": "inviting.show_invitation",
    "terms-referral": "referrals.show_referral",
}
# Shows the page of a notice with a fault: `show(action, fault=text)`.
Show = Callable[..., ResponseReturnValue]


def get_notice_or_404(action_id: str, *, kind: ActionKind) -> Action:
    """Return a notice of one kind, or answer 404."""
    with get_desk().store.read() as connection:
        action = find_action(connection, action_id)
    if action is None or action.kind != kind:
        not_found()
    return action


def go_to_notice(action: Action) -> ResponseReturnValue:
    """Answer a form with the page of its notice."""
    return go_to(_PAGES[action.kind], action_id=action.action_id)


def show_refusal(action: Action, error: ReportAbuseError, *, show: Show) -> ResponseReturnValue:
    """Answer a refused form with the page of its notice as it is now, and the reason."""
    with get_desk().store.read() as connection:
        action = get_action(connection, action.action_id)
    return show(action, fault=str(error))


def release_notice(action: Action, release: Callable[..., Action], *, show: Show) -> ResponseReturnValue:
    """Sign a notice as a second person, and release it, e.g. by `release_referral`; a signed one is only released."""
    desk = get_desk()
    try:
        with desk.store.read() as connection:
            signature = find_signature(connection, action)
        if signature is not None and signature.signed_by is None:
            sign_on_page(signature, body=describe_action(action))
        release(desk, action.action_id, actor=get_name())
    except ReportAbuseError as error:
        return show_refusal(action, error, show=show)
    return go_to_notice(action)


def change_notice(action: Action, change: Callable[..., Action], *, show: Show) -> ResponseReturnValue:
    """Change a notice in one transaction, e.g. by `end_action`."""
    desk = get_desk()
    try:
        with desk.store.write() as connection:
            change(desk, connection, action.action_id, actor=get_name())
    except ActionError as error:
        return show_refusal(action, error, show=show)
    return go_to_notice(action)


def withdraw_notice(action: Action, *, show: Show) -> ResponseReturnValue:
    """Withdraw a notice for the reason in this form."""
    return change_notice(action, partial(withdraw_action, reason=read_typed()["withdraw_reason"]), show=show)
