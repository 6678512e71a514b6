"""The field types of an industry report: bounded texts, times, `not_held`, and the degree of need.

Absence is information: every field that is not a must may hold the reason why the service has no value.
"""

from typing import Annotated, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

T = TypeVar("T")

# `$` alone lets a line break through after the last character (Python), so each pattern with an open end refuses one.
MOMENT: Final = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z(?!\n)$"
DAY: Final = r"^[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?(?!\n)$"
COUNTRY: Final = r"^[A-Z]{2}(?!\n)$"
LANGUAGE: Final = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*(?!\n)$"
CURRENCY: Final = r"^[A-Z]{3}(?!\n)$"
AMOUNT: Final = r"^[0-9]{1,15}(\.[0-9]{1,4})?(?!\n)$"
DEGREES: Final = r"^-?[0-9]{1,3}(\.[0-9]{1,8})?(?!\n)$"
CALLING_CODE: Final = r"^\+[1-9][0-9]{0,2}(?!\n)$"

Short = Annotated[str, Meta(min_length=1, max_length=300)]
Text = Annotated[str, Meta(min_length=1, max_length=3000)]
Narrative = Annotated[str, Meta(min_length=1, max_length=100_000)]
Address = Annotated[str, Meta(min_length=1, max_length=2048)]  # a URL; longer ones are cut by browsers and servers
Moment = Annotated[str, Meta(pattern=MOMENT)]  # the only spelling of a time on the wire (WIRE.md §2)
Day = Annotated[str, Meta(pattern=DAY)]  # a year, a month or a day: as much as is known
Country = Annotated[str, Meta(pattern=COUNTRY)]  # ISO 3166-1
LanguageTag = Annotated[str, Meta(pattern=LANGUAGE, max_length=35)]  # BCP 47; RFC 5646 §4.4.1 asks for 35
CallingCode = Annotated[str, Meta(pattern=CALLING_CODE)]  # ITU-T E.164
Port = Annotated[int, Meta(ge=1, le=65_535)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]  # RFC 8785: integers that every JSON parser reads alike
Age = Annotated[int, Meta(ge=0, le=120)]
Currency = Annotated[str, Meta(pattern=CURRENCY)]  # ISO 4217
Amount = Annotated[str, Meta(pattern=AMOUNT)]  # a decimal as text: the wire has no floats
Degrees = Annotated[str, Meta(pattern=DEGREES)]
YesNoUnknown = Literal["yes", "no", "unknown"]
NotHeldReason = Literal[
    "none_exists",  # we looked: there is none
    "not_collected",
    "no_longer_kept",
    "deleted_by_user",
    "not_applicable",
    "not_yet_known",
    "law_forbids",
    "unknown",
]

# `case`: a must with some kinds or priorities only (_reading.py).
Needed = Literal["must", "case", "should", "may"]
Asker = Literal["uk", "ncmec"]  # SI 2026/268; the CyberTipline schema
UK: Final[Asker] = "uk"
NCMEC: Final[Asker] = "ncmec"
NEEDED, NEEDED_WHEN, ASKED_BY = "x-needed", "x-needed-when", "x-asked-by"


class NotHeld(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The reason why the service does not hold a value, in the place of the value."""

    not_held: NotHeldReason


Held: TypeAlias = T | NotHeld | None  # e.g. `Held[Short]`: the value, the reason why there is none, or no answer
ListHeld: TypeAlias = tuple[T, ...] | NotHeld


def must(text: str, *asked_by: Asker) -> Meta:
    """Describe a field that has to be there."""
    return _describe(text, "must", asked_by)


def must_in_some_cases(text: str, when: str, *asked_by: Asker) -> Meta:
    """Describe a field that a kind or a priority of report asks for: `when` names it."""
    return _describe(text, "case", asked_by, when=when)


def should(text: str, *asked_by: Asker) -> Meta:
    """Describe a field that counts for completeness: given, or `not_held` with a reason."""
    return _describe(text, "should", asked_by)


def may(text: str, *asked_by: Asker) -> Meta:
    """Describe a field that helps where it is known."""
    return _describe(text, "may", asked_by)


def _describe(text: str, needed: Needed, asked_by: tuple[Asker, ...], *, when: str = "") -> Meta:
    extra: dict[str, object] = {NEEDED: needed, ASKED_BY: list(asked_by)}
    return Meta(description=text, extra_json_schema=extra | {NEEDED_WHEN: when} if when else extra)
