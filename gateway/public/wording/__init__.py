"""The texts of the public door: a folder for each language, read once at startup; voices select variants.

Voices address the child, a friend, a parent, a professional or another adult; they change only the wording, never the
question. Contains no telephone numbers or addresses except 999: those come from dated data. The page for services
addresses adults at work: its texts have no reading age and are separate, so that no screen can show them.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from babel.dates import format_date
from flask import Flask, current_app, g

from gateway.exchange.public_codes import ENGLISH, NOT_SURE, WELSH, YES
from gateway.guidance.advice import Audience
from gateway.public.journey import Answers, get_one, get_reader, make_profile
from partner_sdk.wire.button import LANGUAGES, Language

WORDING_FOLDER = Path(__file__).parent
DEFAULT_LANGUAGE: Final = ENGLISH

# Suffixes of keys to try, most specific first: `title_parent`, then `title_other`, then `title`.
Voice = Sequence[str]
PLAIN_VOICE: Final = ("",)
ServiceWording = Mapping[str, Any]
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
    """A text that a page needs is missing in its language, or defined twice."""


@dataclass(frozen=True, slots=True)
class Wording:
    """All texts in one language."""

    language: Language
    version: str
    table: Mapping[str, Any]

    def screen(self, name: str) -> Mapping[str, Any]:
        """Return the texts of a screen or of a side page."""
        return self._get("screen", name)

    def page(self, name: str) -> Mapping[str, Any]:
        """Return the texts of a page outside the journey, e.g. `expired`."""
        return self._get("page", name)

    def common(self) -> Mapping[str, str]:
        """Return the texts shared by all pages."""
        return self._get("common")

    def field(self, screen: str, name: str) -> Mapping[str, Any]:
        """Return the texts of one field."""
        return self._get("screen", screen, "field", name)

    def option(self, screen: str, name: str, code: str, *, voice: Voice = PLAIN_VOICE) -> str:
        """Return the label of an option in the person's voice. Raises `WordingError`."""
        words = self.field(screen, name)
        for ending in voice:
            if code in words.get(f"options{ending}", {}):
                return str(words[f"options{ending}"][code])
        raise WordingError(f"no text for the option {code} of {name} in {self.language}")

    def _get(self, *keys: str) -> Mapping[str, Any]:
        found: Any = self.table
        for key in keys:
            if key not in found:
                raise WordingError(f"no text for {'.'.join(keys)} in {self.language}")
            found = found[key]
        return found  # type: ignore[no-any-return]  # TOML is read as Any; the wording test checks every key


def find_in_voice(words: Mapping[str, Any], key: str, *, voice: Voice = PLAIN_VOICE) -> Any:
    """Return the text of a key for the most specific voice that has one; None if there is none."""
    return next((words[key + ending] for ending in voice if key + ending in words), None)


def load_wordings() -> Mapping[Language, Wording]:
    """Load the texts of every language."""
    return {language: load_wording(language) for language in LANGUAGES}


def load_wording(language: Language) -> Wording:
    """Load the texts of one language; raises an error for a missing file or a table defined twice."""
    table: dict[str, Any] = {}
    for path in sorted((WORDING_FOLDER / language).glob("*.toml")):
        _add(table, tomllib.loads(path.read_text("utf-8")), where=path.name)
    if table.get("language") != language:
        raise WordingError(f"no texts in the language {language}")
    said = table.get("agency", {})
    return Wording(language=language, version=table["version"], table=_fill_in(table, said=said))


def _fill_in(found: Any, *, said: Mapping[str, str]) -> Any:
    """Insert the texts about the agency; views fill in the other placeholders."""
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
            raise WordingError(f"{key} is defined in {where} and in another file")
        else:
            table[key] = value


def load_service_wording() -> Mapping[Language, ServiceWording]:
    """Load the page's texts in every language; raises an error for a missing file."""
    return {
        language: tomllib.loads((WORDING_FOLDER / "for_services" / f"{language}.toml").read_text("utf-8"))
        for language in LANGUAGES
    }


def make_voice(answers: Answers) -> Voice:
    """Return the key suffixes for these answers, most specific first."""
    about = _ENDINGS.get(get_one(answers, "who"), ())
    abroad = _ABROAD if make_profile(answers).country else ()
    near = ("_near",) if get_one(answers, "near") == YES else ()
    return (*abroad, *near, *about, *_list_grown_up_endings(get_reader(answers)), "")


def make_reader_voice(reader: Audience, *, is_abroad: bool = False) -> Voice:
    """Return the key suffixes for a page that knows its reader but no answers."""
    friend = ("_friend",) if reader == "friend" else ()
    return (*(_ABROAD if is_abroad else ()), *friend, *_list_grown_up_endings(reader), "")


def _list_grown_up_endings(reader: Audience) -> Voice:
    if reader in {"child", "friend"}:
        return ()
    return _OF_OWN_CHILDHOOD if reader == "adult_self" else _GROWN_UP


def select_language_by(app: Flask, select: Callable[[], Language]) -> None:
    """Set how an app selects the language of a request."""
    app.extensions[_LANGUAGE] = select


def get_language() -> Language:
    """Return the language of this request, selected once: it is asked for at every text of a page."""
    try:
        known: Language = g.public_language
    except AttributeError:
        known = g.public_language = current_app.extensions[_LANGUAGE]()
    return known


def get_other_language() -> Language:
    """Return the language of the toggle."""
    return next(language for language in LANGUAGES if language != get_language())


def refresh_language() -> None:
    """Switch the current answer to the language that was just picked."""
    g.pop(_LANGUAGE, None)


def format_day(day: date) -> str:
    """Return a day as a child would name it: weekday, number and month."""
    said = format_date(day, "EEEE d MMMM", locale=get_language())
    # Welsh writes days and months in lower case within a sentence; CLDR capitalises them as in a list.
    return said[0].lower() + said[1:] if get_language() == WELSH else said
