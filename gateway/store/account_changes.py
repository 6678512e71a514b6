"""Sealed account changes of partners, kept until the desk has them.

Never reads one, and never shows one partner's change, or that there is one, to another.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, insert, select, update

from gateway.store.account_tables import account_changes
from gateway.store.instants import from_epoch_seconds, to_epoch_seconds


class ConflictingChangeError(Exception):
    """This partner has sent another change under the same id."""


@dataclass(frozen=True, slots=True)
class WaitingChange:
    """A change that the desk has not acknowledged."""

    change_id: str
    partner: str
    received_at: datetime
    envelope: bytes


_OWN = (account_changes.c.change_id == bindparam("wanted_id")) & (account_changes.c.partner == bindparam("wanted_by"))
_FIND = select(account_changes.c.envelope_sha256).where(_OWN)
_WAITING = (
    select(
        account_changes.c.change_id,
        account_changes.c.partner,
        account_changes.c.received_at,
        account_changes.c.envelope,
    )
    .where(account_changes.c.acknowledged_at.is_(None))
    .order_by(account_changes.c.position)
    .limit(bindparam("limit"))
)
_ACKNOWLEDGE = (
    update(account_changes)
    .where(_OWN)
    .values(acknowledged_at=func.coalesce(account_changes.c.acknowledged_at, bindparam("now")), envelope=None)
)


def add_change(connection: Connection, *, partner: str, change_id: str, envelope: bytes, now: datetime) -> bool:
    """Store a change; False when this very one is stored already. Raises ConflictingChangeError."""
    digest = hashlib.sha256(envelope).digest()
    found = connection.execute(_FIND, {"wanted_id": change_id, "wanted_by": partner}).first()
    if found is not None:
        if found.envelope_sha256 != digest:
            raise ConflictingChangeError("This partner has sent another change under the same id.")
        return False
    connection.execute(
        insert(account_changes),
        {
            "change_id": change_id,
            "partner": partner,
            "received_at": to_epoch_seconds(now),
            "envelope_sha256": digest,
            "envelope": envelope,
        },
    )
    return True


def list_changes(connection: Connection, *, limit: int) -> list[WaitingChange]:
    """Return the oldest changes that wait for the desk."""
    rows = connection.execute(_WAITING, {"limit": limit})
    return [
        WaitingChange(row.change_id, row.partner, from_epoch_seconds(row.received_at), row.envelope) for row in rows
    ]


def acknowledge_change(connection: Connection, *, partner: str, change_id: str, now: datetime) -> bool:
    """Note that the desk holds the change and let go of its bytes; False when there is none. Safe to repeat."""
    wanted = {"wanted_id": change_id, "wanted_by": partner, "now": to_epoch_seconds(now)}
    return connection.execute(_ACKNOWLEDGE, wanted).rowcount == 1
