"""Reads what one screen posted, and checks it against the journey's table; packs answers into the check page's field.

Never changes a letter of what a person typed: what goes in is what the desk reads. The packed field is base64url of
JSON, because a browser changes line breaks in a plain hidden field. What comes back is judged like anything typed: an
unknown field is dropped; an unknown option, one that stands there twice, two answers where one can be given, or a text
that is too long makes it worthless.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
from werkzeug.datastructures import MultiDict

from gateway.public.journey import FIELD_BY_NAME, TYPED, Answers, Field, Screen, list_path
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import parse_base64url, to_base64url

FaultKind = Literal["blank", "too_long"]
_SELECTED = re.compile(r"[a-z]{2}|other")  # a country's code (ISO 3166), whichever of them the data names


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
    if field.kind == "select":
        return [code for code in sent if _SELECTED.fullmatch(code)][:1]
    if field.options:
        return [option for option in sent if option in field.options][:1]
    return [text for text in sent[:1] if text]


def is_readable(field: Field, values: list[str]) -> bool:
    """Say whether these are values that this field can have: for what comes back from a page in one piece."""
    if field.kind in TYPED:
        return len(values) == 1 and len(values[0]) <= field.max_characters
    if field.kind == "select":
        return len(values) == 1 and _SELECTED.fullmatch(values[0]) is not None
    most = len(field.options) if field.kind == "checkboxes" else 1
    return len(values) <= most and len(set(values)) == len(values) and set(values) <= set(field.options)


def merge(answers: Answers, posted: Mapping[str, list[str]], *, screen: Screen | None = None) -> dict[str, list[str]]:
    """Return the answers with one screen's fields replaced.

    A button that leads to a page with more, once pressed, stays pressed: else what was said there would be gone.
    """
    kept = {field.name for field in screen.fields if field.kind == "more"} if screen else set()
    changed = {name: values for name, values in posted.items() if values or name not in kept}
    merged = {name: list(values) for name, values in answers.items()} | changed
    return {name: values for name, values in merged.items() if values}


def list_faults(screen: Screen, answers: Answers) -> list[Fault]:
    """List what must be mended before Continue; answers hold this screen's fields already."""
    return [Fault(field, kind) for field in screen.fields if (kind := _find_fault(field, answers))]


def list_too_long(screen: Screen, answers: Answers) -> list[Fault]:
    """List texts that a draft cannot hold: checked on Back as well, so that nothing is cut."""
    return [fault for fault in list_faults(screen, answers) if fault.kind == "too_long"]


def _find_fault(field: Field, answers: Answers) -> FaultKind | None:
    text = "".join(answers.get(field.name, ()))
    if field.kind in TYPED and len(text) > field.max_characters:
        return "too_long"
    is_needed = field.is_needed(answers) or (field.name == "story" and not answers.get("kinds"))
    return "blank" if is_needed and not text.strip() else None


def find_incomplete(answers: Answers) -> Screen | None:
    """Find the first screen on the path that still needs something before Send."""
    return next((screen for screen in list_path(answers) if list_faults(screen, answers)), None)


def pack_answers(answers: Answers) -> str:
    """Return answers as the text of the hidden field."""
    return to_base64url(msgspec.json.encode({name: list(values) for name, values in answers.items()}))


def find_packed_answers(packed: str | None) -> dict[str, list[str]] | None:
    """Find the answers in the field; None when there are none, or none that a page of ours can have held."""
    if not packed:
        return None
    try:
        loose = msgspec.json.decode(parse_base64url(packed), type=dict[str, list[str]])
    except (FormatError, msgspec.DecodeError):
        return None
    answers = {name: values for name, values in loose.items() if name in FIELD_BY_NAME and values}
    are_readable = all(is_readable(FIELD_BY_NAME[name], values) for name, values in answers.items())
    return answers if are_readable else None
