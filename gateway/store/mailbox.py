"""Sealed messages that wait for their partner.

Never gives one partner's message, or its existence, to another.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, insert, select, update

from gateway.store.instants import to_epoch_seconds
from gateway.store.schema import mailbox


class ConflictingMessageError(Exception):
    """This message id is taken by other bytes or another partner."""


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A message that its partner has not acknowledged."""

    message_id: str
    envelope: bytes


_FIND = select(mailbox.c.partner, mailbox.c.envelope_sha256).where(mailbox.c.message_id == bindparam("message_id"))
_WAITING = (
    select(mailbox.c.message_id, mailbox.c.envelope)
    .where(mailbox.c.partner == bindparam("partner"), mailbox.c.acknowledged_at.is_(None))
    .order_by(mailbox.c.position)
    .limit(bindparam("limit"))
)
_ACKNOWLEDGE = (
    update(mailbox)
    .where(mailbox.c.message_id == bindparam("wanted_id"), mailbox.c.partner == bindparam("wanted_partner"))
    .values(acknowledged_at=func.coalesce(mailbox.c.acknowledged_at, bindparam("now")))
)

_REPLACE = (
    update(mailbox)
    .where(mailbox.c.message_id == bindparam("wanted_id"))
    .values(envelope_sha256=bindparam("new_sha256"), envelope=bindparam("new_envelope"), acknowledged_at=None)
)


def post_message(
    connection: Connection,
    *,
    partner: str,
    message_id: str,
    envelope: bytes,
    now: datetime,
    replaces: tuple[bytes, ...] = (),
) -> bool:
    """Store a message; False when this very message is stored already. Raises ConflictingMessageError.

    `replaces` are digests of envelopes that the message may have had before: it then waits again, in its place.
    """
    digest = hashlib.sha256(envelope).digest()
    found = connection.execute(_FIND, {"message_id": message_id}).first()
    if found is not None:
        if (found.partner, found.envelope_sha256) == (partner, digest):
            return False
        if found.partner != partner or found.envelope_sha256 not in replaces:
            raise ConflictingMessageError("This message id is taken by another message.")
        connection.execute(_REPLACE, {"wanted_id": message_id, "new_sha256": digest, "new_envelope": envelope})
        return True
    connection.execute(
        insert(mailbox),
        {
            "message_id": message_id,
            "partner": partner,
            "posted_at": to_epoch_seconds(now),
            "envelope_sha256": digest,
            "envelope": envelope,
        },
    )
    return True


def list_messages(connection: Connection, *, partner: str, limit: int) -> list[WaitingMessage]:
    """Return the oldest messages that wait for this partner."""
    rows = connection.execute(_WAITING, {"partner": partner, "limit": limit})
    return [WaitingMessage(*row) for row in rows]


def acknowledge_message(connection: Connection, *, partner: str, message_id: str, now: datetime) -> bool:
    """Note that the partner holds the message; False when it has no such message. Safe to repeat."""
    wanted = {"wanted_id": message_id, "wanted_partner": partner, "now": to_epoch_seconds(now)}
    return connection.execute(_ACKNOWLEDGE, wanted).rowcount == 1
