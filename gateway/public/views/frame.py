"""What all views of the form share: what their rules say alike, what a button says, and the answers that lead on.

Never shows anything that was typed: a page that does is made by its own view.
"""

from flask import redirect, request
from flask.typing import ResponseReturnValue

from gateway.public.actions import ACTION_FIELD
from gateway.public.door import PublicDoor
from gateway.public.journey import START
from gateway.public.journey.places import get_path
from gateway.public.pages.messages import render_message
from gateway.public.visiting.visit import go_to_place, remember_language, remember_left
from gateway.public.wording.languages import get_other_language

FORM_BODY_BYTES = 256 * 1024
SMALL_BODY_BYTES = 8 * 1024  # a form with a button, or two short lines
LOG_WORD = "journey"  # all screens and side pages are one: the path from one to the next tells answers

SEE_OTHER = 303
TOO_MANY_REQUESTS = 429
UNAVAILABLE = 503
RETRY_SECONDS = 60


def read_action(default: str = "") -> str:
    """Read what the button says that was pressed."""
    return request.form.get(ACTION_FIELD, default)


def lead_to(place: str) -> ResponseReturnValue:
    """Lead to a place inside the visit: its page may show what was typed, once."""
    go_to_place(place)
    return redirect(get_path(place), SEE_OTHER)


def turn_away(place: str = START) -> ResponseReturnValue:
    """Lead somebody who comes from outside to a page that shows nothing of what was typed."""
    return redirect(get_path(place), SEE_OTHER)


def lead_out() -> ResponseReturnValue:
    """Lead somebody who asks from outside for a page of their journey to the first page, which says why it is blank."""
    remember_left()
    return turn_away()


def answer_later(page: str, *, retry_seconds: int = RETRY_SECONDS) -> ResponseReturnValue:
    """Answer 503 with a page that says it kindly, and when to try again."""
    return page, UNAVAILABLE, {"Retry-After": str(retry_seconds)}


def answer_not_ready(door: PublicDoor, *, may_start: bool = True) -> ResponseReturnValue:
    """Say kindly that nothing can be taken now, with the people who can help.

    Without `may_start` no button leads to the first page: from there, what was typed could not be reached again.
    """
    go_on = door.words.page("not_ready")["retry"] if may_start else None
    return answer_later(render_message(door, "not_ready", go_on=go_on))


def switch_language() -> None:
    """Pick the other language, for this visit and the next."""
    remember_language(get_other_language())
