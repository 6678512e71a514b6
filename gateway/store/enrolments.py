"""Sealed answers to invitations, waiting for the desk: one per invitation.

Never reads one: the box is sealed to the agency.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, insert, select, update

from gateway.store.instants import from_epoch_seconds, to_epoch_seconds
from gateway.store.schema import enrolments


class ConflictingEnrolmentError(Exception):
    """This invitation has been answered with another box."""


@dataclass(frozen=True, slots=True)
class WaitingEnrolment:
    """An answer that the desk has not acknowledged."""

    enrolment_id: str
    secret_sha256: bytes
    received_at: datetime
    envelope: bytes


_FIND = select(enrolments.c.envelope_sha256).where(enrolments.c.secret_sha256 == bindparam("secret_sha256"))
_WAITING = (
    select(enrolments.c.enrolment_id, enrolments.c.secret_sha256, enrolments.c.received_at, enrolments.c.envelope)
    .where(enrolments.c.acknowledged_at.is_(None))
    .order_by(enrolments.c.enrolment_id)
    .limit(bindparam("limit"))
)
_ACKNOWLEDGE = (
    update(enrolments)
    .where(enrolments.c.enrolment_id == bindparam("wanted_id"))
    .values(acknowledged_at=func.coalesce(enrolments.c.acknowledged_at, bindparam("now")))
)


def add_enrolment(
    connection: Connection, *, enrolment_id: str, secret_sha256: bytes, envelope: bytes, now: datetime
) -> bool:
    """Store an answer; False when this very answer is stored already. Raises ConflictingEnrolmentError."""
    digest = hashlib.sha256(envelope).digest()
    found = connection.execute(_FIND, {"secret_sha256": secret_sha256}).first()
    if found is not None:
        if found.envelope_sha256 != digest:
            raise ConflictingEnrolmentError("This invitation has been answered with another box.")
        return False
    connection.execute(
        insert(enrolments),
        {
            "enrolment_id": enrolment_id,
            "secret_sha256": secret_sha256,
            "received_at": to_epoch_seconds(now),
            "envelope_sha256": digest,
            "envelope": envelope,
        },
    )
    return True


def list_enrolments(connection: Connection, *, limit: int) -> list[WaitingEnrolment]:
    """Return the oldest answers that wait for the desk (ids are time-ordered)."""
    rows = connection.execute(_WAITING, {"limit": limit})
    return [
        WaitingEnrolment(row.enrolment_id, row.secret_sha256, from_epoch_seconds(row.received_at), row.envelope)
        for row in rows
    ]


def acknowledge_enrolment(connection: Connection, *, enrolment_id: str, now: datetime) -> bool:
    """Note that the desk holds the answer; False when there is none with this id. Safe to repeat."""
    return connection.execute(_ACKNOWLEDGE, {"wanted_id": enrolment_id, "now": to_epoch_seconds(now)}).rowcount == 1
