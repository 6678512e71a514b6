"""Replies to a return code, and notes that a report was read: signed, sealed to the code, queued, and sent.

Never keeps the text readable: one box is the child's, the other opens in the desk's vault alone. Never counts a reply
as given if the gateway no longer keeps its return code: it is owed again, and an alarm is raised.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, case, insert, select, update

from gateway.desk import audit
from gateway.desk.alarms import raise_alarm
from gateway.desk.keyring.case_boxes import close_box
from gateway.desk.keyring.key_set import seal_own_copy
from gateway.desk.outbox.loop import GiveUp, Run
from gateway.desk.outbox.queue import IS_OPEN, NO_PLACE, SENT_AT, queue, record
from gateway.desk.people.permissions import BY_THE_DESK
from gateway.desk.store.agency_tables import OUTBOX, REPLY_MESSAGES
from gateway.desk.store.schema import CASES, REPLIED_BY_RETURN_CODE
from gateway.desk.wiring import Desk
from gateway.exchange.feed import REPLY as REPLY_ITEM
from gateway.exchange.feed import NewItem
from gateway.exchange.public_report import ReplyKind, ReplyMessage, make_reply_key, reply_context
from partner_sdk.errors import FormatError, LocalStateError, SealingError
from partner_sdk.wire.canonical import format_time, to_base64url
from partner_sdk.wire.sealing import seal

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
class ReplySender:
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

    def sent(self, connection: Connection, row: Row[Any], item: NewItem) -> None:
        """Do nothing."""

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
