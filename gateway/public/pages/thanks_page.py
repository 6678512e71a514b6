"""Makes the thank-you page from the record that Send left; in practice it says that nothing was sent."""

from datetime import date

from gateway.guidance.agency import Promise
from gateway.public.actions import OPINIONS, make_opinion_action
from gateway.public.door import PublicDoor
from gateway.public.journey import THANKS
from gateway.public.journey.places import get_path
from gateway.public.pages.frame import FormState, find_talk_there, get_emergency_number, render_page
from gateway.public.pages.posts import list_posts_abroad
from gateway.public.sending.advice_shown import say_advice
from gateway.public.sending.sent_record import get_sent_profile
from gateway.public.visiting.drafts import Sent
from gateway.public.wording import find_in_voice
from gateway.public.wording.languages import say_day
from gateway.public.wording.voice import make_reader_voice
from partner_sdk.wire.canonical import parse_time


def render_thanks(door: PublicDoor, sent: Sent, form: FormState) -> str:
    """Render the thank-you page."""
    is_child = sent.is_owed_an_answer
    profile = get_sent_profile(sent)
    reader = profile.reader
    said = door.words.screen(THANKS)
    words = {key: find_in_voice(said, key, voice=make_reader_voice(reader)) for key in said}
    help_names = {
        "childline_name": door.signposts["childline"].name,
        "childline_phone": door.signposts["childline"].phone,
        "nspcc_name": door.signposts["nspcc"].name,
        "nspcc_phone": door.signposts["nspcc"].phone,
        "samaritans_name": door.signposts["samaritans"].name,
        "samaritans_phone": door.signposts["samaritans"].phone,
    }
    promise = get_promise(door, sent)
    has_talk_there = find_talk_there(door, profile) is not None
    is_asked = not sent.has_told and not door.is_practice  # in practice nothing is counted, so nothing is asked
    return render_page(
        door,
        "thanks.html",
        profile=profile,
        form=form,
        ways="buttons",
        form_path=get_path(THANKS),
        opinions=[(make_opinion_action(one), words["ok"][one]) for one in OPINIONS] if is_asked else [],
        has_told=sent.has_told,
        advice=say_advice(door, sent.advice, emergency=get_emergency_number(door, sent.country)),
        title=words["title"],
        screen=words,
        brave=words["brave"],
        reference=sent.reference,
        return_words=sent.return_words,
        has_way_back=sent.reply_key is not None,
        read=words["read"].format(read_by=say_read_by(door, promise)),
        reply=words["reply_child" if is_child else "reply_adult"].format(reply_by=say_day(promise.reply_by)),
        talk="" if has_talk_there else words["talk"].format(**help_names),
        talk_posts=list_posts_abroad(door, sent.country, kind="talk") if has_talk_there else [],
    )


def get_promise(door: PublicDoor, sent: Sent) -> Promise:
    """Return what this Send promised: the day that was sealed, and the moment by which it is read."""
    promise = door.agency.make_promise(parse_time(sent.sent_at), is_crisis=False)
    return Promise(
        read_by=promise.read_by if sent.read_by is None else parse_time(sent.read_by),
        reply_by=promise.reply_by if sent.reply_by is None else date.fromisoformat(sent.reply_by),
    )


def say_read_by(door: PublicDoor, promise: Promise) -> str:
    """Return the words for when it is read: today, or by a day that is named."""
    words, day = door.words.common(), door.agency.get_day(promise.read_by)
    is_today = day == door.agency.get_day(door.clock())
    return str(words["read_today"] if is_today else words["read_by_day"].format(day=say_day(day)))
