"""A partner's registration: its responsible people, submitters, contacts and platforms.

SI 2026/268 asks for an organisation administrator, a named replacement and the authorised persons. Never names a child.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from partner_sdk.errors import FieldFault, FormatError, ReportError
from partner_sdk.wire.canonical import convert, encode, parse_json_file

MAX_REGISTRATION_BYTES: Final = 24 * 1024
MAX_PERSONS: Final = 100
MAX_PLATFORMS: Final = 50

# C0, DEL and C1; the separators of lines and paragraphs; what turns the direction of writing (UAX #9 §2): a terminal, a
# mail or a reader's eye takes them for orders.
CONTROLS: Final = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
# Signs that a mail program may take for a second address, a name or another header (RFC 5322 §3.4, RFC 6068 §2).
_MAIL: Final = rf'@\s,;<>()"?&\\{CONTROLS}'
# One `@`, no space, and a dot behind it: what can be typed wrongly; whether mail arrives is not ours to know.
EMAIL: Final = rf"^[^{_MAIL}]{{1,64}}@[^{_MAIL}]{{1,180}}\.[^.{_MAIL}]{{2,63}}\Z"
TELEPHONE: Final = r"^\+?[0-9][0-9 ()-]{4,38}[0-9]\Z"
URL: Final = rf"^https?://[^\s{CONTROLS}]{{3,500}}\Z"
HTTPS_URL: Final = URL.replace("https?:", "https:")
LINE: Final = rf"^[^\s{CONTROLS}][^{CONTROLS}]{{0,99}}\Z"

Line = Annotated[str, Meta(pattern=LINE)]
Email = Annotated[str, Meta(pattern=EMAIL)]
Telephone = Annotated[str, Meta(pattern=TELEPHONE)]
Sector = Literal["online", "mobile", "financial", "other"]

_TYPED: Final = {
    "email": "Give an e-mail address, like moderation@chat.example.",
    "telephone": "Give a telephone number with its country code, like +44 20 7946 0000.",
    "out_of_hours_telephone": "Give a telephone number with its country code, like +44 20 7946 0000.",
    "url": "Give an address that begins with https://.",
    "sector": "Give one of online, mobile, financial, other.",
    "authorised_persons": f"Give a list of 1 to {MAX_PERSONS} persons, each with name, email and role.",
    "platforms": f"Give a list of 1 to {MAX_PLATFORMS} platforms, each with its name.",
}
_OTHERWISE: Final = "Give a value like the one in `account template`: one line of at most 100 characters."
_PLACE: Final = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP: Final = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+|\.\.\.)\]")
_MISSING: Final = re.compile(r"^Object missing required field `(?P<name>\w+)`")


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person who acts for the partner; `role` is the name of the job, e.g. `Head of safety`."""

    email: Email
    name: Line
    role: Line
    telephone: Telephone | None = None

    def __repr__(self) -> str:
        """Name no person: a repr ends up in logs."""
        return "Person(...)"


class ContactPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A person or a team that the agency may ask."""

    email: Email
    name: Line
    telephone: Telephone | None = None

    def __repr__(self) -> str:
        """Name no person: a repr ends up in logs."""
        return "ContactPoint(...)"


class Platform(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One service that the organisation runs."""

    name: Line
    url: Annotated[str, Meta(pattern=URL)] | None = None


class Registration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The whole of it; each one sent replaces the one before.

    `administrator` and `replacement` may be missing, so that a service that seeks one can register; the desk asks for
    them.
    """

    authorised_persons: Annotated[tuple[Person, ...], Meta(min_length=1, max_length=MAX_PERSONS)]
    law_enforcement_contact: ContactPoint
    operational_contact: ContactPoint
    organisation: Line
    platforms: Annotated[tuple[Platform, ...], Meta(min_length=1, max_length=MAX_PLATFORMS)]
    sector: Sector
    administrator: Person | None = None
    out_of_hours_telephone: Telephone | None = None
    replacement: Person | None = None


TEMPLATE: Final = Registration(
    administrator=Person(email="admin@chat.example", name="A. Administrator", role="Head of trust and safety"),
    authorised_persons=(Person(email="moderator@chat.example", name="M. Moderator", role="Senior moderator"),),
    law_enforcement_contact=ContactPoint(
        email="police-liaison@chat.example", name="Police liaison", telephone="+44 20 7946 0001"
    ),
    operational_contact=ContactPoint(email="safety@chat.example", name="Safety team", telephone="+44 20 7946 0002"),
    organisation="Example Chat Ltd",
    out_of_hours_telephone="+44 20 7946 0003",
    platforms=(Platform(name="Example Chat", url="https://chat.example"),),
    replacement=Person(email="deputy@chat.example", name="D. Deputy", role="Deputy head of trust and safety"),
    sector="online",
)


def parse_registration_file(raw: bytes) -> Registration:
    """Read a file that a person wrote, or raise `ReportError` whose faults name JSON pointers and their fix."""
    try:
        value = parse_json_file(raw, max_bytes=MAX_REGISTRATION_BYTES)
        registration = convert(value, kind=Registration)
    except FormatError as error:
        raise ReportError(str(error), reason=error.reason) from None
    except msgspec.ValidationError as error:
        raise ReportError(
            "The registration does not match its model.", reason="bad-field", faults=[_make_fault(error)]
        ) from None
    faults = list_registration_faults(registration)
    if faults:
        raise ReportError("The registration contradicts itself.", reason="bad-field", faults=faults)
    return registration


def list_registration_faults(registration: Registration) -> list[FieldFault]:
    """Return faults beyond single fields: a person named twice, a replacement who is the administrator, too much."""
    return list(_list_faults(registration))


def list_registration_gaps(registration: Registration) -> tuple[str, ...]:
    """Return the names of items that the law asks for and the registration lacks; the desk warns and asks for more."""
    wanted = ("administrator", "replacement", "out_of_hours_telephone")
    return tuple(name for name in wanted if getattr(registration, name) is None)


def list_people(registration: Registration) -> tuple[Person, ...]:
    """Return all permitted submitters: the authorised persons, the administrator and the replacement."""
    leading = (registration.administrator, registration.replacement)
    return (*(one for one in leading if one is not None), *registration.authorised_persons)


def _list_faults(registration: Registration) -> Iterator[FieldFault]:
    administrator, replacement = registration.administrator, registration.replacement
    if administrator and replacement and _key(administrator.email) == _key(replacement.email):
        yield FieldFault("#/replacement", "Name someone other than the administrator.")
    seen: set[str] = set()
    for place, person in enumerate(registration.authorised_persons):
        if _key(person.email) in seen:
            yield FieldFault(f"#/authorised_persons/{place}/email", "Remove this one: the address is already listed.")
        seen.add(_key(person.email))
    if len(encode(registration)) > MAX_REGISTRATION_BYTES:
        yield FieldFault("#", f"Make it shorter: {MAX_REGISTRATION_BYTES} bytes at most.")


def _key(email: str) -> str:
    return email.casefold()


def _make_fault(error: msgspec.ValidationError) -> FieldFault:
    # Never repeats a value, nor a name that the model does not have.
    text = str(error)
    place = _PLACE.search(text)
    steps = [(step["name"], step["index"]) for step in _STEP.finditer(place["path"] if place else "")]
    pointer = "#" + "".join(f"/{name or index}" for name, index in steps)
    missing = _MISSING.match(text)
    if missing:
        return FieldFault(f"{pointer}/{missing['name']}", "Add this field: it is required.")
    if text.startswith("Object contains unknown field"):
        return FieldFault(pointer, f"Remove the field directly under {pointer} that is not in the template.")
    last = steps[-1][0] if steps else None
    return FieldFault(pointer, _TYPED.get(last or "", _OTHERWISE))
