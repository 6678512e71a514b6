"""Lays an opened report out for reading: every field, in sections that are folded until someone unfolds them.

Never leaves a field out and never changes a character of what was written; the page escapes it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.views.report_words import PUBLIC_WORDS, get_industry_words
from partner_sdk.report import SealedIndustryReport, measure_completeness
from partner_sdk.wire.public_report import PublicReport

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
    words = PUBLIC_WORDS if isinstance(content, PublicReport) else get_industry_words()
    groups: dict[str, list[Line]] = {"What was said": []}
    if isinstance(content, SealedIndustryReport):
        content, groups["Completeness"] = _count_anew(content)
    for path, value in _flatten(msgspec.to_builtins(content), ()):
        inner = path[1:] if path[0] == "report" else path
        groups.setdefault(_get_group(inner), []).append(_make_line(inner, value, words=words))
    last = groups.pop(_LAST, [])
    sections = [Section(title, tuple(lines)) for title, lines in groups.items() if lines]
    return [*sections, Section(_LAST, tuple(last))] if last else sections


def _count_anew(content: SealedIndustryReport) -> tuple[SealedIndustryReport, list[Line]]:
    # The sender's count is its own word; what the desk counts stands in the report that is shown.
    counted, said = measure_completeness(content.report), content.completeness
    differs = said is not None and said != counted
    note = [Line("The sender's program counted otherwise", f"{said.score} of 100", False)] if said and differs else []
    return msgspec.structs.replace(content, completeness=counted), note


def _flatten(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict) and value.keys() == {"not_held"}:
        yield path, f"Not held: {value['not_held'].replace('_', ' ')}"
    elif isinstance(value, dict):
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


def _get_group(path: tuple[str, ...]) -> str:
    if path[-1] in {"story", "narrative"}:
        return "What was said"
    if path[0] == "clear" or (len(path) == 1 and path[0] in _ADDED):
        return _LAST
    return path[0].capitalize() if len(path) > 1 else "Answers"


def _make_line(path: tuple[str, ...], text: str, *, words: Mapping[str, str]) -> Line:
    numbers = [part for part in path if part.isdigit()]
    title = words[".".join(part for part in path if not part.isdigit())]
    return Line(f"{title} ({', '.join(numbers)})" if numbers else title, text, len(text) > 80 or "\n" in text)
