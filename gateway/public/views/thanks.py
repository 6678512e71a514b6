"""The thank-you page: shown only for what was stored, from the record that Send left."""

from contextlib import suppress

import msgspec
from flask.typing import ResponseReturnValue

from gateway.public.actions import Action, Opinion, find_opinion, find_wanted_side
from gateway.public.door import PublicDoor, get_door
from gateway.public.pages.frame import make_form
from gateway.public.pages.messages import render_message
from gateway.public.pages.thanks_page import render_thanks
from gateway.public.tallies import count_opinion
from gateway.public.views.frame import (
    LOG_WORD,
    SMALL_BODY_BYTES,
    answer_later,
    lead_to,
    read_action,
    switch_language,
    turn_away,
)
from gateway.public.views.sides import lead_to_side
from gateway.public.visiting.draft_rows import find_opened_draft, save_draft
from gateway.public.visiting.visit import Visit, find_visit, is_inside, is_own_form
from gateway.store import StorageUnavailableError
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule

RETRY_SECONDS = 10  # it was stored: only the number is missing


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_thanks(name: str) -> ResponseReturnValue:
    """Say that it was stored, who reads it and when, and what to do until then."""
    door, visit = get_door(), find_visit()
    if visit is None or not is_inside(name):
        return turn_away()
    try:
        opened = find_opened_draft(door, visit.keys)
    except StorageUnavailableError:
        # It was stored before this page was asked for, so nothing here may say that it was not.
        return answer_later(render_message(door, "thanks_later"), retry_seconds=RETRY_SECONDS)
    if opened is None or opened.draft.sent is None:
        return turn_away()
    return render_thanks(door, opened.draft.sent, make_form(visit.keys, opened.version))


@rule(login=Login.OPEN, limit="public-step", csrf=CsrfRule.TOKEN, body_bytes=SMALL_BODY_BYTES, log_word=LOG_WORD)
def post_thanks(name: str) -> ResponseReturnValue:
    """Change the language, or count the one tap on how the form was to fill in; a second tap changes nothing."""
    door, visit = get_door(), find_visit()
    if visit is None or not is_own_form(visit):
        return turn_away()
    action = read_action()
    side, opinion = find_wanted_side(action), find_opinion(action)
    if side is not None:
        return lead_to_side(side, from_screen=name)
    if action == Action.LANGUAGE:
        switch_language()
    if opinion is not None and not door.is_practice:
        _count_tap(door, visit, opinion)
    return lead_to(name)


def _count_tap(door: PublicDoor, visit: Visit, opinion: Opinion) -> None:
    with suppress(StorageUnavailableError):  # an opinion is no reason to show a child an error
        opened = find_opened_draft(door, visit.keys)
        if opened is None or opened.draft.sent is None or opened.draft.sent.has_told:
            return
        sent = msgspec.structs.replace(opened.draft.sent, has_told=True)
        draft = msgspec.structs.replace(opened.draft, sent=sent)
        if save_draft(door, visit.keys, draft, version=opened.version):
            count_opinion(door, opinion)
