"""Decides whether a person gets the short note that their report came in, and by which channel (R22).

Never in doubt: only who asked for it, picked that way themselves, and is alone with the phone or the mailbox.
"""

from typing import Final, Literal

from gateway.desk.carrying.addresses import find_email_address, find_mobile_number
from partner_sdk.wire.public_codes import (
    AGE_BANDS,
    NO,
    RATHER_NOT_SAY,
    YES,
    YOUNGEST_BAND,
    is_flagged,
    is_from_grown_up,
)
from partner_sdk.wire.public_report import PublicReport

Channel = Literal["email", "sms"]
NoteKind = Literal["promised", "if_needed"]
# Said, and above 12: an age that was left blank may be any.
_OLD_ENOUGH: Final = frozenset(AGE_BANDS) - {YOUNGEST_BAND, RATHER_NOT_SAY}


def find_note_channel(report: PublicReport) -> Channel | None:
    """Return how to send the note, or None where none may go.

    Both who reports and the child must have said an age above 12: the form says so to the youngest, and their phones
    are often shared. And that whoever it is about is not near must be said: left blank, nothing goes by itself.
    """
    contact = report.contact
    may_be_sent = (
        contact.may_send_note == YES
        and contact.who_sees == NO
        and report.person.near == NO
        and {report.age_band, report.reporter_age_band} <= _OLD_ENOUGH
        and report.clear.kind == "initial"
        and not is_flagged(report)
    )
    if not may_be_sent:
        return None
    return next((channel for channel in _CHANNELS if find_address(report, channel=channel) is not None), None)


def find_address(report: PublicReport, *, channel: Channel) -> str | None:
    """Return the address that the person gave for this channel in its one spelling, or None."""
    contact = report.contact
    if channel == "email":
        return find_email_address(contact.email) if "email" in contact.ways else None
    return find_mobile_number(contact.phone) if "text" in contact.ways else None


def get_note_kind(report: PublicReport) -> NoteKind:
    """Return whether the note may say that we will answer, or only that we will if there is need."""
    # Who said that they are grown up is answered if there is need; everybody else was promised an answer (R3, R23).
    return "if_needed" if is_from_grown_up(report) else "promised"


# A mailbox first: a text message stands on the locked screen of a phone.
_CHANNELS: Final[tuple[Channel, ...]] = ("email", "sms")
