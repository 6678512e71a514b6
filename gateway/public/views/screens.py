"""The screens with questions, and the answers that all views share: redirects, "wait", "not now", an expired form.

A screen is shown only inside a journey; each post saves, then continues or goes back. Limits flag a report, or slow a
sender down by a page that can be posted again; they never drop anything.

Leaving wipes the draft, ends the cookie, and goes to a weather page; never `Clear-Site-Data: "cache"`, which delays the
navigation in Chromium (86 ms to 20 s measured).
"""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import msgspec
from flask import redirect, request, session
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import Headers

from gateway.exchange.public_codes import HONEYPOT_SIGNAL, NOT_SURE, YES
from gateway.limits import SLOW_SECONDS
from gateway.public.door import ACTION_FIELD, REPLIES, Action, PublicDoor, find_wanted_side, get_door, get_path
from gateway.public.journey import (
    ADDITION_SCREENS,
    CHECK,
    DANGER,
    SCREEN_BY_NAME,
    START,
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
from gateway.public.pages import (
    list_rows,
    make_form,
    make_notice,
    render_message,
    render_screen,
    render_stale,
)
from gateway.public.visit import (
    IDLE_SECONDS,
    NO_VERSION,
    Draft,
    DraftTooBigError,
    JourneyKeys,
    OpenedDraft,
    TooManyDraftsError,
    Visit,
    find_opened_draft,
    find_referrer_host,
    find_service_name,
    find_visit,
    forget_wait,
    get_posted_version,
    get_state,
    get_wait,
    go_to_place,
    is_inside,
    is_known_mac,
    is_own_form,
    is_prefetch,
    is_walking_on,
    make_submit_token,
    make_text_mac,
    put_state,
    remember_left,
    remember_wait,
    save_draft,
    wipe_drafts,
)
from gateway.public.wording import get_language, get_other_language
from gateway.store import StorageUnavailableError
from gateway.web.logs import log_failure
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from gateway.web.web_app import WebResponse
from partner_sdk.wire.canonical import format_time

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

FORM_BODY_BYTES = 256 * 1024
SMALL_BODY_BYTES = 8 * 1024  # a form with a button, or two short lines
LOG_WORD = "journey"  # one word for all screens and side pages, because the path from one to the next reveals answers

SEE_OTHER = 303
TOO_MANY_REQUESTS = 429
UNAVAILABLE = 503
TOO_BIG = 413
RETRY_SECONDS = 60
# Limits of requests that begin something stored. Coming back has its own limits, see docs/decisions/0017.
QUEUED = ("public-start", "public-adoption")


def read_action(default: str = "") -> str:
    """Read the action of the pressed button."""
    return request.form.get(ACTION_FIELD, default)


def lead_to(place: str, *, part: str = "") -> ResponseReturnValue:
    """Redirect to a place inside the visit, or to a part of its page; the page may show typed text, once."""
    go_to_place(place)
    return redirect(get_path(place) + (f"#{part}" if part else ""), SEE_OTHER)


def lead_to_side(side: str, *, from_screen: str) -> ResponseReturnValue:
    """Show a side page, and remember the screen to return to."""
    put_state(returns_to=from_screen)
    return lead_to(side)


def turn_away(place: str = START) -> ResponseReturnValue:
    """Redirect a visitor from outside to a page that shows no typed text."""
    return redirect(get_path(place), SEE_OTHER)


def lead_out() -> ResponseReturnValue:
    """Redirect a visitor from outside to the first page, which explains why it is blank."""
    remember_left()
    return turn_away()


def answer_later(page: str, *, retry_seconds: int = RETRY_SECONDS) -> ResponseReturnValue:
    """Answer 503 with a kind page, and the time to retry."""
    return page, UNAVAILABLE, {"Retry-After": str(retry_seconds)}


def answer_not_ready(door: PublicDoor, *, may_start: bool = True) -> ResponseReturnValue:
    """Explain kindly that no report can be sent now, with helplines.

    Without `may_start` there is no button to the first page: from there, typed text could not be reached again.
    """
    go_on = door.wording.page("not_ready")["retry"] if may_start else None
    return answer_later(render_message(door, "not_ready", go_on=go_on))


def switch_language() -> None:
    """Switch the language, for this visit and the next."""
    put_state(language=get_other_language())


def answer_expired(door: PublicDoor, posted: Answers, *, visit: Visit | None = None) -> ResponseReturnValue:
    """Explain that the draft was wiped, and show the text still in this page.

    With a `visit` another form was begun in this browser since; without one an hour has passed.
    """
    is_replaced = visit is not None and not is_own_form(visit)
    page = "replaced" if is_replaced else "expired"
    return render_message(door, page, go_on=door.wording.page("expired")["start"], typed=list_rows(door, posted))


def answer_too_big(door: PublicDoor, posted: Answers) -> ResponseReturnValue:
    """Explain that the text is too long, and show it."""
    return render_message(door, "too_big", typed=list_rows(door, posted)), TOO_BIG


def answer_stale(
    door: PublicDoor, screen: Screen, visit: Visit, opened: OpenedDraft, posted: Answers
) -> ResponseReturnValue:
    """Show both texts of two tabs; nothing is overwritten before the person picks."""
    form = make_form(visit.keys, opened.version, words=posted)
    return render_stale(door, screen, form, saved=opened.draft.answers, typed=posted)


def is_asked_to_wait(door: PublicDoor, name: str, *, walker: JourneyKeys | None = None) -> bool:
    """Count this request; return whether its sender is over the limit and has not waited yet.

    A wait lets one request through, and with a `walker` also further steps of the same journey for a while. A new
    journey waits in its network's queue: e.g. one of a hundred waiting starts continues each second.
    """
    if not door.limits.is_over(name):
        return False
    return is_held_up(door, queue=name if walker is None and name in QUEUED else "", walker=walker)


def is_held_up(door: PublicDoor, *, queue: str = "", walker: JourneyKeys | None = None) -> bool:
    """Return whether a sender over a limit must wait now; a completed wait is used up.

    Without a `queue` the wait is SLOW_SECONDS, however many others wait: Send and the steps of a journey never queue
    behind strangers.
    """
    # After its wait a journey goes on, unless it is faster than any person.
    if (
        walker is not None
        and is_walking_on(walker)
        and not door.limits.is_over("public-walk", subject=walker.form_token)
    ):
        return False
    wait = get_wait()
    # Counted here as well as in the cookie, because a cookie can be copied and sent a hundred times.
    if wait.is_over and not door.limits.is_over("public-wait", subject=wait.mark):
        forget_wait(walks_on=walker)
        return False
    if wait.is_ahead:
        return True  # keep the assigned turn
    if not queue:
        remember_wait(door, seconds=SLOW_SECONDS)
        return True
    seconds = door.limits.find_turn(queue)
    if seconds is not None:
        remember_wait(door, seconds=seconds)
    return True


BAD_REQUEST, SERVER_ERROR = 400, 500


CLEAR_SITE_DATA = '"cookies", "storage"'
WIPE_WAIT_SECONDS = 0.15  # the target: away from our page within 300 ms


class _Away(WebResponse):
    """A redirect whose address keeps its empty fragment, which overrides ours; Werkzeug would cut it."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        """Return the headers with the address as written."""
        headers = super().get_wsgi_headers(environ)
        headers["Location"] = self.headers["Location"]
        return headers


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def leave() -> ResponseReturnValue:
    """Wipe and redirect. A foreign page that links or prefetches this wipes nothing; it is only redirected."""
    door = get_door()
    answer = _Away(status=SEE_OTHER, headers={"Location": f"{door.signposts['weather'].url}#"})
    try:
        if not _is_own_wish():
            return answer
        _wipe_soon(door)
    except Exception as error:  # noqa: BLE001 - a person in a hurry must leave whatever fails
        log_failure(error)
    session.clear()
    answer.headers["Clear-Site-Data"] = CLEAR_SITE_DATA
    return answer


def _wipe_soon(door: PublicDoor) -> None:
    visit = find_visit()
    if visit is not None:
        # Do not wait for a busy disk: the row is unreadable without the cookie, and is deleted later.
        wiping = threading.Thread(target=wipe_drafts, args=(door, *visit.list_draft_ids()), daemon=True)
        wiping.start()
        wiping.join(WIPE_WAIT_SECONDS)


def _is_own_wish() -> bool:
    if is_prefetch():
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    # An old browser without Sec-Fetch-Site: refuse only a Referer that names another site.
    return find_referrer_host() in {None, request.host}


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
        put_state(former=b"")
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
    # The page that shows two versions holds the earlier text in one piece.
    kept = find_packed_answers(request.form.get("words")) if read_action() == Action.KEEP_TYPED else None
    if kept is None:
        posted = screen.read(request.form.getlist)
    else:
        posted = {field.name: kept.get(field.name, []) for field in screen.fields}
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
        placement=get_state().placement,
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
