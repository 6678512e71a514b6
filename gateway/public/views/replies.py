"""What somebody who came back may see and do: read what waits there, and begin to add more.

Never shows a word of the report: nothing here could open it.
"""

from flask.typing import ResponseReturnValue

from gateway.public.actions import Action
from gateway.public.door import PublicDoor, get_door
from gateway.public.journey.places import COME_BACK, REPLIES
from gateway.public.pages.frame import make_form
from gateway.public.pages.replies_page import render_replies
from gateway.public.sending.addition import DANGER, is_being_added, make_addition
from gateway.public.views.frame import (
    LOG_WORD,
    SMALL_BODY_BYTES,
    answer_not_ready,
    lead_to,
    read_action,
    switch_language,
    turn_away,
)
from gateway.public.visiting.draft_rows import find_opened_draft, save_draft
from gateway.public.visiting.visit import Visit, find_visit, is_inside, is_own_form
from gateway.store import StorageUnavailableError
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_replies() -> ResponseReturnValue:
    """Show what waits here, but only to who just came in with the words; from outside they are asked again."""
    door, visit = get_door(), find_visit()
    if visit is None or not is_inside(REPLIES):
        return turn_away(COME_BACK)
    try:
        opened = find_opened_draft(door, visit.keys)
        if opened is None or opened.draft.returned is None:
            return turn_away(COME_BACK)
        found = door.ways_back.find_place(opened.draft.returned)
    except StorageUnavailableError:
        return answer_not_ready(door, may_start=False)
    if found is None:
        return turn_away(COME_BACK)
    return render_replies(door, found, make_form(visit.keys, opened.version))


@rule(login=Login.OPEN, limit="public-step", csrf=CsrfRule.TOKEN, body_bytes=SMALL_BODY_BYTES, log_word=LOG_WORD)
def post_replies() -> ResponseReturnValue:
    """Change the language, or begin to add more."""
    door, visit = get_door(), find_visit()
    if visit is None or not is_own_form(visit):
        return turn_away(COME_BACK)
    if read_action() != Action.ADD:
        switch_language()
        return lead_to(REPLIES)
    try:
        return _begin_addition(door, visit)
    except StorageUnavailableError:
        return answer_not_ready(door, may_start=False)


def _begin_addition(door: PublicDoor, visit: Visit) -> ResponseReturnValue:
    """Put a draft for what is added in the place of what was kept, and lead to its first question."""
    opened = find_opened_draft(door, visit.keys)
    if opened is None or opened.draft.returned is None:
        return turn_away(COME_BACK)
    found = door.ways_back.find_place(opened.draft.returned)
    if found is None:
        return turn_away(COME_BACK)
    if is_being_added(opened.draft):
        return lead_to(DANGER)  # who went back to the replies has begun already
    addition = make_addition(door, opened.draft.returned, found.place)
    if not save_draft(door, visit.keys, addition, version=opened.version):
        return turn_away(COME_BACK)
    return lead_to(DANGER)
