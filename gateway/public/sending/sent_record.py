"""The record that is left after Send: all that the thank-you page needs, and no word of what was sent.

Its advice (R27) is kept as codes of the one advice library, so that the page can be shown again in either language.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.guidance.advice import Audience, fill_sentences, get_audience, list_fitting_advice
from gateway.public.door import PublicDoor
from gateway.public.journey import (
    SCREENS,
    Answers,
    ReaderProfile,
    get_one,
    is_about_other,
    is_owed_an_answer,
    list_urgent,
    make_profile,
)
from gateway.public.returning.way_back import WayBack
from gateway.public.sending.sealed_answers import is_crisis
from gateway.public.visiting.drafts import Draft, JourneyKeys, Sent, make_text_mac
from gateway.public.wording import DEFAULT_LANGUAGE, get_language
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.public_codes import NOT_UK

UK_EMERGENCY: Final = "999"  # the one number that stands in the library's words
MOST_SPECIAL: Final = 2  # what fits the kind; more than that and nobody reads what holds for everyone
# The page says the first two in words of its own, larger; not to pay is said where somebody threatens.
LEFT_OUT: Final = frozenset(
    {
        *("not_your_fault", "tell_an_adult", "do_not_pay"),
        *("adult_not_their_fault", "adult_talk", "adult_do_not_pay"),
        *("friend_not_their_fault", "friend_talk", "self_talk"),
    }
)
# Report Remove is for who lives in the UK; the page about pictures names who helps in another country.
UK_ONLY: Final = frozenset({"nude_of_you", "friend_nude", "adult_nude_of_child"})
FIRST: Final = frozenset({"call_999_if_worse", "friend_call_999", "adult_call_999", "self_call_999"})


def list_advice_codes(door: PublicDoor, answers: Answers, *, audience: Audience) -> list[str]:
    """List the entries for these answers, danger first and then the most special; `audience` says who reads them."""
    library = door.advice[DEFAULT_LANGUAGE]
    general = sum(one.is_general for one in library.advice if one.is_for(audience))
    found = list_fitting_advice(
        library,
        kinds=answers.get("kinds", ()),
        age_band=get_one(answers, "their_age" if is_about_other(answers) else "age"),
        audience=audience,
        limit=general + MOST_SPECIAL,
    )
    left_out = LEFT_OUT | UK_ONLY if get_one(answers, "region") == NOT_UK else LEFT_OUT
    codes = [advice.code for advice in found if advice.code not in left_out]
    return sorted(codes, key=lambda code: code not in FIRST)  # danger first; the rest as it stands


def say_advice(door: PublicDoor, codes: Sequence[str], *, emergency: str) -> list[str]:
    """Say the entries in the language of this request, each as one text; `emergency` is the reader's number."""
    library = {advice.code: advice for advice in door.advice[get_language()].advice}
    names = {key: post.say_name(get_language()) for key, post in door.signposts.items()}
    texts = [" ".join(fill_sentences(library[code], names=names)) for code in codes if code in library]
    return [text.replace(UK_EMERGENCY, emergency) for text in texts]


def find_reply_by(door: PublicDoor, draft: Draft, answers: Answers, *, sent_at: str) -> str | None:
    """Find the day of the promise that this Send makes: what is sent later promises anew to whom the first did."""
    if not _is_owed(draft, answers):
        return None
    is_urgent = is_crisis(draft, answers, environment=door.key_state.environment)
    return door.agency.make_promise(parse_time(sent_at), is_crisis=is_urgent).reply_by.isoformat()


def make_sent(
    door: PublicDoor,
    draft: Draft,
    answers: Answers,
    *,
    keys: JourneyKeys,
    reference: str,
    sent_at: str,
    reply_by: str | None,
    way_back: WayBack | None = None,
) -> Sent:
    """Make the record; a supplement keeps the number, the words and the advice that were given first.

    Who came back with the words was given advice in another visit: they get what holds for what they add.
    """
    text_mac = make_text_mac(answers, keys=keys)
    is_urgent = is_crisis(draft, answers, environment=door.key_state.environment)
    read_by = format_time(door.agency.make_promise(parse_time(sent_at), is_crisis=is_urgent).read_by)
    reader = _get_reader(draft, answers)
    profile = make_profile(answers)
    advice = list_advice_codes(door, answers, audience=reader)
    screen_macs = {
        screen.name: make_text_mac({field.name: answers.get(field.name, ()) for field in screen.fields}, keys=keys)
        for screen in SCREENS
        if screen.fields
    }
    if draft.sent is not None:
        return msgspec.structs.replace(
            draft.sent,
            report_ids=[*draft.sent.report_ids, draft.report_id],
            text_macs=[*draft.sent.text_macs, text_mac],
            screen_macs=draft.sent.screen_macs or screen_macs,
            reply_by=reply_by,
            read_by=read_by,
            is_crisis=is_urgent,
            advice=draft.sent.advice or advice,
            urgent=list(list_urgent(answers)) or draft.sent.urgent,
        )
    return Sent(
        report_ids=[draft.report_id],
        reference=reference,
        is_owed_an_answer=is_owed_an_answer(answers),
        sent_at=sent_at,
        text_macs=[text_mac],
        screen_macs=screen_macs,
        reply_by=reply_by,
        read_by=read_by,
        is_crisis=is_urgent,
        return_words=None if way_back is None else way_back.words,
        reply_key=None if way_back is None else way_back.reply_key,
        advice=advice,
        urgent=list(list_urgent(answers)),
        country=profile.country,
        country_there=profile.country_there,
        reader=reader,
    )


def get_sent_profile(sent: Sent) -> ReaderProfile:
    """Return who reads the thank-you page, and where."""
    reader = sent.reader or ("child" if sent.is_owed_an_answer else "adult")
    return ReaderProfile(reader, country=sent.country, country_there=sent.country_there)


def make_remaining_draft(draft: Draft, sent: Sent, *, report_id: str) -> Draft:
    """Make what takes the place of a draft that was sent: the record, and a new submit token for what is added."""
    return Draft(report_id=report_id, started_at=draft.started_at, language=draft.language, sent=sent)


def _is_owed(draft: Draft, answers: Answers) -> bool:
    return is_owed_an_answer(answers) if draft.sent is None else draft.sent.is_owed_an_answer


def _get_reader(draft: Draft, answers: Answers) -> Audience:
    # What is added after Send asks nobody again who they are: the record of the first report knows it.
    if draft.sent is not None and draft.sent.reader is not None:
        return draft.sent.reader
    return get_audience(is_grown_up=not _is_owed(draft, answers), who=get_one(answers, "who"))
