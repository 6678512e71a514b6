"""Lays out an opened public report for reading: every field, in closed sections.

Never leaves an answer out and changes no character of the text, except that codes become labels. The page escapes it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec
from msgspec.structs import fields

from gateway.desk.cases.reading.labels import PUBLIC_ANSWERS, PUBLIC_WORDS, format_country
from gateway.guidance.signposts import load_signposts
from partner_sdk.wire.public_report import PublicReport

# The sections in an analyst's order, each with its fields: a path, or all below one. A field of none of them, added by
# the machine, comes last.
_SECTIONS: Final = (
    ("The story", ("story",)),
    ("The incident", ("kinds", "danger", "still", "when", "meeting", "pictures")),
    ("The child", ("who", "age_band", "child", "feels", "region", "country", "there_too", "told")),
    ("The person it is about", ("person",)),
    ("The service and the accounts", ("person.app", "person.handle", "placement", "context")),
    ("The person reporting", ("name", "under_18", "reporter_age_band", "language", "contact")),
)
_LAST: Final = "Particulars"

# Filled in by the form alone: blank, or a guess, in a report that was keyed in from a call or a letter.
_OF_THE_FORM: Final = frozenset(
    {"context", "contact.may_send_note", "copy_version", "language", "placement", "reply_key", "signposted"}
)

# The form's code for the page of helpers outside the UK, which is not one helper.
_ABROAD: Final = "abroad"


@dataclass(frozen=True, slots=True)
class Line:
    """One field: its label and the exact text; `is_text` needs room and keeps line breaks."""

    title: str
    text: str
    is_text: bool


@dataclass(frozen=True, slots=True)
class Section:
    """Related fields, folded as one."""

    title: str
    lines: tuple[Line, ...]


def make_sections(content: PublicReport) -> list[Section]:
    """Return the sections of a public report; sections.py makes those of a partner's.

    A caller or the writer of a letter never had the form, so its own fields are left out there.
    """
    left_out = frozenset[str]() if came_by_the_form(content) else _OF_THE_FORM
    groups: dict[str, list[Line]] = {title: [] for title, _ in _SECTIONS}
    last: list[Line] = []
    for path, value in _flatten(content, ()):
        if ".".join(path) in left_out:
            continue
        groups.get(_get_group(path), last).append(_make_line(path, value))
    sections = [Section(title, tuple(lines)) for title, lines in groups.items() if lines]
    return [*sections, Section(_LAST, tuple(last))]


def came_by_the_form(content: PublicReport) -> bool:
    """Return whether the person filled in the form, which notes the version of its wording."""
    return bool(content.copy_version)


def _flatten(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    # By the model, not by `to_builtins`, which omits a blank optional field.
    if isinstance(value, msgspec.Struct):
        for field in fields(value):
            yield from _flatten(getattr(value, field.name), (*path, field.encode_name))
    elif isinstance(value, list | tuple):
        yield path, tuple(str(part) for part in value)
    else:
        yield path, () if value is None else (str(value),)


def _get_group(path: tuple[str, ...]) -> str:
    # The longest name decides: the app of a person stands with the service.
    for name in (".".join(path), path[0]):
        for title, fields_of in _SECTIONS:
            if name in fields_of:
                return title
    return _LAST


def _make_line(path: tuple[str, ...], values: tuple[str, ...]) -> Line:
    name = ".".join(path)
    text = "; ".join(_format_answer(name, value) for value in values)
    return Line(PUBLIC_WORDS[name], text, len(text) > 80 or "\n" in text)


def _format_answer(name: str, value: str) -> str:
    if name == "country":
        return format_country(value)
    if name == "signposted":
        return _name_helper(value)
    return PUBLIC_ANSWERS.get(name, {}).get(value, value)


@lru_cache(maxsize=100)
def _name_helper(code: str) -> str:
    if code == _ABROAD:
        return "Help in the country where they live"
    found = load_signposts().get(code)
    return code if found is None else found.name
