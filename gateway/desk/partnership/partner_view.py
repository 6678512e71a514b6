"""One partner on one page: its keys, what it registered of itself, and what it asks to change."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from gateway.desk.partnership.account_changes import ChangeRow, find_wanted_registration, list_changes
from gateway.desk.partnership.key_ends import list_former_key_rows
from gateway.desk.partnership.no_partner import explain_no_partner
from gateway.desk.partnership.partners import PartnerError, list_partners
from gateway.desk.partnership.registrations import find_registration
from partner_sdk.wire.registration import Registration


@dataclass(frozen=True, slots=True)
class FormerKeyView:
    """A key of before: until when its statements count, or counted."""

    key_id: str
    ended_at: str
    is_revoked: bool


@dataclass(frozen=True, slots=True)
class PartnerView:
    """What a person at the desk sees of a partner. `wanted` is a registration that waits."""

    partner: str
    name: str
    state: str
    since: str
    type: str
    country: str | None
    key_id: str | None
    former_keys: tuple[FormerKeyView, ...]
    changes: tuple[ChangeRow, ...]
    registration: Registration | None
    registered_at: str | None
    wanted: Registration | None


def get_partner_view(connection: Connection, partner: str, *, now: datetime) -> PartnerView:
    """Return the page of a partner that is registered, waits or is invited; raises `PartnerError`."""
    rows = [row for row in list_partners(connection) if row.partner == partner]
    if not rows:
        raise PartnerError(explain_no_partner(connection, partner, now=now), reason="unknown-partner")
    row, accepted = rows[0], find_registration(connection, partner)
    return PartnerView(
        partner=row.partner,
        name=row.name,
        state=row.state,
        since=row.since,
        type=row.type,
        country=row.country,
        key_id=row.key_id,
        former_keys=tuple(
            FormerKeyView(one.key_id, one.ended_at, bool(one.revoked))
            for one in list_former_key_rows(connection, partner)
        ),
        changes=tuple(change for change in list_changes(connection) if change.partner == partner),
        registration=None if accepted is None else accepted.registration,
        registered_at=None if accepted is None else accepted.accepted_at,
        wanted=find_wanted_registration(connection, partner),
    )
