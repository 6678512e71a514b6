"""Side pages: other ways to get help, information about the site, and the poster with its QR code.

Open to all; they lead back into a journey. Never shows typed text.

The poster's code names a placement only if the agency's register lists it.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import segno
from flask import request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from gateway.public.door import PublicDoor, get_door
from gateway.public.drafts import NO_VERSION, find_opened_draft
from gateway.public.journey import SCREEN_BY_NAME, START, UNKNOWN_READER, ReaderProfile, make_profile
from gateway.public.navigation import Action, find_wanted_side, get_path, make_see_action
from gateway.public.pages import FormState, get_emergency_number, list_posts, make_form, render_page
from gateway.public.views.responses import FORM_BODY_BYTES, LOG_WORD, lead_to, read_action, switch_language, turn_away
from gateway.public.visit import (
    Visit,
    find_listed,
    find_return,
    find_visit,
    is_inside,
    is_own_form,
    remember_asked_language,
    remember_return,
)
from gateway.public.wording import format_day, get_language
from gateway.store import StorageUnavailableError
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.button.release import ICON_BOX, ICON_SHAPES
from partner_sdk.button.snippet import WORDS, make_link


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_side(side: str) -> ResponseReturnValue:
    """Show a side page, with a way back if the visitor comes from a journey."""
    door, visit = get_door(), find_visit()
    remember_asked_language()
    is_on_the_way = find_return() is not None and is_inside(side)
    if visit is None or not is_on_the_way:
        return render_side(door, side, None)
    return render_side(door, side, make_form(visit.keys, NO_VERSION), profile=_read_profile(door, visit))


def _read_profile(door: PublicDoor, visit: Visit) -> ReaderProfile:
    """Return the reader's profile from the answers so far; it only selects the helplines."""
    opened = None
    with suppress(StorageUnavailableError):  # show a page of help in any case
        opened = find_opened_draft(door, visit.keys)
    if opened is None:
        return UNKNOWN_READER
    sent = opened.draft.sent
    return make_profile(opened.draft.answers) if sent is None else sent.profile


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.TOKEN, body_bytes=FORM_BODY_BYTES, log_word=LOG_WORD)
def post_side(side: str) -> ResponseReturnValue:
    """Go back to the journey's screen, to another side page, or to the other language."""
    visit, screen = find_visit(), SCREEN_BY_NAME.get(find_return() or "")
    if visit is None or not is_own_form(visit) or screen is None:
        return turn_away()
    action = read_action()
    if action == Action.LANGUAGE:
        switch_language()
        return lead_to(side)
    return lead_to(find_wanted_side(action) or screen.name)


def lead_to_side(side: str, *, from_screen: str) -> ResponseReturnValue:
    """Show a side page, and remember the screen to return to."""
    remember_return(from_screen)
    return lead_to(side)


def render_side(door: PublicDoor, side: str, form: FormState | None, *, profile: ReaderProfile = UNKNOWN_READER) -> str:
    """Render a side page; its button leads back into a journey if it has the journey's form, else to the first page.

    Leaves out how 999 works for a reader in another country.
    """
    words = door.wording.screen(side)
    names = {
        "agency": door.agency_name,
        "day": format_day(door.agency.accessibility.checked_on),
        "emergency": get_emergency_number(door, profile.country),
        "ask": _format_how_to_ask(door, words),
    }
    return render_page(
        door,
        "side.html",
        profile=profile,
        form=form,
        ways="links" if form is None else "buttons",
        title=words["title"],
        quiet=words.get("quiet"),
        lead=_fill_in(words["lead"], names),
        sections=[
            {
                "heading": section["heading"],
                "sentences": _fill_in(section["sentences"], names),
                "leave_keys": section.get("keys"),
            }
            for section in words.get("sections", ())
            if not (profile.country and section.get("is_uk_only"))
        ],
        has_call=words.get("call", False),
        posts=list_posts(door, words.get("signposts", ()), profile=profile),
        posts_heading=words.get("other_heading"),
        side_links=[
            {"path": get_path(link["side"]), "action": make_see_action(link["side"]), "text": link["text"]}
            for link in words.get("side_links", ())
        ],
        after=words.get("after", words.get("note", "")).format(**names),
        form_path=get_path(side),
        go_back=words["carry_on"] if form and "carry_on" in words else words["back"],
    )


def _fill_in(sentences: Sequence[str], names: Mapping[str, str]) -> list[str]:
    return [sentence.format(**names) for sentence in sentences]


def _format_how_to_ask(door: PublicDoor, words: Mapping[str, Any]) -> str:
    if door.agency_contact:
        return str(words.get("ask_contact", "")).format(contact=door.agency_contact)
    return str(words.get("ask_here", ""))


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
