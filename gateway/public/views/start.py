"""The first page and the start of a journey: warns before anything is typed if nothing can be sent.

Contains no personal data.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from flask import request
from flask.typing import ResponseReturnValue

from gateway.intake import NoActiveKeyError
from gateway.public.door import PublicDoor, get_door
from gateway.public.drafts import (
    NO_VERSION,
    SECRET_BYTES,
    OpenedDraft,
    find_opened_draft,
    is_full_for_network,
    make_journey_keys,
    wipe_drafts,
    write_draft,
)
from gateway.public.journey import SCREEN_BY_NAME, START
from gateway.public.navigation import Action
from gateway.public.pages import FormState, make_blank_form, make_form, make_notice, render_page
from gateway.public.views.responses import (
    FORM_BODY_BYTES,
    LOG_WORD,
    TOO_MANY_REQUESTS,
    answer_not_ready,
    is_asked_to_wait,
    lead_to,
    read_action,
    switch_language,
    turn_away,
)
from gateway.public.views.screens import make_draft
from gateway.public.visit import (
    PostedContext,
    Visit,
    find_listed,
    find_recent_place,
    find_visit,
    is_inside,
    is_own_form,
    is_prefetch,
    keep_context,
    pop_left,
    read_context,
    remember_asked_language,
    remember_placement,
    start_visit,
)
from gateway.public.wording import refresh_language
from gateway.store import StorageUnavailableError
from gateway.store.items import shorten_draft
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.wire.button import TEST_LINK_ID

PRESSED_TWICE_SECONDS: Final = 30


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_start() -> ResponseReturnValue:
    """Show the first page; a button's link may name its placement."""
    door = get_door()
    if not is_open(door):
        return answer_not_ready(door)
    if not is_prefetch():
        _count_campaign(door, request.args.get("c", ""))
    remember_asked_language()
    placement = request.args.get("from", "")
    remember_placement(find_listed(door, placement))
    visit, is_inner = find_visit(), is_inside(START)
    can_carry_on = not is_inner and _find_carry_on(door) is not None
    notes = _list_notes(door, placement, can_carry_on=can_carry_on)
    if visit is not None and is_inner:
        return render_start(door, make_form(visit.keys, _get_version(door, visit)), notes=notes)
    return render_start(door, make_blank_form(), notes=notes, can_carry_on=can_carry_on)


@rule(login=Login.OPEN, limit="public-start", csrf=CsrfRule.TOKEN, body_bytes=FORM_BODY_BYTES, log_word=LOG_WORD)
def post_start() -> ResponseReturnValue:
    """Begin a blank journey, or continue the journey of the form, or the one that Back led out of."""
    door = get_door()
    if not is_open(door):
        return answer_not_ready(door)
    visit, context = find_visit(), read_context(request.form)
    is_new = visit is None or not is_own_form(visit)
    if read_action() == Action.CARRY_ON:
        return _carry_on(door)
    if read_action() == Action.LANGUAGE:
        switch_language()
        if not context.token:
            # A blank first page stays blank: it is not inside the journey of this cookie.
            return turn_away() if is_new else lead_to(START)
        # Not in an address or a cookie: the page itself carries it.
        refresh_language()
        form = make_blank_form() if visit is None or is_new else make_form(visit.keys, _get_version(door, visit))
        return render_start(door, form, context=context)
    # Continuing one's own journey begins none: only a new one uses up a wait.
    if is_asked_to_wait(door, "public-start", walker=None if visit is None or is_new else visit.keys):
        return render_start(door, make_blank_form(), notice_page="slow", context=context), TOO_MANY_REQUESTS
    if is_new:
        if has_too_many_drafts(door):
            return answer_not_ready(door)
        if visit is not None:
            wipe_drafts(door, *visit.list_draft_ids())
        visit = start_visit(door)
    if visit is not None:
        keep_context(door, visit.keys, context, blank=make_draft(door))
    return lead_to(SCREEN_BY_NAME[START].goes_to)


def is_open(door: PublicDoor) -> bool:
    """Return whether a report could be sealed and stored now, so that people are warned before they type."""
    if door.is_practice:
        return True  # practice mode seals and sends nothing
    try:
        door.get_sealing_key()
    except (NoActiveKeyError, StorageUnavailableError):
        return False
    return True


def has_too_many_drafts(door: PublicDoor) -> bool:
    """Return whether no new draft would be accepted now: the first answer would be the last."""
    try:
        with door.store.read() as connection:
            return is_full_for_network(connection, door)
    except StorageUnavailableError:
        return True


def _count_campaign(door: PublicDoor, word: str) -> None:
    """Count a campaign link with one of the agency's words (R31); other words are dropped, never stored.

    Stops counting for a network over its limit: each count is a write, and writers queue with Send.
    """
    if word in door.campaigns and not door.is_practice and not door.limits.is_over("public-campaign"):
        door.count(f"campaign:{word}")


def _list_notes(door: PublicDoor, placement: str, *, can_carry_on: bool) -> list[str]:
    """List the words above the title: after leaving the form, and for a test link that was left on a live page."""
    words = door.wording.screen(START)
    is_test = placement == TEST_LINK_ID and not door.is_practice
    has_left = pop_left() or can_carry_on
    return [words["can_carry_on" if can_carry_on else "left"]] * has_left + [words["test_link"]] * is_test


def _carry_on(door: PublicDoor) -> ResponseReturnValue:
    """Lead into the unsent form under a new secret: a cookie copied before does not open what is typed next.

    The draft stays under the former secret until a page is shown under the new one, for seconds at most: where the
    answer is lost, or the press was doubled, the browser comes back with the former cookie.
    """
    former, found = find_visit(), _find_carry_on(door)
    if former is None or found is None:
        return turn_away()
    place, opened = found
    secret = door.random(SECRET_BYTES)
    # In one transaction, past the cap on new drafts, and before the cookie changes: no words are lost.
    try:
        with door.store.write_beside() as connection:
            last = door.clock() + timedelta(seconds=PRESSED_TWICE_SECONDS)
            shorten_draft(connection, draft_id=former.keys.draft_id, expires_at=last)
            write_draft(connection, door, make_journey_keys(secret), opened.draft, version=NO_VERSION, is_new=True)
    except StorageUnavailableError:
        return answer_not_ready(door)
    start_visit(door, secret=secret, carries_on=former)
    return lead_to(place)


def _find_carry_on(door: PublicDoor) -> tuple[str, OpenedDraft] | None:
    """Find this browser's unsent form that it left minutes ago, and its screen; never one that opens replies."""
    visit, screen = find_visit(), SCREEN_BY_NAME.get(find_recent_place() or "")
    if visit is None or screen is None:
        return None
    try:
        opened = find_opened_draft(door, visit.keys)
    except StorageUnavailableError:
        return None
    if opened is None or opened.draft.sent is not None or opened.draft.returned is not None:
        return None
    return screen.goes_to if screen.name == START else screen.name, opened


def _get_version(door: PublicDoor, visit: Visit) -> int:
    opened = find_opened_draft(door, visit.keys)
    return NO_VERSION if opened is None else opened.version


def render_start(
    door: PublicDoor,
    form: FormState,
    *,
    notice_page: str | None = None,
    notes: Sequence[str] = (),
    context: PostedContext | None = None,
    can_carry_on: bool = False,
) -> str:
    """Render the first page, with a notice above it if `notice_page` names one.

    `context` is the service's page context if this page already had it: only a script can remove it from the address.
    """
    words = door.wording.screen(START)
    return render_page(
        door,
        "start.html",
        form=form,
        ways="buttons",
        default_action=Action.START,
        title=words["title"],
        screen=words,
        notes=notes,
        can_carry_on=can_carry_on,
        context=context or PostedContext(),
        notice=None if notice_page is None else make_notice(door, notice_page, has_words=False),
    )
