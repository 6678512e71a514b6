"""Sealed replies of the desk that wait for whoever returns with the five words.

Never keeps one for a reference to which nobody can return: the desk is told so.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select

from gateway.store.instants import from_epoch_seconds, to_epoch_seconds
from gateway.store.return_places import find_return_place
from gateway.store.schema import replies
from partner_sdk.wire.feed_messages import ReplyResult


class ConflictingReplyError(Exception):
    """This message id is taken by other bytes or another reference."""


@dataclass(frozen=True, slots=True)
class StoredReply:
    """A sealed reply as the desk posted it."""

    message_id: str
    posted_at: datetime
    envelope: bytes


_FIND = select(replies.c.reference, replies.c.envelope_sha256).where(replies.c.message_id == bindparam("message_id"))
_LIST = (
    select(replies.c.message_id, replies.c.posted_at, replies.c.envelope)
    .where(replies.c.reference == bindparam("reference"))
    .order_by(replies.c.posted_at.desc(), replies.c.message_id.desc())
    .limit(bindparam("limit"))
)


def post_reply(
    connection: Connection, *, reference: str, message_id: str, envelope: bytes, now: datetime
) -> ReplyResult:
    """Store a reply and return `stored`; `known` when this very reply is there, `no-place` when nobody can return.

    Raises ConflictingReplyError.
    """
    digest = hashlib.sha256(envelope).digest()
    found = connection.execute(_FIND, {"message_id": message_id}).first()
    if found is not None:
        if (found.reference, bytes(found.envelope_sha256)) != (reference, digest):
            raise ConflictingReplyError("This message id is taken by another reply.")
        return "known"
    if find_return_place(connection, reference=reference, now=now) is None:
        return "no-place"
    connection.execute(
        insert(replies),
        {
            "message_id": message_id,
            "reference": reference,
            "posted_at": to_epoch_seconds(now),
            "envelope_sha256": digest,
            "envelope": envelope,
        },
    )
    return "stored"


def list_replies(connection: Connection, *, reference: str, limit: int) -> list[StoredReply]:
    """Return the replies that wait for a reference, the newest first."""
    rows = connection.execute(_LIST, {"reference": reference, "limit": limit})
    return [StoredReply(row.message_id, from_epoch_seconds(row.posted_at), bytes(row.envelope)) for row in rows]
