"""To the person who reported: replies to a return code, and short notes by mail or text that a report arrived (R22).

Never keeps a reply readable: one box is the child's, the other opens in the desk's vault alone. Never counts a reply
as given if the gateway no longer keeps its return code: it is owed again, and an alarm is raised.

A note goes only to a person who asked for it, picked that way themselves, and is alone with the phone or the mailbox.
Every note has the same text, from one dated file. Never stores, prints or logs an address or a server's answer about
it. A note is claimed before it is sent and recorded after: a run killed in between sends it twice, but never loses it
(decision 0011).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, case, delete, insert, select, update

from gateway.desk.keyring.case_boxes import close_box, find_sealed_report
from gateway.desk.keyring.key_set import seal_own_copy
from gateway.desk.office.addresses import find_email_address, find_mail_domain, find_mobile_number, get_mailbox
from gateway.desk.office.people.permissions import BY_THE_DESK
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.carriers import (
    CARRIER_FAULTS,
    DeliveryError,
    MailCarrier,
    SmsProvider,
    is_country_open,
    make_mail,
    make_mail_carrier,
    make_sms_provider,
)
from gateway.desk.outbox.queue import (
    IS_OPEN,
    NO_PLACE,
    SENT_AT,
    GiveUp,
    Hold,
    Run,
    Sender,
    Stop,
    drop,
    order_by_state,
    queue,
    record,
)
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import NOTES, OUTBOX, REPLY_MESSAGES
from gateway.desk.store.audit import raise_alarm
from gateway.desk.store.schema import CASES, REPLIED_BY_RETURN_CODE
from gateway.desk.vault import VaultError
from gateway.desk.vault.doors import Signer, Vault
from gateway.exchange.feed import REPLY as REPLY_ITEM
from gateway.exchange.feed import NewItem
from gateway.exchange.public_codes import AGE_BANDS, NO, RATHER_NOT_SAY, WELSH, YES, YOUNGEST_BANDS
from gateway.exchange.public_report import (
    PublicReport,
    ReplyKind,
    ReplyMessage,
    is_flagged,
    is_from_grown_up,
    make_reply_key,
    parse_public_report,
    reply_context,
)
from gateway.web.settings import read_settings
from partner_sdk.errors import FormatError, LocalStateError, OpeningError, SealingError
from partner_sdk.wire.canonical import format_time, parse_time, to_base64url
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.submission import report_context

REPLY: Final = "reply"
READ: Final = "read"
# The alarm that names the reference.
WITHOUT_PLACE: Final = "reply-without-place"


@dataclass(frozen=True, slots=True)
class Recipient:
    """The recipient of a reply: a case, its reference, and the public half of its return code."""

    case_id: str
    reference: str
    reply_key: str


@dataclass(frozen=True, slots=True)
class WrittenReply:
    """One message to a return code. `posted_at` is None until the gateway has taken it.

    `no_place_at` is the time at which the gateway refused it because the code is gone: it was not kept and is not sent
    again.
    """

    message_id: str
    case_id: str
    kind: str
    written_at: str
    written_by: str
    posted_at: str | None
    no_place_at: str | None


_LOST: Final = (OUTBOX.c.state == "given_up") & (OUTBOX.c.last_error == NO_PLACE)
_REPLIES: Final = select(
    *(REPLY_MESSAGES.c[name] for name in WrittenReply.__dataclass_fields__ if name not in {"posted_at", "no_place_at"}),
    SENT_AT.label("posted_at"),
    case((_LOST, OUTBOX.c.done_at)).label("no_place_at"),
).join(OUTBOX, record("reply", REPLY_MESSAGES.c.message_id))


def store_reply(
    desk: Desk,
    connection: Connection,
    to: Recipient,
    *,
    kind: ReplyKind,
    body: str,
    actor: str,
    now: datetime,
    message_id: str | None = None,
) -> str:
    """Sign, seal and store a message in the caller's transaction and return its id; nothing is sent.

    Raises `LocalStateError` for the signing key, `SealingError` for an invalid key of a return code, `FormatError` for
    a text that does not fit its box.
    """
    message = ReplyMessage(
        body=body,
        environment=desk.config.environment,
        issued_at=format_time(now),
        kind=kind,
        message_id=message_id or desk.make_id(),
        reference=to.reference,
    )
    signed = desk.load_signer().sign(message)
    context = reply_context(environment=message.environment, reference=message.reference, message_id=message.message_id)
    connection.execute(
        insert(REPLY_MESSAGES).values(
            message_id=message.message_id,
            case_id=to.case_id,
            kind=kind,
            reference=to.reference,
            envelope=seal(signed, key=make_reply_key(to.reply_key), context=context).to_bytes(),
            desk_copy=_keep_copy(desk, connection, to.case_id, signed, message_id=message.message_id)
            if kind == REPLY
            else None,
            written_at=message.issued_at,
            written_by=actor,
        )
    )
    queue(connection, "reply", [message.message_id], now=now)
    audit.append_entry(
        connection, "write-to-return-code", to.case_id, at=now, actor=actor, kind=kind, message_id=message.message_id
    )
    return message.message_id


def _keep_copy(desk: Desk, connection: Connection, case_id: str, signed: bytes, *, message_id: str) -> bytes:
    sealed = seal_own_copy(desk, connection, signed, purpose="reply", message_id=message_id)
    return close_box(desk.load_signer(), connection, case_id, sealed, kind="reply", row_id=message_id)


def queue_read_note(desk: Desk, connection: Connection, to: Recipient, *, actor: str, now: datetime) -> bool:
    """Queue a note that the report was read, for the holder of the code, in the caller's transaction.

    False if no note could be made: the report must still open, so the failure only goes to the audit log.
    """
    try:
        store_reply(desk, connection, to, kind=READ, body="", actor=actor, now=now)
    except (LocalStateError, SealingError, FormatError) as error:
        audit.append_entry(connection, "no-read-note", to.case_id, at=now, actor=actor, reason=error.reason)
        return False
    return True


def list_written(connection: Connection, *, case_id: str) -> list[WrittenReply]:
    """Return the messages to the return code of a case, the oldest first, unopened."""
    return _list(connection, REPLY_MESSAGES.c.case_id == case_id)


def has_reply(connection: Connection, *, case_id: str) -> bool:
    """Return whether a reply to the return code of a case was sent or is waiting."""
    written = (REPLY_MESSAGES.c.case_id == case_id) & (REPLY_MESSAGES.c.kind == REPLY) & (OUTBOX.c.state != "given_up")
    return connection.execute(_REPLIES.where(written)).first() is not None


def has_no_place(connection: Connection, *, reference: str) -> bool:
    """Return whether the gateway has refused this reference because its return code is gone."""
    return connection.execute(_REPLIES.where(REPLY_MESSAGES.c.reference == reference, _LOST)).first() is not None


def list_waiting(connection: Connection, *, most: int) -> list[WrittenReply]:
    """Return the messages that the gateway has not taken yet, the oldest first, unopened."""
    return _list(connection, IS_OPEN, most=most)


def list_without_place(connection: Connection, *, most: int) -> list[WrittenReply]:
    """Return the replies whose return codes the gateway no longer keeps, the newest first."""
    newest = (OUTBOX.c.done_at.desc(), REPLY_MESSAGES.c.message_id.desc())
    rows = connection.execute(_REPLIES.where(REPLY_MESSAGES.c.kind == REPLY, _LOST).order_by(*newest).limit(most))
    return [WrittenReply(**row._mapping) for row in rows]


@dataclass(frozen=True, slots=True)
class ReplySender(Sender):
    """Sends sealed replies to the gateway."""

    run: Run

    def load(self, connection: Connection, row: Row[Any]) -> NewItem:
        """Return the sealed box of a reply."""
        reply = _get_reply(connection, row)
        return NewItem(address=reply.reference, envelope=to_base64url(bytes(reply.envelope)), item_id=reply.message_id)

    def send(self, items: Sequence[NewItem]) -> list[GiveUp | None]:
        """Send boxes in one call; the gateway answers for each."""
        results = self.run.feed.put_items(REPLY_ITEM, tuple(items))
        # It has an alarm of its own kind, which names the reference.
        return [GiveUp(NO_PLACE, is_alarm=False) if result == NO_PLACE else None for result in results]

    def given_up(self, connection: Connection, row: Row[Any], code: str) -> None:
        reply, now = _get_reply(connection, row), self.run.desk.clock()
        if code == NO_PLACE:
            # Also for a read note: nothing more can be written to this reference now.
            raise_alarm(connection, WITHOUT_PLACE, reply.reference, now=now)
        if reply.kind != REPLY:
            return
        audit.append_entry(connection, code, reply.case_id, at=now, actor=BY_THE_DESK, message_id=reply.message_id)
        if not has_reply(connection, case_id=reply.case_id):
            # It is owed again; a closed case stays closed.
            connection.execute(
                update(CASES)
                .where(CASES.c.case_id == reply.case_id, CASES.c.reply_code == REPLIED_BY_RETURN_CODE)
                .values(reply_code=None, reply_recorded_at=None)
            )


def _list(connection: Connection, wanted: ColumnElement[bool], *, most: int | None = None) -> list[WrittenReply]:
    order = (REPLY_MESSAGES.c.written_at, REPLY_MESSAGES.c.message_id)
    rows = connection.execute(_REPLIES.where(wanted).order_by(*order).limit(most))
    return [WrittenReply(**row._mapping) for row in rows]


def _get_reply(connection: Connection, row: Row[Any]) -> Row[Any]:
    return connection.execute(select(REPLY_MESSAGES).where(REPLY_MESSAGES.c.message_id == row.subject)).one()


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


def list_notes(connection: Connection, *, case_id: str) -> list[NoteRow]:
    """Return the notes of a case, the oldest first."""
    query = _ROWS.where(NOTES.c.case_id == case_id).order_by(OUTBOX.c.id)
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


ONE_DAY: Final = timedelta(days=1)
# While a note is being sent no other run takes it: longer than any carrier needs, shorter than a person would wait.
LEASE: Final = timedelta(minutes=10)
# "Your message got to us" means something else after three days: then a person has to answer.
GIVE_UP_AFTER: Final = timedelta(days=3)
# How long a finished note can be looked up; no figure is made of it.
KEPT_FOR: Final = timedelta(days=90)
# The reason for holding a note for a limit other than its own address's: the form is filled in again and again.
SMS_FULL: Final = "text-messages-full"
DOMAIN_FULL: Final = "domain-full"


@dataclass(frozen=True, slots=True)
class _Letter:
    """The data to send one note; in memory only."""

    to: str = field(repr=False)
    channel: str
    language: str
    note: NoteKind
    message_id: str


class _Macs(NamedTuple):
    """The keyed hashes of a note's address and its domain; a number has no domain."""

    address: bytes
    domain: bytes | None


class NoteSender(Sender):
    """Sends notes by mail and text message; a failed carrier ends its channel for this run."""

    def __init__(self, run: Run) -> None:
        self._desk = run.desk
        self._failed: set[str] = set()

    @cached_property
    def _vault(self) -> Vault:
        return self._desk.load_vault(actor=BY_THE_DESK, reason="send")

    @cached_property
    def _signer(self) -> Signer:
        return self._desk.load_signer()

    @cached_property
    def _mail(self) -> MailCarrier | None:
        return make_mail_carrier(self._desk.config.carriers)

    @cached_property
    def _sms(self) -> SmsProvider | None:
        return make_sms_provider(self._desk.config.carriers, session=self._desk.session)

    def load(self, connection: Connection, row: Row[Any]) -> "_Letter | Hold | GiveUp | Stop":
        """Return the note with its address, once the day's limits have room for it."""
        if self._desk.config.carriers.notes == "off":
            return Stop()
        try:
            carriers = {"email": self._mail, "sms": self._sms}
            message_id = self._make_message_id(row)
        except (LocalStateError, VaultError) as error:
            return Stop(error.reason)  # a key or a secret file: not the note's fault
        note = connection.execute(select(NOTES).where(NOTES.c.case_id == row.subject)).one()
        if note.channel in self._failed:
            return Hold()  # its carrier does not answer: the rest waits for another run
        if carriers[note.channel] is None:
            return Hold(code="channel-off")
        try:
            letter = self._make_letter(connection, note, message_id=message_id)
        except (LocalStateError, VaultError) as error:
            return Stop(error.reason)
        if isinstance(letter, GiveUp):
            return letter
        domain = find_mail_domain(letter.to)
        macs = _Macs(
            self._signer.hash_text("address", get_mailbox(letter.to)),
            None if domain is None else self._signer.hash_text("domain", domain),
        )
        return self._find_room(connection, note, macs) or letter

    def send(self, items: Sequence[_Letter]) -> list[GiveUp | None]:
        """Pass each note to its carrier."""
        for letter in items:
            try:
                self._carry(letter)
            except DeliveryError as error:
                if error.reason in CARRIER_FAULTS:
                    self._failed.add(letter.channel)
                raise
        return [None] * len(items)

    def sent(self, connection: Connection, row: Row[Any], item: _Letter) -> None:
        """Record the sent note in the audit log."""
        self._append(connection, row, channel=item.channel, state="sent", code=None)

    def given_up(self, connection: Connection, row: Row[Any], code: str) -> None:
        """Delete the hash of the address of a given-up note, and record it in the audit log."""
        channel = connection.execute(
            update(NOTES)
            .where(NOTES.c.case_id == row.subject)
            .values(address_mac=None, domain_mac=None)
            .returning(NOTES.c.channel)
        ).scalar_one()
        self._append(connection, row, channel=channel, state="given_up", code=code)

    def _make_letter(self, connection: Connection, note: Row[Any], *, message_id: str) -> _Letter | GiveUp:
        try:
            stored = find_sealed_report(connection, note.case_id)
            if stored is None:
                return GiveUp("no-report")
            plain = self._vault.open_report(stored.box, context=report_context(stored.clear))
            report = parse_public_report(plain)
        except (OpeningError, FormatError):
            return GiveUp("does-not-open")
        address = find_address(report, channel=note.channel)
        if address is None:
            return GiveUp("no-address", is_alarm=False)
        if note.channel == "sms" and not is_country_open(address, carriers=self._desk.config.carriers):
            return GiveUp("country-off", is_alarm=False)
        return _Letter(address, note.channel, note.language, get_note_kind(report), message_id)

    def _make_message_id(self, row: Row[Any]) -> str:
        # The same in every try, so that a second copy is recognisable; as a keyed hash it does not name the case.
        return self._signer.hash_text("note", f"{row.subject} {row.queued_at}").hex()[:32]

    def _find_room(self, connection: Connection, note: Row[Any], macs: _Macs) -> Hold | None:
        """Return the time until which a note must wait, or record its destination and return None."""
        now, mine = self._desk.clock(), NOTES.c.case_id == note.case_id
        carriers = self._desk.config.carriers
        limits: list[tuple[ColumnElement[bool], int, str | None]] = [(NOTES.c.address_mac == macs.address, 1, None)]
        if macs.domain is not None:
            limits.append((NOTES.c.domain_mac == macs.domain, carriers.mail_most_a_day_per_domain, DOMAIN_FULL))
        else:
            limits.append((NOTES.c.channel == note.channel, carriers.sms_most_a_day, SMS_FULL))
        for same, most, code in limits:
            free_at = _find_free_at(connection, same & ~mine, most=most, now=now)
            if free_at is not None:
                connection.execute(update(NOTES).where(mine).values(address_mac=None, domain_mac=None))
                if code is not None:
                    raise_alarm(connection, code, f"{now:%Y-%m-%d}", now=now)
                return Hold(free_at, code)
        connection.execute(update(NOTES).where(mine).values(address_mac=macs.address, domain_mac=macs.domain))
        return None

    def _carry(self, letter: _Letter) -> None:
        carriers = self._desk.config.carriers
        match letter.channel:
            case "email" if self._mail is not None:
                mail = make_note_mail(
                    letter.to,
                    sender=Address(display_name=carriers.mail_name, addr_spec=carriers.mail_from),
                    language=letter.language,
                    note=letter.note,
                    now=self._desk.clock(),
                    random=bytes.fromhex(letter.message_id),
                )
                self._mail.send(mail)
            case "sms" if self._sms is not None:
                text = make_note_text(letter.language, note=letter.note)
                self._sms.send(letter.to, text=text, message_id=letter.message_id)

    def _append(self, connection: Connection, row: Row[Any], *, channel: str, state: str, code: str | None) -> None:
        now = self._desk.clock()
        audit.append_entry(
            connection, "send-note", row.subject, at=now, actor=BY_THE_DESK, channel=channel, code=code, state=state
        )


def forget_old_notes(desk: Desk) -> None:
    """Delete the keyed hash of an address after its day, and finished notes after `KEPT_FOR`."""
    now = desk.clock()
    with desk.store.write() as connection:
        # The keyed hash has one use: to prevent a second note on the same day.
        gone = select(OUTBOX.c.subject).where(
            OUTBOX.c.kind == "note", OUTBOX.c.state == "sent", OUTBOX.c.done_at <= format_time(now - ONE_DAY)
        )
        connection.execute(
            update(NOTES)
            .where(NOTES.c.address_mac.is_not(None), NOTES.c.case_id.in_(gone))
            .values(address_mac=None, domain_mac=None)
        )
        old = select(OUTBOX.c.subject).where(
            OUTBOX.c.kind == "note", ~IS_OPEN, OUTBOX.c.queued_at < format_time(now - KEPT_FOR)
        )
        subjects = connection.execute(old).scalars().all()
        connection.execute(delete(NOTES).where(NOTES.c.case_id.in_(subjects)))
        drop(connection, "note", subjects)


def list_carrier_faults(desk: Desk) -> tuple[str, ...]:
    """Return a code for each carrier that could not send now; sends nothing and opens nothing."""
    faults = []
    try:
        carrier = make_mail_carrier(desk.config.carriers)
        if carrier is not None:
            carrier.check()
    except (DeliveryError, LocalStateError) as error:
        faults.append(f"mail: {error.reason}")
    try:
        make_sms_provider(desk.config.carriers, session=desk.session)
    except (DeliveryError, LocalStateError) as error:
        faults.append(f"sms: {error.reason}")
    return tuple(faults)


def _find_free_at(connection: Connection, same: ColumnElement[bool], *, most: int, now: datetime) -> datetime | None:
    """Return the time at which fewer than `most` of these notes are from the last day, or None for now.

    Notes on their way count too: they have their hash, which waiting notes do not have yet.
    """
    others = connection.execute(
        select(OUTBOX.c.state, OUTBOX.c.done_at, OUTBOX.c.next_try_at)
        .join(NOTES, record("note", NOTES.c.case_id))
        .where(
            same,
            (IS_OPEN & NOTES.c.address_mac.is_not(None))
            | ((OUTBOX.c.state == "sent") & (OUTBOX.c.done_at > format_time(now - ONE_DAY))),
        )
    ).all()
    times = sorted(
        parse_time(other.done_at) + ONE_DAY if other.state == "sent" else parse_time(other.next_try_at) + LEASE
        for other in others
    )
    coming = [moment for moment in times if moment > now]
    return coming[len(coming) - most] if len(coming) >= most else None


def make_note_mail(
    to: str, *, sender: Address, language: str, note: NoteKind, now: datetime, random: bytes
) -> EmailMessage:
    """Return the mail to one checked address, as plain text."""
    words = load_note_texts().of(language).email
    body = str(getattr(words, note)).strip() + "\n"
    return make_mail(to, sender=sender, subject=words.subject, body=body, now=now, random=random)
