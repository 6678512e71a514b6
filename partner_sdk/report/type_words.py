"""Says in plain words what a field takes, for messages and for docs/fields.md."""

from typing import Final

from msgspec import inspect

from partner_sdk.report import values
from partner_sdk.report.outline import get_value_type, may_be_not_held, may_be_null

_PATTERNS: Final = {
    values.MOMENT: "a time in UTC like 2026-11-25T08:30:00Z",
    values.DAY: "a day, a month or a year like 2011-05-30, 2011-05 or 2011",
    values.COUNTRY: "a country code of two capitals like GB",
    values.LANGUAGE: "a language tag like en or pt-BR",
    values.CURRENCY: "a currency code of three capitals like GBP",
    values.AMOUNT: 'a decimal in quotes like "20.50"',
    values.DEGREES: 'degrees in quotes like "51.5074"',
    values.CALLING_CODE: "a calling code like +44",
}
NOT_HELD_WORDS: Final = 'or {"not_held": reason}'


def describe_type(kind: inspect.Type) -> str:
    """Return what a field takes: `a time in UTC like …, or {"not_held": reason}`."""
    said = describe_value(kind)
    return f"{said}, {NOT_HELD_WORDS}" if may_be_not_held(kind) else said


def describe_value(kind: inspect.Type) -> str:
    """Return what a field takes where there is a value; null is named only where it says something."""
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
            return _describe_choices(choices)
        case inspect.VarTupleType(item_type=item, max_length=most):
            limit = f" of at most {most:,}" if most is not None else ""
            return f"a list{limit}, of each: {_describe(item)}"
        case inspect.StructType():
            return "an object"
        case _:
            raise TypeError("A type of the model has no words.")


def _describe_choices(choices: tuple[object, ...]) -> str:
    spelled = ["true" if choice is True else str(choice) for choice in choices]
    return spelled[0] if len(spelled) == 1 else f"one of {', '.join(spelled)}"
