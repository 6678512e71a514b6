"""One visit: the encrypted draft, the state in the session cookie, and the data of the pressed button.

A draft is sealed under a key derived from the cookie, and stored under a digest; its size reveals little. The link id
is looked up in the agency's register, and kept only if it is listed there (WIRE.md §5.5). The page context is checked
only for size and format: no key of the gateway opens it. It is never in a cookie, an address or a log: it is in the
page, then in the draft, then inside the sealed report.

Entering from outside is always blank: a page shows typed text only right after a post of the same journey; for a few
minutes the first page offers to carry on, behind such a post (docs/decisions/0018). The state beside the secret is
sealed, because the holder of a signed cookie can read it: it never reveals the current page or the button. Its size is
constant, because the size would reveal the page. The language is the one picked before, else the browser's, else
English; `?lang=cy` needs no cookie.
"""

import hashlib
import hmac
import math
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from babel import negotiate_locale
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import current_app, g, request, session
from msgspec import Struct
from sqlalchemy import Connection
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from gateway.exchange.feed import PlacementEntry
from gateway.exchange.page_contexts import parse_context_token
from gateway.exchange.public_codes import CONTEXT_REFUSED_SIGNAL, YES
from gateway.guidance.advice import Audience
from gateway.guidance.risk import Urgency
from gateway.public.door import SIDE_PATHS, PublicDoor, get_door
from gateway.public.journey import ReaderProfile
from gateway.public.returning import Returned
from gateway.public.wording import DEFAULT_LANGUAGE
from gateway.store import StorageUnavailableError
from gateway.store.items import Kind, delete_draft, find_draft, has_rows, has_rows_in_slot, put_draft
from gateway.web.web_app import JOURNEY
from partner_sdk.errors import FormatError
from partner_sdk.wire.button import LANGUAGES, Language, is_placement
from partner_sdk.wire.canonical import REPORT_ID_RANDOM_BYTES, decode_msgpack, make_report_id

SECRET_BYTES = 32
NONCE_BYTES = 12  # SP 800-38D §8.2.2, §8.3: random 96-bit nonces, at most 2**32 for each key; a journey uses dozens
IDLE_SECONDS = 60 * 60  # a safety exception to WCAG 2.2.1: the next person on a shared phone matters more
# Two sizes only: nearly every draft has the small one, and all long stories look alike.
PADDED_SIZES = (8 * 1024, 64 * 1024)

S = TypeVar("S", bound=Struct)
_LENGTH = struct.Struct(">I")
# Raise the version when a field is removed or renamed: older drafts are then refused, instead of losing an answer.
_INFO = b"report-abuse draft keys v4"
NO_VERSION = 0  # the version of a form before the first save


class DraftUnreadableError(Exception):
    """The row is not this person's draft, was altered, or was written in another format."""


class DraftTooBigError(Exception):
    """The value does not fit the largest size."""


class Sent(Struct, frozen=True, kw_only=True):
    """The record that replaces a draft after Send: enough for the thank-you page, without any text of the report.

    `reply_by` is the promised day, as sealed and shown. `read_by` is the promised time of reading, if there is one, and
    `next_hour` the next one with a person at the desk, if there was none at Send. `return_words` are the five words,
    None if there are none or the person came back with them; `reply_key` is their public key, for supplements.
    `advice` lists codes of the advice library, and `urgent` the urgent matters. `has_told` is set by the tap of
    feedback. `country` is the reader's own, empty in the UK, and `country_there` the country of another child in the
    report. `is_near`: the other person lives with the child or sees the phone. `reader` is the page's audience; None in
    an addition by a returned sender, where it is unknown.
    """

    report_ids: list[str]
    reference: str
    is_owed_an_answer: bool
    sent_at: str
    text_macs: list[bytes]
    screen_macs: dict[str, bytes]
    reply_by: str | None = None
    read_by: str | None = None
    next_hour: str | None = None
    urgency: Urgency = "other"
    return_words: str | None = None
    reply_key: str | None = None
    advice: list[str] = []
    has_told: bool = False
    urgent: list[str] = []
    country: str = ""
    country_there: str = ""
    is_near: bool = False
    reader: Audience | None = None

    @property
    def profile(self) -> ReaderProfile:
        """The profile of the thank-you page's reader."""
        reader = self.reader or ("child" if self.is_owed_an_answer else "adult")
        return ReaderProfile(reader, country=self.country, country_there=self.country_there)


class Draft(Struct, frozen=True, kw_only=True):
    """The typed answers so far. `report_id` is the submit token, made once, so that Send counts only once.

    `gone_past` names the screens that the person has completed: only these are skipped after the check page. `context`
    is a service's sealed page context, unopened (WIRE.md §8.2).
    """

    report_id: str
    started_at: str
    language: Language
    placement: str | None = None
    answers: dict[str, list[str]] = {}
    signals: list[str] = []
    has_seen_check: bool = False
    gone_past: list[str] = []
    sent: Sent | None = None
    returned: Returned | None = None
    context: str | None = None

    @property
    def is_being_added(self) -> bool:
        """Whether this is an unsent addition by a returned sender."""
        return self.sent is not None and not self.sent.report_ids


@dataclass(frozen=True, slots=True)
class JourneyKeys:
    """The keys and the id derived from the secret in the cookie (HKDF, RFC 5869)."""

    draft_id: bytes
    box_key: bytes
    mac_key: bytes
    form_token: str


def make_journey_keys(secret: bytes) -> JourneyKeys:
    """Derive the row id and the keys of one journey: one derivation, because each request makes one."""
    # RFC 5869 §2.2: no salt, because the secret is random and as long as the hash.
    derived = HKDF(algorithm=SHA256(), length=112, salt=None, info=_INFO).derive(secret)
    return JourneyKeys(
        draft_id=derived[:32], box_key=derived[32:64], mac_key=derived[64:96], form_token=derived[96:].hex()
    )


def seal_padded(value: Struct, *, key: bytes, nonce: bytes, label: bytes, sizes: Sequence[int]) -> bytes:
    """Encrypt a value with AES-256-GCM (SP 800-38D), padded to the smallest size that fits; binds `label`.

    Raises DraftTooBigError.
    """
    plain = msgspec.msgpack.encode(value)
    needed = _LENGTH.size + len(plain)
    size = next((size for size in sizes if size >= needed), None)
    if size is None:
        raise DraftTooBigError("the value does not fit the largest size")
    padded = _LENGTH.pack(len(plain)) + plain + bytes(size - needed)
    return nonce + AESGCM(key).encrypt(nonce, padded, label)


def open_padded(box: bytes, *, key: bytes, label: bytes, kind: type[S]) -> S:
    """Decrypt a value; raises DraftUnreadableError for another key or label, an altered box or another format."""
    try:
        padded = AESGCM(key).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], label)
        (length,) = _LENGTH.unpack_from(padded)
        return decode_msgpack(padded[_LENGTH.size : _LENGTH.size + length], kind=kind)
    except (InvalidTag, struct.error, ValueError):  # msgspec's errors are ValueErrors
        raise DraftUnreadableError("the box cannot be opened with this key") from None


def seal_draft(draft: Draft, *, keys: JourneyKeys, version: int, nonce: bytes) -> bytes:
    """Seal a draft; binds row and version, so that rows cannot be swapped. Raises DraftTooBigError."""
    return seal_padded(draft, key=keys.box_key, nonce=nonce, label=_bind(keys, version), sizes=PADDED_SIZES)


def open_draft(box: bytes, *, keys: JourneyKeys, version: int) -> Draft:
    """Open a draft; raises DraftUnreadableError."""
    return open_padded(box, key=keys.box_key, label=_bind(keys, version), kind=Draft)


def leave_context_out(draft: Draft, *, is_refused: bool) -> Draft:
    """Return a draft without the page context; `is_refused` if the person did not ask for that."""
    is_new = is_refused and CONTEXT_REFUSED_SIGNAL not in draft.signals
    signals = [*draft.signals, CONTEXT_REFUSED_SIGNAL] if is_new else draft.signals
    return msgspec.structs.replace(draft, context=None, signals=signals)


def make_text_mac(answers: Mapping[str, Sequence[str]], *, keys: JourneyKeys) -> bytes:
    """Make a keyed digest of answers, to recognise the same text; a plain hash would let short answers be guessed."""
    text = msgspec.json.encode(sorted((name, list(values)) for name, values in answers.items() if any(values)))
    return hmac.digest(keys.mac_key, text, "sha256")


def is_known_mac(mac: bytes, *, known: Sequence[bytes]) -> bool:
    """Return whether one of `known` is this digest."""
    return any(hmac.compare_digest(mac, one) for one in known)


def _bind(keys: JourneyKeys, version: int) -> bytes:
    return keys.draft_id + version.to_bytes(8, "big")


class TooManyDraftsError(Exception):
    """The cap on drafts, or this network's share, is reached. No new draft begins, so a flood cannot fill the disk."""


@dataclass(frozen=True, slots=True)
class OpenedDraft:
    """A draft and the version that the next save must replace."""

    draft: Draft
    version: int


def make_submit_token(door: PublicDoor) -> str:
    """Make the id under which a draft will be sent; its time is only the day, to hide the typing speed."""
    midnight = door.clock().replace(hour=0, minute=0, second=0, microsecond=0)
    return make_report_id(midnight, door.random(REPORT_ID_RANDOM_BYTES))


def find_opened_draft(door: PublicDoor, keys: JourneyKeys) -> OpenedDraft | None:
    """Find and open the row of a journey. Raises StorageUnavailableError."""
    row = find_draft(door.store, draft_id=keys.draft_id, now=door.clock())
    if row is None:
        return None
    try:
        return OpenedDraft(open_draft(row.box, keys=keys, version=row.version), row.version)
    except DraftUnreadableError:
        # Altered, or written by a release with another format: the person starts again, as after an hour.
        return None


def save_draft(door: PublicDoor, keys: JourneyKeys, draft: Draft, *, version: int) -> bool:
    """Save a draft over `version`; returns False if another tab was faster.

    Raises StorageUnavailableError, DraftTooBigError, and TooManyDraftsError for a new draft. Visitors with a return
    code and records of Send are always saved.
    """
    is_new = version == NO_VERSION and get_kind(draft) == "writing"
    # Without a turn, forms that begin at the same moment may exceed the cap.
    with door.store.write_beside() as connection:
        if is_new and is_full_for_network(connection, door):
            raise TooManyDraftsError("the cap on drafts is reached")
        return write_draft(connection, door, keys, draft, version=version, is_new=is_new)


def is_full_for_network(connection: Connection, door: PublicDoor) -> bool:
    """Return whether the caller's network may begin no new draft: its share or the total is used up."""
    slot = door.limits.pick_network_slot()
    return has_rows_in_slot(connection, slot=slot, number=door.drafts_max_rows_per_network) or has_rows(
        connection, number=door.drafts_max_rows
    )


def write_draft(
    connection: Connection,
    door: PublicDoor,
    keys: JourneyKeys,
    draft: Draft,
    *,
    version: int,
    is_new: bool = False,
) -> bool:
    """Save a draft inside a shared transaction (e.g. of Send); drops the context if both do not fit."""
    nonce = door.random(NONCE_BYTES)
    try:
        box = seal_draft(draft, keys=keys, version=version + 1, nonce=nonce)
    except DraftTooBigError:
        if draft.context is None:
            raise
        draft = leave_context_out(draft, is_refused=True)
        box = seal_draft(draft, keys=keys, version=version + 1, nonce=nonce)
    expires_at = door.clock() + timedelta(seconds=IDLE_SECONDS)
    return put_draft(
        connection,
        draft_id=keys.draft_id,
        version=version + 1,
        box=box,
        expires_at=expires_at,
        kind=get_kind(draft),
        network_slot=door.limits.pick_network_slot() if is_new else None,
    )


def get_kind(draft: Draft) -> Kind:
    """Return the kind of a row, for the cap; an addition to a sent report stays with its record."""
    if draft.sent is not None:
        return "sent"
    return "writing" if draft.returned is None else "returned"


def wipe_drafts(door: PublicDoor, *draft_ids: bytes) -> None:
    """Delete the rows of a journey; if the store fails now, they still expire.

    Either way it is unreadable once the secret has left the cookie.
    """
    with suppress(StorageUnavailableError), door.store.write_beside() as connection:
        for draft_id in draft_ids:
            delete_draft(connection, draft_id=draft_id)


CONTEXT_FIELD: Final = "context"
LEAVE_OUT_FIELD: Final = "leave_out"
# Posted by a check page that displayed the context. A context that was not displayed is not sent.
SHOWN_FIELD: Final = "with_context"


def find_listed(door: PublicDoor, placement: str) -> str | None:
    """Return a link id if the register lists it now; else, or if the register cannot be read, None."""
    return None if _find_entry(door, placement) is None else placement


def find_service_name(door: PublicDoor, placement: str | None) -> str | None:
    """Find the service's name of a placement in the agency's register."""
    entry = None if placement is None else _find_entry(door, placement)
    return None if entry is None else entry.service


def _find_entry(door: PublicDoor, placement: str) -> PlacementEntry | None:
    if not is_placement(placement):
        return None
    try:
        keys = door.key_state.find_keys()
    except StorageUnavailableError:
        return None
    return None if keys is None else keys.placements.get(placement)


@dataclass(frozen=True, slots=True)
class PostedContext:
    """The context posted by the first page: a well-formed token, a refused one, or none."""

    token: str = ""
    is_left_out: bool = False
    is_refused: bool = False


def read_context(form: Mapping[str, str]) -> PostedContext:
    """Read the context posted by the first page."""
    text = form.get(CONTEXT_FIELD, "")
    if not text:
        return PostedContext()
    try:
        parse_context_token(text)
    except FormatError:
        return PostedContext(is_refused=True)
    return PostedContext(token=text, is_left_out=form.get(LEAVE_OUT_FIELD) == YES)


def keep_context(door: PublicDoor, keys: JourneyKeys, posted: PostedContext, *, blank: Draft) -> None:
    """Save a posted context in the journey's draft, or in `blank` if there is none; never blocks a report.

    If it cannot be saved now, the journey continues without it.
    """
    if not posted.is_refused and not posted.token:
        return
    with suppress(StorageUnavailableError, TooManyDraftsError):
        opened = find_opened_draft(door, keys) or OpenedDraft(blank, NO_VERSION)
        if opened.draft.sent is not None or opened.draft.returned is not None:
            return
        if posted.is_left_out and opened.draft.context is None:
            return
        if posted.is_refused or posted.is_left_out:
            # Refusing this context also removes an older one of the same journey.
            draft = leave_context_out(opened.draft, is_refused=posted.is_refused)
        else:
            draft = msgspec.structs.replace(opened.draft, context=posted.token)
        save_draft(door, keys, draft, version=opened.version)


def has_shown_context(form: Mapping[str, str]) -> bool:
    """Return whether the posted check page displayed the context."""
    return form.get(SHOWN_FIELD) == YES


PADDED_BYTES = 256  # the longest place and placement and two marks need about half of it

_KEY_LABEL = b"report-abuse visit state key v1"
_BOX_LABEL = b"report-abuse visit state v2"
_SECRET, _STATE = JOURNEY, "state"
FRESH_SECONDS = 30  # a browser follows a redirect immediately; later visitors come from outside
CARRY_ON_SECONDS = 5 * 60  # long enough for Back by mistake; later, the next person on the phone is the likelier reader
SLOW_LASTS_SECONDS = 120  # the life of a completed wait, and of a journey's pass after a wait
MARK_BYTES = 16


class VisitState(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """The state of a visit. Times are whole seconds; 0 means never.

    The last post led to `place` at `led_at`; `is_awaited` until that page is shown. `wait_mark` is the random mark of a
    wait that ends at `turn_at`: it lets one request through, even if the cookie was copied. `walks_mark` names the
    journey whose steps may continue until `walks_until`, after a wait. `language` is the picked one, and `returns_to`
    the screen behind a side page; empty means none. `left_at` is the time when the form was requested from outside: the
    first page then explains why it is blank. `asked` is the id of a request for the button that was just sent; empty
    means none. `former` is the row of the draft that this journey carries on, until a page of it is shown.
    `kept_at` is the time when the form on the phone last got the key of its store.
    """

    place: str = ""
    led_at: int = 0
    is_awaited: bool = False
    started_at: int = 0
    placement: str | None = None
    turn_at: int = 0
    wait_mark: bytes = b""
    walks_until: int = 0
    walks_mark: bytes = b""
    language: str = ""
    returns_to: str = ""
    left_at: int = 0
    asked: str = ""
    former: bytes = b""
    kept_at: int = 0


def make_state_key(secret_key: bytes) -> bytes:
    """Derive the key of a gateway's states from its cookie-signing key (HMAC, RFC 2104)."""
    return hmac.digest(secret_key, _KEY_LABEL, hashlib.sha256)


def seal_state(state: VisitState, *, key: bytes, nonce: bytes) -> bytes:
    """Seal a state; the box has a constant size."""
    return seal_padded(state, key=key, nonce=nonce, label=_BOX_LABEL, sizes=(PADDED_BYTES,))


def find_state(box: bytes, *, key: bytes) -> VisitState | None:
    """Open a state; None if it is not one of this gateway's."""
    try:
        return open_padded(box, key=key, label=_BOX_LABEL, kind=VisitState)
    except DraftUnreadableError:
        return None


@dataclass(frozen=True, slots=True)
class Visit:
    """The journey of this cookie; `former` is the row that it carries on, until a page of it is shown."""

    keys: JourneyKeys
    started_at: int
    former: bytes = b""

    def list_draft_ids(self) -> list[bytes]:
        """Return the ids of all rows with words of this journey."""
        return [self.keys.draft_id, *([self.former] if self.former else [])]


def start_visit(door: PublicDoor, *, secret: bytes | None = None, carries_on: Visit | None = None) -> Visit:
    """Begin a journey with a new secret; the data of an older one becomes unreadable.

    A cookie copied earlier does not contain it. Carrying on passes the `secret` of the moved draft.
    """
    session[_SECRET] = secret or door.random(SECRET_BYTES)
    put_state(
        started_at=_now_seconds() if carries_on is None else carries_on.started_at,
        former=b"" if carries_on is None else carries_on.keys.draft_id,
        wait_mark=b"",
        walks_until=0,
        walks_mark=b"",
    )
    visit = find_visit()
    if visit is None:
        raise RuntimeError("The new session cannot be read back.")
    return visit


def find_visit() -> Visit | None:
    """Find the journey of this cookie, if any."""
    secret = session.get(_SECRET)
    if not isinstance(secret, bytes) or len(secret) != SECRET_BYTES:
        return None
    return Visit(make_journey_keys(secret), get_state().started_at, former=get_state().former)


def is_own_form(visit: Visit) -> bool:
    """Return whether the posted form belongs to this journey."""
    return hmac.compare_digest(request.form.get("journey", "").encode(), visit.keys.form_token.encode())


def get_posted_version() -> int:
    """Return the draft version of the posted form."""
    text = request.form.get("version", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else NO_VERSION


def go_to_place(name: str) -> None:
    """Remember the destination of a post: the next page may show typed text, once, if requested immediately."""
    put_state(place=name, led_at=_now_seconds(), is_awaited=True)


def is_inside(name: str) -> bool:
    """Return whether this page follows a post of the same journey: by redirect, or as a reload."""
    state = get_state()
    if state.place != name:
        return False
    if not _is_redirect(state):
        return _is_reload()
    put_state(is_awaited=False)
    return True


def find_recent_place() -> str | None:
    """Find the place to which a post of the last few minutes led: a screen, also from a side page of it."""
    state = get_state()
    is_recent = 0 <= _now_seconds() - state.led_at <= CARRY_ON_SECONDS
    return (state.returns_to if state.place in SIDE_PATHS else state.place) if is_recent else None


def _is_redirect(state: VisitState) -> bool:
    # Another site's page, or a typed address, may arrive instead of a redirect that was never followed.
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    return state.is_awaited and abs(_now_seconds() - state.led_at) <= FRESH_SECONDS


def _is_reload() -> bool:
    # A reload shows nothing new. Back from another site has the same Sec-Fetch-Site and Referer (measured in Chromium
    # 156), but only a reload sends max-age=0.
    if request.headers.get("Cache-Control") != "max-age=0":
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return find_referrer_host() == request.host


def find_referrer_host() -> str | None:
    """Find the host and port in the Referer; None if it is absent or unreadable."""
    try:
        return urlsplit(request.headers.get("Referer", "")).netloc or None
    except ValueError:
        return None


def remember_placement(placement: str | None) -> None:
    """Remember the button that led here, if any; every cookie has a state, so its presence reveals nothing."""
    if placement:
        put_state(placement=placement)
    elif _STATE not in session:
        put_state()


def is_prefetch() -> bool:
    """Return whether a browser prefetches a page that nobody has opened yet."""
    return "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", ""))


def has_cookie() -> bool:
    """Return whether the browser sent our session cookie."""
    return current_app.config["SESSION_COOKIE_NAME"] in request.cookies


@dataclass(frozen=True, slots=True)
class Wait:
    """The wait in a cookie: `mark` lets one request through once it is over. There is none if neither flag is set."""

    mark: str = ""
    is_ahead: bool = False
    is_over: bool = False


def get_wait() -> Wait:
    """Read the wait from this cookie."""
    state = get_state()
    late = _now_seconds() - state.turn_at
    if not state.wait_mark or late > SLOW_LASTS_SECONDS:
        return Wait()
    return Wait(mark=state.wait_mark.hex(), is_ahead=late < 0, is_over=late >= 0)


def remember_wait(door: PublicDoor, *, seconds: float) -> None:
    """Store the time of the sender's turn, with a new mark that is valid for one request then."""
    put_state(turn_at=_now_seconds() + math.ceil(seconds), wait_mark=door.random(MARK_BYTES))


def forget_wait(*, walks_on: JourneyKeys | None = None) -> None:
    """Remove a used wait. At a step, `walks_on` passes for a while, so that people do not wait at every screen."""
    if walks_on is None:
        put_state(wait_mark=b"")
    else:
        until = _now_seconds() + SLOW_LASTS_SECONDS
        put_state(wait_mark=b"", walks_until=until, walks_mark=_mark_journey(walks_on))


def is_walking_on(keys: JourneyKeys) -> bool:
    """Return whether this journey waited at a step recently."""
    state = get_state()
    return _now_seconds() <= state.walks_until and hmac.compare_digest(state.walks_mark, _mark_journey(keys))


def _mark_journey(keys: JourneyKeys) -> bytes:
    return keys.draft_id[:MARK_BYTES]


def remember_left() -> None:
    """Remember that a page of a journey was requested from outside, e.g. by a phone's Back.

    Only while its draft could still exist: later, the message would reveal the draft to the next person.
    """
    state = get_state()
    if _now_seconds() - state.started_at <= IDLE_SECONDS:
        put_state(left_at=_now_seconds())


def pop_left() -> bool:
    """Return whether the visitor was just redirected out of the form, once."""
    left_at = get_state().left_at
    if left_at:
        put_state(left_at=0)
    return bool(left_at) and abs(_now_seconds() - left_at) <= FRESH_SECONDS


def get_state() -> VisitState:
    """Return the state in this cookie."""
    # Opened once for each request: a page needs it half a dozen times.
    state: VisitState | None = g.get(_STATE)
    if state is None:
        box = session.get(_STATE)
        found = find_state(box, key=get_door().state_key) if isinstance(box, bytes) else None
        state = found or VisitState()
        setattr(g, _STATE, state)
    return state


def put_state(**changed: str | int | bytes | None) -> None:
    """Change fields of the state."""
    door = get_door()
    state = msgspec.structs.replace(get_state(), **changed)
    setattr(g, _STATE, state)
    session[_STATE] = seal_state(state, key=door.state_key, nonce=door.random(NONCE_BYTES))


def _now_seconds() -> int:
    return int(get_door().clock().timestamp())


def select_language() -> Language:
    """Return the language of this request."""
    picked = find_asked_language() or next((one for one in LANGUAGES if one == get_state().language), None)
    return _negotiate(request.headers.get("Accept-Language", "")) if picked is None else picked


@lru_cache(maxsize=64)
def _negotiate(accepted: str) -> Language:
    # Not Werkzeug's best_match (3.1): it takes a later "en" before a first "cy-GB", so English for a Welsh phone.
    wanted = [tag for tag, quality in parse_accept_header(accepted, LanguageAccept) if quality > 0]
    found = (negotiate_locale(wanted, LANGUAGES, sep="-") or "").lower()
    return next((one for one in LANGUAGES if one == found), DEFAULT_LANGUAGE)


def find_asked_language() -> Language | None:
    """Find the language in the address."""
    # Nearly every address has no query, and needs no parsing.
    asked = request.args.get("lang", "") if request.query_string else ""
    return next((one for one in LANGUAGES if one == asked), None)


def remember_asked_language() -> None:
    """Remember the language in the address, if any."""
    asked = find_asked_language()
    if asked is not None:
        put_state(language=asked)
