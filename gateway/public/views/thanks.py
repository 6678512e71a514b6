"""The thank-you page: shown only for a stored report, from the record of Send.

In practice mode it explains that nothing was sent.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any, Final

import msgspec
from flask.typing import ResponseReturnValue

from gateway.exchange.public_codes import CALLED, CANNOT_CALL, HURTING
from gateway.guidance.advice import FIRST, fill_sentences
from gateway.guidance.signposts import get_talk, list_names_abroad
from gateway.public.door import PublicDoor, get_door
from gateway.public.drafts import Sent, find_opened_draft, save_draft
from gateway.public.journey import THANKS, ReaderProfile
from gateway.public.navigation import (
    OPINION_PART,
    OPINIONS,
    Action,
    Opinion,
    find_opinion,
    find_wanted_side,
    get_path,
    make_opinion_action,
)
from gateway.public.pages import (
    FormState,
    get_emergency_number,
    list_posts,
    list_talk_there,
    list_words_there,
    make_form,
    render_message,
    render_page,
)
from gateway.public.views.responses import (
    LOG_WORD,
    SMALL_BODY_BYTES,
    answer_later,
    lead_to,
    read_action,
    switch_language,
    turn_away,
)
from gateway.public.views.sides import lead_to_side
from gateway.public.visit import Visit, find_visit, is_inside, is_own_form
from gateway.public.wording import Voice, find_in_voice, format_day, get_language, make_reader_voice
from gateway.store import StorageUnavailableError
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.canonical import parse_time

RETRY_SECONDS = 10  # the report is stored: only the number is missing
# Codes of `URGENT_RULES`: those that ask for a call first, and possible self-harm.
_CALL_FIRST: Final = frozenset({"danger", "meeting_today"})
_NO_CALL_BUTTON: Final = frozenset({CANNOT_CALL, CALLED})  # for a reader who cannot call, or has called already
_MEETINGS: Final = frozenset({"meeting_today", "meeting_soon"})
_MEETING_KINDS: Final = ("wants_to_meet",)  # the kinds of the advice that the block for a meeting has already
_MAY_HURT: Final = frozenset({HURTING, "keep_close"})


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_thanks(name: str) -> ResponseReturnValue:
    """Confirm that the report is stored, with the time of reading and advice until then."""
    door, visit = get_door(), find_visit()
    if visit is None or not is_inside(name):
        return turn_away()
    try:
        opened = find_opened_draft(door, visit.keys)
    except StorageUnavailableError:
        # The report was stored earlier, so nothing here may deny that.
        return answer_later(render_message(door, "thanks_later"), retry_seconds=RETRY_SECONDS)
    if opened is None or opened.draft.sent is None:
        return turn_away()
    return render_thanks(door, opened.draft.sent, make_form(visit.keys, opened.version))


@rule(login=Login.OPEN, limit="public-step", csrf=CsrfRule.TOKEN, body_bytes=SMALL_BODY_BYTES, log_word=LOG_WORD)
def post_thanks(name: str) -> ResponseReturnValue:
    """Change the language, or count the tap of feedback; a second tap changes nothing."""
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
    return lead_to(name, part="" if opinion is None else OPINION_PART)


def _count_tap(door: PublicDoor, visit: Visit, opinion: Opinion) -> None:
    with suppress(StorageUnavailableError):  # feedback is no reason to show a child an error
        opened = find_opened_draft(door, visit.keys)
        if opened is None or opened.draft.sent is None or opened.draft.sent.has_told:
            return
        sent = msgspec.structs.replace(opened.draft.sent, has_told=True)
        draft = msgspec.structs.replace(opened.draft, sent=sent)
        if save_draft(door, visit.keys, draft, version=opened.version):
            door.count(f"form-was-ok:{opinion}")  # the answer to 'Was this OK to fill in?' (R34)


def render_thanks(door: PublicDoor, sent: Sent, form: FormState) -> str:
    """Render the thank-you page."""
    profile = sent.profile
    reader = profile.reader
    said = door.wording.screen(THANKS)
    words = {key: find_in_voice(said, key, voice=make_reader_voice(reader)) for key in said}
    is_asked = not sent.has_told and not door.is_practice  # in practice nothing is counted
    return render_page(
        door,
        "thanks.html",
        profile=profile,
        form=form,
        ways="buttons",
        form_path=get_path(THANKS),
        opinions=[(make_opinion_action(one), words["ok"][one]) for one in OPINIONS] if is_asked else [],
        has_told=sent.has_told,
        advice=_list_advice(door, sent, profile),
        urgent=make_urgent(door, sent.urgent, profile),
        title=words["title"],
        screen=words,
        brave=words["brave"],
        reference=sent.reference,
        return_words=sent.return_words,
        has_way_back=sent.reply_key is not None,
        what_next=list_what_next(door, sent, words),
        # The block at the top lists whom to talk to.
        talk=[] if sent.urgent else list_posts(door, words["talk"], profile=profile),
    )


def make_urgent(door: PublicDoor, codes: Sequence[str], profile: ReaderProfile) -> Mapping[str, Any] | None:
    """Make the block for urgent matters at the top, with the next step for each. None if there are none.

    The call is the one filled button; a reader who cannot call gets the other ways, and one who has called none.
    """
    if not codes:
        return None
    words, voice = door.wording.screen("urgent"), make_reader_voice(profile.reader, is_abroad=bool(profile.country))
    emergency, there = get_emergency_number(door, profile.country), list_words_there(door, profile)
    call_at = next((code for code in codes if code in _CALL_FIRST), None) if _NO_CALL_BUTTON.isdisjoint(codes) else None
    parts: list[Mapping[str, Any]] = []
    for code in codes:
        to_do = [line.format(emergency=emergency) for line in find_in_voice(words, f"{code}_do", voice=voice)]
        if there and code != HURTING:  # possible self-harm concerns the reader, who is here
            at = max((place for place, line in enumerate(to_do) if emergency in line), default=-1)
            to_do[at] = " ".join((to_do[at], *there))  # beside the call
            there = []  # show it once
        parts.append(
            {
                "told": find_in_voice(words, f"{code}_told", voice=voice),
                "to_do": to_do,
                "has_call": code == call_at,
            }
        )
    return {
        "heading": words["title"],
        "parts": parts,
        "ways_heading": words["ways_heading"],
        "ways": list_posts(door, words["ways"], profile=profile),
        "talk_heading": words["talk_heading"],
        "talk": _list_urgent_talk(door, codes, profile, voice=voice),
    }


def _list_urgent_talk(
    door: PublicDoor, codes: Sequence[str], profile: ReaderProfile, *, voice: Voice
) -> list[Mapping[str, str | None]]:
    """List the reader's helplines, by voice and without; in case of possible self-harm also those for that.

    A reader who may self-harm gets their own helplines, even in a report about another person.
    """
    there = list_talk_there(door, profile)
    if there:
        return there
    if HURTING in codes:
        voice = ("",) if profile.reader in {"child", "friend"} else ("_self", *voice)
    may_hurt = not _MAY_HURT.isdisjoint(codes)
    entries = find_in_voice(door.wording.screen("urgent"), "signposts", voice=voice)
    return list_posts(door, [one for one in entries if may_hurt or "if_hurting" not in one], profile=profile)


def _list_advice(door: PublicDoor, sent: Sent, profile: ReaderProfile) -> list[str]:
    """List the advice as texts in the current language, with the bodies and the number of the reader's country."""
    library = {advice.code: advice for advice in door.advice[get_language()].advice}
    names = _name_bodies(door, profile)
    emergency, is_abroad = get_emergency_number(door, profile.country), bool(profile.country)
    codes = [code for code in list_shown_advice(sent) if code in library]
    if not _MEETINGS.isdisjoint(sent.urgent):  # the block at the top has that advice
        codes = [code for code in codes if library[code].kinds != _MEETING_KINDS]
    said = {
        code: " ".join(
            fill_sentences(library[code], names=names, emergency=emergency, is_abroad=is_abroad, is_near=sent.is_near)
        )
        for code in codes
    }
    if codes and codes[0] in FIRST:
        said[codes[0]] = " ".join((said[codes[0]], *list_words_there(door, profile)))
    return [text for text in said.values() if text]


def _name_bodies(door: PublicDoor, profile: ReaderProfile) -> Mapping[str, str | None]:
    names = {key: post.get_name(get_language()) for key, post in door.signposts.items()}
    if profile.country:
        helpline = get_talk(door.countries, profile.country).name
        return list_names_abroad(names, signposts=door.signposts, helpline=helpline)
    return list_names_abroad(names, signposts=door.signposts) if profile.country_there else {**names}


def list_shown_advice(sent: Sent) -> list[str]:
    """List the advice to show; "call if it gets worse" is left out after "call now"."""
    return [code for code in sent.advice if not (sent.urgent and code in FIRST)]


def list_what_next(door: PublicDoor, sent: Sent, words: Mapping[str, str]) -> list[str]:
    """List the next steps: the time of reading, the hours until then, and the answer.

    Each hour names its zone, because the reader may be in another one.
    """
    is_soon = sent.urgency != "other"
    found = []
    if sent.next_hour is not None:
        found.append(words["nobody"].format(at=_format_hour(door, sent.next_hour, words="at_time")))
    if sent.read_by is not None:
        read_by = _format_hour(door, sent.read_by, words="read_by_time" if is_soon else "read_by_day")
        found.append(words["read"].format(read_by=read_by))
    if is_soon and sent.next_hour is None:
        found.append(words["between"])
    if is_soon or sent.next_hour is not None:
        found.append(words["wait"].format(emergency=get_emergency_number(door, sent.profile.country)))
    if sent.is_owed_an_answer and sent.reply_by is not None:
        key = "reply_child_soon" if is_soon else "reply_child"
        return [*found, words[key].format(reply_by=format_day(date.fromisoformat(sent.reply_by)))]
    return [*found, words["reply_adult"]]


def _format_hour(door: PublicDoor, moment: str, *, words: str) -> str:
    """Return the words for a stored time, today or on a named day, in the desk's zone, which the words name."""
    common, local = door.wording.common(), parse_time(moment).astimezone(door.agency.zone)
    is_today = local.date() == door.agency.get_day(door.clock())
    return common[f"{words}_today" if is_today else words].format(time=f"{local:%H:%M}", day=format_day(local.date()))
