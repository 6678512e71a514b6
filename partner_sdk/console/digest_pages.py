"""The agency's figures: digests of this service with their charts, and overviews of all services together."""

from typing import Final

import msgspec
from flask import Blueprint, Response, abort
from markupsafe import Markup

from partner_sdk.console.collecting import collect
from partner_sdk.console.letters import FIGURES, Letter, name_figures, read_letters
from partner_sdk.console.page import NavItem, get_state, note_act, offer_file, show_page
from partner_sdk.console.seen import get_seen
from partner_sdk.digests import page
from partner_sdk.digests.page import render_article, render_page
from partner_sdk.digests.view import make_digest_page
from partner_sdk.wire.digest import Digest, render_csv

blueprint = Blueprint("digests", __name__)
NAV: Final = NavItem("Digests", "digests.get_list")
_TYPES: Final = {"html": "text/html; charset=utf-8", "json": "application/json", "csv": "text/csv; charset=utf-8"}


@blueprint.get("/digests")
def get_list() -> Response:
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
def get_file(number: int, form: str) -> Response:
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
