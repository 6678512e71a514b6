"""Side pages: other ways to get help, and what this site is. Open to all; inside a journey they lead back into it."""

from flask.typing import ResponseReturnValue

from gateway.public.actions import Action, find_wanted_side
from gateway.public.door import get_door
from gateway.public.journey import SCREEN_BY_NAME
from gateway.public.pages.frame import make_form
from gateway.public.pages.side_page import render_side
from gateway.public.views.frame import FORM_BODY_BYTES, LOG_WORD, lead_to, read_action, switch_language, turn_away
from gateway.public.visiting.draft_rows import NO_VERSION
from gateway.public.visiting.language_choice import remember_asked_language
from gateway.public.visiting.visit import find_return, find_visit, is_inside, is_own_form, remember_return
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_side(side: str) -> ResponseReturnValue:
    """Show a side page; with a way back into the journey only to who comes from there."""
    door, visit = get_door(), find_visit()
    remember_asked_language()
    is_on_the_way = find_return() is not None and is_inside(side)
    form = make_form(visit.keys, NO_VERSION) if visit is not None and is_on_the_way else None
    return render_side(door, side, form)


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.TOKEN, body_bytes=FORM_BODY_BYTES, log_word=LOG_WORD)
def post_side(side: str) -> ResponseReturnValue:
    """Go back to the screen that the journey was on, to another side page, or to the other language."""
    visit, screen = find_visit(), SCREEN_BY_NAME.get(find_return() or "")
    if visit is None or not is_own_form(visit) or screen is None:
        return turn_away()
    action = read_action()
    if action == Action.LANGUAGE:
        switch_language()
        return lead_to(side)
    return lead_to(find_wanted_side(action) or screen.name)


def lead_to_side(side: str, *, from_screen: str) -> ResponseReturnValue:
    """Show a side page on the way, and remember the screen that it leads back to."""
    remember_return(from_screen)
    return lead_to(side)
