"""The lines that put the button onto a page of this service, as `/for-services` and `button snippet` write them."""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, request

from partner_sdk.button.frameworks import FILE_NAMES, FLAVOUR_NAMES, FLAVOURS, Flavour, make_flavour
from partner_sdk.button.snippet import make_policy, make_style
from partner_sdk.console.page import NavItem, get_state, show_page
from partner_sdk.errors import FormatError
from partner_sdk.wire.receipts import PLACEMENT_MAX

blueprint = Blueprint("button", __name__)
NAV: Final = NavItem("Button", "button.get_button")
_Options = list[tuple[str, str]]
CHOICES: Final[dict[str, tuple[str, _Options]]] = {
    "flavour": ("What are your pages made with?", list(FLAVOUR_NAMES.items())),
    "language": ("Which language is the page in?", [("en", "English"), ("cy", "Welsh")]),
    "form": ("Script or plain link?", [("script", "With our script"), ("link", "A plain link and an image")]),
}


@blueprint.get("/button")
def get_button() -> Response:
    """Show the form, and the lines for its answers."""
    typed = {name: request.args.get(name, options[0][0]) for name, (_, options) in CHOICES.items()}
    placement = request.args.get("placement", "").strip()
    fault, text, policy, file_name = "", "", "", ""
    flavour: Flavour = next((one for one in FLAVOURS if one == typed["flavour"]), "html")
    if "placement" in request.args:
        try:
            origin = get_state().profile.origin
            style = make_style(language=typed["language"], form=typed["form"], size=44)
            text = make_flavour(flavour, origin=origin, placement=placement, style=style).rstrip("\n")
            policy = make_policy(origin, form=style.form, by="host").line
            file_name = FILE_NAMES[flavour]
        except FormatError as error:
            fault = str(error)
    return show_page(
        "button.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if fault else HTTPStatus.OK,
        choices=CHOICES,
        typed=typed,
        placement=placement,
        most=PLACEMENT_MAX,
        fault=fault,
        text=text,
        policy=policy,
        file_name=file_name,
        is_html=flavour == "html",
    )
