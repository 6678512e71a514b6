"""Coming back: asks for the reference and the five words, and shows the replies if both are right.

Never reveals which of the two was wrong, whether the reference exists, or that there were too many tries. Warns every
visitor that a form in progress in this browser is wiped: a conditional warning would reveal one to the next person.
"""

from dataclasses import dataclass
from typing import Literal

from flask import request
from flask.typing import ResponseReturnValue

from gateway.public.door import PublicDoor, get_door
from gateway.public.navigation import COME_BACK, REPLIES, Action
from gateway.public.pages.layout import FormState, make_blank_form, render_page
from gateway.public.pages.messages import make_notice
from gateway.public.returning.return_code import Returned
from gateway.public.views.responses import (
    LOG_WORD,
    SMALL_BODY_BYTES,
    TOO_MANY_REQUESTS,
    answer_later,
    is_asked_to_wait,
    lead_to,
    read_action,
    switch_language,
)
from gateway.public.visiting.drafts import NO_VERSION, Draft, make_submit_token, save_draft, wipe_drafts
from gateway.public.visiting.visit import find_visit, remember_asked_language, start_visit
from gateway.public.wording import refresh_language
from gateway.store import StorageUnavailableError
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.canonical import format_time

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
