"""The public keys that others check by (register, mailbox-signing and receipt keys) with their times, and the key sets
that the gateway has taken, as signed.

A statement that a key signed in its time stays believed after its end, unless the key leaked.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, insert, select, update

from gateway.desk.store.key_tables import PUBLICATIONS, VERIFY_KEYS
from partner_sdk.wire.canonical import format_time, to_base64url
from partner_sdk.wire.keys import VerifyKey
from partner_sdk.wire.statements import key_id_of

RECEIPT_ROLE: Final = "receipt"
SIGNING_KEY_USE: Final = timedelta(days=730)
# Receipts and messages are evidence: their keys are believed for six years after use (WIRE.md §5.4).
VERIFY_AFTER_USE: Final = timedelta(days=6 * 365 + 2)
# A gateway's or partner's clock may run a little behind ours.
CLOCK_ALLOWANCE: Final = timedelta(days=1)


def add_verify_key(
    connection: Connection, role: str, public_key: bytes, *, now: datetime, instance: str | None = None
) -> None:
    """Enter a public signing key with its times; a receipt key also with the gateway that it speaks for."""
    use_until = now + SIGNING_KEY_USE
    connection.execute(
        insert(VERIFY_KEYS).values(
            role=role,
            key_id=key_id_of(public_key),
            public_key=public_key,
            not_before=format_time(now - CLOCK_ALLOWANCE),
            use_until=format_time(use_until),
            verify_until=format_time(use_until + VERIFY_AFTER_USE),
            instance=instance,
        )
    )


def has_verify_key(connection: Connection, key_id: str) -> bool:
    """Return whether this key is entered."""
    return connection.execute(select(VERIFY_KEYS.c.key_id).where(VERIFY_KEYS.c.key_id == key_id)).first() is not None


def has_role(connection: Connection, role: str) -> bool:
    """Return whether there is any key of a role."""
    return connection.execute(select(VERIFY_KEYS.c.key_id).where(VERIFY_KEYS.c.role == role)).first() is not None


def end_use(connection: Connection, key_id: str, *, at: datetime) -> bool:
    """Let a key's use end `at` a moment, if it does not end sooner; False when there is no such key.

    What it signed before stays believed as long as it would have been.
    """
    row = connection.execute(select(VERIFY_KEYS.c.use_until).where(VERIFY_KEYS.c.key_id == key_id)).first()
    if row is None:
        return False
    if format_time(at) < row.use_until:
        connection.execute(update(VERIFY_KEYS).where(VERIFY_KEYS.c.key_id == key_id).values(use_until=format_time(at)))
    return True


def end_belief(connection: Connection, key_id: str, *, at: datetime) -> bool:
    """Let nobody believe a key from a moment on, not even what it signed before; False when there is no such key.

    For a key that leaked: whoever has it can sign words of any day.
    """
    if not end_use(connection, key_id, at=at):
        return False
    is_key = VERIFY_KEYS.c.key_id == key_id
    connection.execute(update(VERIFY_KEYS).where(is_key).values(verify_until=format_time(at)))
    return True


def list_verify_entries(connection: Connection, role: str) -> tuple[VerifyKey, ...]:
    """Return the keys of a role as the key set shows them."""
    rows = connection.execute(select(VERIFY_KEYS).where(VERIFY_KEYS.c.role == role).order_by(VERIFY_KEYS.c.key_id))
    return tuple(
        VerifyKey(
            key_id=row.key_id,
            public_key=to_base64url(bytes(row.public_key)),
            not_before=row.not_before,
            use_until=row.use_until,
            verify_until=row.verify_until,
        )
        for row in rows
    )


def find_newest_published(connection: Connection, *, before: datetime | None = None) -> bytes | None:
    """Return the newest key-set bundle that was published, at the latest at `before`; None where there is none."""
    published = select(PUBLICATIONS.c.body).where(
        PUBLICATIONS.c.kind == "keys", PUBLICATIONS.c.published_at.is_not(None)
    )
    if before is not None:
        published = published.where(PUBLICATIONS.c.published_at <= format_time(before))
    body = connection.execute(published.order_by(PUBLICATIONS.c.serial.desc()).limit(1)).scalar()
    return None if body is None else bytes(body)
