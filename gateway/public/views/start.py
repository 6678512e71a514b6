"""The first page: what this is, and the way in. It holds no words of anybody."""

from contextlib import suppress

from flask import redirect, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf  # type: ignore[import-untyped]  # the package ships no types

from gateway.public.door import PublicDoor, get_door
from gateway.public.draft_rows import NO_VERSION, find_opened_draft, wipe_draft
from gateway.public.journey import SCREEN_BY_NAME, START
from gateway.public.language_choice import find_asked_language
from gateway.public.languages import get_other_language
from gateway.public.pages import FormState, make_form, make_notice, render_message, render_page
from gateway.public.side_pages import SIDE_PATHS
from gateway.public.tallies import count_campaign
from gateway.public.views.limits import is_asked_to_wait
from gateway.public.visit import (
    Visit,
    find_visit,
    go_to_place,
    is_inside,
    is_own_form,
    remember_language,
    remember_placement,
    start_visit,
)
from gateway.store import StorageUnavailableError
from gateway.store.drafts import has_rows
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.placement import is_placement

FORM_BODY_BYTES = 256 * 1024
SEE_OTHER = 303
LOG_WORD = "journey"  # all screens and side pages are one: the path from one to the next tells answers


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_start() -> ResponseReturnValue:
    """Show the first page; a link of a button may say where it stands."""
    door = get_door()
    if not is_open(door):
        return answer_not_ready(door)
    count_campaign(door)
    asked = find_asked_language()
    if asked is not None:
        remember_language(asked)
    placement = request.args.get("from", "")
    remember_placement(placement if is_placement(placement) else None)
    visit = find_visit()
    if visit is not None and is_inside(START):
        return render_start(door, make_form(visit.keys, _find_version(door, visit)))
    return render_start(door, make_blank_form())


@rule(login=Login.OPEN, limit="public-start", csrf=CsrfRule.TOKEN, body_bytes=FORM_BODY_BYTES, log_word=LOG_WORD)
def post_start() -> ResponseReturnValue:
    """Begin a blank journey, or go on with the one that the form belongs to."""
    door = get_door()
    if not is_open(door):
        return answer_not_ready(door)
    visit = find_visit()
    if request.form.get("action") == "language":
        remember_language(get_other_language())
        go_to_place(START)
        return redirect("/", SEE_OTHER)
    is_new = visit is None or not is_own_form(visit)
    if is_asked_to_wait(door, "public-start", for_new_journey=is_new):
        return render_start(door, make_blank_form(), notice_page="slow"), 429
    if is_new:
        if has_too_many_drafts(door):
            return answer_not_ready(door)
        if visit is not None:
            # Without its secret the old row can not be read; when it can not be deleted now, its expiry does it.
            with suppress(StorageUnavailableError):
                wipe_draft(door, visit.keys)
        start_visit(door)
    first = SCREEN_BY_NAME[SCREEN_BY_NAME[START].goes_to]
    go_to_place(first.name)
    return redirect(f"/{first.path}", SEE_OTHER)


def is_open(door: PublicDoor) -> bool:
    """Say whether a report could be sealed and stored now: nobody shall write it all and then find out."""
    if door.is_practice:
        return True  # nothing is sealed there, and nothing is sent
    try:
        keys = door.key_state.find_keys()
    except StorageUnavailableError:
        return False
    return keys is not None and keys.find_active_sealing_key(now=door.clock()) is not None


def has_too_many_drafts(door: PublicDoor) -> bool:
    """Say whether no new draft would be taken now, or none can be: the first answer would be the last."""
    try:
        with door.store.read() as connection:
            return has_rows(connection, number=door.drafts_max_rows)
    except StorageUnavailableError:
        return True


def answer_not_ready(door: PublicDoor) -> ResponseReturnValue:
    """Say kindly that nothing can be taken now, with the people who can help."""
    words = door.words.page("not_ready")
    return render_message(door, "not_ready", go_on=words["retry"]), 503, {"Retry-After": "60"}


def make_blank_form() -> FormState:
    """Make the hidden fields of a form that belongs to no journey yet."""
    return FormState(generate_csrf(), "", NO_VERSION)


def render_start(door: PublicDoor, form: FormState, *, notice_page: str | None = None) -> str:
    """Render the first page, with a notice above it where `notice_page` names one."""
    words = door.words.screen(START)
    return render_page(
        door,
        "start.html",
        form=form,
        ways="buttons",
        default_action="start",
        title=words["title"],
        screen=words,
        side_paths=SIDE_PATHS,
        run_by=words["run_by"].format(agency=door.agency_name),
        notice=None if notice_page is None else make_notice(door, notice_page),
    )


def _find_version(door: PublicDoor, visit: Visit) -> int:
    opened = find_opened_draft(door, visit.keys)
    return NO_VERSION if opened is None else opened.version
