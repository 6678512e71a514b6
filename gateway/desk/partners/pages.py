"""Pages of the partners: the list with the form that invites, and one partner with every decision about it.

Never shows a registration or a key of one partner on the page of another. A decision that the gateway must know is
published at once; if the gateway is away, the page says so and offers to publish again.
"""

from collections.abc import Callable
from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from gateway.desk.keyring.publication import is_gateway_behind, publish
from gateway.desk.organisations import PARTNER_TYPES, PartnerError, list_partners
from gateway.desk.partners.account_changes import (
    REFUSAL_REASONS,
    accept_change,
    get_partner_view,
    list_changes,
    refuse_change,
    revoke_key,
    suspend_partner,
)
from gateway.desk.partners.enrolments import (
    approve_partner,
    end_invitation,
    find_waiting_enrolment,
    invite_partner,
    may_enrol,
    publish_invitations,
)
from gateway.desk.people.permissions import Permission
from gateway.desk.placements.register import IN_REGISTER, list_placements
from gateway.desk.views.page import Fault, Typed, get_desk, get_name, go_to, read_typed, show_page, staff_rule
from gateway.web.rules import not_found
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.enrolment import list_registration_gaps

blueprint = Blueprint("partners", __name__)
FORM_BYTES: Final = 16_384
# The field of the form that invites for each refusal.
_FIELDS: Final = {
    "bad-partner-id": "partner",
    "merged": "partner",
    "bad-name": "name",
    "bad-type": "type",
    "bad-country": "country",
}


@blueprint.get("/partners")
@staff_rule(Permission.MANAGE_PARTNERS)
def list_all() -> ResponseReturnValue:
    """Show every partner, waiting enrolment and open invitation, and the form that invites."""
    return _show_list(Typed())


@blueprint.post("/partners")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES)
def post_invite() -> ResponseReturnValue:
    """Make an invitation, show it once, and give its hash to the gateway."""
    desk, typed = get_desk(), read_typed()
    try:
        invitation = invite_partner(
            desk,
            partner=typed["partner"],
            name=typed["name"],
            origin=desk.config.gateway_origin,
            actor=get_name(),
            type=typed["type"] or None,  # type: ignore[arg-type] # checked by `check_kind`
            country=typed["country"] or None,
        )
    except PartnerError as error:
        return _show_list(typed, Fault(_FIELDS.get(error.reason, "main"), str(error)))
    _publish()
    return _show_list(Typed(), invited=invitation.partner, invitation=encode(invitation).decode())


@blueprint.post("/partners/publish")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES)
def post_publish() -> ResponseReturnValue:
    """Give the gateway the register and the invitations that it does not have yet."""
    fault = _publish()
    return go_to("partners.list_all") if fault is None else _show_list(Typed(), Fault("main", fault))


@blueprint.get("/partners/<partner>")
@staff_rule(Permission.MANAGE_PARTNERS)
def show_partner(partner: str) -> ResponseReturnValue:
    """Show one partner: its keys, its registration, and all that waits for a decision."""
    return _show(partner)


@blueprint.post("/partners/<partner>/approve")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES, needs_step_up=True)
def post_approve(partner: str) -> ResponseReturnValue:
    """Put the keys of an enrolment into the register, if the partner read the shown key id aloud."""
    typed = read_typed()
    if not typed["read_aloud"]:
        return _show(partner, _ask_to_call("approve"))
    return _do(partner, lambda: approve_partner(get_desk(), partner=partner, key_id=typed["key_id"], actor=get_name()))


@blueprint.post("/partners/<partner>/end-invitation")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES)
def post_end_invitation(partner: str) -> ResponseReturnValue:
    """End an open invitation, and refuse an enrolment that waits."""
    return _do(partner, lambda: end_invitation(get_desk(), partner=partner, actor=get_name()), is_published=False)


@blueprint.post("/partners/<partner>/suspend")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES, needs_step_up=True)
def post_suspend(partner: str) -> ResponseReturnValue:
    """Stop taking a partner's reports. Its buttons stay: a child on its pages can still press one."""
    return _do(partner, lambda: suspend_partner(get_desk(), partner=partner, actor=get_name()))


@blueprint.post("/partners/<partner>/revoke")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES, needs_step_up=True)
def post_revoke(partner: str) -> ResponseReturnValue:
    """End a lost or stolen key, or all keys of a partner, without a grace period."""
    typed = read_typed()
    return _do(
        partner,
        lambda: revoke_key(
            get_desk(),
            partner=partner,
            key_id=typed["key_id"] or None,
            keep_successor=bool(typed["keep_successor"]),
            actor=get_name(),
        ),
    )


@blueprint.post("/partners/<partner>/accept")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES, needs_step_up=True)
def post_accept(partner: str) -> ResponseReturnValue:
    """Accept a change: a registration takes effect here, new keys take effect with the register."""
    typed = read_typed()
    with get_desk().store.read() as connection:
        is_of_keys = typed["change_id"] in {one.change_id for one in list_changes(connection) if one.kind == "keys"}
    if is_of_keys and not typed["read_aloud"]:
        return _show(partner, _ask_to_call("accept"))
    return _do(partner, lambda: accept_change(get_desk(), change_id=typed["change_id"], actor=get_name()))


@blueprint.post("/partners/<partner>/refuse")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES)
def post_refuse(partner: str) -> ResponseReturnValue:
    """Refuse a change with a reason."""
    typed = read_typed()
    change_id = typed["change_id"]
    reason = next((one for one in REFUSAL_REASONS if one == typed["why"]), None)
    if reason is None:
        return _show(partner, Fault(f"why-{change_id}", "Choose the reason for refusing."))
    return _do(
        partner,
        lambda: refuse_change(get_desk(), change_id=change_id, reason=reason, actor=get_name()),
        is_published=False,
    )


def _ask_to_call(form: str) -> Fault:
    return Fault(f"{form}-read-aloud", "Call the partner at a number that you knew before, and compare the key ids.")


def _do(partner: str, action: Callable[[], object], *, is_published: bool = True) -> ResponseReturnValue:
    try:
        action()
    except PartnerError as error:
        return _show(partner, Fault("main", str(error)))
    if is_published:
        _publish()
    return go_to("partners.show_partner", partner=partner)


def _publish() -> str | None:
    """Give the gateway what it does not have; return the fault, if any. The decision itself stands here."""
    desk = get_desk()
    try:
        publish(desk, actor=get_name())
        publish_invitations(desk, desk.make_feed())
    except ReportAbuseError as error:
        return str(error)
    return None


def _show_list(typed: Typed, *faults: Fault, invited: str = "", invitation: str = "") -> ResponseReturnValue:
    desk = get_desk()
    with desk.store.read() as connection:
        partners = list_partners(connection)
        is_behind = is_gateway_behind(connection, desk)
    return show_page(
        "partners.html",
        partners=partners,
        types=[(one, one.replace("_", " ")) for one in PARTNER_TYPES],
        is_behind=is_behind,
        invited=invited,
        invitation=invitation,
        typed=typed,
        faults=faults,
    )


def _show(partner: str, *faults: Fault) -> ResponseReturnValue:
    desk = get_desk()
    now = desk.clock()
    with desk.store.read() as connection:
        try:
            view = get_partner_view(connection, partner)
        except PartnerError:
            not_found()
        enrolment = find_waiting_enrolment(connection, partner)
        places = list_placements(connection, owner=partner, states=IN_REGISTER)
        is_behind = is_gateway_behind(connection, desk)
        is_invited = may_enrol(connection, partner, now=now)
    return show_page(
        "partner.html",
        partner=view,
        enrolment=enrolment,
        keys=[one for one in view.changes if one.kind == "keys"][-1:],
        registrations=[one for one in view.changes if one.kind == "registration"],
        gaps=None if view.registration is None else list_registration_gaps(view.registration),
        wanted_gaps=None if view.wanted is None else list_registration_gaps(view.wanted),
        places=places,
        reasons=REFUSAL_REASONS.items(),
        is_behind=is_behind,
        is_invited=is_invited,
        faults=faults,
    )
