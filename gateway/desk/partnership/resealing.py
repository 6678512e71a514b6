"""Seals a partner's messages again, to its new mailbox key: the same signed bytes, so the chain stays what it was.

For a partner that has lost its keys and enrols again. It gets all of its messages: whoever had the keys may have
acknowledged some, and a mailbox with a hole in it would never be trusted.
"""

import hashlib

from sqlalchemy import Connection, select, update

from gateway.desk.outbox.queue import queue
from gateway.desk.partnership.mailbox_post import get_signed_message, seal_message
from gateway.desk.partnership.partners import get_partner
from gateway.desk.store.post_tables import MAILBOX_MESSAGES
from gateway.desk.wiring import Desk
from partner_sdk.wire.items import MAX_REPLACED
from partner_sdk.wire.mailbox_message import peek_message


def seal_messages_again(desk: Desk, connection: Connection, *, partner: str) -> int:
    """Seal every message of a partner to the key that it has now, to be posted again; return how many.

    Raises `OpeningError` where the desk's own copy of one does not open any more.
    """
    recipient = get_partner(connection, partner, now=desk.clock())
    vault = desk.load_vault()
    rows = connection.execute(
        select(MAILBOX_MESSAGES).where(MAILBOX_MESSAGES.c.partner == partner).order_by(MAILBOX_MESSAGES.c.number)
    ).all()
    for row in rows:
        signed = get_signed_message(desk, connection, row.message_id, vault=vault)
        # Whether the gateway has taken the box of before is not always known: it may replace any of them.
        replaces = [*(row.replaces or "").split(), hashlib.sha256(bytes(row.envelope)).hexdigest()]
        connection.execute(
            update(MAILBOX_MESSAGES)
            .where(MAILBOX_MESSAGES.c.message_id == row.message_id)
            .values(
                envelope=seal_message(signed, message=peek_message(signed), recipient=recipient),
                replaces=" ".join(replaces[-MAX_REPLACED:]),
            )
        )
    queue(connection, "message", [row.message_id for row in rows], now=desk.clock(), lane=partner)
    return len(rows)
