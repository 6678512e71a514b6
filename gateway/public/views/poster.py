"""The poster that a school or a club prints: the button's sentence, and a QR code that leads to the first page.

Contains no personal data. The code names a placement only if the agency's register lists it.
"""

import re
from functools import lru_cache

import segno
from flask import request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from gateway.public.door import get_door
from gateway.public.journey import START
from gateway.public.pages.layout import render_page
from gateway.public.views.responses import LOG_WORD
from gateway.public.visiting.from_button import find_listed
from gateway.public.visiting.visit import remember_asked_language
from gateway.public.wording import get_language
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.button.release import ICON_BOX, ICON_SHAPES
from partner_sdk.button.snippet import WORDS, make_link

# A drawing takes 3 ms of a core, a listed placement comes again.
CODES_KEPT = 256


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_poster() -> ResponseReturnValue:
    """Show the poster, with the instructions for its printer; `?from=` names a placement."""
    door = get_door()
    remember_asked_language()
    language = get_language()
    placement = find_listed(door, request.args.get("from", ""))
    address = f"{door.origin}/" if placement is None else make_link(door.origin, placement=placement)
    ask, *tell = split_sentences(WORDS[language].sentence)
    start, words = door.wording.screen(START), door.service_wording[language]["poster"]
    return render_page(
        door,
        "poster.html",
        ways="links",
        title=words["title"],
        page=words,
        notes=[note.format(agency=door.agency_name) for note in words["notes"]],
        placement=placement,
        address=address,
        host=door.origin.partition("://")[2],
        poster=door.wording.page("poster"),
        ask=ask,
        # The number to call stands below in its own box, from the dated data.
        tell=" ".join(tell[:-2]),
        points=[start["need"][0], *start["points"][1:]],
        button_text=WORDS[language].text,
        icon=Markup(f'<svg viewBox="{ICON_BOX}" aria-hidden="true">{ICON_SHAPES}</svg>'),  # noqa: S704 - the SDK's own
        code=draw_code(address),
    )


def split_sentences(text: str) -> list[str]:
    """Split a text after each full stop or question mark."""
    return re.split(r"(?<=[.?]) ", text)


@lru_cache(maxsize=CODES_KEPT)
def draw_code(address: str) -> Markup:
    """Draw the QR code of an address, without a style or a size, in the box of its modules.

    A quarter of it may be dirty or torn (level Q), and its quiet border of four modules is in the picture.
    """
    drawn = segno.make_qr(address, error="q").svg_inline(omitsize=True, svgclass=None, lineclass=None, border=4)
    return Markup(drawn)  # noqa: S704 - made of numbers alone
