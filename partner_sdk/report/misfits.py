"""Turns msgspec's word that a report does not fit its model into faults: JSON pointers and what to do.

msgspec stops at the first misfit; here every object is looked at on its own, so that a person mends all in one go.
Never repeats a value, nor a name that the model does not have: both are part of what somebody wrote.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import inspect

from partner_sdk.errors import FieldFault
from partner_sdk.report.model import IndustryReport
from partner_sdk.report.outline import get_report_type, get_value_type, is_not_held
from partner_sdk.report.type_words import describe_type
from partner_sdk.report.values import NotHeld

SCHEMA_CALL: Final = "GET /v1/schema/report.json"

# Enough for a person to mend in one go.
MOST_FAULTS: Final = 50
_MUST_BE_THERE: Final = "Add this field; it must be there."

# The way from the report to a place in it: each step is a name, or a place in a list.
Steps = Sequence[tuple[str | None, str | None]]

_PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+|\.\.\.)\]")
_NAMED = re.compile(r"^Object (?P<what>missing required|contains unknown) field `(?P<name>[^`]*)`")


def list_misfits(value: Any) -> list[FieldFault]:
    """List where JSON does not fit an `IndustryReport`, object by object, at most `MOST_FAULTS`; empty if it fits."""
    return list(islice(_list_in_object(value, IndustryReport, ()), MOST_FAULTS))


def _list_in_object(value: Any, cls: type[msgspec.Struct], above: Steps) -> Iterator[FieldFault]:
    if not isinstance(value, dict):
        yield from _list_first(value, cls, above)
        return
    pointer, fields = _spell(above), msgspec.structs.fields(cls)
    absent = [field for field in fields if field.encode_name not in value]
    if len(value) > len(fields) - len(absent):
        yield FieldFault(pointer, _spell_unknown(pointer, [field.encode_name for field in absent]))
    for field in fields:
        here = (*above, (field.encode_name, None))
        if field.encode_name in value:
            yield from _list_in_field(value[field.encode_name], field.type, here)
        elif field.required:
            yield FieldFault(_spell(here), _MUST_BE_THERE)


def _list_in_field(value: Any, kind: Any, here: Steps) -> Iterator[FieldFault]:
    first = list(_list_first(value, kind, here))
    if not first:
        return
    bare = get_value_type(_get_type(here))
    if isinstance(bare, inspect.StructType) and isinstance(value, dict):
        yield from _list_in_object(value, bare.cls, here)
    elif isinstance(bare, inspect.VarTupleType) and isinstance(value, list):
        item = get_value_type(bare.item_type)
        found = False
        if isinstance(item, inspect.StructType):
            for place, one in enumerate(value):
                for fault in _list_in_object(one, item.cls, (*here, (None, str(place)))):
                    found = True
                    yield fault
        if not found:
            yield from first
    else:
        yield from first


def _list_first(value: Any, kind: Any, above: Steps) -> Iterator[FieldFault]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        yield make_fault(error, above=above)


def make_fault(error: msgspec.ValidationError, *, above: Steps = ()) -> FieldFault:
    """Return the fault; `error` comes from reading an `IndustryReport`, or the part of one that lies at `above`."""
    text = str(error)
    place = _PLACE.search(text)
    found = _STEP.finditer(place["path"] if place else "")
    steps = [*above, *((step["name"], step["index"]) for step in found)]
    pointer = _spell(steps)
    kind = _get_type(steps)
    named = _NAMED.match(_PLACE.sub("", text))
    if named is None or _is_object_for_a_value(kind):
        return FieldFault(pointer, f"Give {describe_type(kind)}.")
    if named["what"] == "missing required":
        return FieldFault(f"{pointer}/{named['name']}", _MUST_BE_THERE)
    return FieldFault(pointer, _spell_unknown(pointer, []))


def _spell(steps: Steps) -> str:
    return "#" + "".join(f"/{name or index}" for name, index in steps)


def _spell_unknown(pointer: str, absent: Sequence[str]) -> str:
    said = f"Take out the field directly under {pointer} that the schema does not know; see {SCHEMA_CALL}."
    return f"{said} If it is misspelt: not given here yet are {', '.join(absent)}." if absent else said


def _get_type(steps: Steps) -> inspect.Type:
    kind = get_report_type()
    for name, _index in steps:
        bare = inspect.type_info(NotHeld) if name == "not_held" else get_value_type(kind)
        if isinstance(bare, inspect.StructType):
            kind = next(field.type for field in bare.fields if field.encode_name == name)
        elif isinstance(bare, inspect.VarTupleType):
            kind = bare.item_type
    return kind


def _is_object_for_a_value(kind: inspect.Type) -> bool:
    # An object where a text or a list should stand was taken for a `not_held` that lacks its reason.
    bare = get_value_type(kind)
    return not isinstance(bare, inspect.StructType) or is_not_held(bare)
