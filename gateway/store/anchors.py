"""Anchors of the desk's audit log, as signed: added in their order, and never replaced or deleted."""

from datetime import datetime

from sqlalchemy import Connection, insert, select

from gateway.store.schema import audit_anchors, to_epoch_seconds

_NEWEST = select(audit_anchors.c.statement).order_by(audit_anchors.c.number.desc()).limit(1)


def find_newest_anchor(connection: Connection) -> bytes | None:
    """Return the newest anchor, or None before the first."""
    found = connection.execute(_NEWEST).scalar_one_or_none()
    return None if found is None else bytes(found)


def list_anchors(connection: Connection, *, after: int, limit: int) -> list[bytes]:
    """Return the oldest anchors behind a number."""
    query = select(audit_anchors.c.statement).where(audit_anchors.c.number > after)
    return [bytes(row.statement) for row in connection.execute(query.order_by(audit_anchors.c.number).limit(limit))]


def add_anchor(connection: Connection, *, number: int, statement: bytes, now: datetime) -> None:
    """Store a verified anchor; a second one of the same number is an error of the database."""
    values = {"number": number, "accepted_at": to_epoch_seconds(now), "statement": statement}
    connection.execute(insert(audit_anchors), values)
