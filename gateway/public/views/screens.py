"""The screens with questions: shown only inside a journey; each post saves, then continues or goes back."""

from collections.abc import Mapping
from typing import Literal

import msgspec
from flask import request
from flask.typing import ResponseReturnValue

from gateway.exchange.public_codes import HONEYPOT_SIGNAL, NOT_SURE, YES
from gateway.public.door import PublicDoor, get_door
from gateway.public.drafts import (
    IDLE_SECONDS,
    NO_VERSION,
    Draft,
    DraftTooBigError,
    OpenedDraft,
    TooManyDraftsError,
    find_opened_draft,
    is_known_mac,
    make_submit_token,
    make_text_mac,
    save_draft,
    wipe_drafts,
)
from gateway.public.journey import (
    ADDITION_SCREENS,
    CHECK,
    DANGER,
    SCREEN_BY_NAME,
    STORY,
    THANKS,
    Answers,
    Fault,
    Screen,
    find_packed_answers,
    get_next,
    get_one,
    get_previous,
    list_addition_places,
)
from gateway.public.navigation import REPLIES, Action, find_wanted_side
from gateway.public.pages import make_form, make_notice, render_screen
from gateway.public.views.responses import (
    FORM_BODY_BYTES,
    LOG_WORD,
    TOO_MANY_REQUESTS,
    answer_expired,
    answer_later,
    answer_not_ready,
    answer_stale,
    answer_too_big,
    is_asked_to_wait,
    lead_out,
    lead_to,
    read_action,
    switch_language,
    turn_away,
)
from gateway.public.views.sides import lead_to_side
from gateway.public.visit import (
    Visit,
    find_placement,
    find_service_name,
    find_visit,
    forget_former,
    get_posted_version,
    is_inside,
    is_own_form,
)
from gateway.public.wording import get_language, get_other_language
from gateway.store import StorageUnavailableError
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.canonical import format_time

HONEYPOT_FIELD = "website"
ASIDE = (Action.BACK, Action.LANGUAGE)  # these buttons require no answer


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_screen(name: str) -> ResponseReturnValue:
    """Show a screen with its typed answers inside the journey; from outside show the start."""
    door, screen, visit = get_door(), SCREEN_BY_NAME[name], find_visit()
    if visit is None:
        return turn_away()
    if not is_inside(name):
        return lead_out()
    if visit.former:
        # The browser has the new cookie: nothing opens with the former one from here on.
        wipe_drafts(door, visit.former)
        forget_former()
    try:
        opened = find_opened_draft(door, visit.keys)
    except StorageUnavailableError:
        return answer_not_ready(door, may_start=False)
    if opened is None and door.clock().timestamp() - visit.started_at > IDLE_SECONDS:
        return answer_expired(door, {})
    if opened is None:
        return render_screen(door, screen, {}, make_form(visit.keys, NO_VERSION))
    is_prefilled = any(field.prefill for field in screen.fields)
    service = find_service_name(door, opened.draft.placement) if is_prefilled else None
    form = make_form(visit.keys, opened.version)
    return render_screen(door, screen, opened.draft.answers, form, service=service or "", is_late=is_late(opened.draft))


@rule(login=Login.OPEN, limit="public-step", csrf=CsrfRule.TOKEN, body_bytes=FORM_BODY_BYTES, log_word=LOG_WORD)
def post_screen(name: str) -> ResponseReturnValue:
    """Save the answers of one screen, and continue. After any failure the typed text stays on the page."""
    door, screen, visit = get_door(), SCREEN_BY_NAME[name], find_visit()
    posted = read_posted(screen)
    if visit is None or not is_own_form(visit):
        return answer_expired(door, posted, visit=visit)
    try:
        return _answer_post(door, screen, visit, posted)
    except StorageUnavailableError:
        return _answer_again_later(door, screen, visit, posted, "not_stored")
    except TooManyDraftsError:
        return _answer_again_later(door, screen, visit, posted, "not_ready")
    except DraftTooBigError:
        return answer_too_big(door, posted)


def _answer_again_later(
    door: PublicDoor, screen: Screen, visit: Visit, posted: Answers, page: str
) -> ResponseReturnValue:
    """Show the screen with its text and a notice: nothing was saved, and the button can be pressed again."""
    form = make_form(visit.keys, get_posted_version())
    return answer_later(render_screen(door, screen, posted, form, notice=make_notice(door, page, answers=posted)))


def read_posted(screen: Screen) -> dict[str, list[str]]:
    """Read the screen's fields, or the earlier text from the page that shows two versions."""
    kept = find_packed_answers(request.form.get("words")) if read_action() == Action.KEEP_TYPED else None
    if kept is None:
        return screen.read(request.form.getlist)
    return {field.name: kept.get(field.name, []) for field in screen.fields}


def _answer_post(
    door: PublicDoor, screen: Screen, visit: Visit, posted: Mapping[str, list[str]]
) -> ResponseReturnValue:
    opened = find_opened_draft(door, visit.keys)
    version = get_posted_version()
    if opened is None and version != NO_VERSION:
        return answer_expired(door, posted)
    if is_asked_to_wait(door, "public-step", walker=visit.keys):
        form, notice = make_form(visit.keys, version), make_notice(door, "slow", answers=posted)
        return render_screen(door, screen, posted, form, notice=notice), TOO_MANY_REQUESTS
    is_added = opened is not None and opened.draft.is_being_added and screen.name in ADDITION_SCREENS
    if opened is not None and opened.draft.sent is not None and not is_added:
        return _answer_after_sent(door, screen, visit, opened, posted)
    if opened is None:
        opened = OpenedDraft(make_draft(door), NO_VERSION)
    elif read_action() == Action.KEEP_SAVED:
        answers = opened.draft.answers
        return lead_to(_get_addition_place(screen, answers, 1) if is_added else get_next(screen, answers).name)
    elif version != opened.version and not _is_same(screen, opened.draft.answers, posted):
        return answer_stale(door, screen, visit, opened, posted)
    return _save_and_lead(door, screen, visit, opened, posted)


def _save_and_lead(
    door: PublicDoor, screen: Screen, visit: Visit, opened: OpenedDraft, posted: Mapping[str, list[str]]
) -> ResponseReturnValue:
    action = read_action(Action.CONTINUE)
    answers = screen.merge(opened.draft.answers, posted)
    is_on = action not in ASIDE and find_wanted_side(action) is None
    faults = _list_faults(screen, answers, draft=opened.draft) if is_on else screen.list_too_long(answers)
    if faults:
        form = make_form(visit.keys, opened.version)
        return render_screen(door, screen, answers, form, faults=faults, is_late=is_late(opened.draft))
    if action == Action.LANGUAGE:
        switch_language()
    language = get_other_language() if action == Action.LANGUAGE else get_language()
    signals = add_honeypot_signal(opened.draft.signals)
    draft = msgspec.structs.replace(opened.draft, answers=answers, signals=signals, language=language)
    if is_on and screen.name not in draft.gone_past:
        draft = msgspec.structs.replace(draft, gone_past=[*draft.gone_past, screen.name])
    following = get_destination(action, screen, draft)
    if following == CHECK:
        draft = msgspec.structs.replace(draft, has_seen_check=True)
    is_changed = draft != opened.draft if opened.version != NO_VERSION else bool(screen.fields)
    if is_changed and not save_draft(door, visit.keys, draft, version=opened.version):
        moved = find_opened_draft(door, visit.keys)
        if moved is None:
            return answer_expired(door, posted)
        if moved.draft.sent is not None and not moved.draft.is_being_added:
            return _answer_after_sent(door, screen, visit, moved, posted)
        return answer_stale(door, screen, visit, moved, posted)
    side = find_wanted_side(action)
    return lead_to(following) if side is None else lead_to_side(side, from_screen=screen.name)


def _answer_after_sent(
    door: PublicDoor, screen: Screen, visit: Visit, opened: OpenedDraft, posted: Mapping[str, list[str]]
) -> ResponseReturnValue:
    """Answer a page from before Send: the same text leads to the thank-you page, new text is offered again."""
    sent = opened.draft.sent
    if sent is None:
        raise ValueError("the draft was not sent")
    mac = make_text_mac(posted, keys=visit.keys)
    is_known = is_known_mac(mac, known=[sent.screen_macs.get(screen.name, b"")])
    if is_known or not any(posted.values()) or door.is_practice:
        return lead_to(THANKS)
    faults = screen.list_too_long(posted)
    if faults:
        return render_screen(door, screen, posted, make_form(visit.keys, opened.version), faults=faults, is_late=True)
    draft = msgspec.structs.replace(opened.draft, answers=screen.merge(opened.draft.answers, posted))
    if draft != opened.draft and not save_draft(door, visit.keys, draft, version=opened.version):
        return answer_stale(door, screen, visit, opened, posted)
    return lead_to(CHECK)


def make_draft(door: PublicDoor) -> Draft:
    """Make the empty draft of a journey, with its submit token."""
    return Draft(
        report_id=make_submit_token(door),
        started_at=format_time(door.clock()),
        language=get_language(),
        placement=find_placement(),
    )


def get_destination(action: str, screen: Screen, draft: Draft) -> str:
    """Return the destination of a button: on, back, or the same screen in the other language."""
    if action == Action.LANGUAGE:
        return screen.name
    if draft.is_being_added:
        return _get_addition_place(screen, draft.answers, -1 if action == Action.BACK else 1)
    if action == Action.BACK:
        return get_previous(screen, draft.answers).name
    return get_following(screen, draft).name


def _get_addition_place(screen: Screen, answers: Answers, step: Literal[1, -1]) -> str:
    """Return the place after or before a screen of an addition; before the first are the replies."""
    places = [REPLIES, *list_addition_places(answers)]
    if screen.name not in places:
        return STORY if step == 1 else DANGER
    return places[places.index(screen.name) + step]


def _list_faults(screen: Screen, answers: Answers, *, draft: Draft) -> list[Fault]:
    """List the faults that block Continue; an addition about danger needs no further text."""
    faults = screen.list_faults(answers)
    if not draft.is_being_added or get_one(answers, DANGER) not in {YES, NOT_SURE}:
        return faults
    return [fault for fault in faults if fault.kind != "blank"]


def get_following(screen: Screen, draft: Draft) -> Screen:
    """Return the next screen; after a change from the check page, skips the screens already passed.

    A new screen on the path is always shown, and so is an optional page that a button asks for.
    """
    following = get_next(screen, draft.answers)
    if any(request.form.get(field.name) for field in screen.fields if field.kind == "more"):
        return following
    while draft.has_seen_check and following.name in draft.gone_past and is_settled(following, draft.answers):
        following = get_next(following, draft.answers)
    return following


def is_late(draft: Draft) -> bool:
    """Return whether the check page was seen before: in an addition, before the first Send."""
    return draft.has_seen_check or draft.sent is not None


def is_settled(screen: Screen, answers: Answers) -> bool:
    """Return whether a screen needs nothing more; a screen with only choices must have been seen."""
    is_seen = all(answers.get(field.name) for field in screen.fields if field.kind == "choice")
    return is_seen and not screen.list_faults(answers)


def add_honeypot_signal(signals: list[str]) -> list[str]:
    """Add the signal that a hidden field was filled in; the report continues as usual."""
    is_filled = bool(request.form.get(HONEYPOT_FIELD))
    return [*signals, HONEYPOT_SIGNAL] if is_filled and HONEYPOT_SIGNAL not in signals else signals


def _is_same(screen: Screen, answers: Answers, posted: Mapping[str, list[str]]) -> bool:
    return all(list(answers.get(field.name, ())) == posted[field.name] for field in screen.fields)
