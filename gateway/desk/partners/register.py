"""Partners at this desk: registered, waiting or invited, their types, and the next step for any other id.

Never shows one partner to another: only the desk's own lists and pages use it. Never a bare "unknown" for a known
organisation: for an open invitation, an owner of placements, a link id or a request for the button, it names the right
command. Never makes or ends an invitation: `invitations.py` does.
"""

import shlex
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from sqlalchemy import Connection, Row, func, select

from gateway.desk.placements.register import (
    PlacementRow,
    find_owner_name,
    find_placement,
    list_placements,
)
from gateway.desk.store import copy_fields
from gateway.desk.store.agency_tables import ACCOUNT_CHANGES, ENROLMENTS, INVITATIONS, PARTNERS
from gateway.desk.suggestions import suggest
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import parse_time

_MOST_NAMED: Final = 5
_REASON: Final = ' --reason "…"'

Action = Literal["show", "suspend"]
# The senders at the industry door: services, and the agencies that refer reports (R6, R11, R25).
PartnerType = Literal["service", "police", "child_protection", "iwf", "crimestoppers", "vgt"]
SERVICE: Final[PartnerType] = "service"
PARTNER_TYPES: Final[tuple[PartnerType, ...]] = get_args(PartnerType)
# The key states of a registered partner.
PartnerState = Literal["active", "suspended", "revoked"]


def explain_no_partner(connection: Connection, partner: str, *, now: datetime, action: Action = "show") -> str:
    """Explain on one line why this id is not a partner with keys, and name the right command."""
    placement = find_placement(connection, partner)
    name = find_owner_name(connection, partner)
    if name is None and placement is not None:
        return f"{partner} is a link id, not a partner. {_name_command(placement, action)}"
    if name is None:
        return f"There is no partner {partner}. `partner list` shows every partner."
    return " ".join(
        (
            f"{partner} is {_quote(name)}. {_format_way(connection, partner, now=now)}",
            *_list_placement_advice(list_placements(connection, owner=partner), owner=partner, action=action),
        )
    )


def _format_way(connection: Connection, partner: str, *, now: datetime) -> str:
    waits = select(ENROLMENTS.c.id).where(ENROLMENTS.c.partner == partner, ENROLMENTS.c.state == "waiting")
    if connection.execute(waits).first() is not None:
        return f"Its keys are waiting for `partner approve {partner}`. Until then the desk refuses its reports."
    invitation = find_open_invitation(connection, partner, now=now)
    if invitation is not None and invitation.has_ended:
        return f"Its invitation ended unused at {invitation.expires_at}. To invite it again: {invitation.command}."
    if invitation is not None:
        return f"It is invited until {invitation.expires_at} and has no keys yet, so the desk refuses its reports."
    return "It has no keys and sends no reports: there is no partner here to show or end."


def _quote(name: str) -> str:
    # A stranger may have chosen it, in a request: quoted, so that it never reads as a sentence of the desk.
    return '"' + name.replace('"', "'") + '"'


def _list_placement_advice(placements: list[PlacementRow], *, owner: str, action: Action) -> list[str]:
    if not placements:
        return []
    if action == "show":
        return [f"Its buttons: {suggest(f'placement list --owner {owner}')}"]
    agreed = [row for row in placements if row.state == "agreed"]
    if not agreed:
        return ["None of its buttons is in the register now, so there is nothing to suspend."]
    lines = [f"Suspend its button place by place. {_name_command(agreed[0], action)}"]
    if len(agreed) > 1:
        others = ", ".join(row.placement for row in agreed[1:_MOST_NAMED])
        lines.append(f"The same for {others}.")
    if len(agreed) > _MOST_NAMED:
        lines.append(f"All {len(agreed)} of them: {suggest(f'placement list --owner {owner}')}")
    return lines


def _name_command(row: PlacementRow, action: Action) -> str:
    if action == "suspend" and row.state != "agreed":
        return f"It is already {row.state}: {suggest(f'placement show {row.placement}')}"
    reason = _REASON if action == "suspend" else ""
    return f"Next: {suggest(f'placement {action} {row.placement}{reason}')}"


class PartnerError(ReportAbuseError):
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


def get_partner(connection: Connection, partner: str, *, now: datetime) -> Row[Any]:
    """Return a registered partner, or raise `PartnerError` (`unknown-partner`), which explains the id's state `now`."""
    row = connection.execute(select(PARTNERS).where(PARTNERS.c.partner == partner)).first()
    if row is None:
        raise PartnerError(explain_no_partner(connection, partner, now=now), reason="unknown-partner")
    return row


def find_partner_kind(connection: Connection, partner: str) -> PartnerKind | None:
    """Return a registered partner's kind, or None."""
    row = connection.execute(select(PARTNERS.c.type, PARTNERS.c.country).where(PARTNERS.c.partner == partner)).first()
    return None if row is None else PartnerKind(row.type, row.country)


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


@dataclass(frozen=True, slots=True)
class OpenInvitation:
    """The newest unused invitation. `has_ended` is whether its time is over, at `expires_at`."""

    partner: str
    name: str
    expires_at: str
    has_ended: bool
    type: str | None
    country: str | None

    @property
    def command(self) -> str:
        """The command that invites the same partner again."""
        kind = "" if self.type is None else f" --type {self.type}"
        country = "" if self.country is None else f" --country {self.country}"
        # A name that `partner invite` would read as an option is left to the operator: it refuses such names now.
        name = "…" if self.name.lstrip().startswith("-") else self.name
        who = f"{shlex.quote(name)} --partner {self.partner}{kind}{country}"
        return suggest(f"partner invite {who} --out FILE")


def find_open_invitation(connection: Connection, partner: str, *, now: datetime) -> OpenInvitation | None:
    """Return a partner's unused invitation that ends last, or None."""
    row = connection.execute(
        select(INVITATIONS)
        .where(INVITATIONS.c.partner == partner, INVITATIONS.c.used_at.is_(None))
        .order_by(INVITATIONS.c.expires_at.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    return copy_fields(OpenInvitation, row, has_ended=parse_time(row.expires_at) <= now)
