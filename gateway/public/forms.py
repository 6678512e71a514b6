"""Reads what one screen posted, and checks it against the journey's table.

Never changes a letter of what a person typed: what goes in is what the desk reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from werkzeug.datastructures import MultiDict

from gateway.public.journey import Answers, Field, Screen, list_path

FaultKind = Literal["blank", "too_long"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend: its field, and which words tell about it."""

    field: Field
    kind: FaultKind


def read_screen(screen: Screen, form: MultiDict[str, str]) -> dict[str, list[str]]:
    """Read a screen's fields; an option that the table does not know is dropped, text is kept as it was sent."""
    return {field.name: _read_field(field, form.getlist(field.name)) for field in screen.fields}


def _read_field(field: Field, sent: list[str]) -> list[str]:
    if field.kind == "checkboxes":
        return [option for option in field.options if option in sent]
    if field.options:
        return [option for option in sent if option in field.options][:1]
    return [text for text in sent[:1] if text]


def merge(answers: Answers, posted: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return the answers with one screen's fields replaced."""
    merged = {name: list(values) for name, values in answers.items()} | dict(posted)
    return {name: values for name, values in merged.items() if values}


def find_faults(screen: Screen, answers: Answers) -> list[Fault]:
    """Find what must be mended before Continue; answers hold this screen's fields already."""
    return [Fault(field, kind) for field in screen.fields if (kind := _find_fault(field, answers))]


def find_too_long(screen: Screen, answers: Answers) -> list[Fault]:
    """Find texts that a draft can not hold: checked on Back as well, so that nothing is cut."""
    return [fault for fault in find_faults(screen, answers) if fault.kind == "too_long"]


def _find_fault(field: Field, answers: Answers) -> FaultKind | None:
    text = "".join(answers.get(field.name, ()))
    if not field.options and len(text) > field.max_characters:
        return "too_long"
    if not text.strip() and (field.required or (field.name == "story" and not answers.get("kinds"))):
        return "blank"
    return None


def find_incomplete(answers: Answers) -> Screen | None:
    """Find the first screen on the path that still needs something before Send."""
    return next((screen for screen in list_path(answers) if find_faults(screen, answers)), None)
