"""Shows a report exactly as it will be sealed: as text for a person and as JSON for a program.

Never leaves a field out and never shortens one; only the id and the time are not there, which are made at sealing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from partner_sdk.report._completeness import measure_completeness
from partner_sdk.report.model import Completeness, IndustryReport
from partner_sdk.report.outline import Field, Part, get_field, get_outline, is_answered
from partner_sdk.report.values import NotHeld
from partner_sdk.wire.submission import Priority, ReportKind

_INDENT: Final = "  "


@dataclass(frozen=True, slots=True)
class Preview:
    """The text of one report that will be sealed, with the clear fields that are settled before sealing."""

    completeness: Completeness
    earlier_reference: str | None
    evidence_ids: tuple[str, ...]
    kind: ReportKind
    priority: Priority
    report: IndustryReport


def make_preview(
    report: IndustryReport,
    *,
    priority: Priority,
    kind: ReportKind = "initial",
    earlier_reference: str | None = None,
    evidence_ids: tuple[str, ...] = (),
) -> Preview:
    """Return the preview of a report that `parse_report` let pass."""
    return Preview(
        completeness=measure_completeness(report),
        earlier_reference=earlier_reference,
        evidence_ids=evidence_ids,
        kind=kind,
        priority=priority,
        report=report,
    )


def format_preview(preview: Preview) -> str:
    """Return the preview as text: headings, plain words, and missing fields, the most useful to police first."""
    return "\n".join([*_format_head(preview), "", *_format_part(get_outline(), preview.report, depth=0)])


def list_preview_fields(preview: Preview) -> dict[str, Any]:
    """Return the preview for JSON; `completeness` and `report` are as they will be sealed."""
    fields: dict[str, Any] = msgspec.to_builtins(preview)
    return fields


def _format_head(preview: Preview) -> Iterator[str]:
    earlier = f", belongs to {preview.earlier_reference}" if preview.earlier_reference else ""
    yield f"PREVIEW: {preview.priority}, {preview.kind}{earlier}. Nothing was sent."
    yield f"Complete: {preview.completeness.score} of 100."
    if preview.completeness.missing:
        yield 'Missing, the most useful to police first; if you do not hold a value, give {"not_held": reason}:'
        for pointer in preview.completeness.missing:
            yield f"{_INDENT}{pointer}: {get_field(pointer).description}"


def _format_part(part: Part, owner: Any, *, depth: int) -> Iterator[str]:
    for field in part.fields:
        value = getattr(owner, field.name)
        # A must is shown when it is empty too: null and an empty list say something there.
        if is_answered(value) or field.needed == "must":
            yield from _format_field(field, value, depth=depth)


def _format_field(field: Field, value: Any, *, depth: int) -> Iterator[str]:
    margin, words = _INDENT * depth, field.description.removesuffix(".")
    if field.part is None or isinstance(value, NotHeld):
        yield from _indent_value(f"{margin}{words}: ", value)
    elif field.is_list:
        for number, item in enumerate(value, start=1):
            yield f"{margin}{_make_heading(field, depth)} {number}"
            yield from _format_part(field.part, item, depth=depth + 1)
    else:
        yield f"{margin}{_make_heading(field, depth)}"
        yield from _format_part(field.part, value, depth=depth + 1)


def _make_heading(field: Field, depth: int) -> str:
    name = field.name.replace("_", " ")
    return name.upper() if depth == 0 else name.capitalize()


def _indent_value(start: str, value: Any) -> Iterator[str]:
    first, *others = _format_value(value).split("\n")
    yield f"{start}{first}"
    margin = " " * (len(start) - len(start.lstrip()) + len(_INDENT))
    yield from (f"{margin}{line}" for line in others)


def _format_value(value: Any) -> str:
    if isinstance(value, NotHeld):
        return f"not held ({value.not_held.replace('_', ' ')})"
    if isinstance(value, tuple):
        return ", ".join(map(_format_value, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
