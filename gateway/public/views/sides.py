"""Side pages: other ways to get help. Open to all; inside a journey they lead back to where it was."""

from flask import redirect
from flask.typing import ResponseReturnValue

from gateway.public.door import get_door
from gateway.public.draft_rows import NO_VERSION
from gateway.public.journey import SCREEN_BY_NAME
from gateway.public.pages import list_posts, make_form, render_page
from gateway.public.views.start import FORM_BODY_BYTES, LOG_WORD, SEE_OTHER
from gateway.public.visit import find_visit, go_to_place, is_inside, is_own_form
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule

SIDE_PATHS = {"talk": "1a", "no_name": "1b", "pictures": "1c"}
RETURNS_TO = {"no_name": "name"}  # the screen whose button leads to the side page


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_side(side: str) -> ResponseReturnValue:
    """Show a side page; it never shows anything that was typed."""
    door, visit = get_door(), find_visit()
    words = door.words.screen(side)
    is_on_the_way = visit is not None and side in RETURNS_TO and is_inside(side)
    return render_page(
        door,
        "side.html",
        title=words["title"],
        lead=words["lead"],
        posts=list_posts(door, words.get("signposts", ())),
        after=words.get("after", words.get("note")),
        action=f"/{SIDE_PATHS[side]}",
        form=make_form(visit.keys, NO_VERSION) if visit is not None and is_on_the_way else None,
        go_back=words["back"],
    )


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.TOKEN, body_bytes=FORM_BODY_BYTES, log_word=LOG_WORD)
def post_side(side: str) -> ResponseReturnValue:
    """Go back to the screen that the journey was on."""
    visit = find_visit()
    if visit is None or not is_own_form(visit) or side not in RETURNS_TO:
        return redirect("/", SEE_OTHER)
    screen = SCREEN_BY_NAME[RETURNS_TO[side]]
    go_to_place(screen.name)
    return redirect(f"/{screen.path}", SEE_OTHER)
