"""Lays an opened report out for reading: every field, in sections that are folded until someone unfolds them.

Never leaves a field out and never changes a character of what was written; the page escapes it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from gateway.desk.collection.row_checks import SealedContent

_WORDS = {
    "story": "In their own words",
    "narrative": "What happened",
    "still": "Is it still going on?",
    "feels": "How they feel",
    "told": "Whom they have told",
    "when": "When it happened",
    "pictures": "About pictures",
    "region": "Where they live",
    "reporter_age_band": "Age of the person reporting",
    "near": "Do they live there, or see the phone?",
    "in_real_life": "Do they know them in real life?",
    "knows": "What they know of the child",
    "already_told": "Who has been told already",
    "child_knows": "Does the child know of this report?",
    "is_with_you": "Is the child with them now?",
    "may_send_note": "May a short note be sent?",
    "signals": "Marks of the form",
    "signposted": "Helpers that were shown on the way",
    "reply_by": "Day that was promised",
    "reply_key": "Key of the return code",
    "under_18": "Is the person reporting under 18?",
    "who": "Who this is about",
    "age_band": "Age of the child",
    "kinds": "What is happening",
    "danger": "In danger now?",
    "name": "What to call them",
    "ways": "How to reach them",
    "value": "Where to reach them",
    "times": "When it is safe",
    "who_sees": "Who else sees messages there",
    "who_must_not_know": "Who must not know",
    "may_say_who_we_are": "May we say who we are?",
    "safe_word": "Safe word",
    "copy_version": "Version of the form",
}
# What the reader wants first; what the machine added comes last.
_LAST = "Particulars"
_ADDED = frozenset(
    {
        *("schema_version", "copy_version", "submitted_at", "language"),
        *("placement", "reply_by", "reply_key", "signals", "signposted"),
    }
)


@dataclass(frozen=True, slots=True)
class Line:
    """One field: its words and exactly what was written; `is_text` asks for room and kept line breaks."""

    title: str
    text: str
    is_text: bool


@dataclass(frozen=True, slots=True)
class Section:
    """Fields that belong together, folded as one."""

    title: str
    lines: tuple[Line, ...]


def make_sections(content: SealedContent) -> list[Section]:
    """Return the sections of a public or an industry report."""
    built = msgspec.to_builtins(content)
    groups: dict[str, list[Line]] = {"What was said": []}
    for path, value in _flatten(built, ()):
        groups.setdefault(_find_group(path), []).append(_make_line(path, value))
    last = groups.pop(_LAST, [])
    sections = [Section(title, tuple(lines)) for title, lines in groups.items() if lines]
    return [*sections, Section(_LAST, tuple(last))] if last else sections


def _flatten(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _flatten(part, (*path, name))
    elif isinstance(value, list | tuple) and any(isinstance(part, dict) for part in value):
        for number, part in enumerate(value, start=1):
            yield from _flatten(part, (*path, str(number)))
    elif isinstance(value, list | tuple):
        yield path, ", ".join(str(part) for part in value)
    elif isinstance(value, bool):
        yield path, "yes" if value else "no"
    else:
        yield path, "" if value is None else str(value)


def _find_group(path: tuple[str, ...]) -> str:
    inner = path[1:] if path[0] == "report" else path
    if inner[-1] in {"story", "narrative"}:
        return "What was said"
    if inner[0] == "clear" or inner[-1] in _ADDED:
        return _LAST
    return _make_title(inner[0]) if len(inner) > 1 else "Answers"


def _make_line(path: tuple[str, ...], text: str) -> Line:
    inner = [part for part in path if part != "report"]
    numbers = [part for part in inner if part.isdigit()]
    title = _WORDS.get(inner[-1], _make_title(inner[-1]))
    return Line(f"{title} ({', '.join(numbers)})" if numbers else title, text, len(text) > 80 or "\n" in text)


def _make_title(name: str) -> str:
    return name.replace("_", " ").capitalize()
