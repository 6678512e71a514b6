"""The words of the short notes, read strictly from one dated file, and the mail that carries them.

Never puts anything of a report, a person or a case into a note: the words are the same for everybody.
"""

import tomllib
from datetime import date, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from gateway.desk.post_room.who_may_get_note import NoteKind

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
        return self.cy if language == "cy" else self.en


@cache
def load_note_words() -> NoteWords:
    """Return the words of this release."""
    return msgspec.convert(tomllib.loads(_NOTES_FILE.read_text(encoding="utf-8")), type=NoteWords, strict=True)


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


def make_mail(to: str, *, sender: Address, subject: str, body: str, now: datetime, random: bytes) -> EmailMessage:
    """Return a plain mail that asks for no answer from any machine; `random` makes its id."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = Address(addr_spec=to)
    mail["Subject"] = subject
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{random.hex()}@{sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: holiday answers do not come back to it
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(body)
    return mail
