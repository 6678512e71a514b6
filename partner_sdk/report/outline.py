"""The outline of the model: every field with its description and its type in plain words, and the way through a report.

One outline serves checks, completeness, preview, messages and docs/fields.md: a field is described once.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import inspect

from partner_sdk.report.model import (
    AMOUNT,
    ASKED_BY,
    CALLING_CODE,
    COUNTRY,
    CURRENCY,
    DAY,
    DEGREES,
    LANGUAGE,
    MOMENT,
    NEEDED,
    NEEDED_WHEN,
    Asker,
    IndustryReport,
    Needed,
    NotHeld,
)

T = TypeVar("T")


class Field(msgspec.Struct, frozen=True):
    """One field of the model. `pattern` is its JSON pointer without the places in lists, `when` a condition."""

    name: str
    pattern: str
    needed: Needed
    when: str
    asked_by: tuple[Asker, ...]
    description: str
    type: inspect.Type
    is_list: bool
    part: "Part | None"


class Part(msgspec.Struct, frozen=True):
    """The fields of one object, in the order of the model."""

    title: str
    fields: tuple[Field, ...]


class Trail(msgspec.Struct, frozen=True):
    """A way through reports to some fields only; the others are passed by."""

    stops: tuple[tuple[str, Field, bool, "Trail | None"], ...]


class Visited(NamedTuple):  # a third of the cost of a frozen dataclass, some hundred times for each report
    """One field of one report: its object, the JSON pointer of that object (RFC 6901 §6), and the value."""

    field: Field
    owner: Any
    owner_pointer: str
    value: Any

    @property
    def pointer(self) -> str:
        """The JSON pointer of the field, as a URI fragment."""
        return f"{self.owner_pointer}/{self.field.name}"


@cache
def get_outline() -> Part:
    """Return the outline of the report; raises `TypeError` for a field without a degree of need."""
    return _outline_part(get_report_type(), pattern="")


@cache
def get_report_type() -> inspect.Type:
    """Return the report's type as msgspec describes it; takes 30 ms the first time."""
    return inspect.type_info(IndustryReport)


def list_fields(part: Part | None = None) -> Iterator[Field]:
    """Yield every field of the model, each object's after the field that holds it."""
    for field in (part or get_outline()).fields:
        yield field
        if field.part is not None:
            yield from list_fields(field.part)


def get_field(pointer: str) -> Field:
    """Return the field that a JSON pointer of a report names; raises `KeyError` for one that the model has not."""
    steps = pointer.removeprefix("#/").split("/")
    return _list_by_pattern()["".join(f"/{step}" for step in steps if not step.isdigit())]


@cache
def _list_by_pattern() -> dict[str, Field]:
    return {field.pattern: field for field in list_fields()}


def is_answered(value: Any) -> bool:
    """Return whether there is a value, or a reason why there is none."""
    return value is not None and not (value.__class__ is tuple and not value)


def list_given(value: tuple[T, ...] | NotHeld) -> tuple[T, ...]:
    """Return the items of a list; nothing where the service holds none."""
    return () if isinstance(value, NotHeld) else value


def make_trail(wanted: Callable[[Field], bool], *, part: Part | None = None) -> Trail:
    """Return the way to the fields that are wanted, wherever they stand."""
    stops = []
    for field in (part or get_outline()).fields:
        below = make_trail(wanted, part=field.part) if field.part is not None else None
        if below is not None and not below.stops:
            below = None
        is_wanted = wanted(field)
        if is_wanted or below is not None:
            stops.append((field.name, field, is_wanted, below))
    return Trail(tuple(stops))


def follow(trail: Trail, report: IndustryReport) -> list[Visited]:
    """List the wanted fields of a report in the order of the model, those without a value too."""
    found: list[Visited] = []
    _follow(trail, report, "#", found)
    return found


def _follow(trail: Trail, owner: Any, pointer: str, found: list[Visited]) -> None:
    # Every report passes here on its way out: no pointer is spelled before it is asked for.
    for name, field, is_wanted, below in trail.stops:
        value = getattr(owner, name)
        if is_wanted:
            found.append(Visited(field, owner, pointer, value))
        if below is None or not value or value.__class__ is NotHeld:
            continue
        if field.is_list:
            for place, item in enumerate(value):
                _follow(below, item, f"{pointer}/{name}/{place}", found)
        else:
            _follow(below, value, f"{pointer}/{name}", found)


def _outline_part(kind: inspect.Type, *, pattern: str) -> Part:
    if not isinstance(kind, inspect.StructType):
        raise TypeError(f"{pattern} is not an object of the model.")
    return Part(kind.cls.__name__, tuple(_outline_field(field, pattern=pattern) for field in kind.fields))


def _outline_field(field: inspect.Field, *, pattern: str) -> Field:
    here = f"{pattern}/{field.encode_name}"
    said = field.type.extra_json_schema if isinstance(field.type, inspect.Metadata) else None
    if not said or NEEDED not in said:
        raise TypeError(f"{here} does not say how much it is needed.")
    bare = get_value_type(field.type)
    is_list = isinstance(bare, inspect.VarTupleType)
    inner = bare.item_type if isinstance(bare, inspect.VarTupleType) else bare
    return Field(
        name=field.encode_name,
        pattern=here,
        needed=said[NEEDED],
        when=said.get(NEEDED_WHEN, ""),
        asked_by=tuple(said[ASKED_BY]),
        description=said["description"],
        type=field.type,
        is_list=is_list,
        part=_outline_part(inner, pattern=here) if isinstance(inner, inspect.StructType) else None,
    )


def get_value_type(kind: inspect.Type) -> inspect.Type:
    """Return the type of a field's value: neither `not_held` nor null."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if not isinstance(kind, inspect.UnionType):
        return kind
    return next(one for one in kind.types if not is_not_held(one) and not isinstance(one, inspect.NoneType))


def may_be_not_held(kind: inspect.Type) -> bool:
    """Return whether a field may give a reason instead of a value."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return isinstance(kind, inspect.UnionType) and any(map(is_not_held, kind.types))


def may_be_null(kind: inspect.Type) -> bool:
    """Return whether a field may be null."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return isinstance(kind, inspect.UnionType) and any(isinstance(one, inspect.NoneType) for one in kind.types)


def is_not_held(kind: inspect.Type) -> bool:
    """Return whether a type is the object for the reason of a missing value."""
    return isinstance(kind, inspect.StructType) and issubclass(kind.cls, msgspec.Struct) and kind.cls is NotHeld


_PATTERNS: Final = {
    MOMENT: "a time in UTC like 2026-11-25T08:30:00Z",
    DAY: "a day, a month or a year like 2011-05-30, 2011-05 or 2011",
    COUNTRY: "a country code of two capitals like GB",
    LANGUAGE: "a language tag like en or pt-BR",
    CURRENCY: "a currency code of three capitals like GBP",
    AMOUNT: 'a decimal in quotes like "20.50"',
    DEGREES: 'degrees in quotes like "51.5074"',
    CALLING_CODE: "a calling code like +44",
}
NOT_HELD_WORDS: Final = 'or {"not_held": reason}'


def describe_type(kind: inspect.Type) -> str:
    """Return the values of a field in words: `a time in UTC like …, or {"not_held": reason}`."""
    said = describe_value(kind)
    return f"{said}, {NOT_HELD_WORDS}" if may_be_not_held(kind) else said


def describe_value(kind: inspect.Type) -> str:
    """Return the values of a field in words, without `not_held`; null is named only where it means something."""
    said = _describe(get_value_type(kind))
    return f"{said}, or null" if may_be_null(kind) and not may_be_not_held(kind) else said


def _describe(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata():
            return describe_type(kind)
        case inspect.StrType(pattern=str() as pattern):
            return _PATTERNS[pattern]
        case inspect.StrType(max_length=longest):
            return f"a text of 1 to {longest:,} characters"
        case inspect.IntType(ge=least, le=most):
            return f"a whole number from {least} to {most}"
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=choices):
            spelled = ["true" if choice is True else str(choice) for choice in choices]
            return spelled[0] if len(spelled) == 1 else f"one of {', '.join(spelled)}"
        case inspect.VarTupleType(item_type=item, max_length=most):
            limit = f" of at most {most:,}" if most is not None else ""
            return f"a list{limit}, of each: {_describe(item)}"
        case inspect.StructType():
            return "an object"
        case _:
            raise TypeError("A type of the model has no words.")
