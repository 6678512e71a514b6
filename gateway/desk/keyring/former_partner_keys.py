"""The keys that partners have rotated out and whose statements still count, at the gateway and here.

Never one that was revoked: that ends at once.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from gateway.desk.store.partner_tables import FORMER_PARTNER_KEYS
from partner_sdk.wire.canonical import format_time


def list_former_in_force(connection: Connection, partner: str, *, now: datetime) -> list[Row[Any]]:
    """Return the keys that a partner has rotated out and whose statements are still taken, the newest ones first."""
    former = select(FORMER_PARTNER_KEYS).where(
        FORMER_PARTNER_KEYS.c.partner == partner,
        FORMER_PARTNER_KEYS.c.ended_at > format_time(now),
        FORMER_PARTNER_KEYS.c.revoked.is_(False),
    )
    newest_first = (FORMER_PARTNER_KEYS.c.ended_at.desc(), FORMER_PARTNER_KEYS.c.key_id)
    return list(connection.execute(former.order_by(*newest_first)))
