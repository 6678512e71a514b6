"""Picks the language of a request: the one that was picked before, else the browser's, else English.

Never asks for a cookie to read a page in Welsh: `?lang=cy` works on every page that has an address.
"""

from babel import negotiate_locale
from flask import Flask, request
from flask_babel import Babel  # type: ignore[import-untyped]  # the package ships no types

from gateway.public.visiting.visit import find_picked_language, remember_language
from gateway.public.wording.languages import DEFAULT_LANGUAGE
from partner_sdk.wire.public_codes import LANGUAGES, Language


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
