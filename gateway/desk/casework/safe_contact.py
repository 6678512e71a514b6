"""Judges from a report which ways to the person are open, and what whoever answers must be warned of first.

Never decides to contact anybody: it says what the person asked for, and what speaks against a way.
"""

from enum import Enum
from typing import Final

from partner_sdk.wire.public_codes import BY_ADULT, BY_CALL, BY_EMAIL, BY_SCHOOL, BY_TEXT, NO, YES, YOUNGEST_BAND
from partner_sdk.wire.public_report import PublicReport, SafeContact

# The line that goes with each way; a way without one can not be used.
_LINE_OF: Final = {BY_CALL: "phone", BY_TEXT: "phone", BY_EMAIL: "email", BY_ADULT: "adult", BY_SCHOOL: "school"}
WRITTEN_WAYS: Final = frozenset({BY_TEXT, BY_EMAIL})


class ContactWarning(Enum):
    """What whoever answers must know before anything else, the most important first."""

    NEAR = "near"
    MAYBE_NEAR = "maybe-near"
    YOUNG = "young"
    SEEN = "seen"
    DOUBTED = "doubted"
    NO_WAY = "no-way"


def list_open_ways(*reports: PublicReport) -> tuple[str, ...]:
    """Return the ways that the person picked, that have a line, and that whoever lives there can not read.

    Of a report and what was added to it: what one of them bars is barred in both.
    """
    ways = [way for report in reports for way in report.contact.ways if get_line(report.contact, way)]
    return tuple(way for way in dict.fromkeys(ways) if not any(is_barred(report, way) for report in reports))


def says_how_to_reach(report: PublicReport) -> bool:
    """Return whether anything of the contact block was filled in; what is added later mostly leaves all of it blank."""
    contact = report.contact
    return any(getattr(contact, name) for name in contact.__struct_fields__) or bool(report.name or report.person.near)


def is_barred(report: PublicReport, way: str) -> bool:
    """Return whether a way would put words where the person that the report is about can read them."""
    return way in WRITTEN_WAYS and report.person.near == YES


def get_line(contact: SafeContact, way: str) -> str:
    """Return the number, address or name that goes with a way; empty where there is none."""
    name = _LINE_OF.get(way)
    return "" if name is None else str(getattr(contact, name)).strip()


def list_warnings(report: PublicReport, *, is_flagged: bool = False) -> tuple[ContactWarning, ...]:
    """Return what to know before anybody is contacted. What was not said counts as the more careful answer."""
    contact, near = report.contact, report.person.near
    said = {
        ContactWarning.NEAR: near == YES,
        ContactWarning.MAYBE_NEAR: near not in {"", YES, NO},
        ContactWarning.YOUNG: YOUNGEST_BAND in {report.reporter_age_band, report.age_band},
        ContactWarning.SEEN: contact.who_sees != NO,
        ContactWarning.DOUBTED: is_flagged,
        ContactWarning.NO_WAY: not list_open_ways(report),
    }
    return tuple(warning for warning in ContactWarning if said[warning])
