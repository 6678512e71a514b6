"""Finds the invitation of a partner that nobody has used yet, and says whether it still holds.

Never makes or ends one: `invitations.py` does.
"""

import shlex
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from gateway.desk.store.partner_tables import INVITATIONS
from partner_sdk.wire.canonical import parse_time


@dataclass(frozen=True, slots=True)
class OpenInvitation:
    """The newest invitation that no enrolment has used. `has_ended` is whether its time is over, at `expires_at`."""

    partner: str
    name: str
    expires_at: str
    has_ended: bool
    type: str | None
    country: str | None

    @property
    def command(self) -> str:
        """The line that invites the same partner again."""
        kind = "" if self.type is None else f" --type {self.type}"
        country = "" if self.country is None else f" --country {self.country}"
        who = f"{shlex.quote(self.name)} --partner {self.partner}{kind}{country}"
        return f"report-abuse-desk partner invite {who} --out FILE"


def find_open_invitation(connection: Connection, partner: str, *, now: datetime) -> OpenInvitation | None:
    """Return the invitation of a partner that was not used and ends last, or None."""
    row = connection.execute(
        select(INVITATIONS)
        .where(INVITATIONS.c.partner == partner, INVITATIONS.c.used_at.is_(None))
        .order_by(INVITATIONS.c.expires_at.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    return OpenInvitation(
        partner=partner,
        name=row.name,
        expires_at=row.expires_at,
        has_ended=parse_time(row.expires_at) <= now,
        type=row.type,
        country=row.country,
    )
