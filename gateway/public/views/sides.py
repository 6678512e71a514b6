"""Side pages: other ways to get help, and what this site is. Open to all; inside a journey they lead back into it."""

from collections.abc import Mapping, Sequence

from flask import redirect, request
from flask.typing import ResponseReturnValue

from gateway.public.door import get_door
from gateway.public.draft_rows import NO_VERSION
from gateway.public.journey import SCREEN_BY_NAME
from gateway.public.language_choice import find_asked_language
from gateway.public.languages import get_other_language, say_day
from gateway.public.pages import list_posts, make_form, render_page
from gateway.public.side_pages import SIDE_PATHS
from gateway.public.views.start import FORM_BODY_BYTES, LOG_WORD, SEE_OTHER
from gateway.public.visit import (
    find_return,
    find_visit,
    go_to_place,
    is_inside,
    is_own_form,
    remember_language,
    remember_return,
)
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule

SEE = "see:"  # a button's action: save what is here, and show that side page


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_side(side: str) -> ResponseReturnValue:
    """Show a side page; it never shows anything that was typed."""
    door, visit = get_door(), find_visit()
    asked = find_asked_language()
    if asked is not None:
        remember_language(asked)
    words = door.words.screen(side)
    names = {"agency": door.agency_name, "day": say_day(door.promises.accessibility_checked_on)}
    on_the_way = visit if visit is not None and find_return() and is_inside(side) else None
    return render_page(
        door,
        "side.html",
        form=None if on_the_way is None else make_form(on_the_way.keys, NO_VERSION),
        ways="links" if on_the_way is None else "buttons",
        title=words["title"],
        lead=_fill_in(words["lead"], names),
        sections=[
            {"heading": section["heading"], "sentences": _fill_in(section["sentences"], names)}
            for section in words.get("sections", ())
        ],
        posts=list_posts(door, words.get("signposts", ())),
        after=words.get("after", words.get("note", "")).format(**names),
        action=f"/{SIDE_PATHS[side]}",
        go_back=words.get("back", door.words.common()["back"]),
    )


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.TOKEN, body_bytes=FORM_BODY_BYTES, log_word=LOG_WORD)
def post_side(side: str) -> ResponseReturnValue:
    """Go back to the screen that the journey was on, to another side page, or to the other language."""
    visit, screen = find_visit(), SCREEN_BY_NAME.get(find_return())
    if visit is None or not is_own_form(visit) or screen is None:
        return redirect("/", SEE_OTHER)
    action = request.form.get("action", "")
    if action == "language":
        remember_language(get_other_language())
        return _lead_to_side(side)
    wanted = find_wanted_side(action)
    if wanted is not None:
        return _lead_to_side(wanted)
    go_to_place(screen.name)
    return redirect(f"/{screen.path}", SEE_OTHER)


def _fill_in(sentences: Sequence[str], names: Mapping[str, str]) -> list[str]:
    return [sentence.format(**names) for sentence in sentences]


def find_wanted_side(action: str) -> str | None:
    """Find the side page that a button asks for."""
    side = action.removeprefix(SEE)
    return side if action.startswith(SEE) and side in SIDE_PATHS else None


def lead_to_side(side: str, *, from_screen: str) -> ResponseReturnValue:
    """Show a side page on the way, and remember the screen that it leads back to."""
    remember_return(from_screen)
    return _lead_to_side(side)


def _lead_to_side(side: str) -> ResponseReturnValue:
    go_to_place(side)
    return redirect(f"/{SIDE_PATHS[side]}", SEE_OTHER)
