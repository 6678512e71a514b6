"""The choice of the acting person, the people of the firm, and their acts."""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from partner_sdk.console.page import NavItem, get_console, go_to, note_act, show_page
from partner_sdk.console.people import ACTS, Person
from partner_sdk.console.session import before_a_person, get_session
from partner_sdk.errors import FormatError

blueprint = Blueprint("people", __name__)
NAV: Final = NavItem("People", "people.get_list")
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
def get_list() -> Response:
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
    return go_to(".get_list", notice="Added.")


@blueprint.post("/people/<int:number>/remove")
def post_remove(number: int) -> ResponseReturnValue:
    """Remove a person from the choice; the acts stay."""
    console = get_console()
    try:
        console.people.remove(number, now=console.clock())
    except FormatError as error:
        return _show_list(fault=str(error))
    note_act("person-removed", about=f"person-{number}")
    return go_to(".get_list", notice="Removed. The acts under this name stay.")
