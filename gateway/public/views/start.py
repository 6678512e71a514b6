"""The ways into the form, open to all: the first page, the side pages, the poster, and coming back to a report.

The first page warns before anything is typed if nothing can be sent. Never shows typed text. The code on the poster
names a placement only if the agency's register lists it.

Coming back shows stage and replies if the reference and the five words are right. Never reveals which of the two was
wrong, whether the reference exists, or that there were too many tries. A page that derives the key itself is given the
same, sealed, for the reference and the token. Warns every visitor that a form in progress in
this browser is wiped: a conditional warning would reveal one to the next person. Never shows any text of the report:
nothing here could open it.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Annotated, Final, Literal

import msgspec
import segno
from flask import Response, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from gateway.exchange.request_signatures import parse_any_spelling
from gateway.intake import NoActiveKeyError
from gateway.limits import SLOW_SECONDS
from gateway.public.door import (
    COME_BACK,
    REPLIES,
    Action,
    PublicDoor,
    find_wanted_side,
    get_door,
    get_path,
    make_see_action,
)
from gateway.public.journey import DANGER, SCREEN_BY_NAME, START, UNKNOWN_READER, ReaderProfile, make_profile
from gateway.public.pages import (
    FormState,
    get_emergency_number,
    list_posts,
    make_blank_form,
    make_form,
    make_notice,
    render_page,
)
from gateway.public.returning import (
    TOKEN_BYTES,
    FoundPlace,
    Returned,
    ReturnPlace,
    SealedPlace,
    make_reply_public_key,
)
from gateway.public.views.screens import (
    FORM_BODY_BYTES,
    LOG_WORD,
    SMALL_BODY_BYTES,
    TOO_MANY_REQUESTS,
    answer_later,
    answer_not_ready,
    is_asked_to_wait,
    lead_to,
    make_draft,
    read_action,
    switch_language,
    turn_away,
)
from gateway.public.visit import (
    NO_VERSION,
    SECRET_BYTES,
    Draft,
    OpenedDraft,
    PostedContext,
    Sent,
    Visit,
    find_listed,
    find_opened_draft,
    find_recent_place,
    find_visit,
    get_state,
    is_full_for_network,
    is_inside,
    is_own_form,
    is_prefetch,
    keep_context,
    make_journey_keys,
    make_submit_token,
    pop_left,
    read_context,
    remember_asked_language,
    remember_placement,
    save_draft,
    start_visit,
    wipe_drafts,
    write_draft,
)
from gateway.public.wording import format_day, get_language, refresh_language
from gateway.store import StorageUnavailableError
from gateway.store.items import shorten_draft
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, RequestRefusedError, rule
from partner_sdk.button.snippet import ICON_BOX, ICON_SHAPES, WORDS, make_link
from partner_sdk.errors import FormatError
from partner_sdk.wire import problems
from partner_sdk.wire.button import TEST_LINK_ID
from partner_sdk.wire.canonical import (
    encode,
    format_time,
    parse_base64url,
    parse_time,
    to_base64url,
)

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
        # By script, to the form on the phone. A journey that began the plain way goes on there, where its answers are.
        may_lead=not door.is_practice and not form.journey,
        ways="buttons",
        default_action=Action.START,
        title=words["title"],
        screen=words,
        notes=notes,
        can_carry_on=can_carry_on,
        context=context or PostedContext(),
        notice=None if notice_page is None else make_notice(door, notice_page, has_words=False),
    )


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_side(side: str) -> ResponseReturnValue:
    """Show a side page, with a way back if the visitor comes from a journey."""
    door, visit = get_door(), find_visit()
    remember_asked_language()
    is_on_the_way = bool(get_state().returns_to) and is_inside(side)
    if visit is None or not is_on_the_way:
        return render_side(door, side, None)
    return render_side(door, side, make_form(visit.keys, NO_VERSION), profile=_read_profile(door, visit))


def _read_profile(door: PublicDoor, visit: Visit) -> ReaderProfile:
    """Return the reader's profile from the answers so far; it only selects the helplines."""
    opened = None
    with suppress(StorageUnavailableError):  # show a page of help in any case
        opened = find_opened_draft(door, visit.keys)
    if opened is None:
        return UNKNOWN_READER
    sent = opened.draft.sent
    return make_profile(opened.draft.answers) if sent is None else sent.profile


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.TOKEN, body_bytes=FORM_BODY_BYTES, log_word=LOG_WORD)
def post_side(side: str) -> ResponseReturnValue:
    """Go back to the journey's screen, to another side page, or to the other language."""
    visit, screen = find_visit(), SCREEN_BY_NAME.get(get_state().returns_to)
    if visit is None or not is_own_form(visit) or screen is None:
        return turn_away()
    action = read_action()
    if action == Action.LANGUAGE:
        switch_language()
        return lead_to(side)
    return lead_to(find_wanted_side(action) or screen.name)


def render_side(door: PublicDoor, side: str, form: FormState | None, *, profile: ReaderProfile = UNKNOWN_READER) -> str:
    """Render a side page; its button leads back into a journey if it has the journey's form, else to the first page.

    Leaves out how 999 works for a reader in another country.
    """
    words = door.wording.screen(side)
    names = {
        "agency": door.agency_name,
        "day": format_day(door.agency.accessibility.checked_on),
        "emergency": get_emergency_number(door, profile.country),
        "ask": words.get("ask_contact" if door.agency_contact else "ask_here", "").format(contact=door.agency_contact),
    }
    return render_page(
        door,
        "side.html",
        profile=profile,
        form=form,
        ways="links" if form is None else "buttons",
        title=words["title"],
        quiet=words.get("quiet"),
        lead=_fill_in(words["lead"], names),
        sections=[
            {
                "heading": section["heading"],
                "sentences": _fill_in(section["sentences"], names),
                "leave_keys": section.get("keys"),
            }
            for section in words.get("sections", ())
            if not (profile.country and section.get("is_uk_only"))
        ],
        has_call=words.get("call", False),
        posts=list_posts(door, words.get("signposts", ()), profile=profile),
        posts_heading=words.get("other_heading"),
        side_links=[
            {"path": get_path(link["side"]), "action": make_see_action(link["side"]), "text": link["text"]}
            for link in words.get("side_links", ())
        ],
        after=words.get("after", words.get("note", "")).format(**names),
        form_path=get_path(side),
        go_back=words["carry_on"] if form and "carry_on" in words else words["back"],
    )


def _fill_in(sentences: Sequence[str], names: Mapping[str, str]) -> list[str]:
    return [sentence.format(**names) for sentence in sentences]


# A drawing takes 3 ms of a core, a listed placement comes again.
CODES_KEPT = 256


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_poster() -> ResponseReturnValue:
    """Show the poster, with the instructions for its printer; `?from=` names a placement."""
    door = get_door()
    remember_asked_language()
    language = get_language()
    placement = find_listed(door, request.args.get("from", ""))
    address = f"{door.origin}/" if placement is None else make_link(door.origin, placement=placement)
    ask, *tell = split_sentences(WORDS[language].sentence)
    start, words = door.wording.screen(START), door.service_wording[language]["poster"]
    return render_page(
        door,
        "poster.html",
        ways="links",
        title=words["title"],
        page=words,
        notes=[note.format(agency=door.agency_name) for note in words["notes"]],
        placement=placement,
        address=address,
        host=door.origin.partition("://")[2],
        poster=door.wording.page("poster"),
        ask=ask,
        # The number to call stands below in its own box, from the dated data.
        tell=" ".join(tell[:-2]),
        points=[start["need"][0], *start["points"][1:]],
        button_text=WORDS[language].text,
        icon=Markup(f'<svg viewBox="{ICON_BOX}" aria-hidden="true">{ICON_SHAPES}</svg>'),  # noqa: S704 - the SDK's own
        code=draw_code(address),
    )


def split_sentences(text: str) -> list[str]:
    """Split a text after each full stop or question mark."""
    return re.split(r"(?<=[.?]) ", text)


@lru_cache(maxsize=CODES_KEPT)
def draw_code(address: str) -> Markup:
    """Draw the QR code of an address, without a style or a size, in the box of its modules.

    A quarter of it may be dirty or torn (level Q), and its quiet border of four modules is in the picture.
    """
    drawn = segno.make_qr(address, error="q").svg_inline(omitsize=True, svgclass=None, lineclass=None, border=4)
    return Markup(drawn)  # noqa: S704 - made of numbers alone


MAX_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Typed:
    """The typed text of the two fields."""

    reference: str = ""
    words: str = ""


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_come_back() -> ResponseReturnValue:
    """Ask for the number and the five words; always blank. A script leads to the page that keeps both there."""
    remember_asked_language()
    door = get_door()
    return render_come_back(door, Typed(), make_blank_form(), may_lead=is_open(door) and not door.is_practice)


@rule(login=Login.OPEN, limit="public-return", csrf=CsrfRule.TOKEN, body_bytes=SMALL_BODY_BYTES, log_word=LOG_WORD)
def post_come_back() -> ResponseReturnValue:
    """Redirect to the replies if both are right; else show the page again with its one message."""
    door, typed = get_door(), read_typed()
    if read_action() == Action.LANGUAGE:
        switch_language()
        refresh_language()
        return render_come_back(door, typed, make_blank_form())
    if is_asked_to_wait(door, "public-return"):
        return render_come_back(door, typed, make_blank_form(), notice_page="slow"), TOO_MANY_REQUESTS
    if not typed.reference.strip() or not typed.words.strip():
        return render_come_back(door, typed, make_blank_form(), fault="blank")
    try:
        returned = door.ways_back.find_returned(typed_reference=typed.reference, typed_words=typed.words)
        if returned is None:
            return render_come_back(door, typed, make_blank_form(), fault="refused")
        return _lead_in(door, returned)
    except StorageUnavailableError:
        return answer_later(render_come_back(door, typed, make_blank_form(), notice_page="not_ready"))


def read_typed() -> Typed:
    """Read the two fields; input longer than any valid answer is cut."""
    return Typed(
        reference=request.form.get("reference", "")[:MAX_SHOWN_CHARACTERS],
        words=request.form.get("words_typed", "")[:MAX_SHOWN_CHARACTERS],
    )


def _lead_in(door: PublicDoor, returned: Returned) -> ResponseReturnValue:
    """Begin a separate visit. The seed is stored like a draft: under the cookie's key, for an hour."""
    former = find_visit()
    visit = start_visit(door)
    draft = Draft(
        report_id=make_submit_token(door),
        started_at=format_time(door.clock()),
        language=door.wording.language,
        returned=returned,
    )
    save_draft(door, visit.keys, draft, version=NO_VERSION)
    if former is not None:
        wipe_drafts(door, *former.list_draft_ids())
    return lead_to(REPLIES)


def render_come_back(
    door: PublicDoor,
    typed: Typed,
    form: FormState,
    *,
    fault: Literal["blank", "refused"] | None = None,
    notice_page: str | None = None,
    may_lead: bool = False,
) -> str:
    """Render the page; `fault` is either a missing field, or the one message for everything else."""
    words = door.wording.page(COME_BACK)
    return render_page(
        door,
        "come_back.html",
        form=form,
        ways="buttons",
        default_action=Action.CONTINUE,
        title=words["title"],
        page=words,
        typed=typed,
        may_lead=may_lead,
        has_faults=fault is not None,
        faults=[] if fault is None else [{"target": _get_target(typed), "text": words[fault]}],
        notice=None if notice_page is None else make_notice(door, notice_page),
    )


def _get_target(typed: Typed) -> str:
    """Find the field for the link in the error summary: the first, or the empty one."""
    return "words_typed" if typed.reference and not typed.words else "reference"


class PlaceRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The reference as typed, and the token of its code in base64url (WIRE.md §9.2)."""

    reference: Annotated[str, msgspec.Meta(max_length=MAX_SHOWN_CHARACTERS)]
    token: str


class SealedReply(msgspec.Struct, frozen=True, kw_only=True):
    """A reply as the desk sealed it, in base64url; its id is part of what the seal covers."""

    envelope: str
    message_id: str


class FoundSealed(msgspec.Struct, frozen=True, kw_only=True):
    """The sealed place, in base64url, with its replies, newest first."""

    place: str
    replies: list[SealedReply]
    stage: str


class PlaceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer for wrong, unknown, expired and tried too often: `found` is null."""

    found: FoundSealed | None


@rule(
    login=Login.OPEN,
    limit="public-return",
    csrf=CsrfRule.TOKEN,
    body_bytes=SMALL_BODY_BYTES,
    media_type="application/json",
    surface="api",
    log_word=LOG_WORD,
)
def post_sealed_place() -> ResponseReturnValue:
    """Answer with the sealed place and replies of a reference and its token; the token of the visit is in a header."""
    door = get_door()
    try:
        asked = parse_any_spelling(request.get_data(cache=False), kind=PlaceRequest, max_bytes=SMALL_BODY_BYTES)
        token = parse_base64url(asked.token, length=TOKEN_BYTES)
    except FormatError:
        raise RequestRefusedError(problems.MALFORMED_REQUEST) from None
    if is_asked_to_wait(door, "public-return"):
        raise RequestRefusedError(problems.RATE_LIMITED, retry_after_seconds=SLOW_SECONDS)
    found = door.ways_back.find_sealed(typed_reference=asked.reference, token=token)
    answer = PlaceAnswer(found=None if found is None else _encode_sealed(found))
    visit = find_visit()
    if found is not None and visit is not None:
        wipe_drafts(door, *visit.list_draft_ids())  # as the page says, and as the plain way does
    return Response(encode(answer), content_type="application/json")


def _encode_sealed(found: SealedPlace) -> FoundSealed:
    replies = [SealedReply(envelope=to_base64url(one.envelope), message_id=one.item_id) for one in found.replies]
    return FoundSealed(place=to_base64url(found.box), replies=replies, stage=found.stage)


@rule(login=Login.OPEN, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0, log_word=LOG_WORD)
def show_replies() -> ResponseReturnValue:
    """Show the replies right after the words were entered; from outside, ask for them again."""
    door, visit = get_door(), find_visit()
    if visit is None or not is_inside(REPLIES):
        return turn_away(COME_BACK)
    try:
        opened = find_opened_draft(door, visit.keys)
        if opened is None or opened.draft.returned is None:
            return turn_away(COME_BACK)
        found = door.ways_back.find_place(opened.draft.returned)
    except StorageUnavailableError:
        return answer_not_ready(door, may_start=False)
    if found is None:
        return turn_away(COME_BACK)
    return render_replies(door, found, make_form(visit.keys, opened.version))


@rule(login=Login.OPEN, limit="public-step", csrf=CsrfRule.TOKEN, body_bytes=SMALL_BODY_BYTES, log_word=LOG_WORD)
def post_replies() -> ResponseReturnValue:
    """Change the language, or begin an addition."""
    door, visit = get_door(), find_visit()
    if visit is None or not is_own_form(visit):
        return turn_away(COME_BACK)
    if read_action() != Action.ADD:
        switch_language()
        return lead_to(REPLIES)
    try:
        return _begin_addition(door, visit)
    except StorageUnavailableError:
        return answer_not_ready(door, may_start=False)


def _begin_addition(door: PublicDoor, visit: Visit) -> ResponseReturnValue:
    """Replace the kept seed with a draft for an addition, and redirect to its first question."""
    opened = find_opened_draft(door, visit.keys)
    if opened is None or opened.draft.returned is None:
        return turn_away(COME_BACK)
    found = door.ways_back.find_place(opened.draft.returned)
    if found is None:
        return turn_away(COME_BACK)
    if opened.draft.is_being_added:
        return lead_to(DANGER)  # after Back to the replies the addition already exists
    addition = _make_addition(door, opened.draft.returned, found.place)
    if not save_draft(door, visit.keys, addition, version=opened.version):
        return turn_away(COME_BACK)
    return lead_to(DANGER)


def _make_addition(door: PublicDoor, returned: Returned, place: ReturnPlace) -> Draft:
    """Make the draft of an addition; it counts as already sent, so that it is linked to the first report.

    It does not contain the words of the return code. The seed stays until Send, so that Back leads to the replies.
    """
    sent = Sent(
        report_ids=[],
        reference=returned.reference,
        is_owed_an_answer=place.reply_by is not None,
        sent_at=place.sent_at,
        text_macs=[],
        screen_macs={},
        reply_by=place.reply_by,
        urgency="crisis" if _was_crisis(door, place) else "other",
        reply_key=make_reply_public_key(returned.seed),
    )
    return Draft(
        report_id=make_submit_token(door),
        started_at=format_time(door.clock()),
        language=door.wording.language,
        sent=sent,
        returned=returned,
    )


def _was_crisis(door: PublicDoor, place: ReturnPlace) -> bool:
    """Return whether the first report was promised a crisis deadline, which the addition must match.

    The place stores only the promised day: in a crisis it is earlier than working days allow.
    """
    if place.reply_by is None:
        return False
    by_office_days = door.agency.get_reply_by(parse_time(place.sent_at), urgency="other")
    return date.fromisoformat(place.reply_by) < by_office_days


def render_replies(door: PublicDoor, found: FoundPlace, form: FormState) -> str:
    """Render the page; a message that only confirms reading is shown as the stage.

    If there is an answer, the stage shows that, and no promise of one is repeated.
    """
    words, place = door.wording.page(REPLIES), found.place
    promised = None if place.reply_by is None else format_day(date.fromisoformat(place.reply_by))
    promise = words["no_promise"] if promised is None else words["promise"].format(day=promised)
    replies = [one for one in found.messages if one.kind == "reply"]
    return render_page(
        door,
        "replies.html",
        form=form,
        ways="buttons",
        title=words["title"],
        page=words,
        reference=place.reference,
        stage=words["stage_answered" if replies else f"stage_{found.stage}"],
        promise="" if replies else promise,
        replies=[
            {"day": words["written"].format(day=format_day(parse_time(one.issued_at).date())), "text": one.body}
            for one in replies
        ],
    )
