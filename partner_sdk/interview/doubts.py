"""What may be mistyped though the model takes it, and how a date was understood: said at once, never refused.

The agency calls and writes to whoever reports: a slip in an address is noticed by nobody until then.
"""

import re
from datetime import date, datetime
from typing import Final

from msgspec import inspect

from partner_sdk.interview.answers import get_item_type
from partner_sdk.report.outline import Field
from partner_sdk.report.values import DAY, MOMENT

_EMAILS: Final = ("email", "/emails/address")
_TELEPHONES: Final = ("telephone", "/phones/number")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_FEWEST_DIGITS: Final = 6
_YEAR, _MONTH = len("2011"), len("2011-05")


def find_doubt(text: str, *, field: Field) -> str | None:
    """Return what looks odd in an answer that the model takes, or None."""
    said = text.strip()
    if field.pattern.endswith(_EMAILS) and not _EMAIL.fullmatch(said):
        return "This does not look like an e-mail address, such as name@example.com."
    if field.pattern.endswith(_TELEPHONES) and sum(map(str.isdigit, said)) < _FEWEST_DIGITS:
        return "This does not look like a telephone number, such as +44 20 7946 0000."
    return None


def find_reading(value: object, *, field: Field) -> str | None:
    """Return how a date or a time that the model takes was understood, or None for any other answer."""
    kind = get_item_type(field)
    pattern = kind.pattern if isinstance(kind, inspect.StrType) else None
    if not isinstance(value, str) or pattern not in {MOMENT, DAY}:
        return None
    if pattern == MOMENT:
        moment = datetime.fromisoformat(value)
        return f"{moment:%A} {moment.day} {moment:%B %Y, %H:%M:%S} UTC"
    if len(value) == _YEAR:
        return f"the year {value}"
    day = date.fromisoformat(f"{value}-01" if len(value) == _MONTH else value)
    return f"{day:%B %Y}" if len(value) == _MONTH else f"{day:%A} {day.day} {day:%B %Y}"
