"""Turns msgspec's word that a report does not fit its model into a fault: a JSON pointer and what to do.

Never repeats a value, nor a name that the model does not have: both are part of what somebody wrote.
"""

import re
from typing import Final

import msgspec
from msgspec import inspect

from partner_sdk.errors import FieldFault
from partner_sdk.report.outline import find_value_type, get_report_type, is_not_held
from partner_sdk.report.type_words import describe_type
from partner_sdk.report.values import NotHeld

SCHEMA_CALL: Final = "GET /v1/schema/report.json"

_PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+|\.\.\.)\]")
_NAMED = re.compile(r"^Object (?P<what>missing required|contains unknown) field `(?P<name>[^`]*)`")


def make_fault(error: msgspec.ValidationError) -> FieldFault:
    """Return the fault; `error` comes from reading an `IndustryReport`."""
    text = str(error)
    place = _PLACE.search(text)
    steps = [(step["name"], step["index"]) for step in _STEP.finditer(place["path"] if place else "")]
    pointer = "#" + "".join(f"/{name or index}" for name, index in steps)
    kind = _find_type(steps)
    named = _NAMED.match(_PLACE.sub("", text))
    if named is None or _is_object_for_a_value(kind):
        return FieldFault(pointer, f"Give {describe_type(kind)}.")
    if named["what"] == "missing required":
        return FieldFault(f"{pointer}/{named['name']}", "Add this field; it must be there.")
    return FieldFault(
        pointer, f"Take out the field directly under {pointer} that the schema does not know; see {SCHEMA_CALL}."
    )


def _find_type(steps: list[tuple[str | None, str | None]]) -> inspect.Type:
    kind = get_report_type()
    for name, _index in steps:
        bare = inspect.type_info(NotHeld) if name == "not_held" else find_value_type(kind)
        if isinstance(bare, inspect.StructType):
            kind = next(field.type for field in bare.fields if field.encode_name == name)
        elif isinstance(bare, inspect.VarTupleType):
            kind = bare.item_type
    return kind


def _is_object_for_a_value(kind: inspect.Type) -> bool:
    # An object where a text or a list should stand was taken for a `not_held` that lacks its reason.
    bare = find_value_type(kind)
    return not isinstance(bare, inspect.StructType) or is_not_held(bare)
