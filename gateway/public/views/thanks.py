"""The thank-you page: shown only for what was stored, from the record that Send left."""

from contextlib import suppress
from datetime import date

import msgspec
from flask import redirect, request
from flask.typing import ResponseReturnValue

from gateway.public.advice_shown import say_advice
from gateway.public.door import PublicDoor, get_door
from gateway.public.draft_rows import find_opened_draft, save_draft
from gateway.public.drafts import Sent
from gateway.public.journey import SCREEN_BY_NAME, THANKS
from gateway.public.languages import get_other_language, say_day
from gateway.public.pages import FormState, make_form, make_help_bar, render_message, render_page
from gateway.public.tallies import OPINIONS, count_opinion
from gateway.public.views.sides import find_wanted_side, lead_to_side
from gateway.public.views.start import LOG_WORD, SEE_OTHER
from gateway.public.visit import Visit, find_visit, go_to_place, is_inside, is_own_form, remember_language
from gateway.public.voice import GROWN_UP_VOICE
from gateway.public.wording import PLAIN_VOICE, find_words
from gateway.store import StorageUnavailableError
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.canonical import parse_time

OK = "ok:"  # a button's action: the one tap at the end
TAP_BODY_BYTES = 8 * 1024


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_thanks(name: str) -> ResponseReturnValue:
    """Say that it was stored, who reads it and when, and what to do until then."""
    door, visit = get_door(), find_visit()
    if visit is None or not is_inside(name):
        return redirect("/", SEE_OTHER)
    try:
        opened = find_opened_draft(door, visit.keys)
    except StorageUnavailableError:
        # It was stored before this page was asked for, so nothing here may say that it was not.
        return render_message(door, "thanks_later"), 503, {"Retry-After": "10"}
    if opened is None or opened.draft.sent is None:
        return redirect("/", SEE_OTHER)
    return render_thanks(door, opened.draft.sent, make_form(visit.keys, opened.version))


@rule(login=Login.OPEN, limit="public-step", csrf=CsrfRule.TOKEN, body_bytes=TAP_BODY_BYTES, log_word=LOG_WORD)
def post_thanks(name: str) -> ResponseReturnValue:
    """Change the language, or count the one tap on how the form was to fill in; a second tap changes nothing."""
    door, visit = get_door(), find_visit()
    if visit is None or not is_own_form(visit):
        return redirect("/", SEE_OTHER)
    action = request.form.get("action", "")
    side = find_wanted_side(action)
    if side is not None:
        return lead_to_side(side, from_screen=name)
    if action == "language":
        remember_language(get_other_language())
    else:
        _count_tap(door, visit, action.removeprefix(OK))
    go_to_place(name)
    return redirect(f"/{SCREEN_BY_NAME[name].path}", SEE_OTHER)


def _count_tap(door: PublicDoor, visit: Visit, wanted: str) -> None:
    opinion = next((one for one in OPINIONS if one == wanted), None)
    if opinion is None:
        return
    with suppress(StorageUnavailableError):  # an opinion is no reason to show a child an error
        opened = find_opened_draft(door, visit.keys)
        if opened is None or opened.draft.sent is None or opened.draft.sent.has_told:
            return
        sent = msgspec.structs.replace(opened.draft.sent, has_told=True)
        draft = msgspec.structs.replace(opened.draft, sent=sent)
        if save_draft(door, visit.keys, draft, version=opened.version) and not door.is_practice:
            count_opinion(door, opinion)


def render_thanks(door: PublicDoor, sent: Sent, form: FormState) -> str:
    """Render the thank-you page from the record that Send left."""
    is_child = sent.is_owed_an_answer
    said = door.words.screen(THANKS)
    words = {key: find_words(said, key, voice=PLAIN_VOICE if is_child else GROWN_UP_VOICE) for key in said}
    help_names = {
        "childline_name": door.signposts["childline"].name,
        "childline_phone": door.signposts["childline"].phone,
        "nspcc_name": door.signposts["nspcc"].name,
        "nspcc_phone": door.signposts["nspcc"].phone,
    }
    read_by = door.words.common()[f"read_{door.promises.read_within}"]
    reply_by = say_day(find_reply_day(door, sent))
    answers = {"country": [sent.country], "under_18": ["yes" if is_child else "no"]}  # for the help bar's numbers
    emergency = make_help_bar(door, answers)["emergency"]
    return render_page(
        door,
        "thanks.html",
        answers=answers,
        form=form,
        ways="buttons",
        action=f"/{SCREEN_BY_NAME[THANKS].path}",
        opinions=[] if sent.has_told else [(f"{OK}{one}", words["ok"][one]) for one in OPINIONS],
        has_told=sent.has_told,
        advice=say_advice(door, sent.advice, emergency=str(emergency)),
        title=words["title"],
        screen=words,
        brave=words["brave" if is_child else "brave_adult"],
        reference=sent.reference,
        return_words=sent.return_words,
        read=words["read"].format(read_by=read_by),
        reply=words["reply_child" if is_child else "reply_adult"].format(reply_by=reply_by),
        talk=words["talk" if is_child else "talk_adult"].format(**help_names),
    )


def find_reply_day(door: PublicDoor, sent: Sent) -> date:
    """Find the day that was sealed in the report; a record of the release before has none, and gives the same day."""
    if sent.reply_by is None:
        return door.promises.get_reply_day(parse_time(sent.sent_at))
    return date.fromisoformat(sent.reply_by)
