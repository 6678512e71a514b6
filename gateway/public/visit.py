"""One person's visit as the session cookie knows it: a secret, a place, and no word that was typed.

Entering from outside is always blank: a page shows what was typed only right after a post of the same journey.
"""

import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import current_app, request, session

from gateway.public.door import PublicDoor
from gateway.public.draft_rows import NO_VERSION
from gateway.public.drafts import SECRET_BYTES, JourneyKeys, make_journey_keys
from partner_sdk.canonical import parse_base64url, to_base64url
from partner_sdk.errors import FormatError

_SECRET, _PLACE, _FRESH, _STARTED, _PLACEMENT, _SLOW = "journey", "place", "fresh", "started", "placement", "slow"
SLOW_SECONDS = 3  # how long someone over a limit waits, and then goes on for a while
SLOW_LASTS_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Visit:
    """The journey that this cookie belongs to."""

    keys: JourneyKeys
    started_at: int


def start_visit(door: PublicDoor) -> Visit:
    """Begin a journey with a new secret; what an older one left can not be read any more."""
    session[_SECRET] = to_base64url(door.random(SECRET_BYTES))
    session[_STARTED] = int(door.clock().timestamp())
    visit = find_visit()
    if visit is None:
        raise RuntimeError("A session that was just written can not be read.")
    return visit


def find_visit() -> Visit | None:
    """Find the journey of this cookie, if it has one."""
    try:
        secret = parse_base64url(str(session.get(_SECRET, "")), length=SECRET_BYTES)
    except FormatError:
        return None
    return Visit(keys=make_journey_keys(secret), started_at=int(session.get(_STARTED, 0)))


def is_own_form(visit: Visit) -> bool:
    """Say whether the posted form was made in this very journey."""
    return hmac.compare_digest(request.form.get("journey", "").encode(), visit.keys.form_token.encode())


def posted_version() -> int:
    """Return the draft version that the posted form was made from."""
    text = request.form.get("version", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else NO_VERSION


def go_to_place(name: str) -> None:
    """Remember where a post leads: the next page may show what was typed, once, without further proof."""
    session[_PLACE] = name
    session[_FRESH] = True


def is_inside(name: str) -> bool:
    """Say whether this page follows a post of the same journey: the redirect itself, or a reload of its page."""
    if session.get(_PLACE) != name:
        return False
    is_fresh = bool(session.pop(_FRESH, False))
    return is_fresh or _is_reload()


def _is_reload() -> bool:
    # A reload shows what the open page shows already. Back from another site has the same Sec-Fetch-Site and
    # Referer (measured in Chromium 156), but only a reload asks with max-age=0.
    if request.headers.get("Cache-Control") != "max-age=0":
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return is_own_referrer(request.headers.get("Referer"))


def is_own_referrer(referrer: str | None) -> bool:
    """Say whether a Referer names this very host; scheme and port travel in the same text."""
    return bool(referrer) and urlsplit(referrer or "").netloc == request.host


def remember_placement(placement: str | None) -> None:
    if placement:
        session[_PLACEMENT] = placement


def find_placement() -> str | None:
    placement = session.get(_PLACEMENT)
    return placement if isinstance(placement, str) else None


def has_cookie() -> bool:
    """Say whether the browser sent our session cookie at all."""
    return current_app.config["SESSION_COOKIE_NAME"] in request.cookies


def has_waited(now_seconds: int) -> bool:
    """Say whether someone over a limit has seen the page that asks to wait, and did."""
    waited = now_seconds - int(session.get(_SLOW, 0))
    return SLOW_SECONDS <= waited <= SLOW_LASTS_SECONDS


def remember_wait(now_seconds: int) -> None:
    session[_SLOW] = now_seconds
