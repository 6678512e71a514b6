"""The page for returned senders: the stage, the promised day, the replies, and a button to add more.

Never shows any text of the report: nothing here could open it.
"""

from datetime import date

from flask.typing import ResponseReturnValue

from gateway.public.door import PublicDoor, get_door
from gateway.public.journey import DANGER
from gateway.public.navigation import COME_BACK, REPLIES, Action
from gateway.public.pages.layout import FormState, make_form, render_page
from gateway.public.returning.return_code import Returned, ReturnPlace, make_reply_public_key
from gateway.public.returning.way_back import FoundPlace
from gateway.public.views.responses import (
    LOG_WORD,
    SMALL_BODY_BYTES,
    answer_not_ready,
    lead_to,
    read_action,
    switch_language,
    turn_away,
)
from gateway.public.visiting.drafts import Draft, Sent, find_opened_draft, make_submit_token, save_draft
from gateway.public.visiting.visit import Visit, find_visit, is_inside, is_own_form
from gateway.public.wording import format_day
from gateway.store import StorageUnavailableError
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.canonical import format_time, parse_time


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_replies() -> ResponseReturnValue:
    """Show the replies right after the words were entered; from outside, ask for them again."""
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
    """Change the language, or begin an addition."""
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
    """Replace the kept seed with a draft for an addition, and redirect to its first question."""
    opened = find_opened_draft(door, visit.keys)
    if opened is None or opened.draft.returned is None:
        return turn_away(COME_BACK)
    found = door.ways_back.find_place(opened.draft.returned)
    if found is None:
        return turn_away(COME_BACK)
    if opened.draft.is_being_added:
        return lead_to(DANGER)  # after Back to the replies the addition already exists
    addition = _make_addition(door, opened.draft.returned, found.place)
    if not save_draft(door, visit.keys, addition, version=opened.version):
        return turn_away(COME_BACK)
    return lead_to(DANGER)


def _make_addition(door: PublicDoor, returned: Returned, place: ReturnPlace) -> Draft:
    """Make the draft of an addition; it counts as already sent, so that it is linked to the first report.

    It does not contain the words of the return code. The seed stays until Send, so that Back leads to the replies.
    """
    sent = Sent(
        report_ids=[],
        reference=returned.reference,
        is_owed_an_answer=place.reply_by is not None,
        sent_at=place.sent_at,
        text_macs=[],
        screen_macs={},
        reply_by=place.reply_by,
        urgency="crisis" if _was_crisis(door, place) else "other",
        reply_key=make_reply_public_key(returned.seed),
    )
    return Draft(
        report_id=make_submit_token(door),
        started_at=format_time(door.clock()),
        language=door.wording.language,
        sent=sent,
        returned=returned,
    )


def _was_crisis(door: PublicDoor, place: ReturnPlace) -> bool:
    """Return whether the first report was promised a crisis deadline, which the addition must match.

    The place stores only the promised day: in a crisis it is earlier than working days allow.
    """
    if place.reply_by is None:
        return False
    by_office_days = door.agency.get_reply_by(parse_time(place.sent_at), urgency="other")
    return date.fromisoformat(place.reply_by) < by_office_days


def render_replies(door: PublicDoor, found: FoundPlace, form: FormState) -> str:
    """Render the page; a message that only confirms reading is shown as the stage.

    If there is an answer, the stage shows that, and no promise of one is repeated.
    """
    words, place = door.wording.page(REPLIES), found.place
    promised = None if place.reply_by is None else format_day(date.fromisoformat(place.reply_by))
    promise = words["no_promise"] if promised is None else words["promise"].format(day=promised)
    replies = [one for one in found.messages if one.kind == "reply"]
    return render_page(
        door,
        "replies.html",
        form=form,
        ways="buttons",
        title=words["title"],
        page=words,
        reference=place.reference,
        stage=words["stage_answered" if replies else f"stage_{found.stage}"],
        promise="" if replies else promise,
        replies=[
            {"day": words["written"].format(day=format_day(parse_time(one.issued_at).date())), "text": one.body}
            for one in replies
        ],
    )
