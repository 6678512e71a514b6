"""The words of the public door: one folder per language, read once at the start; language and voice pick among them.

Pages speak to the child, about a friend, to a parent, to someone at work, to another grown-up: the voice never changes
what is asked, only its words. Never holds a telephone number or an address except 999: those come from dated data, with
the day of the check. The page for services speaks to adults at work: its words keep no reading age and stand apart,
where no screen can show them.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from flask import g
from flask_babel import format_date, get_locale, refresh  # type: ignore[import-untyped]  # the package ships no types

from gateway.guidance.advice import Audience
from gateway.public.journey import Answers, get_one, get_reader, make_profile
from partner_sdk.wire.public_codes import ENGLISH, LANGUAGES, NOT_SURE, WELSH, Language

WORDING_FOLDER = Path(__file__).parent
DEFAULT_LANGUAGE: Final = ENGLISH

# Endings of keys to look for, the most special one first: `title_parent`, then `title_other`, then `title`.
Voice = Sequence[str]
PLAIN_VOICE: Final = ("",)
ServiceWords = Mapping[str, Any]
_ENDINGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "friend": ("_friend", "_other"),
        "another_child": ("_other",),
        NOT_SURE: ("_other",),
        "child_i_look_after": ("_parent", "_other"),
        "child_i_work_with": ("_work", "_parent", "_other"),
    }
)
_LANGUAGE: Final = "public_language"
_ABROAD: Final[Voice] = ("_abroad",)
_GROWN_UP: Final[Voice] = ("_adult",)
_OF_OWN_CHILDHOOD: Final[Voice] = ("_self", "_adult")


class WordingError(ValueError):
    """A word that a page needs is not in the files of its language, or stands in two of them."""


@dataclass(frozen=True, slots=True)
class Wording:
    """Everything said in one language."""

    language: Language
    version: str
    table: Mapping[str, Any]

    def screen(self, name: str) -> Mapping[str, Any]:
        """Return the words of a screen of the journey or of a side page."""
        return self._get("screen", name)

    def page(self, name: str) -> Mapping[str, Any]:
        """Return the words of a page outside the journey, such as `expired`."""
        return self._get("page", name)

    def common(self) -> Mapping[str, str]:
        """Return the words that stand on every page."""
        return self._get("common")

    def field(self, screen: str, name: str) -> Mapping[str, Any]:
        """Return the words of one field."""
        return self._get("screen", screen, "field", name)

    def option(self, screen: str, name: str, code: str, *, voice: Voice = PLAIN_VOICE) -> str:
        """Return the words of one option, in the voice that fits the person. Raises `WordingError`."""
        words = self.field(screen, name)
        for ending in voice:
            if code in words.get(f"options{ending}", {}):
                return str(words[f"options{ending}"][code])
        raise WordingError(f"no words for the option {code} of {name} in {self.language}")

    def _get(self, *keys: str) -> Mapping[str, Any]:
        found: Any = self.table
        for key in keys:
            if key not in found:
                raise WordingError(f"no words for {'.'.join(keys)} in {self.language}")
            found = found[key]
        return found  # type: ignore[no-any-return]  # TOML is read as Any; the wording test walks every key


def find_in_voice(words: Mapping[str, Any], key: str, *, voice: Voice = PLAIN_VOICE) -> Any:
    """Return the words under a key in the first ending of the voice that has some; None when there are none."""
    return next((words[key + ending] for ending in voice if key + ending in words), None)


def load_wordings() -> Mapping[Language, Wording]:
    """Load the words of every language."""
    return {language: load_wording(language) for language in LANGUAGES}


def load_wording(language: Language) -> Wording:
    """Load the words of one language; a missing file or a table that stands twice is an error at the start."""
    table: dict[str, Any] = {}
    for path in sorted((WORDING_FOLDER / language).glob("*.toml")):
        _add(table, tomllib.loads(path.read_text("utf-8")), where=path.name)
    if table.get("language") != language:
        raise WordingError(f"no words in the language {language}")
    said = table.get("agency", {})
    return Wording(language=language, version=table["version"], table=_fill_in(table, said=said))


def _fill_in(found: Any, *, said: Mapping[str, str]) -> Any:
    """Put in what kind of body the agency is; what else stands in braces is filled in by the views."""
    if isinstance(found, str):
        for name, text in said.items():
            found = found.replace(f"{{{name}}}", text)
        return found
    if isinstance(found, dict):
        return {key: _fill_in(inner, said=said) for key, inner in found.items()}
    return [_fill_in(inner, said=said) for inner in found] if isinstance(found, list) else found


def _add(table: dict[str, Any], more: Mapping[str, Any], *, where: str) -> None:
    for key, value in more.items():
        if key in {"screen", "page"}:
            _add(table.setdefault(key, {}), value, where=where)
        elif key in table:
            raise WordingError(f"{key} stands in {where} and in another file")
        else:
            table[key] = value


def load_service_words() -> Mapping[Language, ServiceWords]:
    """Load the page's words in every language; a file that is missing is an error at the start."""
    return {
        language: tomllib.loads((WORDING_FOLDER / "for_services" / f"{language}.toml").read_text("utf-8"))
        for language in LANGUAGES
    }


def make_voice(answers: Answers) -> Voice:
    """Return the endings of the wording's keys to look for, the most special one first."""
    about = _ENDINGS.get(get_one(answers, "who"), ())
    abroad = _ABROAD if make_profile(answers).country else ()
    return (*abroad, *about, *_list_grown_up_endings(get_reader(answers)), "")


def make_reader_voice(reader: Audience, *, is_abroad: bool = False) -> Voice:
    """Return the endings for a page that knows who reads it, and no answer any more."""
    friend = ("_friend",) if reader == "friend" else ()
    return (*(_ABROAD if is_abroad else ()), *friend, *_list_grown_up_endings(reader), "")


def _list_grown_up_endings(reader: Audience) -> Voice:
    if reader in {"child", "friend"}:
        return ()
    return _OF_OWN_CHILDHOOD if reader == "adult_self" else _GROWN_UP


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
