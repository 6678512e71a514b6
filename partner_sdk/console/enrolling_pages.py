"""Answering the agency's invitation in the browser, for a folder that is not enrolled yet."""

from http import HTTPStatus

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from partner_sdk.client._partner_state import PARTNER_ROLES, PartnerState
from partner_sdk.client.account import enrol
from partner_sdk.console.page import ErrorLines, describe_error, get_console, get_state, go_to, open_partner, show_page
from partner_sdk.console.session import before_a_person, get_session
from partner_sdk.errors import NotAuthorisedError, ReportAbuseError
from partner_sdk.wire.enrolment import MAX_INVITATION_BYTES, parse_invitation

blueprint = Blueprint("enrolling", __name__)


@blueprint.get("/enrol")
@before_a_person
def get_enrol() -> ResponseReturnValue:
    """Ask for the invitation."""
    if PartnerState.is_in(get_console().state):
        return go_to(".get_enrolled")
    return _show_enrol()


def _show_enrol(*, error: ErrorLines | None = None) -> Response:
    status = HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY
    return show_page("enrol.html", status=status, folder=str(get_console().state), error=error)


@blueprint.post("/enrol")
@before_a_person
def post_enrol() -> ResponseReturnValue:
    """Answer the invitation: make the folder and the keys, and post them sealed. Again after a failure is safe."""
    console = get_console()
    given = request.files.get("invitation")
    raw = b"" if given is None else given.stream.read(MAX_INVITATION_BYTES + 1)
    if not raw:
        return _show_enrol(error=ErrorLines("Choose the file that the agency gave you.", ()))
    try:
        enrol(
            parse_invitation(raw),
            folder=console.state,
            ca_file=console.ca_file,
            session=console.open_session(),
            clock=console.clock,
        )
    except ReportAbuseError as error:
        return _show_enrol(error=describe_error(error))
    person = get_session().person
    if person is not None:  # named at the start, when there was no folder to note it in
        console.people.add(person, now=console.clock())
    return go_to(".get_enrolled")


@blueprint.get("/enrolled")
@before_a_person
def get_enrolled() -> Response:
    """Show the ids to read to the agency by phone."""
    return _show_enrolled()


def _show_enrolled(*, error: ErrorLines | None = None, is_waiting: bool = False) -> Response:
    state = get_state()
    keys = {role.value: state.read_key(role).key_id for role in PARTNER_ROLES}
    pin = state.profile.pin
    return show_page("enrolled.html", keys=keys, pin=pin, error=error, is_waiting=is_waiting)


@blueprint.post("/enrolled")
@before_a_person
def post_enrolled() -> ResponseReturnValue:
    """Ask the gateway whether the agency has approved this organisation."""
    try:
        with open_partner() as partner:
            partner.status()
    except NotAuthorisedError:
        return _show_enrolled(is_waiting=True)
    except ReportAbuseError as error:
        return _show_enrolled(error=describe_error(error))
    return go_to("front.get_front", notice="The agency has approved you. You can report now.")
