"""Says what a later report of a case says otherwise than the first one, field by field.

Never puts the one in the place of the other: both stand on the page, whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any, Final

from gateway.desk.reading.report_values import BLANK, Value, spell
from gateway.desk.reading.report_words import get_reading_words
from partner_sdk.report import IndustryReport
from partner_sdk.report.outline import Field, Part, get_outline, is_answered
from partner_sdk.report.values import NotHeld

MOST_CHANGES: Final = 100
# Why it is changed stands above it, and the version says nothing.
_LEFT_OUT: Final = frozenset({"change_reason", "answers_request", "schema_version"})


@dataclass(frozen=True, slots=True)
class Change:
    """One field that two reports say otherwise; what one of them leaves blank is without text."""

    title: str
    before: Value
    after: Value


def list_changes(before: IndustryReport, after: IndustryReport) -> list[Change]:
    """Return the first hundred differences, in the order of the model."""
    return list(islice(_compare(get_outline(), before, after, ()), MOST_CHANGES))


def _compare(part: Part, before: Any, after: Any, path: tuple[str, ...]) -> Iterator[Change]:
    for field in part.fields:
        if not path and field.name in _LEFT_OUT:
            continue
        old, new = getattr(before, field.name), getattr(after, field.name)
        if old != new:
            yield from _compare_field(field, old, new, (*path, get_reading_words(field)))


def _compare_field(field: Field, old: Any, new: Any, path: tuple[str, ...]) -> Iterator[Change]:
    if field.part is None or isinstance(old, NotHeld) or isinstance(new, NotHeld) or not (old and new):
        yield Change(": ".join(path), _spell(field, old), _spell(field, new))
    elif not field.is_list:
        yield from _compare(field.part, old, new, path)
    else:
        for number, (one, other) in enumerate(zip_longest(old, new), start=1):
            here = (*path[:-1], f"{path[-1]} {number}")
            if one is None or other is None:
                yield Change(": ".join(here), _count(one), _count(other))
            elif one != other:
                yield from _compare(field.part, one, other, here)


def _spell(field: Field, value: Any) -> Value:
    if not is_answered(value):
        return BLANK
    if field.part is not None and not isinstance(value, NotHeld):
        count = len(value) if field.is_list else 1
        return Value(f"{count} given: see below")
    return spell(field, value)


def _count(entry: Any) -> Value:
    return BLANK if entry is None else Value("Given: see below")
