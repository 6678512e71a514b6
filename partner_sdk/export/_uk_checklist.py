"""The list of SI 2026/268 against one report: each item is there, not held and why, or missing.

The list is a dated data file. It helps the submitter and is not legal advice, as the file states.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from partner_sdk.report import IndustryReport, NotHeld
from partner_sdk.report.outline import Visited, follow, get_whole_trail, is_answered

DATA_FILE: Final = Path(__file__).with_name("si_2026_268.toml")
WARNING: Final = "A lawyer must check this list; only the law itself is authoritative."

Status = Literal["have", "part", "not-held", "missing"]
# No field of the report: it is given when the report is sealed.
_PRIORITY: Final = "priority"


@dataclass(frozen=True, slots=True)
class ListedItem:
    """One item of the list: `fields` are patterns of the report's fields (JSON pointers without places in lists)."""

    id: str
    title: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckedItem:
    """One item against a report. `not_held` has a reason for each field; `missing` names fields without a word."""

    id: str
    title: str
    status: Status
    not_held: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UkChecklist:
    """All items in the order of the list, and the day of the last look at the law."""

    checked_on: date
    source: str
    items: tuple[CheckedItem, ...]


def make_uk_checklist(report: IndustryReport) -> UkChecklist:
    """Return the list for a report that `parse_report` let pass."""
    checked_on, source, listed = read_list()
    answers: dict[str, list[Visited]] = {}
    for visited in follow(get_whole_trail(), report):
        answers.setdefault(visited.field.pattern, []).append(visited)
    return UkChecklist(checked_on, source, tuple(_check(item, answers) for item in listed))


def format_checklist(checklist: UkChecklist) -> str:
    """Return the list as text, an item a line, and below it the items not held and those missing."""
    lines = [f"SI 2026/268, as of {checklist.checked_on.isoformat()}. {WARNING}"]
    for item in checklist.items:
        lines.append(f"{_WORDS[item.status]}  {item.title}")
        lines += [f"            {pointer} is not held: {reason.replace('_', ' ')}" for pointer, reason in item.not_held]
        lines += [f"            {pointer} is not given" for pointer in item.missing]
    return "\n".join(lines)


def list_checklist_fields(checklist: UkChecklist) -> dict[str, Any]:
    """Return the list for JSON."""
    return {
        "checked_on": checklist.checked_on.isoformat(),
        "items": [
            {
                "id": item.id,
                "missing": list(item.missing),
                "not_held": dict(item.not_held),
                "status": item.status,
                "title": item.title,
            }
            for item in checklist.items
        ],
        "source": checklist.source,
        "warning": WARNING,
    }


@cache
def read_list() -> tuple[date, str, tuple[ListedItem, ...]]:
    """Return the day, the source and the items of the data file."""
    data = tomllib.loads(DATA_FILE.read_text(encoding="utf-8"))
    items = tuple(ListedItem(row["id"], row["title"], tuple(row["fields"])) for row in data["item"])
    return data["checked_on"], data["source"], items


_WORDS: Final = {"have": "HAVE    ", "part": "PART    ", "not-held": "NOT HELD", "missing": "MISSING "}


def _check(item: ListedItem, answers: dict[str, list[Visited]]) -> CheckedItem:
    has_value = False
    not_held: dict[str, str] = {}
    missing: list[str] = []
    for pattern in item.fields:
        if pattern == _PRIORITY:
            has_value = True
            continue
        for pointer, value in _list_answers(pattern, answers):
            if isinstance(value, NotHeld):
                not_held[pointer] = value.not_held
            elif is_answered(value) or _is_none_said(pattern, value):
                has_value = True
            else:
                missing.append(pointer)
    if has_value:
        status: Status = "part" if missing else "have"
    else:
        status = "missing" if missing else "not-held"
    return CheckedItem(item.id, item.title, status, tuple(not_held.items()), tuple(missing))


def _list_answers(pattern: str, answers: dict[str, list[Visited]]) -> Iterator[tuple[str, Any]]:
    """Yield pointer and value of every field of a pattern; where its list is empty or not held, the list's own."""
    visited = answers.get(pattern)
    while visited is None:
        pattern = pattern.rpartition("/")[0]
        visited = answers.get(pattern)
    for one in visited:
        yield one.pointer, one.value


def _is_none_said(pattern: str, value: Any) -> bool:
    """Return whether null is an answer: there is no copy."""
    return pattern == "/files/copy_kept_until" and value is None
