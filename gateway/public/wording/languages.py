"""The language of this request, and days as they are said in it (Flask-Babel)."""

from datetime import date
from typing import Final

from flask import g
from flask_babel import format_date, get_locale, refresh  # type: ignore[import-untyped]  # the package ships no types

from partner_sdk.wire.public_codes import ENGLISH, LANGUAGES, WELSH, Language

DEFAULT_LANGUAGE: Final = ENGLISH
_LANGUAGE = "public_language"


def get_language() -> Language:
    """Return the language of this request."""
    # Asked for with every text of a page; the library's own answer walks through two proxies each time.
    known: Language | None = g.get(_LANGUAGE)
    if known is not None:
        return known
    locale = get_locale()
    code = None if locale is None else locale.language
    language = next((one for one in LANGUAGES if one == code), DEFAULT_LANGUAGE)
    setattr(g, _LANGUAGE, language)
    return language


def get_other_language() -> Language:
    """Return the language that the toggle leads to."""
    return next(language for language in LANGUAGES if language != get_language())


def refresh_language() -> None:
    """Let this very answer be in the language that was just picked."""
    g.pop(_LANGUAGE, None)
    refresh()


def say_day(day: date) -> str:
    """Say a day as a child would: the day's name, its number and the month."""
    said = str(format_date(day, "EEEE d MMMM"))
    # In Welsh the names of days and months are written small within a sentence; CLDR gives them as they head a list.
    return said[0].lower() + said[1:] if get_language() == WELSH else said
