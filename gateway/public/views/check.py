"""The check page, Send, and the thank-you page, which is shown only for a stored report, from the record of Send.

The check page's form carries all displayed answers, so that no failure can lose them. In practice mode the thank-you
page explains that nothing was sent.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any, Final

import msgspec
from flask import request
from flask.typing import ResponseReturnValue

from gateway.exchange.public_codes import FAST_SIGNAL, HURTING, LIMITED_SIGNAL, YES
from gateway.guidance.advice import FIRST, fill_sentences
from gateway.guidance.signposts import get_talk, list_names_abroad
from gateway.intake import ConflictingReportError, IntakeError
from gateway.public.door import (
    OPINION_PART,
    OPINIONS,
    Action,
    Opinion,
    PublicDoor,
    find_opinion,
    find_wanted_side,
    get_door,
    get_path,
    make_opinion_action,
)
from gateway.public.journey import (
    CHECK,
    SCREEN_BY_NAME,
    SCREENS,
    STORY,
    THANKS,
    Answers,
    ReaderProfile,
    Screen,
    drop_buttons,
    find_incomplete,
    find_packed_answers,
    get_previous,
    get_progress,
    keep_on_path,
    list_path,
    make_profile,
)
from gateway.public.journey.report import CALL_FIRST, MEETING_KINDS, MEETINGS, NO_CALL_BUTTON
from gateway.public.pages import (
    FormState,
    Row,
    get_emergency_number,
    list_posts,
    list_rows,
    list_talk_there,
    list_words_there,
    make_form,
    make_notice,
    make_waiting_form,
    render_message,
    render_page,
    render_screen,
)
from gateway.public.sending import DraftMovedError, practise_send, send_draft
from gateway.public.views.screens import (
    FORM_BODY_BYTES,
    LOG_WORD,
    SMALL_BODY_BYTES,
    TOO_MANY_REQUESTS,
    add_honeypot_signal,
    answer_expired,
    answer_later,
    answer_not_ready,
    answer_stale,
    answer_too_big,
    is_held_up,
    lead_out,
    lead_to,
    lead_to_side,
    make_draft,
    read_action,
    switch_language,
    turn_away,
)
from gateway.public.visit import (
    NO_VERSION,
    Draft,
    DraftTooBigError,
    OpenedDraft,
    Sent,
    Visit,
    find_opened_draft,
    find_visit,
    get_posted_version,
    has_shown_context,
    is_inside,
    is_known_mac,
    is_own_form,
    leave_context_out,
    make_submit_token,
    make_text_mac,
    save_draft,
)
from gateway.public.wording import Voice, find_in_voice, format_day, get_language, make_reader_voice, make_voice
from gateway.store import StorageUnavailableError
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.errors import FormatError, SealingError
from partner_sdk.wire.canonical import parse_time

FAST_SECONDS = 10  # too fast for seven answers; only a signal for the desk
MORE, PERSON = "more", "person"  # the button for optional details, and the first screen it leads to
_KNOW = ("heading", "lead", "points")  # who will know
TRIES = 3  # another tab may be faster; each try re-reads the draft


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_check(name: str) -> ResponseReturnValue:
    """Show all answers, each with a button to change it."""
    door, visit = get_door(), find_visit()
    if visit is None:
        return turn_away()
    if not is_inside(name):
        return lead_out()
    try:
        opened = find_opened_draft(door, visit.keys)
    except StorageUnavailableError:
        return answer_not_ready(door, may_start=False)
    if opened is None:
        return turn_away()
    is_addition = opened.draft.sent is not None
    answers = opened.draft.answers if is_addition else keep_on_path(opened.draft.answers)
    has_context = opened.draft.context is not None
    return render_check(door, visit, answers, version=opened.version, is_addition=is_addition, has_context=has_context)


@rule(login=Login.OPEN, limit="public-send", csrf=CsrfRule.TOKEN, body_bytes=FORM_BODY_BYTES, log_word=LOG_WORD)
def post_check(name: str) -> ResponseReturnValue:
    """Send, go back, or change one answer. After any failure the typed text stays on the page."""
    door, visit = get_door(), find_visit()
    shown = find_packed_answers(request.form.get("words"))
    if visit is None or not is_own_form(visit):
        return answer_expired(door, shown or {}, visit=visit)
    try:
        for _ in range(TRIES):
            try:
                return _answer_check(door, visit, shown)
            except (DraftMovedError, ConflictingReportError):
                continue  # another tab saved or sent: read the draft again
        return _answer_not_stored(door, visit, shown)
    except (StorageUnavailableError, IntakeError, SealingError, FormatError):
        return _answer_not_stored(door, visit, shown)
    except DraftTooBigError:
        return answer_too_big(door, shown or {})


def _answer_check(door: PublicDoor, visit: Visit, shown: dict[str, list[str]] | None) -> ResponseReturnValue:
    if read_action() == Action.LANGUAGE:
        switch_language()
    opened = find_opened_draft(door, visit.keys)
    if opened is None and shown and get_posted_version() == NO_VERSION:
        # The cookie was lost on the way; the page itself has all the text.
        opened = OpenedDraft(msgspec.structs.replace(make_draft(door), answers=shown), NO_VERSION)
    if opened is None:
        return answer_expired(door, shown or {})
    sent = opened.draft.sent
    if sent is not None:
        return _answer_sent_before(door, visit, opened, sent, shown)
    if read_action() == Action.KEEP_SAVED:
        return lead_to(CHECK)
    if shown is not None and drop_buttons(shown) != drop_buttons(keep_on_path(opened.draft.answers)):
        # Another tab saved other words: the person picks, and nothing is overwritten.
        if read_action() != Action.KEEP_TYPED:
            return answer_stale(door, SCREEN_BY_NAME[CHECK], visit, opened, shown)
        _save(door, visit, opened, msgspec.structs.replace(opened.draft, answers=shown))
        return lead_to(CHECK)
    return _answer_button(door, visit, opened)


def _save(door: PublicDoor, visit: Visit, opened: OpenedDraft, draft: Draft) -> None:
    if draft != opened.draft and not save_draft(door, visit.keys, draft, version=opened.version):
        raise DraftMovedError("another tab saved this draft first")


def _answer_button(door: PublicDoor, visit: Visit, opened: OpenedDraft) -> ResponseReturnValue:
    action = read_action()
    side = find_wanted_side(action)
    if side is not None:
        return lead_to_side(side, from_screen=CHECK)
    if "change" in request.form:
        path = request.form["change"]
        screen = next((one for one in SCREENS if one.path == path and one.fields), SCREEN_BY_NAME[CHECK])
        return lead_to(screen.name)
    if MORE in request.form:  # the optional screens stand before the check page from now on
        answers = SCREEN_BY_NAME[CHECK].merge(opened.draft.answers, SCREEN_BY_NAME[CHECK].read(request.form.getlist))
        _save(door, visit, opened, msgspec.structs.replace(opened.draft, answers=answers))
        return lead_to(PERSON)
    if action == Action.LANGUAGE:
        return lead_to(CHECK)
    if action == Action.LEAVE_OUT:
        _save(door, visit, opened, leave_context_out(opened.draft, is_refused=False))
        return lead_to(CHECK)
    if action == Action.BACK:
        return lead_to(get_previous(SCREEN_BY_NAME[CHECK], opened.draft.answers).name)
    return _answer_send(door, visit, opened)


def _answer_send(door: PublicDoor, visit: Visit, opened: OpenedDraft) -> ResponseReturnValue:
    answers = keep_on_path(opened.draft.answers)
    incomplete = find_incomplete(answers)
    if incomplete is not None:
        form = make_form(visit.keys, opened.version)
        return render_screen(door, incomplete, answers, form, faults=incomplete.list_faults(answers), is_late=True)
    if door.is_practice:
        practise_send(door, visit.keys, opened, answers)
        return lead_to(THANKS)
    return _send(door, visit, opened, answers)


def _send(door: PublicDoor, visit: Visit, opened: OpenedDraft, answers: Answers) -> ResponseReturnValue:
    """Store the report. Over the limit, the person is asked to wait first, and the report is flagged."""
    is_over = door.limits.is_over("public-send")
    if is_over and is_held_up(door):
        is_addition, notice = opened.draft.sent is not None, make_notice(door, "slow", answers=answers)
        page = render_check(
            door,
            visit,
            answers,
            version=opened.version,
            is_addition=is_addition,
            notice=notice,
            has_context=opened.draft.context is not None,
        )
        return page, TOO_MANY_REQUESTS
    if not has_shown_context(request.form):
        opened = OpenedDraft(leave_context_out(opened.draft, is_refused=False), opened.version)
    signals = [*add_honeypot_signal(opened.draft.signals), *([LIMITED_SIGNAL] if is_over else [])]
    if opened.draft.sent is None and door.clock().timestamp() - visit.started_at < FAST_SECONDS:
        signals.append(FAST_SIGNAL)
    send_draft(door, visit.keys, opened, answers, signals=signals)
    return lead_to(THANKS)


def _answer_sent_before(
    door: PublicDoor, visit: Visit, opened: OpenedDraft, sent: Sent, shown: Mapping[str, list[str]] | None
) -> ResponseReturnValue:
    """Answer a repeated Send: the same text gets the same thank-you page; new text becomes a linked supplement."""
    if not shown and opened.draft.is_being_added:
        # The page's answers arrived incomplete: use the unsent addition from the draft.
        shown = dict(opened.draft.answers)
    is_same = not shown or is_known_mac(make_text_mac(drop_buttons(shown), keys=visit.keys), known=sent.text_macs)
    if read_action() == Action.LANGUAGE:
        return lead_to(CHECK if shown and not is_same else THANKS)
    side = find_wanted_side(read_action())
    if side is not None and not is_same:
        return lead_to_side(side, from_screen=CHECK)
    if read_action() == Action.BACK and opened.draft.is_being_added:
        return lead_to(STORY)
    if not is_same and read_action() == Action.SEND and not door.is_practice:
        if opened.draft.report_id in sent.report_ids:
            opened = OpenedDraft(
                msgspec.structs.replace(opened.draft, report_id=make_submit_token(door)), opened.version
            )
        return _send(door, visit, opened, shown or {})
    return lead_to(THANKS)


def _answer_not_stored(door: PublicDoor, visit: Visit, shown: Answers | None) -> ResponseReturnValue:
    words = door.wording.page("not_stored")
    notice = make_notice(door, "not_stored", answers=shown, extra=[words["keep"]])
    has_context = has_shown_context(request.form)
    page = render_check(door, visit, shown or {}, version=get_posted_version(), notice=notice, has_context=has_context)
    return answer_later(page)


def render_check(
    door: PublicDoor,
    visit: Visit | None,
    answers: Answers,
    *,
    version: int,
    is_addition: bool = False,
    notice: Mapping[str, Any] | None = None,
    again: bool = False,
    has_context: bool = False,
) -> str:
    """Render the check page; an addition shows only its new answers. Without a visit the form has no token yet.

    `has_context` shows that a service's page context is included, with a button to remove it.
    """
    words = door.wording.screen(CHECK)
    voice = make_voice(answers)
    addition = door.wording.screen("check_more")
    on_path = list_path(answers)
    groups, blanks = list_groups(door, answers, screens=[one for one in SCREENS if is_addition or one in on_path])
    if visit is None:
        form = make_waiting_form(words=answers)
    else:
        form = make_form(visit.keys, version, words=answers, again=again)
    return render_page(
        door,
        "check.html",
        profile=make_profile(answers),
        form=form,
        ways="buttons",
        default_action=Action.SEND,
        title=addition["title"] if is_addition else find_in_voice(words, "title", voice=voice),
        lead=addition["lead"] if is_addition else find_in_voice(words, "lead", voice=voice),
        progress=door.wording.table["progress"][get_progress(SCREEN_BY_NAME[CHECK])],
        form_path=get_path(CHECK),
        groups=groups,
        blanks=[] if is_addition else blanks,
        left_blank=find_in_voice(words, "left_blank", voice=voice),
        can_change=not is_addition,
        know=None if is_addition else {part: find_in_voice(words, f"know_{part}", voice=voice) for part in _KNOW},
        more=None
        if is_addition or answers.get(MORE)
        else {
            "name": MORE,
            "code": YES,
            "note": str(find_in_voice(words, "more_note", voice=voice)),
            "label": door.wording.option(CHECK, MORE, YES, voice=voice),
        },
        send=words["again"] if notice and not again else words["send"],
        skip=addition["skip"] if is_addition else None,
        context=words["context"] if has_context else None,
        notice=notice,
    )


def list_groups(
    door: PublicDoor, answers: Answers, *, screens: Sequence[Screen]
) -> tuple[list[Mapping[str, Any]], list[Row]]:
    """List the answers by screen, so that each screen has one button to change it, and the questions left blank.

    A screen with several questions and no answer is one of these, by its title.
    """
    groups: list[Mapping[str, Any]] = []
    blanks: list[Row] = []
    for screen in screens:
        rows = list_rows(door, answers, screens=(screen,))
        given = [row for row in rows if row.texts]
        if given:
            groups.append({"path": screen.path, "label": given[0].label, "rows": given})
            blanks += [row for row in rows if not row.texts]
        elif len(rows) == 1:  # the title of a page with advice is no question
            blanks += rows
        elif rows:
            title = find_in_voice(door.wording.screen(screen.name), "title", voice=make_voice(answers))
            blanks.append(Row(str(title), screen.path, ()))
    return groups, blanks


RETRY_SECONDS = 10  # the report is stored: only the number is missing
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
        advice=list_advice(door, sent.advice, profile, urgent=sent.urgent, is_near=sent.is_near),
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
    call_at = next((code for code in codes if code in CALL_FIRST), None) if NO_CALL_BUTTON.isdisjoint(codes) else None
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


def list_advice(
    door: PublicDoor, advice: Sequence[str], profile: ReaderProfile, *, urgent: Sequence[str] = (), is_near: bool
) -> list[str]:
    """List the advice as texts in the current language, with the bodies and the number of the reader's country."""
    library = {advice.code: advice for advice in door.advice[get_language()].advice}
    names = _name_bodies(door, profile)
    emergency, is_abroad = get_emergency_number(door, profile.country), bool(profile.country)
    # "Call if it gets worse" is left out after "call now".
    codes = [code for code in advice if code in library and not (urgent and code in FIRST)]
    if not MEETINGS.isdisjoint(urgent):  # the block at the top has that advice
        codes = [code for code in codes if library[code].kinds != MEETING_KINDS]
    said = {
        code: " ".join(
            fill_sentences(library[code], names=names, emergency=emergency, is_abroad=is_abroad, is_near=is_near)
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


def list_what_next(door: PublicDoor, sent: Sent, words: Mapping[str, str]) -> list[str]:
    """List the next steps: the time of reading, the hours until then, and the answer.

    Each hour names its zone, because the reader may be in another one.
    """
    is_soon = sent.urgency != "other"
    found = []
    if sent.next_hour is not None:
        found.append(words["nobody"].format(at=format_hour(door, sent.next_hour, words="at_time")))
    if sent.read_by is not None:
        read_by = format_hour(door, sent.read_by, words="read_by_time" if is_soon else "read_by_day")
        found.append(words["read"].format(read_by=read_by))
    if is_soon and sent.next_hour is None:
        found.append(words["between"])
    if is_soon or sent.next_hour is not None:
        found.append(words["wait"].format(emergency=get_emergency_number(door, sent.profile.country)))
    if sent.is_owed_an_answer and sent.reply_by is not None:
        key = "reply_child_soon" if is_soon else "reply_child"
        return [*found, words[key].format(reply_by=format_day(date.fromisoformat(sent.reply_by)))]
    return [*found, words["reply_adult"]]


def format_hour(door: PublicDoor, moment: str, *, words: str) -> str:
    """Return the words for a stored time, today or on a named day, in the desk's zone, which the words name."""
    common, local = door.wording.common(), parse_time(moment).astimezone(door.agency.zone)
    is_today = local.date() == door.agency.get_day(door.clock())
    return common[f"{words}_today" if is_today else words].format(time=f"{local:%H:%M}", day=format_day(local.date()))
