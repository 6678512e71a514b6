"""Pages of the partners, with every decision about one, and of the services that ask for the button.

Never shows a registration or a key of one partner on the page of another. A decision that the gateway must know is
published at once; if the gateway is away, the page says so and offers to publish again. Names and addresses of a
request for the button appear only in the response to the post that opened it. Never sends a mail.
"""

from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from gateway.desk.keyring.publication import is_gateway_behind, publish
from gateway.desk.office.organisations import PARTNER_TYPES, PartnerError, find_owner_name, list_partners
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.views.page import (
    Fault,
    Forms,
    Typed,
    get_desk,
    get_name,
    go_to,
    read_list_page,
    read_typed,
    show_page,
    staff_rule,
)
from gateway.desk.partners.account_changes import (
    REFUSAL_REASONS,
    accept_change,
    get_partner_view,
    list_changes,
    refuse_change,
    revoke_key,
    suspend_partner,
)
from gateway.desk.partners.adoption import (
    STATES,
    WAITING,
    AdoptionError,
    AdoptionLine,
    count_unreadable,
    decline_adoption,
    format_asking,
    get_adoption,
    invite_adopter,
    list_adoptions,
    open_adoption,
)
from gateway.desk.partners.enrolments import (
    approve_partner,
    end_invitation,
    find_waiting_enrolment,
    invite_partner,
    may_enrol,
    publish_invitations,
)
from gateway.desk.partners.placement_register import IN_REGISTER, count_button_requests, list_placements
from gateway.web.rules import not_found
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.button import AskingService, format_request_number
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.enrolment import list_registration_gaps

blueprint = Blueprint("partners", __name__)
adoption = Blueprint("adoption", __name__)
list_forms: Forms[None] = Forms(
    blueprint,
    find=lambda: None,
    show=lambda _, faults: _show_list(read_typed(), *faults),
    then=lambda *_: go_to("partners.list_all"),
    fields={
        "bad-partner-id": "partner",
        "merged": "partner",
        "bad-name": "name",
        "bad-type": "type",
        "bad-country": "country",
    },
)
forms: Forms[str] = Forms(
    blueprint,
    find=lambda partner: partner,
    show=lambda partner, faults: _show(partner, *faults),
    then=lambda partner, _: go_to("partners.show_partner", partner=partner),
)
adoption_forms = Forms(
    adoption,
    find=lambda request_id: _get_request(request_id),
    show=lambda line, faults: _open_request(line.request_id, *faults),
    then=lambda line, _: go_to("adoption.show_request", request_id=line.request_id),
    fields={
        **dict.fromkeys(("known-owner", "known-partner", "bad-owner", "bad-partner-id", "merged"), "owner"),
        "no-reason": "why",
    },
)


@blueprint.get("/partners")
@staff_rule(Permission.MANAGE_PARTNERS)
def list_all() -> ResponseReturnValue:
    """Show every partner, waiting enrolment and open invitation, and the form that invites."""
    return _show_list(Typed())


@list_forms.post("/partners", Permission.MANAGE_PARTNERS, at="main")
def post_invite(_none: None, typed: Typed) -> ResponseReturnValue:
    """Make an invitation, show it once, and give its hash to the gateway."""
    desk = get_desk()
    invitation = invite_partner(
        desk,
        partner=typed["partner"],
        name=typed["name"],
        origin=desk.config.gateway_origin,
        actor=get_name(),
        type=typed["type"] or None,  # type: ignore[arg-type] # checked by `check_kind`
        country=typed["country"] or None,
    )
    _publish()
    return _show_list(Typed(), invited=invitation.partner, invitation=encode(invitation).decode())


@list_forms.post("/partners/publish", Permission.MANAGE_PARTNERS, at="main")
def post_publish(_none: None, _typed: Typed) -> ResponseReturnValue | None:
    """Give the gateway the register and the invitations that it does not have yet."""
    fault = _publish()
    return None if fault is None else _show_list(Typed(), Fault("main", fault))


@blueprint.get("/partners/<partner>")
@staff_rule(Permission.MANAGE_PARTNERS)
def show_partner(partner: str) -> ResponseReturnValue:
    """Show one partner: its keys, its registration, and all that waits for a decision."""
    return _show(partner)


@forms.post("/partners/<partner>/approve", Permission.MANAGE_PARTNERS, at="main", needs_step_up=True)
def post_approve(partner: str, typed: Typed) -> ResponseReturnValue | None:
    """Put the keys of an enrolment into the register, if the partner read the shown key id aloud."""
    if not typed["read_aloud"]:
        return _show(partner, _ask_to_call("approve"))
    approve_partner(get_desk(), partner=partner, key_id=typed["key_id"], actor=get_name())
    _publish()
    return None


@forms.post("/partners/<partner>/end-invitation", Permission.MANAGE_PARTNERS, at="main")
def post_end_invitation(partner: str, _typed: Typed) -> None:
    """End an open invitation, and refuse an enrolment that waits."""
    end_invitation(get_desk(), partner=partner, actor=get_name())


@forms.post("/partners/<partner>/suspend", Permission.MANAGE_PARTNERS, at="main", needs_step_up=True)
def post_suspend(partner: str, _typed: Typed) -> None:
    """Stop taking a partner's reports. Its buttons stay: a child on its pages can still press one."""
    suspend_partner(get_desk(), partner=partner, actor=get_name())
    _publish()


@forms.post("/partners/<partner>/revoke", Permission.MANAGE_PARTNERS, at="main", needs_step_up=True)
def post_revoke(partner: str, typed: Typed) -> None:
    """End a lost or stolen key, or all keys of a partner, without a grace period."""
    key_id, keeps_successor = typed["key_id"] or None, bool(typed["keep_successor"])
    revoke_key(get_desk(), partner=partner, key_id=key_id, keep_successor=keeps_successor, actor=get_name())
    _publish()


@forms.post("/partners/<partner>/accept", Permission.MANAGE_PARTNERS, at="main", needs_step_up=True)
def post_accept(partner: str, typed: Typed) -> ResponseReturnValue | None:
    """Accept a change: a registration takes effect here, new keys take effect with the register."""
    with get_desk().store.read() as connection:
        is_of_keys = typed["change_id"] in {one.change_id for one in list_changes(connection) if one.kind == "keys"}
    if is_of_keys and not typed["read_aloud"]:
        return _show(partner, _ask_to_call("accept"))
    accept_change(get_desk(), change_id=typed["change_id"], actor=get_name())
    _publish()
    return None


@forms.post("/partners/<partner>/refuse", Permission.MANAGE_PARTNERS, at="main")
def post_refuse(partner: str, typed: Typed) -> ResponseReturnValue | None:
    """Refuse a change with a reason."""
    reason = next((one for one in REFUSAL_REASONS if one == typed["why"]), None)
    if reason is None:
        return _show(partner, Fault(f"why-{typed['change_id']}", "Choose the reason for refusing."))
    refuse_change(get_desk(), change_id=typed["change_id"], reason=reason, actor=get_name())
    return None


def _ask_to_call(form: str) -> Fault:
    return Fault(f"{form}-read-aloud", "Call the partner at a number that you knew before, and compare the key ids.")


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


@adoption.get("/adoption", endpoint="list_all")
@staff_rule(Permission.MANAGE_PARTNERS)
def list_requests() -> ResponseReturnValue:
    """Show the waiting requests for the button, or all of them."""
    shows_all = request.args.get("show") == "all"
    with get_desk().store.read() as connection:
        waiting_count = count_button_requests(connection)
        found = count_button_requests(connection, with_decided=True) if shows_all else waiting_count
        listed_page = read_list_page(found=found)
        lines = list_adoptions(connection, with_decided=shows_all, first=listed_page.first, most=listed_page.most)
        unreadable_count = count_unreadable(connection)
    return show_page(
        "adoption_list.html",
        lines=lines,
        listed_page=listed_page,
        shows_all=shows_all,
        waiting_count=waiting_count,
        unreadable_count=unreadable_count,
        states=STATES,
        format_number=format_request_number,
    )


@adoption.get("/adoption/<request_id>")
@staff_rule(Permission.MANAGE_PARTNERS)
def show_request(request_id: str) -> ResponseReturnValue:
    """Show the clear fields of a request without opening it."""
    return _show_request(_get_request(request_id), None)


@adoption_forms.post("/adoption/<request_id>/open", Permission.MANAGE_PARTNERS, at="main")
def post_open(line: AdoptionLine, _typed: Typed) -> ResponseReturnValue:
    """Open a request and record the reader."""
    return _open_request(line.request_id)


@adoption_forms.post("/adoption/<request_id>/invite", Permission.MANAGE_PARTNERS, at="main")
def post_invite_adopter(line: AdoptionLine, typed: Typed) -> ResponseReturnValue:
    """Enter the service, with an invitation to report if that is wanted, which is shown once."""
    invitation, mail = invite_adopter(
        get_desk(),
        line.request_id,
        owner=typed["owner"],
        actor=get_name(),
        with_keys=bool(typed["with_keys"]),
        is_known_owner=bool(typed["known_owner"]),
    )
    secret = None if invitation is None else encode(invitation).decode()
    return _open_request(line.request_id, said=f"{typed['owner']} is entered.", mail=mail, invitation=secret)


@adoption_forms.post("/adoption/<request_id>/decline", Permission.MANAGE_PARTNERS, at="main")
def post_decline(line: AdoptionLine, typed: Typed) -> ResponseReturnValue:
    """Decline a request with its reason."""
    mail = decline_adoption(get_desk(), line.request_id, reason=typed["why"], actor=get_name())
    return _open_request(line.request_id, said="Declined the request.", mail=mail)


def _open_request(request_id: str, *faults: Fault, **shown: Any) -> ResponseReturnValue:
    line, service = _get_request(request_id), None
    try:
        service = open_adoption(get_desk(), request_id, actor=get_name())
    except AdoptionError as error:
        faults = faults if faults or shown else (Fault("main", str(error)),)
    return _show_request(line, service, *faults, **shown)


def _show_request(
    line: AdoptionLine, service: AskingService | None, *faults: Fault, **shown: Any
) -> ResponseReturnValue:
    with get_desk().store.read() as connection:
        owner_name = None if line.owner is None else find_owner_name(connection, line.owner)
        is_behind = is_gateway_behind(connection, get_desk())
    shown |= {
        "line": line,
        "service": service,
        "asking": [] if service is None else format_asking(service),
        "owner_name": owner_name,
        "is_behind": is_behind,
        "is_waiting": line.state in WAITING,
        "states": STATES,
        "number": format_request_number(line.request_id),
        "faults": faults,
        "typed": read_typed() if faults else Typed(),
    }
    return show_page("adoption_request.html", **shown)


def _get_request(request_id: str) -> AdoptionLine:
    with get_desk().store.read() as connection:
        try:
            return get_adoption(connection, request_id)
        except AdoptionError:
            not_found()
