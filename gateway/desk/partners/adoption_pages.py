"""Pages for services that ask for the button: the list, and one request to invite or decline.

Names and addresses appear only in the response to the post that opened a request, and are never stored readable. Never
sends a mail.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from gateway.desk.keyring.publication import is_gateway_behind
from gateway.desk.organisations import find_owner_name
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
from gateway.desk.people.permissions import Permission
from gateway.desk.placements.register import count_button_requests
from gateway.desk.views.page import (
    Fault,
    Typed,
    get_desk,
    get_name,
    read_list_page,
    read_typed,
    show_page,
    staff_rule,
)
from gateway.web.rules import not_found
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.button import AskingService, format_request_number
from partner_sdk.wire.canonical import encode

blueprint = Blueprint("adoption", __name__)
FORM_BYTES: Final = 16_384
# The field of each refusal.
_FIELDS: Final = {
    "known-owner": "owner",
    "known-partner": "owner",
    "bad-owner": "owner",
    "bad-partner-id": "owner",
    "merged": "owner",
    "no-reason": "why",
}


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


@blueprint.get("/adoption/<request_id>")
@staff_rule(Permission.MANAGE_PARTNERS)
def show_request(request_id: str) -> ResponseReturnValue:
    """Show the clear fields of a request without opening it."""
    return _draw(_get(request_id), None)


@blueprint.post("/adoption/<request_id>/open")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES)
def post_open(request_id: str) -> ResponseReturnValue:
    """Open a request and record the reader."""
    return _show(request_id)


@blueprint.post("/adoption/<request_id>/invite")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES)
def post_invite(request_id: str) -> ResponseReturnValue:
    """Enter the service, with an invitation to report if that is wanted, which is shown once."""
    typed = read_typed()

    def invite() -> dict[str, object]:
        invitation, mail = invite_adopter(
            get_desk(),
            request_id,
            owner=typed["owner"],
            actor=get_name(),
            with_keys=bool(typed["with_keys"]),
            is_known_owner=bool(typed["known_owner"]),
        )
        secret = None if invitation is None else encode(invitation).decode()
        return {"said": f"{typed['owner']} is entered.", "mail": mail, "invitation": secret}

    return _do(request_id, invite)


@blueprint.post("/adoption/<request_id>/decline")
@staff_rule(Permission.MANAGE_PARTNERS, body_bytes=FORM_BYTES)
def post_decline(request_id: str) -> ResponseReturnValue:
    """Decline a request with its reason."""

    def decline() -> dict[str, object]:
        mail = decline_adoption(get_desk(), request_id, reason=read_typed()["why"], actor=get_name())
        return {"said": "Declined the request.", "mail": mail}

    return _do(request_id, decline)


def _do(request_id: str, action: Callable[[], dict[str, object]]) -> ResponseReturnValue:
    _get(request_id)
    try:
        shown = action()
    except ReportAbuseError as error:
        return _show(request_id, Fault(_FIELDS.get(error.reason, "main"), str(error)))
    return _show(request_id, **shown)


def _show(request_id: str, *faults: Fault, **shown: object) -> ResponseReturnValue:
    line = _get(request_id)
    try:
        service = open_adoption(get_desk(), request_id, actor=get_name())
    except AdoptionError as error:
        return _draw(line, None, *(faults if faults or shown else (Fault("main", str(error)),)), **shown)
    return _draw(line, service, *faults, **shown)


def _draw(line: AdoptionLine, service: AskingService | None, *faults: Fault, **shown: object) -> ResponseReturnValue:
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
    status = HTTPStatus.CONFLICT if faults else HTTPStatus.OK
    return show_page("adoption_request.html", status=status, **shown)


def _get(request_id: str) -> AdoptionLine:
    with get_desk().store.read() as connection:
        try:
            return get_adoption(connection, request_id)
        except AdoptionError:
            not_found()
