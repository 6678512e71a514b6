"""Sends the short notes that are due: reads the address from the envelope, sends, and notes a state and a code.

Never stores, prints or logs an address, nor what a server said about it. A note is reserved before it is sent and noted
after: a run that is killed in between leaves one that is sent once more, never one that is lost (decision 0011).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from gateway.desk import audit
from gateway.desk.alarms import raise_alarm
from gateway.desk.carrying.addresses import make_address_mac, make_domain_mac
from gateway.desk.carrying.back_off import get_wait
from gateway.desk.carrying.delivery import CARRIER_FAULTS, DeliveryError
from gateway.desk.carrying.mail_carriers import MailCarrier, make_mail_carrier
from gateway.desk.carrying.text_messages import SmsProvider, is_country_open, make_sms_provider
from gateway.desk.post_room.address_key import load_address_key
from gateway.desk.post_room.daily_limits import DOMAIN_FULL, LEASE, ONE_DAY, SMS_FULL, Macs, find_room
from gateway.desk.post_room.notes import make_note_mail, make_note_text
from gateway.desk.post_room.queue import GIVE_UP_AFTER, OPEN_STATES, count_open, forget_done
from gateway.desk.post_room.who_may_get_note import NoteKind, find_address, get_note_kind
from gateway.desk.store import DeskStoreError
from gateway.desk.store.post_tables import OUTGOING_POST
from gateway.desk.store.schema import CASES, REPORTS
from gateway.desk.unexpected import describe_unexpected
from gateway.desk.vault import Vault
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, LocalStateError, OpeningError
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.envelope import Envelope
from partner_sdk.wire.intake import peek_intake
from partner_sdk.wire.public_report import parse_public_report
from partner_sdk.wire.submission import report_context

_log = logging.getLogger(__name__)

ACTOR: Final = "post-room"
MOST_AT_ONCE: Final = 500
UNEXPECTED: Final = "unexpected"


@dataclass(slots=True)
class Posted:
    """What one run did; `problems` counts codes. `open` notes wait or are held, for another run."""

    sent: int = 0
    held: int = 0
    given_up: int = 0
    open: int = 0
    problems: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Letter:
    """What is needed to send one note; in memory only."""

    to: str = field(repr=False)
    note: NoteKind
    mac: bytes
    domain_mac: bytes | None


class _NoLetterError(Exception):
    """There is nothing to send any more; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class _Room:
    """The carriers of one run, and the codes of those that have failed in it."""

    desk: Desk
    vault: Vault
    key: bytes
    mail: MailCarrier | None
    sms: SmsProvider | None
    failed: dict[str, str] = field(default_factory=dict)


def send_due(desk: Desk) -> Posted:
    """Send every note that is due. Raises `LocalStateError` for a key or a secret file; else a failure is a code."""
    posted = Posted()
    now = desk.clock()
    with desk.store.write() as connection:
        _forget_addresses(connection, now=now)
        _give_up_late(connection, posted, now=now)
        forget_done(connection, now=now)
    if desk.config.post_room.notes == "on":
        _send_all(desk, posted)
    with desk.store.read() as connection:
        posted.open = count_open(connection)
    return posted


def _send_all(desk: Desk, posted: Posted) -> None:
    with desk.store.read() as connection:
        due = connection.execute(
            select(OUTGOING_POST)
            .where(OUTGOING_POST.c.state.in_(OPEN_STATES), OUTGOING_POST.c.next_try_at <= format_time(desk.clock()))
            .order_by(OUTGOING_POST.c.next_try_at, OUTGOING_POST.c.id)
            .limit(MOST_AT_ONCE)
        ).all()
    if not due:
        return
    room = _Room(
        desk=desk,
        vault=desk.load_vault(),
        key=load_address_key(desk),
        mail=make_mail_carrier(desk.config.post_room),
        sms=make_sms_provider(desk.config.post_room, session=desk.session),
    )
    for row in due:
        try:
            _send_one(room, row, posted=posted)
        except DeskStoreError:
            raise  # locked or full: the next run finds the note as it is
        except Exception as error:  # noqa: BLE001 - see below
            # Anything may have been typed: one note must not keep back the others, nor end the run that pages. The
            # error's words may be those of the report, so only its type is told.
            _log.error("A note was given up: %s", describe_unexpected(error))
            _finish(room, row, posted=posted, code=UNEXPECTED)


def _send_one(room: _Room, row: Row[Any], *, posted: Posted) -> None:
    if room.failed.get(row.channel) is not None:
        return  # the carrier does not answer: the rest waits for another run and has lost no try
    try:
        if _find_carrier(room, row.channel) is None:
            _note(room, row, last_error="channel-off")
            _count(posted, "channel-off")
            return
        letter = _make_letter(room, row)
    except _NoLetterError as error:
        _finish(room, row, posted=posted, code=error.code)
        return
    if not _reserve(room, row, letter=letter, posted=posted):
        return
    try:
        _carry(room, row, letter=letter)
    except DeliveryError as error:
        if error.is_final:
            _finish(room, row, posted=posted, code=error.reason)
            return
        if error.reason in CARRIER_FAULTS:
            room.failed[row.channel] = error.reason
        wait = get_wait(row.tries + 1, random=room.desk.random)
        _note(room, row, last_error=error.reason, next_try_at=format_time(room.desk.clock() + wait))
        _count(posted, error.reason)
        return
    _finish(room, row, posted=posted, code=None)


def _find_carrier(room: _Room, channel: str) -> MailCarrier | SmsProvider | None:
    """Return what carries notes of this channel, or None where the settings leave it off."""
    match channel:
        case "email":
            return room.mail
        case "sms":
            return room.sms
        case _:
            raise _NoLetterError("unknown-channel")


def _make_letter(room: _Room, row: Row[Any]) -> _Letter:
    with room.desk.store.read() as connection:
        report_row = connection.execute(
            select(REPORTS.c.intake, REPORTS.c.envelope)
            .join(
                CASES,
                (CASES.c.environment == REPORTS.c.environment)
                & (CASES.c.partner == REPORTS.c.partner)
                & (CASES.c.report_id == REPORTS.c.report_id),
            )
            .where(CASES.c.case_id == row.case_id)
        ).first()
    if report_row is None:
        raise _NoLetterError("no-report")
    clear = peek_intake(bytes(report_row.intake)).clear  # verified when it was collected
    try:
        plain = room.vault.open_report(Envelope.parse(bytes(report_row.envelope)), context=report_context(clear))
        report = parse_public_report(plain)
    except (OpeningError, FormatError):
        raise _NoLetterError("does-not-open") from None
    address = find_address(report, channel=row.channel)
    if address is None:
        raise _NoLetterError("no-address")
    if row.channel == "sms" and not is_country_open(address, post_room=room.desk.config.post_room):
        raise _NoLetterError("country-off")
    return _Letter(
        to=address,
        note=get_note_kind(report),
        mac=make_address_mac(address, key=room.key),
        domain_mac=make_domain_mac(address, key=room.key),
    )


def _reserve(room: _Room, row: Row[Any], *, letter: _Letter, posted: Posted) -> bool:
    """Take the note for this run; False when another run has it, or there is no room for it today."""
    now = room.desk.clock()
    with room.desk.store.write() as connection:
        mine = (OUTGOING_POST.c.id == row.id) & (OUTGOING_POST.c.next_try_at == row.next_try_at)
        if (
            connection.execute(select(OUTGOING_POST.c.id).where(mine, OUTGOING_POST.c.state == row.state)).first()
            is None
        ):
            return False
        macs = Macs(letter.mac, letter.domain_mac)
        free_at, code = find_room(connection, row, macs=macs, post_room=room.desk.config.post_room, now=now)
        if free_at is not None:
            values = {"state": "held", "next_try_at": format_time(free_at), "last_error": code}
            connection.execute(
                update(OUTGOING_POST).where(mine).values(values | {"address_mac": None, "domain_mac": None})
            )
            posted.held += 1
            if code in {SMS_FULL, DOMAIN_FULL}:
                raise_alarm(connection, code, f"{now:%Y-%m-%d}", now=now)
            return False
        values = {"state": "waiting", "next_try_at": format_time(now + LEASE), "last_error": None}
        connection.execute(
            update(OUTGOING_POST)
            .where(mine)
            .values(values | {"tries": row.tries + 1, "address_mac": letter.mac, "domain_mac": letter.domain_mac})
        )
        return True


def _carry(room: _Room, row: Row[Any], *, letter: _Letter) -> None:
    desk, post_room = room.desk, room.desk.config.post_room
    # The same in every try, so that a second copy can be known as one; under the key it names no case.
    message_id = sha256(room.key + f"{row.id} {row.queued_at}".encode()).hexdigest()[:32]
    match row.channel:
        case "email" if room.mail is not None:
            mail = make_note_mail(
                letter.to,
                sender=Address(display_name=post_room.mail_name, addr_spec=post_room.mail_from),
                language=row.language,
                note=letter.note,
                now=desk.clock(),
                random=bytes.fromhex(message_id),
            )
            room.mail.send(mail)
        case "sms" if room.sms is not None:
            text = make_note_text(row.language, note=letter.note)
            room.sms.send(letter.to, text=text, message_id=message_id)
        case _:
            # Noted as sent, it would be lost without a word.
            raise ValueError(f"Nothing carries a note by {row.channel}.")


def _finish(room: _Room, row: Row[Any], *, posted: Posted, code: str | None) -> None:
    """Note that a note was sent (`code` None), or why it never will be."""
    now = room.desk.clock()
    state = "sent" if code is None else "given_up"
    values: dict[str, object] = {"state": state, "last_error": code}
    values |= {"sent_at": format_time(now)} if code is None else {"address_mac": None, "domain_mac": None}
    with room.desk.store.write() as connection:
        connection.execute(update(OUTGOING_POST).where(OUTGOING_POST.c.id == row.id).values(values))
        _append(connection, row, state=state, code=code, now=now)
    if code is None:
        posted.sent += 1
    else:
        posted.given_up += 1
        _count(posted, code)


def _note(room: _Room, row: Row[Any], **values: str) -> None:
    with room.desk.store.write() as connection:
        connection.execute(update(OUTGOING_POST).where(OUTGOING_POST.c.id == row.id).values(values))


def _give_up_late(connection: Connection, posted: Posted, *, now: datetime) -> None:
    late = (OUTGOING_POST.c.queued_at < format_time(now - GIVE_UP_AFTER)) & OUTGOING_POST.c.state.in_(OPEN_STATES)
    for row in connection.execute(select(OUTGOING_POST).where(late)).all():
        code = row.last_error or "too-late"
        connection.execute(
            update(OUTGOING_POST)
            .where(OUTGOING_POST.c.id == row.id)
            .values(state="given_up", last_error=code, address_mac=None, domain_mac=None)
        )
        _append(connection, row, state="given_up", code=code, now=now)
        posted.given_up += 1
        _count(posted, code)


def _forget_addresses(connection: Connection, *, now: datetime) -> None:
    # The keyed hash has one use: the day in which no second note may go there.
    old = (OUTGOING_POST.c.state == "sent") & (OUTGOING_POST.c.sent_at <= format_time(now - ONE_DAY))
    connection.execute(
        update(OUTGOING_POST)
        .where(old, OUTGOING_POST.c.address_mac.is_not(None))
        .values(address_mac=None, domain_mac=None)
    )


def _append(connection: Connection, row: Row[Any], *, state: str, code: str | None, now: datetime) -> None:
    detail: Mapping[str, str | None] = {"channel": row.channel, "code": code, "state": state}
    audit.append_entry(connection, at=now, actor=ACTOR, action="send-note", subject=row.case_id, detail=detail)


def _count(posted: Posted, code: str) -> None:
    posted.problems[code] = posted.problems.get(code, 0) + 1


def list_post_room_faults(desk: Desk) -> tuple[str, ...]:
    """Return a code for each carrier that could send nothing now; sends nothing and opens nothing."""
    faults = []
    try:
        carrier = make_mail_carrier(desk.config.post_room)
        if carrier is not None:
            carrier.check()
    except (DeliveryError, LocalStateError) as error:
        faults.append(f"mail: {error.reason}")
    try:
        make_sms_provider(desk.config.post_room, session=desk.session)
    except (DeliveryError, LocalStateError) as error:
        faults.append(f"sms: {error.reason}")
    return tuple(faults)
