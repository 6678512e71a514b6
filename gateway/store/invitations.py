"""Invitations to enrol: the digest of the one-time secret, the partner and the expiry."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select

from gateway.store.schema import invitations, to_epoch_seconds


class ConflictingInvitationError(Exception):
    """The same secret cannot invite two partners."""


@dataclass(frozen=True, slots=True)
class StoredInvitation:
    """A stored invitation."""

    partner: str


_FIND = select(invitations.c.partner, invitations.c.expires_at).where(
    invitations.c.secret_sha256 == bindparam("secret_sha256")
)
_DELETE = delete(invitations).where(invitations.c.secret_sha256 == bindparam("secret_sha256"))


def put_invitation(connection: Connection, *, secret_sha256: bytes, partner: str, expires_at: datetime) -> None:
    """Store an invitation or its new expiry. Safe to repeat. Raises ConflictingInvitationError."""
    wanted = {"secret_sha256": secret_sha256}
    found = connection.execute(_FIND, wanted).first()
    if found is not None and found.partner != partner:
        raise ConflictingInvitationError("The invitation belongs to another partner.")
    connection.execute(_DELETE, wanted)
    connection.execute(insert(invitations), {**wanted, "partner": partner, "expires_at": to_epoch_seconds(expires_at)})


def find_invitation(connection: Connection, *, secret_sha256: bytes, now: datetime) -> StoredInvitation | None:
    """Return an invitation that has not expired."""
    found = connection.execute(_FIND, {"secret_sha256": secret_sha256}).first()
    if found is None or found.expires_at <= to_epoch_seconds(now):
        return None
    return StoredInvitation(partner=found.partner)
