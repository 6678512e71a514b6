"""The agency's figures and outcomes, and the lines that put the button onto a page of this service."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec
from flask import Blueprint, Response, abort, request
from markupsafe import Markup

from partner_sdk.button.frameworks import FILE_NAMES, FLAVOUR_NAMES, FLAVOURS, Flavour, make_flavour
from partner_sdk.button.snippet import make_policy, make_style
from partner_sdk.console.digests import page
from partner_sdk.console.digests.page import render_article, render_page
from partner_sdk.console.digests.view import make_digest_page
from partner_sdk.console.mailbox import (
    FIGURES,
    OUTCOMES,
    Letter,
    collect,
    get_seen,
    name_figures,
    read_letters,
    say_letter,
)
from partner_sdk.console.page import NavItem, get_state, note_act, offer_file, show_page
from partner_sdk.errors import FormatError
from partner_sdk.wire.digest import Digest
from partner_sdk.wire.mailbox import OutcomeNote, SetAsideNotice
from partner_sdk.wire.receipts import PLACEMENT_MAX

blueprint = Blueprint("feedback", __name__)

DIGESTS_NAV: Final = NavItem("Digests", "feedback.get_digests")
_TYPES: Final = {"html": "text/html; charset=utf-8", "json": "application/json", "csv": "text/csv; charset=utf-8"}


@blueprint.get("/digests")
def get_digests() -> Response:
    """List the digests and overviews, the newest first."""
    look = collect()
    letters, unreadable = read_letters(get_state(), FIGURES)
    seen = get_seen().list_numbers()
    rows = [(one, name_figures(one.body), one.number not in seen) for one in letters]
    return show_page("digests.html", look=look, rows=rows, unreadable=unreadable)


def _find(number: int) -> tuple[Letter, list[Digest]]:
    """Return a digest or an overview, and every digest that is kept, the oldest first; or end the request."""
    letters, _ = read_letters(get_state(), FIGURES)
    found = next((one for one in letters if one.number == number), None)
    if found is None:
        abort(404)
    return found, [one.body for one in reversed(letters) if isinstance(one.body, Digest)]


@blueprint.get("/digests/<int:number>")
def get_digest(number: int) -> Response:
    """Show a digest beside the earlier ones, or an overview."""
    found, kept = _find(number)
    get_seen().add([number])
    if isinstance(found.body, Digest):
        article = render_article(make_digest_page(found.body, kept=kept))
    else:
        article = page.render_overview_article(found.body)
    # Both escape each word of the agency, and write no style and no script.
    return show_page(
        "digest.html",
        number=number,
        title=name_figures(found.body),
        article=Markup(article),  # noqa: S704 - see above
        forms=("html", "json", "csv") if isinstance(found.body, Digest) else ("html", "json"),
    )


@blueprint.get("/digests/<int:number>/file.<form>")
def get_digest_file(number: int, form: str) -> Response:
    """Return a digest or an overview as a file: a page for managers, JSON or CSV, as the command `digest` makes it."""
    found, kept = _find(number)
    body = found.body
    if isinstance(body, Digest):
        fields = {"digest": msgspec.to_builtins(body), "rows": body.to_rows()}
        texts = {"html": lambda: render_page(body, kept=kept), "csv": lambda: render_csv(body)}
    else:
        fields = {"overview": msgspec.to_builtins(body)}
        texts = {"html": lambda: page.render_overview_page(body)}
    marked = {"environment": body.environment, "not_a_report": body.environment != "live", **fields}
    texts["json"] = lambda: msgspec.json.format(msgspec.json.encode(marked), indent=2).decode() + "\n"
    if form not in texts:
        abort(404)
    note_act("digest-saved", about=f"message-{number}")
    name = f"{'digest' if isinstance(body, Digest) else 'overview'}-{body.period}.{form}"
    return offer_file(texts[form](), name=name, content_type=_TYPES[form])


OUTCOMES_NAV: Final = NavItem("Outcomes", "feedback.get_outcomes")
MOST_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class ToldLetter:
    """One message in a list: its words, its reports by id and reference, and whether it is new."""

    words: str
    issued_at: str
    reports: tuple[tuple[str, str], ...]
    is_new: bool


@blueprint.get("/outcomes")
def get_outcomes() -> Response:
    """Show the newest outcome of each report, and the notices."""
    look = collect()
    letters, unreadable = read_letters(get_state(), OUTCOMES)
    seen = get_seen().list_numbers()
    newest: dict[str, Letter] = {}
    for one in letters:
        if isinstance(one.body, OutcomeNote):
            newest.setdefault(one.body.report_id, one)  # a later note about a report replaces the one before
    outcomes = [_tell(one, seen) for one in newest.values()]
    notices = [_tell(one, seen) for one in letters if not isinstance(one.body, OutcomeNote)]
    get_seen().add(one.number for one in letters)
    return show_page(
        "outcomes.html",
        look=look,
        outcomes=outcomes[:MOST_SHOWN],
        notices=notices[:MOST_SHOWN],
        unreadable=unreadable,
        delivered=get_state().list_delivered(),
    )


def _tell(letter: Letter, seen: frozenset[int]) -> ToldLetter:
    body = letter.body
    reports: tuple[tuple[str, str], ...] = ()
    if isinstance(body, OutcomeNote):
        reports = ((body.report_id, body.reference),)
    elif isinstance(body, SetAsideNotice):
        reports = tuple((one.report_id, one.reference) for one in body.reports)
    return ToldLetter(say_letter(body), letter.issued_at, reports, letter.number not in seen)


BUTTON_NAV: Final = NavItem("Button", "feedback.get_button")
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


def render_csv(digest: Digest) -> str:
    """Return one line per number, for a spreadsheet; an empty `value` means too small to show, `note` is the caveat."""
    return format_rows(digest.to_rows())


def format_rows(rows: Sequence[Mapping[str, object]]) -> str:
    """Return flat rows with equal keys (`to_rows`, `list_changes`) as CSV with a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(rows[0] if rows else [])
    for row in rows:
        writer.writerow([("no", "yes")[one] if isinstance(one, bool) else one for one in row.values()])
    return out.getvalue()
