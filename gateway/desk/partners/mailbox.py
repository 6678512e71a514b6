"""Writes messages to partners' mailboxes: signed first, numbered and chained, then sealed, stored, and queued.

Never signs one number twice and never signs the same content twice: a repeated request returns the existing message.
Content that may name a child is kept only in boxes: one is the partner's, the other opens in the desk's vault alone.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, insert, literal, select, update

from gateway.desk.keyring.case_boxes import close_box, get_box
from gateway.desk.keyring.key_set import make_copy_context, make_mailbox_key, seal_own_copy
from gateway.desk.office.organisations import PartnerError, get_partner
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.queue import NO_PLACE, GiveUp, Run, Sender, queue, record
from gateway.desk.store import audit, copy_fields
from gateway.desk.store.agency_tables import MAILBOX_MESSAGES, OUTBOX
from gateway.desk.vault.doors import Vault
from gateway.exchange.feed import MAILBOX_MESSAGE, MAX_REPLACED, NewItem
from partner_sdk.errors import ConflictError
from partner_sdk.wire.canonical import format_time, parse_base64url, parse_time, to_base64url
from partner_sdk.wire.mailbox import (
    FIRST_PREVIOUS,
    SIGNED_MESSAGE,
    MailboxMessage,
    MessageKind,
    mailbox_context,
    message_sha256,
)
from partner_sdk.wire.sealing import Envelope, seal

# The code of a message whose id the gateway knows with other bytes.
REFUSED: Final = "conflicting-message"
_HAS_MESSAGE: Final = select(MAILBOX_MESSAGES.c.number).where(MAILBOX_MESSAGES.c.message_id == bindparam("message_id"))


@dataclass(frozen=True, slots=True)
class PostedMessage:
    """One message of a partner's mailbox."""

    partner: str
    message_id: str
    number: int
    kind: str
    issued_at: str


def write_message(
    desk: Desk, *, partner: str, kind: MessageKind, body: bytes, actor: str, message_id: str | None = None
) -> PostedMessage:
    """Sign, seal and queue a message (`body` is canonical JSON); the same kind and body again is the same message.

    A given `message_id` belongs to one message for ever: the gateway refuses other bytes under it, also from a desk
    that was restored from an old backup. Raises `PartnerError` (`written-already`, if another body has the id), and
    `LocalStateError` for the signing key.
    """
    with desk.store.write() as connection:
        existing = _find_same(connection, partner=partner, kind=kind, body=body)
        if existing is not None:
            return existing
        if message_id is not None and has_message(connection, message_id):
            raise PartnerError("Another message has been written in this place.", reason="written-already")
        return store_message(
            desk, connection, partner=partner, kind=kind, body=body, actor=actor, message_id=message_id
        )


def is_refused(connection: Connection, message_id: str) -> bool:
    """Return whether the gateway refused a message because it has another one with this id."""
    query = select(OUTBOX.c.last_error).where(record("message", literal(message_id)), OUTBOX.c.state == "given_up")
    return connection.execute(query).scalar() == REFUSED


def has_message(connection: Connection, message_id: str) -> bool:
    """Return whether a message with this id was ever written here."""
    return connection.execute(_HAS_MESSAGE, {"message_id": message_id}).first() is not None


def store_message(
    desk: Desk,
    connection: Connection,
    *,
    partner: str,
    kind: MessageKind,
    body: bytes,
    actor: str,
    about_case: str | None = None,
    message_id: str | None = None,
    is_sealed: bool = False,
) -> PostedMessage:
    """Sign, seal and queue a new message in the caller's transaction; nothing is sent.

    Of one about a case, this desk keeps a copy under the key of the case, and no readable one; with `is_sealed`
    the same for one about no single case, under the desk's own key. Raises `PartnerError`,
    and `LocalStateError` for the signing key or if no sealing key of this desk is active.
    """
    now = desk.clock()
    recipient = get_partner(connection, partner)
    last = connection.execute(
        select(MAILBOX_MESSAGES.c.number, MAILBOX_MESSAGES.c.signed, MAILBOX_MESSAGES.c.signed_sha256)
        .where(MAILBOX_MESSAGES.c.partner == partner)
        .order_by(MAILBOX_MESSAGES.c.number.desc())
        .limit(1)
    ).first()
    message = MailboxMessage(
        body=to_base64url(body),
        environment=desk.config.environment,
        issued_at=format_time(now),
        kind=kind,
        message_id=message_id or desk.make_id(),
        number=1 if last is None else last.number + 1,
        previous=FIRST_PREVIOUS if last is None else last.signed_sha256 or message_sha256(bytes(last.signed)),
        recipient=partner,
    )
    signed = desk.load_signer().sign(message)
    connection.execute(
        insert(MAILBOX_MESSAGES).values(
            partner=partner,
            number=message.number,
            message_id=message.message_id,
            kind=kind,
            signed=b"" if about_case or is_sealed else signed,
            signed_sha256=message_sha256(signed),
            desk_copy=_keep_copy(desk, connection, about_case, signed, message_id=message.message_id)
            if about_case or is_sealed
            else None,
            case_id=about_case,
            envelope=seal_message(signed, message=message, recipient=recipient),
            issued_at=message.issued_at,
        )
    )
    queue(connection, "message", [message.message_id], now=now, lane=partner)
    audit.append_entry(
        connection,
        "write-message",
        partner,
        at=now,
        actor=actor,
        kind=kind,
        message_id=message.message_id,
        number=message.number,
    )
    return PostedMessage(partner, message.message_id, message.number, kind, message.issued_at)


def _keep_copy(desk: Desk, connection: Connection, case_id: str | None, signed: bytes, *, message_id: str) -> bytes:
    sealed = seal_own_copy(desk, connection, signed, purpose="mailbox", message_id=message_id)
    if case_id is None:
        return sealed
    return close_box(desk.load_signer(), connection, case_id, sealed, kind="question", row_id=message_id)


def get_signed_message(desk: Desk, connection: Connection, message_id: str, *, vault: Vault) -> bytes:
    """Return the signed bytes of a message, from the desk's own box if they are sealed.

    Raises `OpeningError` if a key of that box is gone.
    """
    row = connection.execute(select(MAILBOX_MESSAGES).where(MAILBOX_MESSAGES.c.message_id == message_id)).one()
    if row.signed:
        return bytes(row.signed)
    context, closed = make_copy_context(desk, purpose="mailbox", message_id=message_id), bytes(row.desk_copy or b"")
    if row.case_id is None:
        return vault.open_message_copy(Envelope.parse(closed), context=context)
    box = get_box(connection, row.case_id, closed, kind="question", row_id=message_id)
    return vault.open_message_copy(box, context=context)


@dataclass(frozen=True, slots=True)
class MessageSender(Sender):
    """Sends sealed messages to the gateway, one by one."""

    run: Run

    def load(self, connection: Connection, row: Row[Any]) -> NewItem:
        message = connection.execute(select(MAILBOX_MESSAGES).where(MAILBOX_MESSAGES.c.message_id == row.subject)).one()
        return NewItem(
            address=message.partner,
            envelope=to_base64url(bytes(message.envelope)),
            item_id=message.message_id,
            replaces=tuple((message.replaces or "").split()),
        )

    def send(self, items: Sequence[NewItem]) -> list[GiveUp | None]:
        return [self._send_one(item) for item in items]

    def _send_one(self, item: NewItem) -> GiveUp | None:
        try:
            result = self.run.feed.put_items(MAILBOX_MESSAGE, (item,))[0]
        except ConflictError:
            # Another message has this id, e.g. the digest of a period that this desk made before it was restored. More
            # tries would change nothing, and must not keep back the messages after it.
            return GiveUp(REFUSED)
        return GiveUp(result) if result == NO_PLACE else None

    def sent(self, connection: Connection, row: Row[Any], item: NewItem) -> None:
        connection.execute(
            update(MAILBOX_MESSAGES).where(MAILBOX_MESSAGES.c.message_id == item.item_id).values(replaces=None)
        )


def seal_message(signed: bytes, *, message: MailboxMessage, recipient: Row[Any]) -> bytes:
    """Return the envelope of signed bytes, sealed to the recipient's current mailbox key."""
    key = make_mailbox_key(bytes(recipient.mailbox_key), approved_at=parse_time(recipient.approved_at))
    context = mailbox_context(environment=message.environment, partner=message.recipient, message_id=message.message_id)
    return seal(signed, key=key, context=context).to_bytes()


def seal_messages_again(desk: Desk, connection: Connection, *, partner: str, actor: str) -> int:
    """Seal all of a partner's messages to its current key, to be sent again; return the number.

    For a partner that has lost its keys and enrols again: the same signed bytes, so the chain is unchanged. It gets all
    of its messages, because the holder of the old keys may have acknowledged some; a question about a case that was
    destroyed since is gone, and leaves a gap.

    Raises `OpeningError` if the desk's own copy of one no longer opens.
    """
    recipient = get_partner(connection, partner)
    vault = desk.load_vault(actor=actor, reason="send")
    rows = connection.execute(
        select(MAILBOX_MESSAGES)
        .where(MAILBOX_MESSAGES.c.partner == partner, func.length(MAILBOX_MESSAGES.c.envelope) > 0)
        .order_by(MAILBOX_MESSAGES.c.number)
    ).all()
    for row in rows:
        signed = get_signed_message(desk, connection, row.message_id, vault=vault)
        # It is not always known whether the gateway has the earlier box: this one may replace any of them.
        replaces = [*(row.replaces or "").split(), hashlib.sha256(bytes(row.envelope)).hexdigest()]
        connection.execute(
            update(MAILBOX_MESSAGES)
            .where(MAILBOX_MESSAGES.c.message_id == row.message_id)
            .values(
                envelope=seal_message(signed, message=SIGNED_MESSAGE.peek(signed), recipient=recipient),
                replaces=" ".join(replaces[-MAX_REPLACED:]),
            )
        )
    queue(connection, "message", [row.message_id for row in rows], now=desk.clock(), lane=partner)
    return len(rows)


def _find_same(connection: Connection, *, partner: str, kind: str, body: bytes) -> PostedMessage | None:
    rows = connection.execute(
        select(MAILBOX_MESSAGES).where(
            MAILBOX_MESSAGES.c.partner == partner,
            MAILBOX_MESSAGES.c.kind == kind,
            MAILBOX_MESSAGES.c.desk_copy.is_(None),
            MAILBOX_MESSAGES.c.case_id.is_(None),
        )
    )
    for row in rows:
        if parse_base64url(SIGNED_MESSAGE.peek(bytes(row.signed)).body) == body:
            return copy_fields(PostedMessage, row)
    return None
