"""Pages for services that ask for the button: the list, and one request with the possible decisions.

Names and addresses appear only in the response to the post that opened a request, and are never stored readable. Never
sends a mail.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from gateway.desk.keyring.publication import is_gateway_behind
from gateway.desk.partners import adoption_labels as labels
from gateway.desk.partners.adoption_clearing import UnreadableRequests, decline_unreadable, get_unreadable
from gateway.desk.partners.adoption_decisions import (
    Mail,
    Place,
    agree_place,
    decline_adoption,
    invite_adopter,
    list_agreed_places,
)
from gateway.desk.partners.adoptions import (
    AdoptionError,
    AdoptionLine,
    get_adoption,
    list_adoptions,
    open_adoption,
)
from gateway.desk.partners.invitations import may_enrol
from gateway.desk.people.permissions import Permission
from gateway.desk.placements.labels import PLACEMENT_FIELDS
from gateway.desk.placements.register import SURFACE_TITLES, count_button_requests, find_owner_name
from gateway.desk.views.page import (
    MOST_LISTED,
    Fault,
    Typed,
    get_desk,
    get_name,
    parse_small_number,
    read_list_page,
    read_typed,
    show_page,
    staff_rule,
)
from gateway.web.problem_pages import not_found
from partner_sdk.errors import LocalStateError, ReportAbuseError
from partner_sdk.wire.adoption import AskingService
from partner_sdk.wire.canonical import encode

blueprint = Blueprint("adoption", __name__)
FORM_BYTES: Final = 16_384

# The required fields of a place, with how to fix a blank one.
_PLACE_WORDS: Final = {
    "owner": "Give the service an id at this desk.",
    "surface": "Choose the kind of place.",
    "address": "Give the address of its pages.",
    "position": "Describe where the button is on the page.",
}
# The field of each refusal, and the fields of each form: the page prefixes their ids with the form.
_FIELDS: Final = PLACEMENT_FIELDS | {
    "known-owner": "owner",
    "known-partner": "owner",
    "other-owner": "owner",
    "owner-known": "owner",
    "bad-partner-id": "owner",
    "no-reason": "why",
}
_FORMS: Final = {
    "agree": frozenset({*_PLACE_WORDS, "look_at", "link_id", "service"}),
    "invite": frozenset({"owner"}),
    "decline": frozenset({"why"}),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an action, shown once: the text to send, and an invitation with its secret."""

    said: str = ""
    mail: Mail | None = None
    invitation: str | None = None
    faults: tuple[Fault, ...] = ()


@blueprint.get("/adoption")
@staff_rule(Permission.MANAGE_PARTNERS)
def list_all() -> ResponseReturnValue:
    """Show the waiting requests, or all of them."""
    shows_all = request.args.get("show") == "all"
    with get_desk().store.read() as connection:
        waiting_count = count_button_requests(connection)
        found = count_button_requests(connection, with_decided=True) if shows_all else waiting_count
        listed_page = read_list_page(found=found)
        lines = list_adoptions(connection, with_decided=shows_all, first=listed_page.first, most=listed_page.most)
    return show_page(
        "adoption_list.html",
        lines=lines,
        listed_page=listed_page,
        shows_all=shows_all,
        waiting_count=waiting_count,
        labels=labels,
    )


@blueprint.get("/adoption/unreadable")
@staff_rule(Permission.MANAGE_PARTNERS)
def show_unreadable() -> ResponseReturnValue:
    """Show the number of unreadable requests, with the form that declines all of them together."""
    return _draw_unreadable()


@blueprint.post("/adoption/unreadable")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES)
def post_unreadable() -> ResponseReturnValue:
    """Decline them, if their number is still the one on the page."""
    confirmed = parse_small_number(request.form.get("count", "")) or 0
    why = request.form.get("why", "")
    try:
        declined = decline_unreadable(get_desk(), confirmed=confirmed, reason=why, actor=get_name())
    except (AdoptionError, LocalStateError) as error:
        return _draw_unreadable(fault=str(error), why=why)
    return _draw_unreadable(said=labels.format_declined_together(declined))


def _draw_unreadable(*, said: str = "", fault: str = "", why: str = "") -> ResponseReturnValue:
    found: UnreadableRequests | None = None
    try:
        found = get_unreadable(get_desk(), actor=get_name())
    except LocalStateError as error:
        fault = str(error)
    return show_page(
        "adoption_unreadable.html",
        found=found,
        most_listed=MOST_LISTED,
        said=said,
        fault=fault,
        why=why,
        labels=labels,
    )


@blueprint.get("/adoption/<request_id>")
@staff_rule(Permission.MANAGE_PARTNERS)
def show_request(request_id: str) -> ResponseReturnValue:
    """Show the clear fields of a request without opening it."""
    return _draw(_get(request_id), None, Outcome())


@blueprint.post("/adoption/<request_id>/open")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES)
def post_open(request_id: str) -> ResponseReturnValue:
    """Open a request and record the reader."""
    return _show(request_id, Outcome())


@blueprint.post("/adoption/<request_id>/agree")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES)
def post_agree(request_id: str) -> ResponseReturnValue:
    """Agree one place with the service."""
    typed = read_typed()
    missing = tuple(Fault(f"agree-{name}", said) for name, said in _PLACE_WORDS.items() if not typed[name])
    if missing:
        return _show(request_id, Outcome(faults=missing))

    def action() -> Outcome:
        place = Place(
            surface=typed["surface"],
            address=typed["address"],
            position=typed["position"],
            look_at=typed["look_at"] or None,
            link_id=typed["link_id"] or None,
            service=typed["service"] or None,
        )
        row, mail = agree_place(
            get_desk(),
            request_id,
            owner=typed["owner"],
            place=place,
            actor=get_name(),
            is_known_owner=bool(typed["known_owner"]),
        )
        return Outcome(f"{row.placement} is agreed with {row.owner}.", mail)

    return _do(request_id, action, form="agree")


@blueprint.post("/adoption/<request_id>/invite")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES)
def post_invite(request_id: str) -> ResponseReturnValue:
    """Make an invitation for the service, and show it once."""
    typed = read_typed()

    def action() -> Outcome:
        invitation, mail = invite_adopter(
            get_desk(),
            request_id,
            owner=typed["owner"],
            actor=get_name(),
            is_known_owner=bool(typed["known_owner"]),
        )
        secret = encode(invitation).decode("utf-8")
        return Outcome(f"{invitation.partner} is invited.", mail, secret)

    return _do(request_id, action, form="invite")


@blueprint.post("/adoption/<request_id>/decline")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES)
def post_decline(request_id: str) -> ResponseReturnValue:
    """Decline a request with its reason."""

    def action() -> Outcome:
        mail = decline_adoption(get_desk(), request_id, reason=read_typed()["why"], actor=get_name())
        return Outcome("Declined the request.", mail)

    return _do(request_id, action, form="decline")


def _do(request_id: str, action: Callable[[], Outcome], *, form: str) -> ResponseReturnValue:
    _get(request_id)
    try:
        outcome = action()
    except ReportAbuseError as error:
        field = _FIELDS.get(error.reason, "")
        outcome = Outcome(faults=(Fault(f"{form}-{field}" if field in _FORMS[form] else "main", str(error)),))
    return _show(request_id, outcome)


def _show(request_id: str, outcome: Outcome) -> ResponseReturnValue:
    line = _get(request_id)
    try:
        service = open_adoption(get_desk(), request_id, actor=get_name())
    except AdoptionError as error:
        found = outcome if outcome.said or outcome.faults else Outcome(faults=(Fault("main", str(error)),))
        return _draw(line, None, found)
    return _draw(line, service, outcome)


def _draw(line: AdoptionLine, service: AskingService | None, outcome: Outcome) -> ResponseReturnValue:
    typed = read_typed() if outcome.faults else Typed()
    typed["owner"] = typed["owner"] or line.owner or ""
    with get_desk().store.read() as connection:
        owner_name = None if line.owner is None else find_owner_name(connection, line.owner)
        places = list_agreed_places(connection, line.request_id)
        is_behind = is_gateway_behind(connection, get_desk())
        is_invited = line.owner is not None and may_enrol(connection, line.owner, now=get_desk().clock())
    return show_page(
        "adoption_request.html",
        status=HTTPStatus.CONFLICT if outcome.faults else HTTPStatus.OK,
        line=line,
        service=service,
        asking=[] if service is None else labels.format_asking(service),
        surfaces=SURFACE_TITLES,
        owner_name=owner_name,
        places=places,
        may_enrol=is_invited,
        is_behind=is_behind,
        outcome=outcome,
        faults=outcome.faults,
        typed=typed,
        labels=labels,
    )


def _get(request_id: str) -> AdoptionLine:
    with get_desk().store.read() as connection:
        try:
            return get_adoption(connection, request_id)
        except AdoptionError:
            not_found()
