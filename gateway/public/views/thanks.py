"""The thank-you page: shown only for what was stored, from the record that Send left."""

from datetime import datetime

from flask import redirect
from flask.typing import ResponseReturnValue

from gateway.public.door import PublicDoor, get_door
from gateway.public.draft_rows import find_opened_draft
from gateway.public.drafts import Sent
from gateway.public.journey import THANKS
from gateway.public.pages import render_message, render_page
from gateway.public.views.start import LOG_WORD, SEE_OTHER
from gateway.public.visit import find_visit, is_inside
from gateway.store import StorageUnavailableError
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.canonical import parse_time


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
    return render_thanks(door, opened.draft.sent)


def render_thanks(door: PublicDoor, sent: Sent) -> str:
    """Render the thank-you page from the record that Send left."""
    words = door.words.screen(THANKS)
    is_child = sent.is_owed_an_answer
    help_names = {
        "childline_name": door.signposts["childline"].name,
        "childline_phone": door.signposts["childline"].phone,
        "nspcc_name": door.signposts["nspcc"].name,
        "nspcc_phone": door.signposts["nspcc"].phone,
    }
    read_by = door.words.common()[f"read_{door.promises.read_within}"]
    reply_by = say_day(door, parse_time(sent.sent_at))
    return render_page(
        door,
        "thanks.html",
        title=words["title"],
        screen=words,
        brave=words["brave" if is_child else "brave_adult"],
        reference=sent.reference,
        read=words["read"].format(read_by=read_by),
        reply=words["reply_child" if is_child else "reply_adult"].format(reply_by=reply_by),
        talk=words["talk" if is_child else "talk_adult"].format(**help_names),
    )


def say_day(door: PublicDoor, sent_at: datetime) -> str:
    """Say the last day for an answer as a child would: the day's name, its number and the month."""
    day = door.promises.get_reply_day(sent_at)
    names = door.words.table["days"]
    return f"{names['week'][day.weekday()]} {day.day} {names['month'][day.month - 1]}"
