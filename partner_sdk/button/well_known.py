"""`/.well-known/report-abuse.json`: a service's public statement about its button (RFC 8615).

The button's target and owner, and the contact for it with its hours. Public: names a team, never a person who
did not choose it, and nothing of the people who use the service. A promise with an end, as security.txt is (RFC 9116).
"""

import json
import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from partner_sdk.button.snippet import make_link
from partner_sdk.client.exchange import check_origin
from partner_sdk.errors import FormatError
from partner_sdk.wire.button import SERVICE_NAME_MAX, PlacementId
from partner_sdk.wire.canonical import convert, format_time, format_unknown, parse_json_file, parse_time
from partner_sdk.wire.enrolment import ContactPoint, Line

PATH: Final = "/.well-known/report-abuse.json"
MAX_WELL_KNOWN_BYTES: Final = 16 * 1024
VERSION: Final = 1
# A year, as RFC 9116 §2.5.5 advises: a forgotten file must end by itself.
MAX_DAYS: Final = 366

# Two or three letters, and at most a region: enough of BCP 47 for a page's language.
LanguageTag = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?\Z")]
_WHERE: Final = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_MISSING: Final = re.compile(r"^Object missing required field `(?P<name>\w+)`")
_LINE: Final = "one line of 1 to 100 characters"
# The valid values of each field that can be wrong in itself.
_FITS: Final = {
    "agency": "the agency's address, like https://report.example",
    "button": "the address that one of your buttons leads to",
    "contact": "an object with email and name, and optionally telephone",
    "contact.email": "an e-mail address, like safety@chat.example",
    "contact.name": _LINE,
    "contact.telephone": "a telephone number with its country code, like +44 20 7946 0000, or leave it out",
    "expires": "a time like 2027-11-24T12:00:00Z",
    "hours": _LINE,
    "languages": "a list of one or more language tags, e.g. en, or en-GB with a region",
    "placements": "a list of link ids from the agency, or leave it out",
    "service": f"one line of 1 to {SERVICE_NAME_MAX} characters",
    "version": f"the number {VERSION}",
}


class WellKnown(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The whole file. `button` is the link of one placement, `hours` when the contact is read, in words with the place.

    `placements` may list all agreed link ids; `button`'s is among them then.
    """

    agency: str
    button: str
    contact: ContactPoint
    expires: str
    hours: Line
    languages: Annotated[tuple[LanguageTag, ...], Meta(min_length=1, max_length=40)]
    service: Annotated[str, Meta(min_length=1, max_length=SERVICE_NAME_MAX)]
    version: Literal[1]
    placements: Annotated[tuple[PlacementId, ...], Meta(max_length=100)] = ()


def make_well_known(
    *,
    agency: str,
    placement: str,
    service: str,
    contact: ContactPoint,
    hours: str,
    languages: tuple[str, ...],
    now: datetime,
    days: int = MAX_DAYS - 1,
    placements: tuple[str, ...] = (),
) -> WellKnown:
    """Return the file for a service; raises `FormatError` for a file that `parse_well_known` refuses."""
    if not 1 <= days <= MAX_DAYS:
        raise FormatError(f"Make it valid for 1 to {MAX_DAYS} days.", reason="bad-well-known")
    every = tuple(sorted({placement, *placements})) if placements else ()
    made = WellKnown(
        agency=agency,
        button=make_link(agency, placement=placement),
        contact=contact,
        expires=format_time(now + timedelta(days=days)),
        hours=hours,
        languages=languages,
        placements=every,
        service=service,
        version=VERSION,
    )
    return parse_well_known(encode_well_known(made))


def encode_well_known(well_known: WellKnown) -> bytes:
    """Return the file's bytes, laid out for people."""
    text = json.dumps(msgspec.to_builtins(well_known), indent=2, ensure_ascii=False, sort_keys=True)
    return f"{text}\n".encode()


def parse_well_known(raw: bytes) -> WellKnown:
    """Read a file strictly; raises `FormatError`: `bad-well-known` names the field, and never repeats its value."""
    value = parse_json_file(raw, max_bytes=MAX_WELL_KNOWN_BYTES)
    try:
        found = convert(value, kind=WellKnown)
    except msgspec.ValidationError as error:
        raise FormatError(_describe(error, value=value), reason="bad-well-known") from None
    try:
        check_origin(found.agency)
    except FormatError as error:
        raise FormatError(f"Look at `agency`. {error}", reason=error.reason) from None
    try:
        parse_time(found.expires)
    except FormatError as error:
        raise FormatError(f"Look at `expires`. {error}", reason=error.reason) from None
    placement = _find_placement(found)
    if placement is None:
        raise FormatError(
            "`button` must be the agency's address with /?from= and the link id of one placement, and nothing else.",
            reason="bad-well-known",
        )
    if found.placements and placement not in found.placements:
        raise FormatError(
            "`placements` must list all of them or none: the placement of `button` is missing.", reason="bad-well-known"
        )
    if len(set(found.languages)) < len(found.languages) or len(set(found.placements)) < len(found.placements):
        raise FormatError("A language or a placement is listed twice.", reason="bad-well-known")
    return found


def _find_placement(found: WellKnown) -> str | None:
    placement = found.button.removeprefix(f"{found.agency}/?from=")
    try:
        return placement if make_link(found.agency, placement=placement) == found.button else None
    except FormatError:
        return None


def _describe(error: msgspec.ValidationError, *, value: Any) -> str:
    """Return the fault of the file, and the valid values. Never repeats a name that the model does not have."""
    place, missing = _WHERE.search(str(error)), _MISSING.match(str(error))
    where = place["path"].split("[")[0] if place is not None else ""
    if missing is not None:
        where = f"{where}.{missing['name']}" if where else missing["name"]
        return f"The field `{where}` is missing: give {_FITS.get(where, 'it')}."
    if str(error).startswith("Object contains unknown field"):
        kind, of = (ContactPoint, f"`{where}` has an") if where else (WellKnown, "There is an")
        which = format_unknown(value["contact"] if where else value, known=kind.__struct_fields__)
        return f"{of} unknown field: {which}. Keep only {', '.join(kind.__struct_fields__)}."
    if where in _FITS:
        return f"The file does not match its model: look at `{where}`. Give {_FITS[where]}."
    return f"The file is not one object with the fields {', '.join(WellKnown.__struct_fields__)}."
