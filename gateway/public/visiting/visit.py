"""One person's visit as the session cookie knows it: a secret, a place, a language, and no word that was typed.

Entering from outside is always blank: a page shows what was typed only right after a post of the same journey.
The state beside the secret is sealed, because anyone who holds the signed cookie can read it: it never shows where a
person stands or which button led here. Its size is always the same: else it would give away the page.
The language is the one that was picked before, else the browser's, else English; `?lang=cy` needs no cookie.
"""

import hashlib
import hmac
import math
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec
from babel import negotiate_locale
from flask import Flask, current_app, g, request, session
from flask_babel import Babel  # type: ignore[import-untyped]  # the package ships no types

from gateway.public.door import PublicDoor, get_door
from gateway.public.visiting.drafts import (
    IDLE_SECONDS,
    NO_VERSION,
    NONCE_BYTES,
    SECRET_BYTES,
    DraftUnreadableError,
    JourneyKeys,
    make_journey_keys,
    open_padded,
    seal_padded,
)
from gateway.public.wording import DEFAULT_LANGUAGE
from gateway.web.web_app import JOURNEY
from partner_sdk.wire.public_codes import LANGUAGES, Language

PADDED_BYTES = 256  # the longest place and placement and two marks need about half of it

_KEY_LABEL = b"report-abuse visit state key v1"
_BOX_LABEL = b"report-abuse visit state v2"
_SECRET, _STATE = JOURNEY, "state"
FRESH_SECONDS = 30  # a redirect is followed at once; whoever comes later comes from outside
SLOW_LASTS_SECONDS = 120  # for how long a wait is good, and for how long a journey that waited at a step walks on
MARK_BYTES = 16


class VisitState(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Where a visit stands. Times are whole seconds; 0 is never.

    `wait_mark` is the random mark of a wait that ends at `turn_at`: it lets one request through, also when the cookie
    was copied. `walks_mark` names the one journey whose steps go on until `walks_until`, because it waited at one.
    `language` is the one that was picked, and `returns_to` the screen that a side page leads back to; empty is none.
    `left_at` is when the form was asked for from outside: the first page then says why it is blank.
    `asked` is the id of the request for the button that was just sent; empty is none.
    """

    place: str = ""
    led_at: int = 0
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


def make_state_key(secret_key: bytes) -> bytes:
    """Make the key of all states of a gateway from the key that signs its cookies (HMAC, RFC 2104)."""
    return hmac.digest(secret_key, _KEY_LABEL, hashlib.sha256)


def seal_state(state: VisitState, *, key: bytes, nonce: bytes) -> bytes:
    """Seal a state; the box has one size."""
    return seal_padded(state, key=key, nonce=nonce, label=_BOX_LABEL, sizes=(PADDED_BYTES,))


def find_state(box: bytes, *, key: bytes) -> VisitState | None:
    """Open a state; None when it is not one of this gateway's."""
    try:
        return open_padded(box, key=key, label=_BOX_LABEL, kind=VisitState)
    except DraftUnreadableError:
        return None


@dataclass(frozen=True, slots=True)
class Visit:
    """The journey that this cookie belongs to."""

    keys: JourneyKeys
    started_at: int


def start_visit(door: PublicDoor) -> Visit:
    """Begin a journey with a new secret; what an older one left cannot be read any more.

    The secret is drawn here and nowhere else: a cookie that was copied before knows nothing of it.
    """
    session[_SECRET] = door.random(SECRET_BYTES)
    _put_state(started_at=_now_seconds(), wait_mark=b"", walks_until=0, walks_mark=b"")
    visit = find_visit()
    if visit is None:
        raise RuntimeError("A session that was just written cannot be read.")
    return visit


def find_visit() -> Visit | None:
    """Find the journey of this cookie, if it has one."""
    secret = session.get(_SECRET)
    if not isinstance(secret, bytes) or len(secret) != SECRET_BYTES:
        return None
    return Visit(keys=make_journey_keys(secret), started_at=_get_state().started_at)


def is_own_form(visit: Visit) -> bool:
    """Say whether the posted form was made in this very journey."""
    return hmac.compare_digest(request.form.get("journey", "").encode(), visit.keys.form_token.encode())


def get_posted_version() -> int:
    """Return the draft version that the posted form was made from."""
    text = request.form.get("version", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else NO_VERSION


def go_to_place(name: str) -> None:
    """Remember where a post leads: the next page may show what was typed, once, if it is asked for at once."""
    _put_state(place=name, led_at=_now_seconds())


def is_inside(name: str) -> bool:
    """Say whether this page follows a post of the same journey: the redirect itself, or a reload of its page."""
    state = _get_state()
    if state.place != name:
        return False
    if not _is_redirect(state):
        return _is_reload()
    _put_state(led_at=0)
    return True


def _is_redirect(state: VisitState) -> bool:
    # A page of another site, or a typed address, may come in the place of the redirect that was never followed.
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    return abs(_now_seconds() - state.led_at) <= FRESH_SECONDS


def _is_reload() -> bool:
    # A reload shows what the open page shows already. Back from another site has the same Sec-Fetch-Site and
    # Referer (measured in Chromium 156), but only a reload asks with max-age=0.
    if request.headers.get("Cache-Control") != "max-age=0":
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return find_referrer_host() == request.host


def find_referrer_host() -> str | None:
    """Find the host and port that the Referer names; None when there is none, or none that can be read."""
    try:
        return urlsplit(request.headers.get("Referer", "")).netloc or None
    except ValueError:
        return None


def remember_placement(placement: str | None) -> None:
    """Remember which button led here, if one did; every cookie has a state, so that having one tells nothing."""
    if placement:
        _put_state(placement=placement)
    elif _STATE not in session:
        _put_state()


def find_placement() -> str | None:
    """Find the button that led here."""
    return _get_state().placement


def is_prefetch() -> bool:
    """Say whether a browser asks for a page that nobody has opened yet."""
    return "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", ""))


def has_cookie() -> bool:
    """Say whether the browser sent our session cookie at all."""
    return current_app.config["SESSION_COOKIE_NAME"] in request.cookies


@dataclass(frozen=True, slots=True)
class Wait:
    """The wait of a cookie: `mark` lets one request through once it is over; neither ahead nor over is none."""

    mark: str = ""
    is_ahead: bool = False
    is_over: bool = False


def get_wait() -> Wait:
    """Find the wait that this cookie was given."""
    state = _get_state()
    late = _now_seconds() - state.turn_at
    if not state.wait_mark or late > SLOW_LASTS_SECONDS:
        return Wait()
    return Wait(mark=state.wait_mark.hex(), is_ahead=late < 0, is_over=late >= 0)


def remember_wait(door: PublicDoor, *, seconds: float) -> None:
    """Remember when the turn comes of a sender who waits, and draw the mark that is good for one request then."""
    _put_state(turn_at=_now_seconds() + math.ceil(seconds), wait_mark=door.random(MARK_BYTES))


def forget_wait(*, walks_on: JourneyKeys | None = None) -> None:
    """Forget a wait that was used. At a step, the journey `walks_on` for a while: nobody waits at every screen."""
    if walks_on is None:
        _put_state(wait_mark=b"")
    else:
        until = _now_seconds() + SLOW_LASTS_SECONDS
        _put_state(wait_mark=b"", walks_until=until, walks_mark=_mark_journey(walks_on))


def is_walking_on(keys: JourneyKeys) -> bool:
    """Say whether this very journey waited at a step a short while ago."""
    state = _get_state()
    return _now_seconds() <= state.walks_until and hmac.compare_digest(state.walks_mark, _mark_journey(keys))


def _mark_journey(keys: JourneyKeys) -> bytes:
    return keys.draft_id[:MARK_BYTES]


def remember_left() -> None:
    """Remember that a page of a journey was asked for from outside, as the Back of a phone does.

    Only while a draft of it could still be there: later, the line would only tell the next person that there was one.
    """
    state = _get_state()
    if _now_seconds() - state.started_at <= IDLE_SECONDS:
        _put_state(left_at=_now_seconds())


def pop_left() -> bool:
    """Say whether somebody was just led out of the form, once."""
    left_at = _get_state().left_at
    if left_at:
        _put_state(left_at=0)
    return bool(left_at) and abs(_now_seconds() - left_at) <= FRESH_SECONDS


def remember_language(language: Language) -> None:
    """Remember the language that the person picked, also on the way out of a journey and into the next."""
    _put_state(language=language)


def find_picked_language() -> Language | None:
    """Find the language that was picked."""
    picked = _get_state().language
    return next((one for one in LANGUAGES if one == picked), None)


def remember_asked(request_id: str | None) -> None:
    """Remember the id of a service's request, for the page of thanks alone: it opens nothing."""
    _put_state(asked=request_id or "")


def find_asked() -> str | None:
    """Find the id of the request that was just sent; none in practice."""
    return _get_state().asked or None


def remember_return(name: str) -> None:
    """Remember the screen that a side page leads back to."""
    _put_state(returns_to=name)


def find_return() -> str | None:
    """Find the screen that a side page leads back to."""
    return _get_state().returns_to or None


def _get_state() -> VisitState:
    # Opened once a request: a page asks for it half a dozen times.
    state: VisitState | None = g.get(_STATE)
    if state is None:
        state = _open_state()
        setattr(g, _STATE, state)
    return state


def _open_state() -> VisitState:
    box = session.get(_STATE)
    found = find_state(box, key=get_door().state_key) if isinstance(box, bytes) else None
    return found or VisitState()


def _put_state(**changed: str | int | bytes | None) -> None:
    door = get_door()
    state = msgspec.structs.replace(_get_state(), **changed)
    setattr(g, _STATE, state)
    session[_STATE] = seal_state(state, key=door.state_key, nonce=door.random(NONCE_BYTES))


def _now_seconds() -> int:
    return int(get_door().clock().timestamp())


def apply_languages(app: Flask) -> None:
    """Let Flask-Babel ask this file for the language of each request."""
    Babel(app, default_locale=DEFAULT_LANGUAGE, locale_selector=select_language)


def select_language() -> str:
    """Return the language of this request."""
    picked = find_asked_language() or find_picked_language()
    if picked is not None:
        return picked
    # Babel's: Werkzeug's best_match takes a later "en" before a first "cy-GB" (3.1), and so English for a Welsh phone.
    wanted = [tag for tag, quality in request.accept_languages if quality > 0]
    return negotiate_locale(wanted, LANGUAGES, sep="-") or DEFAULT_LANGUAGE


def find_asked_language() -> Language | None:
    """Find the language that the address asks for."""
    asked = request.args.get("lang", "")
    return next((one for one in LANGUAGES if one == asked), None)


def remember_asked_language() -> None:
    """Remember the language that the address asks for, if it does."""
    asked = find_asked_language()
    if asked is not None:
        remember_language(asked)
