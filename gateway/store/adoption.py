"""Sealed requests to show the button, kept until the desk has them.

Never reads one. Anybody may send one, so that so many wait and no more, and a row is deleted, not only emptied, when
the desk acknowledges it: what strangers send must not fill the disk that reports need.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from gateway.store.adoption_tables import adoption_requests
from gateway.store.instants import from_epoch_seconds, to_epoch_seconds

MAX_WAITING: Final = 300  # 8 MiB at most; a person reads each of them


class AdoptionFullError(Exception):
    """As many requests wait for the desk as may."""


class ConflictingAdoptionError(Exception):
    """Another box came under the same id."""


@dataclass(frozen=True, slots=True)
class WaitingAdoption:
    """A request that the desk has not acknowledged."""

    request_id: str
    received_at: datetime
    envelope: bytes


_FIND = select(adoption_requests.c.envelope_sha256).where(adoption_requests.c.request_id == bindparam("wanted_id"))
_COUNT = select(func.count()).select_from(adoption_requests)
_WAITING = (
    select(adoption_requests.c.request_id, adoption_requests.c.received_at, adoption_requests.c.envelope)
    .order_by(adoption_requests.c.position)
    .limit(bindparam("limit"))
)
_DELETE = delete(adoption_requests).where(adoption_requests.c.request_id == bindparam("wanted_id"))


def is_waiting(connection: Connection, *, request_id: str, envelope: bytes) -> bool:
    """Return whether this very box waits already. Raises `ConflictingAdoptionError`."""
    found = connection.execute(_FIND, {"wanted_id": request_id}).first()
    if found is None:
        return False
    if found.envelope_sha256 != hashlib.sha256(envelope).digest():
        raise ConflictingAdoptionError("Another box came under the same id.")
    return True


def check_room(connection: Connection) -> None:
    """Raise `AdoptionFullError` where no further request can wait.

    Asked before the write as well: a flood of requests must not stand in the line of writers, where reports do.
    """
    if connection.execute(_COUNT).scalar_one() >= MAX_WAITING:
        raise AdoptionFullError("As many requests wait for the desk as may.")


def add_adoption(connection: Connection, *, request_id: str, envelope: bytes, now: datetime) -> bool:
    """Store a request; False when this very one waits already. Raises as `is_waiting` and `check_room`."""
    if is_waiting(connection, request_id=request_id, envelope=envelope):
        return False
    check_room(connection)
    connection.execute(
        insert(adoption_requests),
        {
            "request_id": request_id,
            "received_at": to_epoch_seconds(now),
            "envelope_sha256": hashlib.sha256(envelope).digest(),
            "envelope": envelope,
        },
    )
    return True


def list_adoptions(connection: Connection, *, limit: int) -> list[WaitingAdoption]:
    """Return the oldest requests that wait for the desk."""
    rows = connection.execute(_WAITING, {"limit": limit})
    return [WaitingAdoption(row.request_id, from_epoch_seconds(row.received_at), row.envelope) for row in rows]


def acknowledge_adoption(connection: Connection, *, request_id: str) -> bool:
    """Delete what the desk holds; False when nothing waits under this id. Safe to repeat."""
    return connection.execute(_DELETE, {"wanted_id": request_id}).rowcount == 1
