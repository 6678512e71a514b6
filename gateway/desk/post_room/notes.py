"""The words of the short notes, read strictly from one dated file, and the mail that carries them.

Never puts anything of a report, a person or a case into a note: the words are the same for everybody.
"""

from datetime import date, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from gateway.desk.carrying.mails import make_mail
from gateway.desk.post_room.who_may_get_note import NoteKind
from gateway.web.settings import read_settings
from partner_sdk.wire.public_codes import WELSH

_NOTES_FILE: Final = Path(__file__).with_name("notes.toml")


class EmailWords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Subject and bodies of a mail."""

    subject: str
    promised: str
    if_needed: str


class SmsWords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The text messages."""

    promised: str
    if_needed: str


class LanguageWords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every channel in one language."""

    email: EmailWords
    sms: SmsWords


class NoteWords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`notes.toml`."""

    version: str
    checked_on: date
    source: str
    en: LanguageWords
    cy: LanguageWords

    def of(self, language: str) -> LanguageWords:
        """Return the words of a language; English for one that the form has and this file has not."""
        return self.cy if language == WELSH else self.en


@cache
def load_note_words() -> NoteWords:
    """Return the words of this release. Raises `SettingsError`."""
    return read_settings(_NOTES_FILE, kind=NoteWords)


def make_note_text(language: str, *, note: NoteKind) -> str:
    """Return the text message of a language."""
    return str(getattr(load_note_words().of(language).sms, note))


def make_note_mail(
    to: str, *, sender: Address, language: str, note: NoteKind, now: datetime, random: bytes
) -> EmailMessage:
    """Return the mail to one checked address, as plain text."""
    words = load_note_words().of(language).email
    body = str(getattr(words, note)).strip() + "\n"
    return make_mail(to, sender=sender, subject=words.subject, body=body, now=now, random=random)
