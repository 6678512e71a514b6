"""Short notes that confirm a report: the permitted recipients (R22), the wording from one dated file, and the lists.

Never in doubt: a note goes only to a person who asked for it, picked that way themselves, and is alone with the phone
or the mailbox. Never contains an address or anything from a report: every note has the same text.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, insert, select

from gateway.desk.addresses import find_email_address, find_mobile_number
from gateway.desk.outbox.queue import IS_OPEN, SENT_AT, order_by_state, queue, record
from gateway.desk.store.agency_tables import NOTES, OUTBOX
from gateway.desk.store.schema import CASES
from gateway.web.settings import read_settings
from partner_sdk.wire.public_codes import AGE_BANDS, NO, RATHER_NOT_SAY, WELSH, YES, YOUNGEST_BANDS
from partner_sdk.wire.public_report import PublicReport, is_flagged, is_from_grown_up

Channel = Literal["email", "sms"]
NoteKind = Literal["promised", "if_needed"]

# E-mail first: a text message appears on the phone's lock screen.
_CHANNELS: Final[tuple[Channel, ...]] = ("email", "sms")
# Stated, and above 12: a blank age may be any.
_OLD_ENOUGH: Final = frozenset(AGE_BANDS) - {*YOUNGEST_BANDS, RATHER_NOT_SAY}
_NOTES_FILE: Final = Path(__file__).with_name("notes.toml")


class EmailTexts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Subject and bodies of a mail."""

    subject: str
    promised: str
    if_needed: str


class SmsTexts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The text messages."""

    promised: str
    if_needed: str


class LanguageTexts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every channel in one language."""

    email: EmailTexts
    sms: SmsTexts


class NoteTexts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`notes.toml`."""

    version: str
    checked_on: date
    source: str
    en: LanguageTexts
    cy: LanguageTexts

    def of(self, language: str) -> LanguageTexts:
        """Return the texts of a language; English for a form language that this file lacks."""
        return self.cy if language == WELSH else self.en


@dataclass(frozen=True, slots=True)
class NoteRow:
    """One note for lists; `id` is its number in the outbox."""

    id: int
    case_id: str
    channel: str
    language: str
    state: str
    tries: int
    next_try_at: str
    queued_at: str
    sent_at: str | None
    last_error: str | None


def find_note_channel(report: PublicReport) -> Channel | None:
    """Return the channel for the note, or None if no note may be sent.

    Both the person reporting and the child must have given an age above 12: the form promises this to the youngest, and
    their phones are often shared. The form must also state that the reported person is not near: if blank, no note is
    sent.
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
    """Return the person's address for this channel in canonical form, or None."""
    contact = report.contact
    if channel == "email":
        return find_email_address(contact.email) if "email" in contact.ways else None
    return find_mobile_number(contact.phone) if "text" in contact.ways else None


def get_note_kind(report: PublicReport) -> NoteKind:
    """Return whether the note may promise an answer, or only an answer if one is needed."""
    # An adult is answered only if needed; every other person was promised an answer (R3, R23).
    return "if_needed" if is_from_grown_up(report) else "promised"


@cache
def load_note_texts() -> NoteTexts:
    """Return this release's note texts. Raises `SettingsError`."""
    return read_settings(_NOTES_FILE, kind=NoteTexts)


def make_note_text(language: str, *, note: NoteKind) -> str:
    """Return the text message of a language."""
    return str(getattr(load_note_texts().of(language).sms, note))


def queue_notes(connection: Connection, reports: Mapping[str, PublicReport], *, now: datetime) -> int:
    """Queue a note for each of these reports that may have one, in the caller's transaction; return the number."""
    values = [
        {"case_id": case_id, "channel": channel, "language": report.language}
        for case_id, report in reports.items()
        if (channel := find_note_channel(report)) is not None
    ]
    if values:
        connection.execute(insert(NOTES), values)
        queue(connection, "note", [value["case_id"] for value in values], now=now)
    return len(values)


def list_notes(connection: Connection, *, case_id: str | None = None, with_done: bool = False) -> list[NoteRow]:
    """Return notes, the oldest first: the unfinished ones, or all of them."""
    query = _ROWS.order_by(OUTBOX.c.id)
    if case_id is not None:
        query = query.where(NOTES.c.case_id == case_id)
    if not with_done:
        query = query.where(IS_OPEN)
    return [NoteRow(**row._mapping) for row in connection.execute(query)]


def list_newest_notes(connection: Connection, *, most: int) -> list[NoteRow]:
    """Return notes for the page: given-up ones first, then waiting ones, each newest first."""
    rows = connection.execute(_ROWS.order_by(*order_by_state()).limit(most))
    return [NoteRow(**row._mapping) for row in rows]


def get_references(connection: Connection, case_ids: Collection[str]) -> dict[str, str]:
    """Return the references of these cases, by case id."""
    rows = connection.execute(select(CASES.c.case_id, CASES.c.reference).where(CASES.c.case_id.in_(case_ids)))
    return {row.case_id: row.reference for row in rows}


def _columns() -> list[Any]:
    found = {"sent_at": SENT_AT.label("sent_at"), **dict(NOTES.c.items())}
    return [found[name] if name in found else OUTBOX.c[name] for name in NoteRow.__dataclass_fields__]


_ROWS: Final = select(*_columns()).join(OUTBOX, record("note", NOTES.c.case_id))
