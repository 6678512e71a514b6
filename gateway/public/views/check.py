"""Check and Send: everything is shown once more; Send stores it once, or says kindly that it did not."""

from collections.abc import Mapping

import msgspec
from flask import redirect, request
from flask.typing import ResponseReturnValue

from gateway.intake import ConflictingReportError, IntakeError
from gateway.public.door import PublicDoor, get_door
from gateway.public.draft_rows import NO_VERSION, OpenedDraft, find_opened_draft, save_draft
from gateway.public.drafts import Sent, is_known_mac, make_text_mac
from gateway.public.forms import find_faults, find_incomplete
from gateway.public.journey import CHECK, SCREEN_BY_NAME, SCREENS, THANKS, Answers, get_previous, keep_on_path
from gateway.public.languages import get_other_language
from gateway.public.pages import make_form, make_notice, render_message
from gateway.public.practice import practise_send
from gateway.public.screen_pages import render_screen
from gateway.public.send import DraftMovedError, make_submit_token, send_draft
from gateway.public.views.check_page import render_check
from gateway.public.views.limits import list_limit_signals
from gateway.public.views.screens import add_honeypot_signal, make_draft
from gateway.public.views.sides import find_wanted_side, lead_to_side
from gateway.public.views.start import FORM_BODY_BYTES, LOG_WORD, SEE_OTHER
from gateway.public.views.unusual import answer_expired, answer_stale
from gateway.public.visit import (
    Visit,
    find_visit,
    go_to_place,
    is_inside,
    is_own_form,
    posted_version,
    remember_language,
)
from gateway.public.words_field import find_words
from gateway.store import StorageUnavailableError
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.errors import FormatError, SealingError

FAST_SECONDS = 10  # nobody answers eight questions in less; a signal for the desk, nothing more
FAST_SIGNAL = "fast"
UNAVAILABLE = 503
RETRY_AFTER = {"Retry-After": "60"}
TRIES = 3  # another tab may be faster; each try looks again at what it left


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_check(name: str) -> ResponseReturnValue:
    """Show everything that was answered, with a way to change each."""
    door, visit = get_door(), find_visit()
    if visit is None or not is_inside(name):
        return redirect("/", SEE_OTHER)
    try:
        opened = find_opened_draft(door, visit.keys)
    except StorageUnavailableError:
        return render_message(door, "not_ready", go_on=None), UNAVAILABLE, RETRY_AFTER
    if opened is None:
        return redirect("/", SEE_OTHER)
    is_addition = opened.draft.sent is not None
    answers = opened.draft.answers if is_addition else keep_on_path(opened.draft.answers)
    return render_check(door, visit, answers, version=opened.version, is_addition=is_addition)


@rule(login=Login.OPEN, limit="public-send", csrf=CsrfRule.TOKEN, body_bytes=FORM_BODY_BYTES, log_word=LOG_WORD)
def post_check(name: str) -> ResponseReturnValue:
    """Send, go back, or change one answer. Whatever fails, the words stay on the page."""
    door, visit = get_door(), find_visit()
    shown = find_words(request.form.get("words"))
    if visit is None or not is_own_form(visit):
        return answer_expired(door, shown or {})
    try:
        for _ in range(TRIES):
            try:
                return _answer_check(door, visit, shown)
            except (DraftMovedError, ConflictingReportError):
                continue  # another tab saved or sent: look at what it left
        return _answer_not_stored(door, visit, shown)
    except (StorageUnavailableError, IntakeError, SealingError, FormatError):
        return _answer_not_stored(door, visit, shown)


def _answer_check(door: PublicDoor, visit: Visit, shown: dict[str, list[str]] | None) -> ResponseReturnValue:
    if request.form.get("action") == "language":
        remember_language(get_other_language())
    opened = find_opened_draft(door, visit.keys)
    if opened is None and shown and posted_version() == NO_VERSION:
        # The cookie was lost on the way here; the page itself has kept every word.
        opened = OpenedDraft(msgspec.structs.replace(make_draft(door, visit), answers=shown), NO_VERSION)
    if opened is None:
        return answer_expired(door, shown or {})
    sent = opened.draft.sent
    if sent is not None:
        return _answer_sent_before(door, visit, opened, sent, shown)
    if request.form.get("action") == "keep_saved":
        return _lead(CHECK)
    if shown is not None and shown != keep_on_path(opened.draft.answers):
        return _answer_other_words(door, visit, opened, shown)
    return _answer_button(door, visit, opened)


def _answer_other_words(
    door: PublicDoor, visit: Visit, opened: OpenedDraft, shown: dict[str, list[str]]
) -> ResponseReturnValue:
    """Another tab saved other words than this page shows: the person picks, nothing is overwritten."""
    if request.form.get("action") != "keep_typed":
        return answer_stale(door, SCREEN_BY_NAME[CHECK], visit, opened, shown)
    draft = msgspec.structs.replace(opened.draft, answers=shown)
    if not save_draft(door, visit.keys, draft, version=opened.version):
        raise DraftMovedError("another tab saved this draft first")
    return _lead(CHECK)


def _answer_button(door: PublicDoor, visit: Visit, opened: OpenedDraft) -> ResponseReturnValue:
    action = request.form.get("action", "")
    side = find_wanted_side(action)
    if side is not None:
        return lead_to_side(side, from_screen=CHECK)
    if "change" in request.form:
        return _lead_to_change(request.form["change"])
    if action == "language":
        return _lead(CHECK)
    if action == "back":
        return _lead(get_previous(SCREEN_BY_NAME[CHECK], opened.draft.answers).name)
    return _answer_send(door, visit, opened)


def _answer_send(door: PublicDoor, visit: Visit, opened: OpenedDraft) -> ResponseReturnValue:
    answers = keep_on_path(opened.draft.answers)
    incomplete = find_incomplete(answers)
    if incomplete is not None:
        form = make_form(visit.keys, opened.version)
        return render_screen(door, incomplete, answers, form, faults=find_faults(incomplete, answers))
    if door.is_practice:
        practise_send(door, visit.keys, opened, answers)
    else:
        send_draft(door, visit.keys, opened, answers, signals=_list_signals(door, visit, opened))
    return _lead(THANKS)


def _answer_sent_before(
    door: PublicDoor, visit: Visit, opened: OpenedDraft, sent: Sent, shown: Mapping[str, list[str]] | None
) -> ResponseReturnValue:
    """Send was pressed again: the same words, the same thank-you page; other words become a linked supplement."""
    is_same = not shown or is_known_mac(make_text_mac(shown, keys=visit.keys), known=sent.text_macs)
    if request.form.get("action") == "language":
        return _lead(CHECK if shown and not is_same else THANKS)
    if not is_same and request.form.get("action") == "send" and not door.is_practice:
        if opened.draft.report_id in sent.report_ids:
            opened = OpenedDraft(
                msgspec.structs.replace(opened.draft, report_id=make_submit_token(door)), opened.version
            )
        send_draft(door, visit.keys, opened, shown or {}, signals=_list_signals(door, visit, opened))
    return _lead(THANKS)


def _answer_not_stored(door: PublicDoor, visit: Visit, shown: Answers | None) -> ResponseReturnValue:
    words = door.words.page("not_stored")
    notice = make_notice(door, "not_stored", extra=[words["keep"]])
    page = render_check(door, visit, shown or {}, version=posted_version(), notice=notice)
    return page, UNAVAILABLE, RETRY_AFTER


def _list_signals(door: PublicDoor, visit: Visit, opened: OpenedDraft) -> list[str]:
    signals = [*add_honeypot_signal(opened.draft.signals), *list_limit_signals(door, "public-send")]
    seconds = door.clock().timestamp() - visit.started_at
    return [*signals, FAST_SIGNAL] if opened.draft.sent is None and seconds < FAST_SECONDS else signals


def _lead(name: str) -> ResponseReturnValue:
    go_to_place(name)
    return redirect(f"/{SCREEN_BY_NAME[name].path}", SEE_OTHER)


def _lead_to_change(path: str) -> ResponseReturnValue:
    screen = next((one for one in SCREENS if one.path == path and one.fields), SCREEN_BY_NAME[CHECK])
    return _lead(screen.name)
