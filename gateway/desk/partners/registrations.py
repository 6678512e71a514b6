"""A partner's registration (SI 2026/268), as accepted by a person; and one partner's page, with keys and open changes.

Never decides about a report: reports from any submitter are filed, and this only adds a notice to the case.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from gateway.desk.partners.account_changes import ChangeRow, find_wanted_registration, list_changes
from gateway.desk.partners.key_ends import list_former_key_rows
from gateway.desk.partners.register import SERVICE, PartnerError, list_partners
from gateway.desk.store import copy_fields
from gateway.desk.store.agency_tables import ACCOUNT_CHANGES, PARTNERS
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.enrolment import Registration, list_people, list_registration_gaps, peek_account_change

KEYS_ARE_OLD_AFTER: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class AcceptedRegistration:
    """The registration in force: its change and its start."""

    change_id: str
    accepted_at: str
    registration: Registration


def find_registration(connection: Connection, partner: str) -> AcceptedRegistration | None:
    """Return a partner's last accepted registration, or None."""
    row = connection.execute(
        select(ACCOUNT_CHANGES)
        .where(
            ACCOUNT_CHANGES.c.partner == partner,
            ACCOUNT_CHANGES.c.kind == "registration",
            ACCOUNT_CHANGES.c.state == "accepted",
        )
        # For two decisions in one second: ids sort by time.
        .order_by(ACCOUNT_CHANGES.c.decided_at.desc(), ACCOUNT_CHANGES.c.change_id.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    registration = peek_account_change(bytes(row.statement)).registration
    if registration is None:
        return None
    return AcceptedRegistration(row.change_id, row.decided_at, registration)


def find_authorisation(connection: Connection, partner: str, *, email: str | None, name: str | None) -> bool | None:
    """Return whether the partner registered the submitter of a report, or None if it registered no one.

    The e-mail address decides if the report gives one, otherwise the name. Case and outer spaces do not count.
    """
    accepted = find_registration(connection, partner)
    if accepted is None:
        return None
    people = list_people(accepted.registration)
    if email is not None and email.strip():
        return _fold(email) in {_fold(person.email) for person in people}
    if name is not None and name.strip():
        return _fold(name) in {_fold(person.name) for person in people}
    return False


def list_incomplete(connection: Connection) -> list[tuple[str, tuple[str, ...]]]:
    """Return each active service with the missing parts of its registration; an unregistered one lacks all."""
    services = select(PARTNERS.c.partner).where(PARTNERS.c.state == "active", PARTNERS.c.type == SERVICE)
    found = []
    for partner in connection.execute(services.order_by(PARTNERS.c.partner)).scalars():
        accepted = find_registration(connection, partner)
        gaps = ("registration",) if accepted is None else list_registration_gaps(accepted.registration)
        if gaps:
            found.append((partner, gaps))
    return found


def list_old_keys(connection: Connection, *, now: datetime) -> list[str]:
    """Return the active partners whose keys were approved more than a year ago."""
    old = select(PARTNERS.c.partner).where(
        PARTNERS.c.state == "active", PARTNERS.c.approved_at < format_time(now - KEYS_ARE_OLD_AFTER)
    )
    return list(connection.execute(old.order_by(PARTNERS.c.partner)).scalars())


def _fold(text: str) -> str:
    return " ".join(text.split()).casefold()


@dataclass(frozen=True, slots=True)
class FormerKeyView:
    """A former key, and the time until which its statements count."""

    key_id: str
    ended_at: str
    is_revoked: bool


@dataclass(frozen=True, slots=True)
class PartnerView:
    """A partner, for a person at the desk. `wanted` is a registration that waits."""

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


def get_partner_view(connection: Connection, partner: str) -> PartnerView:
    """Return the page of a registered, waiting or invited partner; raises `PartnerError`."""
    rows = [row for row in list_partners(connection) if row.partner == partner]
    if not rows:
        raise PartnerError(f"There is no partner {partner}.", reason="unknown-partner")
    row, accepted = rows[0], find_registration(connection, partner)
    return copy_fields(
        PartnerView,
        row,
        former_keys=tuple(
            FormerKeyView(one.key_id, one.ended_at, bool(one.revoked))
            for one in list_former_key_rows(connection, partner)
        ),
        changes=tuple(change for change in list_changes(connection) if change.partner == partner),
        registration=None if accepted is None else accepted.registration,
        registered_at=None if accepted is None else accepted.accepted_at,
        wanted=find_wanted_registration(connection, partner),
    )
