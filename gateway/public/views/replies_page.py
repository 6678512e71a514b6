"""What somebody who came back sees: how far it is, the day that was promised, the replies, and a way to add more.

Never shows a word of the report: nothing here could open it.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from flask import redirect, request
from flask.typing import ResponseReturnValue

from gateway.public.door import PublicDoor, get_door
from gateway.public.draft_rows import OpenedDraft, find_opened_draft, save_draft
from gateway.public.drafts import Draft, Returned, Sent
from gateway.public.journey import SCREEN_BY_NAME
from gateway.public.languages import get_other_language, say_day
from gateway.public.pages import FormState, make_form, render_message, render_page
from gateway.public.replies import ReturnPlace, open_place, open_replies
from gateway.public.return_code import make_reply_public_key
from gateway.public.send import make_submit_token
from gateway.public.views.come_back import COME_BACK_PATH, FORM_BODY_BYTES, REPLIES, REPLIES_PATH
from gateway.public.views.start import LOG_WORD, SEE_OTHER
from gateway.public.visit import Visit, find_visit, go_to_place, is_inside, is_own_form, remember_language
from gateway.store import StorageUnavailableError
from gateway.store.replies import list_replies
from gateway.store.reports import STAGE_RECEIVED, find_stage
from gateway.store.return_places import find_return_place
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.canonical import format_time, parse_time
from partner_sdk.errors import OpeningError
from partner_sdk.reply_message import ReplyMessage

MOST_SHOWN: Final = 50
STORY: Final = "story"  # where adding starts: one field, the person's own words


@dataclass(frozen=True, slots=True)
class FoundPlace:
    """What the store and the words give together."""

    place: ReturnPlace
    stage: str
    messages: list[ReplyMessage]


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_replies() -> ResponseReturnValue:
    """Show what waits here, but only to who just came in with the words; from outside they are asked again."""
    door, visit = get_door(), find_visit()
    if visit is None or not is_inside(REPLIES):
        return redirect(COME_BACK_PATH, SEE_OTHER)
    try:
        opened = find_opened_draft(door, visit.keys)
        found = None if opened is None else find_place(door, opened.draft.returned)
    except StorageUnavailableError:
        return render_message(door, "not_ready", go_on=None), 503, {"Retry-After": "60"}
    if opened is None or found is None:
        return redirect(COME_BACK_PATH, SEE_OTHER)
    return render_replies(door, found, make_form(visit.keys, opened.version))


@rule(login=Login.OPEN, limit="public-step", csrf=CsrfRule.TOKEN, body_bytes=FORM_BODY_BYTES, log_word=LOG_WORD)
def post_replies() -> ResponseReturnValue:
    """Change the language, or begin to add more."""
    door, visit = get_door(), find_visit()
    if visit is None or not is_own_form(visit):
        return redirect(COME_BACK_PATH, SEE_OTHER)
    if request.form.get("action") != "add":
        remember_language(get_other_language())
        go_to_place(REPLIES)
        return redirect(REPLIES_PATH, SEE_OTHER)
    try:
        opened = find_opened_draft(door, visit.keys)
        found = None if opened is None else find_place(door, opened.draft.returned)
        if opened is None or found is None or not _begin_addition(door, visit, opened, found.place):
            return redirect(COME_BACK_PATH, SEE_OTHER)
    except StorageUnavailableError:
        return render_message(door, "not_ready", go_on=None), 503, {"Retry-After": "60"}
    go_to_place(STORY)
    return redirect(f"/{SCREEN_BY_NAME[STORY].path}", SEE_OTHER)


def find_place(door: PublicDoor, returned: Returned | None) -> FoundPlace | None:
    """Open the place of somebody who came back, with what waits there; None when it has had its time.

    Raises StorageUnavailableError.
    """
    if returned is None:
        return None
    reference, now = returned.reference, door.clock()
    with door.store.read() as connection:
        box = find_return_place(connection, reference=reference, now=now)
        stage = find_stage(connection, reference=reference)
        stored = list_replies(connection, reference=reference, limit=MOST_SHOWN)
    if box is None:
        return None
    try:
        place = open_place(box, seed=returned.seed, environment=door.key_state.environment, reference=reference)
    except OpeningError:
        return None
    keys = door.key_state.find_keys()
    signers = () if keys is None else keys.key_set.mailbox_keys
    messages = open_replies(stored, seed=returned.seed, place=place, signers=signers, now=now)
    # Who writes an answer has read the report, also where no note says so.
    is_read = bool(messages) or stage == "opened"
    return FoundPlace(place, "read" if is_read else stage or STAGE_RECEIVED, messages)


def render_replies(door: PublicDoor, found: FoundPlace, form: FormState) -> str:
    """Render the page."""
    words, place = door.words.page(REPLIES), found.place
    promised = None if place.reply_by is None else say_day(date.fromisoformat(place.reply_by))
    return render_page(
        door,
        "replies.html",
        form=form,
        ways="buttons",
        title=words["title"],
        page=words,
        reference=place.reference,
        stage=words[f"stage_{found.stage}"],
        promise=words["no_promise"] if promised is None else words["promise"].format(day=promised),
        replies=[
            {"day": words["written"].format(day=say_day(parse_time(one.issued_at).date())), "text": one.body}
            for one in found.messages
            if one.kind == "reply"
        ],
    )


def _begin_addition(door: PublicDoor, visit: Visit, opened: OpenedDraft, place: ReturnPlace) -> bool:
    """Put a draft that counts as sent once in the place of what was kept: what is sent now is linked to the first."""
    returned = opened.draft.returned
    if returned is None:
        return False
    sent = Sent(
        report_ids=[],
        reference=returned.reference,
        is_owed_an_answer=place.reply_by is not None,
        sent_at=place.sent_at,
        text_macs=[],
        screen_macs={},
        reply_by=place.reply_by,
        reply_key=make_reply_public_key(returned.seed),
    )
    draft = Draft(
        report_id=make_submit_token(door),
        started_at=format_time(door.clock()),
        language=door.words.language,
        sent=sent,
    )
    return save_draft(door, visit.keys, draft, version=opened.version)
