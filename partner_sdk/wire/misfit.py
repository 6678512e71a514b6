"""Says in our own words why JSON does not fit a model, and where: msgspec repeats names and values of the sender.

Never says a word that came from outside: a place is made of numbers and of names that the model itself has.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args, get_type_hints

import msgspec

from partner_sdk.errors import FieldFault

# The form that `list_misfit_faults` reads: "Object missing required field `name` - at `$.list[0]`".
_PLACE = re.compile(r" - at `\$((?:\.\w+|\[\d+\]|\[\.\.\.\])*)`\Z")
_STEP = re.compile(r"\.(\w+)")
_NAME_OR_PLACE = re.compile(r"\.(\w+)|\[(\d+)\]")
_MISSING = re.compile(r"Object missing required field `(\w+)`")
# What msgspec begins with, and what we say.
_SAYINGS = (
    ("Object contains unknown field", "Object contains a field that the model does not know"),
    ("Invalid enum value", "A value is none of those that the model lists"),
    ("Expected", "A value is not of the type, length or pattern that the model asks for"),
)


def describe_misfit(error: Exception, *, kind: Any) -> str:
    """Return the reason in one line, with the place where msgspec names one."""
    if not isinstance(error, msgspec.ValidationError):
        return "it is cut off, nested too deeply, or no JSON in UTF-8"
    text = str(error)
    names = _names_of(kind)
    missing = _MISSING.match(text)
    if missing and missing[1] in names:
        said = missing[0]
    else:
        said = next((ours for theirs, ours in _SAYINGS if text.startswith(theirs)), "A value does not fit")
    place = _PLACE.search(text)
    if place and names.issuperset(_STEP.findall(place[1])):
        said += f" - at `${place[1]}`"
    return said


def list_misfit_faults(said: str) -> Iterator[FieldFault]:
    """Yield the fault that a reason of `describe_misfit` names a place for: what a refusal tells in `errors`."""
    place = _PLACE.search(said)
    pointer = "#" + "".join(f"/{name or index}" for name, index in _NAME_OR_PLACE.findall(place[1] if place else ""))
    missing = _MISSING.search(said)
    if missing:
        yield FieldFault(f"{pointer}/{missing[1]}", "Add this field; it must be there.")
    elif place:
        yield FieldFault(pointer, "This does not fit the description of the call.")


@cache
def _names_of(kind: Any) -> frozenset[str]:
    """Return the names of all fields of a model and of the models inside."""
    names: set[str] = set()
    waiting, seen = [kind], set()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        waiting += get_args(one)
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            names.update(one.__struct_encode_fields__)
            waiting += get_type_hints(one).values()
    return frozenset(names)
