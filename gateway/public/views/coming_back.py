"""Coming back: asks for the reference and the five words, and shows stage and replies if both are right.

Never reveals which of the two was wrong, whether the reference exists, or that there were too many tries. Warns every
visitor that a form in progress in this browser is wiped: a conditional warning would reveal one to the next person.

Never shows any text of the report: nothing here could open it.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from flask import request
from flask.typing import ResponseReturnValue

from gateway.public.door import COME_BACK, REPLIES, Action, PublicDoor, get_door
from gateway.public.journey import DANGER
from gateway.public.pages import FormState, make_blank_form, make_form, make_notice, render_page
from gateway.public.returning import FoundPlace, Returned, ReturnPlace, make_reply_public_key
from gateway.public.views.screens import (
    LOG_WORD,
    SMALL_BODY_BYTES,
    TOO_MANY_REQUESTS,
    answer_later,
    answer_not_ready,
    is_asked_to_wait,
    lead_to,
    read_action,
    switch_language,
    turn_away,
)
from gateway.public.visit import (
    NO_VERSION,
    Draft,
    Sent,
    Visit,
    find_opened_draft,
    find_visit,
    is_inside,
    is_own_form,
    make_submit_token,
    remember_asked_language,
    save_draft,
    start_visit,
    wipe_drafts,
)
from gateway.public.wording import format_day, refresh_language
from gateway.store import StorageUnavailableError
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.canonical import format_time, parse_time

MAX_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Typed:
    """The typed text of the two fields."""

    reference: str = ""
    words: str = ""


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_come_back() -> ResponseReturnValue:
    """Ask for the number and the five words; always blank."""
    remember_asked_language()
    return render_come_back(get_door(), Typed(), make_blank_form())


@rule(login=Login.OPEN, limit="public-return", csrf=CsrfRule.TOKEN, body_bytes=SMALL_BODY_BYTES, log_word=LOG_WORD)
def post_come_back() -> ResponseReturnValue:
    """Redirect to the replies if both are right; else show the page again with its one message."""
    door, typed = get_door(), read_typed()
    if read_action() == Action.LANGUAGE:
        switch_language()
        refresh_language()
        return render_come_back(door, typed, make_blank_form())
    if is_asked_to_wait(door, "public-return"):
        return render_come_back(door, typed, make_blank_form(), notice_page="slow"), TOO_MANY_REQUESTS
    if not typed.reference.strip() or not typed.words.strip():
        return render_come_back(door, typed, make_blank_form(), fault="blank")
    try:
        returned = door.ways_back.find_returned(typed_reference=typed.reference, typed_words=typed.words)
        if returned is None:
            return render_come_back(door, typed, make_blank_form(), fault="refused")
        return _lead_in(door, returned)
    except StorageUnavailableError:
        return answer_later(render_come_back(door, typed, make_blank_form(), notice_page="not_ready"))


def read_typed() -> Typed:
    """Read the two fields; input longer than any valid answer is cut."""
    return Typed(
        reference=request.form.get("reference", "")[:MAX_SHOWN_CHARACTERS],
        words=request.form.get("words_typed", "")[:MAX_SHOWN_CHARACTERS],
    )


def _lead_in(door: PublicDoor, returned: Returned) -> ResponseReturnValue:
    """Begin a separate visit. The seed is stored like a draft: under the cookie's key, for an hour."""
    former = find_visit()
    visit = start_visit(door)
    draft = Draft(
        report_id=make_submit_token(door),
        started_at=format_time(door.clock()),
        language=door.wording.language,
        returned=returned,
    )
    save_draft(door, visit.keys, draft, version=NO_VERSION)
    if former is not None:
        wipe_drafts(door, *former.list_draft_ids())
    return lead_to(REPLIES)


def render_come_back(
    door: PublicDoor,
    typed: Typed,
    form: FormState,
    *,
    fault: Literal["blank", "refused"] | None = None,
    notice_page: str | None = None,
) -> str:
    """Render the page; `fault` is either a missing field, or the one message for everything else."""
    words = door.wording.page(COME_BACK)
    return render_page(
        door,
        "come_back.html",
        form=form,
        ways="buttons",
        default_action=Action.CONTINUE,
        title=words["title"],
        page=words,
        typed=typed,
        has_faults=fault is not None,
        faults=[] if fault is None else [{"target": _get_target(typed), "text": words[fault]}],
        notice=None if notice_page is None else make_notice(door, notice_page),
    )


def _get_target(typed: Typed) -> str:
    """Find the field for the link in the error summary: the first, or the empty one."""
    return "words_typed" if typed.reference and not typed.words else "reference"


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
