"""The acting person, the people of the firm and their acts; the organisation at the agency, and its invitation."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from partner_sdk.client._partner_state import PARTNER_ROLES, PartnerState
from partner_sdk.client.account import (
    KEYS_ARE_OLD_AFTER,
    describe_rotation,
    enrol,
    examine,
    find_sent_registration,
    renew_keys,
)
from partner_sdk.console.page import (
    ErrorLines,
    NavItem,
    describe_error,
    get_console,
    get_state,
    go_to,
    note_act,
    open_partner,
    show_page,
)
from partner_sdk.console.people import ACTS, Person
from partner_sdk.console.sent import list_spool
from partner_sdk.console.session import ENROLLING, before_a_person, get_session
from partner_sdk.errors import FormatError, NotAuthorisedError, ReportAbuseError
from partner_sdk.finding import Finding
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.enrolment import MAX_INVITATION_BYTES, list_registration_gaps, parse_invitation

blueprint = Blueprint("accounts", __name__)
# The only pages of a folder that is not enrolled yet (session.py).
enrolling = Blueprint(ENROLLING, __name__)

PEOPLE_NAV: Final = NavItem("People", "accounts.get_people")
SHOWN_ACTS: Final = 200


@blueprint.get("/person")
@before_a_person
def get_choice() -> Response:
    """Ask for the acting person."""
    return _show_choice()


def _show_choice(*, typed: str = "", fault: str = "") -> Response:
    people = get_console().people.list_present()
    status = HTTPStatus.UNPROCESSABLE_ENTITY if fault else HTTPStatus.OK
    return show_page("choice.html", status=status, people=people, typed=typed, fault=fault)


@blueprint.post("/person")
@before_a_person
def post_choice() -> ResponseReturnValue:
    """Choose a person, or add one."""
    console = get_console()
    number, name = request.form.get("number", ""), request.form.get("name", "")
    known = next((one for one in console.people.list_present() if str(one.number) == number), None)
    if known is None:
        try:
            known = _add(name)
        except FormatError as error:
            return _show_choice(typed=name, fault=str(error))
    get_session().person = known.name
    return go_to("front.get_front")


def _add(name: str) -> Person:
    console = get_console()
    before = {one.number for one in console.people.list_all()}
    person = console.people.add(name, now=console.clock())
    if person.number not in before:
        by = get_session().person or person.name
        console.people.note("person-added", about=f"person-{person.number}", by=by, now=console.clock())
    return person


@blueprint.get("/people")
def get_people() -> Response:
    """List the people and the newest acts."""
    return _show_list()


def _show_list(*, typed: str = "", fault: str = "") -> Response:
    people = get_console().people
    everybody = people.list_all()
    return show_page(
        "people.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if fault else HTTPStatus.OK,
        people=[one for one in everybody if one.removed_at is None],
        removed=[one for one in everybody if one.removed_at is not None],
        acts=people.list_acts(most=SHOWN_ACTS),
        act_words=ACTS,
        typed=typed,
        fault=fault,
    )


@blueprint.post("/people")
def post_person() -> ResponseReturnValue:
    """Add a person."""
    name = request.form.get("name", "")
    try:
        _add(name)
    except FormatError as error:
        return _show_list(typed=name, fault=str(error))
    return go_to(".get_people", notice="Added.")


@blueprint.post("/people/<int:number>/remove")
def post_remove(number: int) -> ResponseReturnValue:
    """Remove a person from the choice; the acts stay."""
    console = get_console()
    try:
        console.people.remove(number, now=console.clock())
    except FormatError as error:
        return _show_list(fault=str(error))
    note_act("person-removed", about=f"person-{number}")
    return go_to(".get_people", notice="Removed. The acts under this name stay.")


ACCOUNT_NAV: Final = NavItem("Account", "accounts.get_account")
_KEY_WORDS: Final = {
    "submission": "Signs your reports and words",
    "mailbox": "Opens the agency's messages",
    "context": "Seals facts about a page for the button",
}
# The pages that do what the advice of a finding names a command for.
_HERE: Final[dict[str, tuple[str, str]]] = {
    "spool": ("sent.get_list", "Send the waiting reports"),
    "evidence": ("sent.get_list", "Go on with the files"),
    "words": ("agency.get_list", "Send the waiting words"),
    "requests": ("agency.get_list", "Look at the requests"),
    "mailbox": ("agency.get_list", "Collect the messages again"),
}
# The warnings that the part about keys of the same page settles.
_BELOW: Final = {"new keys": "Read both ids below to the agency by phone"} | {
    f"{role.value} key": "Ask for new keys below" for role in PARTNER_ROLES
}


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key of this organisation."""

    purpose: str
    key_id: str
    made_at: str
    is_old: bool
    new_id: str | None


@blueprint.get("/account")
def get_account() -> Response:
    """Show who this organisation is, its keys and its registration."""
    return _show_account()


def _show_account(
    *, findings: list[Finding] | None = None, error: ErrorLines | None = None, changed_at: str | None = None
) -> Response:
    state, now = get_state(), get_console().clock()
    rotation = describe_rotation(state)
    keys = [(role.value, state.read_key(role)) for role in PARTNER_ROLES]
    sent = find_sent_registration(state)
    return show_page(
        "account.html",
        status=HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        keys=[
            KeyRow(
                purpose=_KEY_WORDS.get(name, name),
                key_id=key.key_id,
                made_at=key.created_at,
                is_old=now - parse_time(key.created_at) > KEYS_ARE_OLD_AFTER,
                new_id=rotation.new_key_ids.get(name),
            )
            for name, key in keys
        ],
        rotation=rotation,
        changed_at=changed_at,
        sent=sent,
        gaps=() if sent is None else [one.replace("_", " ") for one in list_registration_gaps(sent.registration)],
        findings=findings,
        urgent=any(one.priority == "P1" for one in list_spool()),
        here=_HERE,
        below=_BELOW,
        error=error,
        folder=str(state.folder),
    )


@blueprint.post("/account/checkup")
def post_checkup() -> Response:
    """Look at everything that a delivery needs, and show each finding."""
    with open_partner() as partner:
        findings = list(examine(partner, now=get_console().clock()))
    worst_first = {"fault": 0, "warning": 1, "ok": 2}
    return _show_account(findings=sorted(findings, key=lambda one: worst_first[one.verdict]))


@blueprint.post("/account/keys")
def post_keys() -> ResponseReturnValue:
    """Ask the agency for new keys, or see how far that is."""
    is_anew = request.form.get("anew") == "yes"
    try:
        with open_partner() as partner:
            renewed = renew_keys(partner, now=get_console().clock(), anew=is_anew)
    except ReportAbuseError as error:
        return _show_account(error=describe_error(error))
    if renewed.changed_at is not None:
        return _show_account(changed_at=renewed.changed_at)
    note_act("keys-renewed", about=renewed.rotation.change_id or renewed.rotation.key_ids["submission"])
    if renewed.rotation.is_done:
        return go_to(".get_account", notice="The new keys are in force here, at the gateway and at the agency.")
    return go_to(".get_account", notice="The agency has to accept the new keys. Read it the key ids below by phone.")


@enrolling.get("/enrol")
@before_a_person
def get_enrol() -> ResponseReturnValue:
    """Ask for the invitation."""
    if PartnerState.is_in(get_console().state):
        return go_to(".get_enrolled")
    return _show_enrol()


def _show_enrol(*, error: ErrorLines | None = None) -> Response:
    status = HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY
    return show_page("enrol.html", status=status, folder=str(get_console().state), error=error)


@enrolling.post("/enrol")
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


@enrolling.get("/enrolled")
@before_a_person
def get_enrolled() -> Response:
    """Show the ids to read to the agency by phone."""
    return _show_enrolled()


def _show_enrolled(*, error: ErrorLines | None = None, is_waiting: bool = False) -> Response:
    state = get_state()
    keys = {role.value: state.read_key(role).key_id for role in PARTNER_ROLES}
    pin = state.profile.pin
    return show_page("enrolled.html", keys=keys, pin=pin, error=error, is_waiting=is_waiting)


@enrolling.post("/enrolled")
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
