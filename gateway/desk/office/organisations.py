"""Organisations that this desk knows: partners that are registered, waiting or invited, and the owners of link ids.

Never shows one partner to another: only the desk's own lists and pages use it. Never makes or ends an invitation:
`partners/enrolments.py` does.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from sqlalchemy import Connection, Row, func, select

from gateway.desk.store.agency_tables import ACCOUNT_CHANGES, ADOPTERS, ENROLMENTS, INVITATIONS, PARTNERS, PLACEMENTS
from partner_sdk.errors import RefusalError

# The senders at the industry door: services, and the agencies that refer reports (R6, R11, R25).
PartnerType = Literal["service", "police", "child_protection", "iwf", "crimestoppers", "vgt"]
SERVICE: Final[PartnerType] = "service"
PARTNER_TYPES: Final[tuple[PartnerType, ...]] = get_args(PartnerType)
_MOST_AT_ONCE: Final = 500


class PartnerError(
    RefusalError[
        Literal["bad-country", "bad-name", "bad-partner-id", "bad-type", "change-outdated", "merged"]
        | Literal["no-invitation", "no-successor", "not-waiting", "nothing-to-approve"]
        | Literal["other-enrolment", "partner-not-active", "superseded", "unknown-change", "unknown-key"]
        | Literal["unknown-partner", "written-already"]
    ]
):
    """A partner cannot be invited, approved or changed this way."""


@dataclass(frozen=True, slots=True)
class PartnerRow:
    """One partner for lists. `state` is `invited`, `waiting`, `active`, `suspended` or `revoked`.

    `changes` is the number of changes of its account that wait for a person.
    """

    partner: str
    name: str
    state: str
    key_id: str | None
    since: str
    type: str
    country: str | None
    changes: int


@dataclass(frozen=True, slots=True)
class PartnerKind:
    """A partner's type, and an agency's country (ISO 3166-1)."""

    type: str
    country: str | None


def list_partners(connection: Connection) -> list[PartnerRow]:
    """Return registered partners, then waiting enrolments, then open invitations."""
    registered = connection.execute(select(PARTNERS).order_by(PARTNERS.c.partner)).all()
    waiting = connection.execute(
        select(ENROLMENTS, INVITATIONS.c.name, INVITATIONS.c.type, INVITATIONS.c.country)
        .join(INVITATIONS, INVITATIONS.c.secret_sha256 == ENROLMENTS.c.secret_sha256)
        .where(ENROLMENTS.c.state == "waiting")
        .order_by(ENROLMENTS.c.received_at)
    ).all()
    invited = connection.execute(
        select(INVITATIONS).where(INVITATIONS.c.used_at.is_(None)).order_by(INVITATIONS.c.made_at)
    ).all()
    changes = _count_changes(connection)
    kinds = {row.partner: PartnerKind(row.type, row.country) for row in registered}

    def to_row(one: Row[Any], state: str, key_id: str | None, since: str) -> PartnerRow:
        kind = _choose_kind(one, kinds.get(one.partner))
        in_line = changes.get(one.partner, 0) if state not in {"waiting", "invited"} or one.partner not in kinds else 0
        return PartnerRow(one.partner, one.name, state, key_id, since, kind.type, kind.country, in_line)

    return [
        *(to_row(one, one.state, one.key_id, one.approved_at) for one in registered),
        *(to_row(one, "waiting", one.key_id, one.received_at) for one in waiting),
        *(to_row(one, "invited", None, one.made_at) for one in invited),
    ]


def get_partner_names(connection: Connection, *, of_type: PartnerType | None = None) -> dict[str, str]:
    """Return the names of registered partners, or of one type, by their short names, in order."""
    query = select(PARTNERS.c.partner, PARTNERS.c.name).order_by(PARTNERS.c.partner)
    rows = connection.execute(query if of_type is None else query.where(PARTNERS.c.type == of_type))
    return {row.partner: row.name for row in rows}


def get_partner(connection: Connection, partner: str) -> Row[Any]:
    """Return a registered partner, or raise `PartnerError` (`unknown-partner`)."""
    row = connection.execute(select(PARTNERS).where(PARTNERS.c.partner == partner)).first()
    if row is None:
        raise PartnerError(f"{partner} has no keys at this desk.", reason="unknown-partner")
    return row


def find_partner_kind(connection: Connection, partner: str) -> PartnerKind | None:
    """Return a registered partner's kind, or None."""
    row = connection.execute(select(PARTNERS.c.type, PARTNERS.c.country).where(PARTNERS.c.partner == partner)).first()
    return None if row is None else PartnerKind(row.type, row.country)


def list_owners(connection: Connection, placements: Collection[str]) -> dict[str, str]:
    """Return the owner of each link id in any state: a report on its way when a placement ends keeps its owner."""
    wanted = sorted(set(placements))
    found: dict[str, str] = {}
    for start in range(0, len(wanted), _MOST_AT_ONCE):
        some = PLACEMENTS.c.placement.in_(wanted[start : start + _MOST_AT_ONCE])
        rows = connection.execute(select(PLACEMENTS.c.placement, PLACEMENTS.c.owner).where(some))
        found.update({row.placement: row.owner for row in rows})
    return found


def find_owner_name(connection: Connection, owner: str) -> str | None:
    """Return the name of a registered partner, an adopter or an invited partner; None if the id is unknown."""
    for table, key in ((PARTNERS, PARTNERS.c.partner), (ADOPTERS, ADOPTERS.c.owner)):
        name = connection.execute(select(table.c.name).where(key == owner)).scalar()
        if name is not None:
            return str(name)
    invited = select(INVITATIONS.c.name).where(INVITATIONS.c.partner == owner).order_by(INVITATIONS.c.made_at.desc())
    name = connection.execute(invited.limit(1)).scalar()
    return None if name is None else str(name)


def has_keys(connection: Connection, owner: str) -> bool:
    """Return whether an organisation has keys here or was ever invited to have them."""
    ids = (PARTNERS.c.partner, INVITATIONS.c.partner)
    return any(connection.execute(select(one).where(one == owner).limit(1)).first() for one in ids)


def get_owner_names(connection: Connection) -> dict[str, str]:
    """Return the names of all possible owners of a placement, by id, in the order of the ids."""
    names = {row.partner: row.name for row in connection.execute(select(INVITATIONS.c.partner, INVITATIONS.c.name))}
    names |= {row.owner: row.name for row in connection.execute(select(ADOPTERS.c.owner, ADOPTERS.c.name))}
    names |= {row.partner: row.name for row in connection.execute(select(PARTNERS.c.partner, PARTNERS.c.name))}
    return dict(sorted(names.items()))


def _choose_kind(invitation: Row[Any], registered: PartnerKind | None) -> PartnerKind:
    # An invitation without a type leaves a partner that enrols again as it is.
    if invitation.type is not None:
        return PartnerKind(invitation.type, invitation.country)
    return registered or PartnerKind(SERVICE, None)


def _count_changes(connection: Connection) -> dict[str, int]:
    rows = connection.execute(
        select(ACCOUNT_CHANGES.c.partner, func.count().label("number"))
        .where(ACCOUNT_CHANGES.c.state == "waiting")
        .group_by(ACCOUNT_CHANGES.c.partner)
    )
    return {row.partner: row.number for row in rows}
