"""Coming back: reference and four words, both right or one sentence; the costly step only behind lookup and limit.

Never says which of the two was wrong, whether there is such a reference, or that somebody tried too often.
"""

from contextlib import suppress
from dataclasses import dataclass

from flask import redirect, request
from flask.typing import ResponseReturnValue

from gateway.public.door import PublicDoor, get_door
from gateway.public.draft_rows import NO_VERSION, TooManyDraftsError, save_draft, wipe_draft
from gateway.public.drafts import Draft, Returned
from gateway.public.language_choice import find_asked_language
from gateway.public.languages import get_other_language, refresh_language
from gateway.public.pages import FormState, make_notice, render_page
from gateway.public.replies import open_place
from gateway.public.send import make_submit_token
from gateway.public.views.limits import is_asked_to_wait
from gateway.public.views.start import LOG_WORD, SEE_OTHER, answer_not_ready, make_blank_form
from gateway.public.visit import find_visit, go_to_place, remember_language, start_visit
from gateway.store import StorageUnavailableError
from gateway.store.return_places import find_return_place
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.canonical import format_time
from partner_sdk.errors import FormatError, ReportAbuseError
from partner_sdk.reference import parse_reference

COME_BACK, COME_BACK_PATH = "come_back", "/16"
REPLIES, REPLIES_PATH = "replies", "/17"
FORM_BODY_BYTES = 8 * 1024
MAX_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed into the two fields."""

    reference: str = ""
    words: str = ""


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_come_back() -> ResponseReturnValue:
    """Ask for the number and the four words; always blank."""
    asked = find_asked_language()
    if asked is not None:
        remember_language(asked)
    return render_come_back(get_door(), Typed(), make_blank_form())


@rule(login=Login.OPEN, limit="public-return", csrf=CsrfRule.TOKEN, body_bytes=FORM_BODY_BYTES, log_word=LOG_WORD)
def post_come_back() -> ResponseReturnValue:
    """Lead to the replies when both are right; else show the page again with its one sentence."""
    door, typed = get_door(), read_typed()
    if request.form.get("action") == "language":
        remember_language(get_other_language())
        refresh_language()
        return render_come_back(door, typed, make_blank_form())
    if is_asked_to_wait(door, "public-return"):
        return render_come_back(door, typed, make_blank_form(), notice_page="slow"), 429
    try:
        returned = find_returned(door, typed)
        if returned is None:
            return render_come_back(door, typed, make_blank_form(), is_refused=True)
        return _lead_in(door, returned)
    except StorageUnavailableError:
        return render_come_back(door, typed, make_blank_form(), notice_page="not_ready"), 503, {"Retry-After": "60"}
    except TooManyDraftsError:
        return answer_not_ready(door)


def read_typed() -> Typed:
    """Read the two fields; what is longer than any right answer is cut."""
    return Typed(
        reference=request.form.get("reference", "")[:MAX_SHOWN_CHARACTERS],
        words=request.form.get("words_typed", "")[:MAX_SHOWN_CHARACTERS],
    )


def find_returned(door: PublicDoor, typed: Typed) -> Returned | None:
    """Find the one who comes back: the reference first, then the limit of tries, and only then the costly step.

    Raises StorageUnavailableError.
    """
    try:
        reference = parse_reference(typed.reference)
    except FormatError:
        return None
    with door.store.read() as connection:
        box = find_return_place(connection, reference=reference, now=door.clock())
    if box is None or door.limits.limit_state("come-back", subject=reference).is_over:
        return None
    code = door.return_codes.find_code(typed.words)
    seed = None if code is None else door.return_codes.find_seed(code, reference=reference)
    if seed is None:
        return None
    try:
        open_place(box, seed=seed, environment=door.key_state.environment, reference=reference)
    except ReportAbuseError:
        return None
    return Returned(reference=reference, seed=seed)


def _lead_in(door: PublicDoor, returned: Returned) -> ResponseReturnValue:
    """Begin a visit of its own. The seed is kept like a draft: under the cookie's key, for an hour, gone on leaving."""
    former = find_visit()
    if former is not None:
        # Without its secret the old row can not be read; when it can not be deleted now, its expiry does it.
        with suppress(StorageUnavailableError):
            wipe_draft(door, former.keys)
    visit = start_visit(door)
    draft = Draft(
        report_id=make_submit_token(door),
        started_at=format_time(door.clock()),
        language=door.words.language,
        returned=returned,
    )
    save_draft(door, visit.keys, draft, version=NO_VERSION)
    go_to_place(REPLIES)
    return redirect(REPLIES_PATH, SEE_OTHER)


def render_come_back(
    door: PublicDoor, typed: Typed, form: FormState, *, is_refused: bool = False, notice_page: str | None = None
) -> str:
    """Render the page that asks for both; `is_refused` adds the one sentence."""
    words = door.words.page(COME_BACK)
    return render_page(
        door,
        "come_back.html",
        form=form,
        ways="buttons",
        default_action="continue",
        title=words["title"],
        page=words,
        typed=typed,
        has_faults=is_refused,
        faults=[{"target": "reference", "text": words["refused"]}] if is_refused else [],
        notice=None if notice_page is None else make_notice(door, notice_page),
    )
