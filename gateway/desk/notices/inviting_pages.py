"""The pages of invitations: services with many reports and without the button, the letter to sign, and its answer."""

from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from gateway.desk.actions.ledger import open_body, record_sent
from gateway.desk.actions.model import Action, ActionError
from gateway.desk.notices.inviting import (
    ANSWERS,
    CHANNELS,
    MAX_ADDRESS_CHARACTERS,
    Invitation,
    draft_invitation,
    list_candidates,
    list_invitations,
    parse_invitation,
    print_invitation,
    record_answer,
    release_invitation,
)
from gateway.desk.notices.notice_page import (
    change_notice,
    get_notice_or_404,
    go_to_notice,
    release_notice,
    show_refusal,
    withdraw_notice,
)
from gateway.desk.notices.signing import find_signature
from gateway.desk.people.permissions import Permission
from gateway.desk.placements.register import get_owner_names
from gateway.desk.views.page import Fault, Typed, get_desk, get_name, read_typed, show_page, staff_rule
from gateway.desk.views.touch import FORM_BYTES
from gateway.web.problem_pages import not_found

blueprint = Blueprint("inviting", __name__)
INVITATION_BYTES: Final = 16_384  # an address of 400 characters of four bytes each, percent-encoded
_FIELDS: Final = {"bad-address": "to", "bad-code": "channel"}


@blueprint.get("/invitations")
@staff_rule(Permission.SEE_INVITATIONS)
def list_all() -> ResponseReturnValue:
    """Show the services to invite, and every invitation."""
    return _show_list(Typed())


@blueprint.post("/invitations")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=INVITATION_BYTES)
def post_draft() -> ResponseReturnValue:
    """Write the invitation of a service for a second person to sign."""
    typed = read_typed()
    try:
        action = draft_invitation(
            get_desk(), typed["service"], channel=typed["channel"], to=typed["to"], actor=get_name()
        )
    except ActionError as error:
        field = f"{_FIELDS.get(error.reason, 'to')}-{typed['service']}"
        return _show_list(typed, Fault(field, str(error)))
    return go_to_notice(action)


@blueprint.get("/invitations/<action_id>")
@staff_rule(Permission.SEE_INVITATIONS)
def show_invitation(action_id: str) -> ResponseReturnValue:
    """Show an invitation, word for word."""
    return _show(_get(action_id))


@blueprint.get("/invitations/<action_id>/letter")
@staff_rule(Permission.MANAGE_PARTNERS)
def get_letter(action_id: str) -> Response:
    """Return a released letter as a PDF."""
    action = _get(action_id)
    if action.released_at is None:
        not_found()
    pdf = print_invitation(_open(action), agency=get_desk().config.agency_name)
    headers = {"Content-Disposition": f'attachment; filename="invitation-{action.recipient}.pdf"'}
    return Response(pdf, content_type="application/pdf", headers=headers)


@blueprint.post("/invitations/<action_id>/release")
@staff_rule(Permission.RELEASE_NOTICES, body_bytes=FORM_BYTES)
def post_release(action_id: str) -> ResponseReturnValue:
    """Sign an invitation as a second person and release it; signed before, it is only released."""
    return release_notice(_get(action_id), release_invitation, show=_show)


@blueprint.post("/invitations/<action_id>/sent")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES)
def post_sent(action_id: str) -> ResponseReturnValue:
    """Record that a released invitation went by post or mail."""
    return change_notice(_get(action_id), record_sent, show=_show)


@blueprint.post("/invitations/<action_id>/answer")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES)
def post_answer(action_id: str) -> ResponseReturnValue:
    """Record the answer of the service."""
    action = _get(action_id)
    try:
        record_answer(get_desk(), action.action_id, answer=read_typed()["answer"], actor=get_name())
    except ActionError as error:
        return show_refusal(action, error, show=_show)
    return go_to_notice(action)


@blueprint.post("/invitations/<action_id>/withdraw")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=INVITATION_BYTES)
def post_withdraw(action_id: str) -> ResponseReturnValue:
    """Withdraw an invitation that was not sent."""
    action = _get(action_id)
    if action.sent_at is not None:
        return _show(action, fault="It was sent: record the answer instead.")
    return withdraw_notice(action, show=_show)


def _get(action_id: str) -> Action:
    return get_notice_or_404(action_id, kind="invitation")


def _open(action: Action) -> Invitation:
    return parse_invitation(open_body(get_desk(), action, actor=get_name()))


def _show_list(typed: Typed, *faults: Fault) -> ResponseReturnValue:
    desk = get_desk()
    now = desk.clock()
    with desk.store.read() as connection:
        candidates = list_candidates(desk, connection)
        invitations, names = list_invitations(connection), get_owner_names(connection)
    return show_page(
        "invitations.html",
        candidates=[one for one in candidates if one.may_be_asked(now)],
        invitations=invitations,
        names=names,
        threshold=desk.config.significant_incidents,
        channels=CHANNELS,
        most=MAX_ADDRESS_CHARACTERS,
        typed=typed,
        faults=faults,
    )


def _show(action: Action, *, fault: str | None = None) -> ResponseReturnValue:
    with get_desk().store.read() as connection:
        release, names = find_signature(connection, action), get_owner_names(connection)
    return show_page(
        "invitation.html",
        action=action,
        letter=_open(action),
        channels=dict(CHANNELS),
        answers=ANSWERS,
        service=names.get(action.recipient, action.recipient),
        release=release,
        me=get_name(),
        fault=fault,
    )
