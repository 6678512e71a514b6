"""The key sets that the gateway has taken, as signed."""

from datetime import datetime

from sqlalchemy import Connection, select

from gateway.desk.store.key_tables import PUBLICATIONS
from partner_sdk.wire.canonical import format_time


def find_newest_published(connection: Connection, *, before: datetime | None = None) -> bytes | None:
    """Return the newest key-set bundle that was published, at the latest at `before`; None where there is none."""
    published = select(PUBLICATIONS.c.body).where(
        PUBLICATIONS.c.kind == "keys", PUBLICATIONS.c.published_at.is_not(None)
    )
    if before is not None:
        published = published.where(PUBLICATIONS.c.published_at <= format_time(before))
    body = connection.execute(published.order_by(PUBLICATIONS.c.serial.desc()).limit(1)).scalar()
    return None if body is None else bytes(body)
