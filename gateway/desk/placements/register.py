"""The register of placements: each link id, its owner, the agreed place of the button, and its state.

The signed register (keyring/publication.py) lists the currently agreed ones. Report counts by placement are for the
desk alone, never in a digest: a partner gets numbers only through the noise.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from sqlalchemy import Connection, Row, func, select

from gateway.desk.store.agency_tables import ADOPTERS, ADOPTION_REQUESTS, INVITATIONS, PARTNERS, PLACEMENTS
from gateway.desk.store.schema import CASES
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.button import Surface

SURFACES: Final[tuple[str, ...]] = get_args(Surface)
PlacementState = Literal["agreed", "suspended", "ended"]
# The states that are in the signed register.
IN_REGISTER: Final[tuple[PlacementState, ...]] = ("agreed",)
_MOST_AT_ONCE: Final = 500
SURFACE_TITLES: Final = {
    "chat": "Chat",
    "direct_message": "Direct message",
    "profile": "Profile page",
    "game_lobby": "Game lobby",
    "stream": "Live stream",
    "comments": "Comments",
    "help": "Help page",
    "other": "Somewhere else",
}


class PlacementError(ReportAbuseError):
    """A placement is unknown, or cannot be agreed or changed this way; the message gives the remedy."""


@dataclass(frozen=True, slots=True)
class PlacementRow:
    """One placement. `address` may contain `*` for a part of the path; `look_at` is the page that a runner visits."""

    placement: str
    owner: str
    service: str
    surface: str
    address: str
    look_at: str | None
    position: str
    agreed_on: str
    agreed_by: str
    state: PlacementState
    state_at: str
    state_by: str
    state_reason: str | None


def find_placement(connection: Connection, placement: str | None) -> PlacementRow | None:
    """Return the placement of a link id in any state, or None."""
    if placement is None:
        return None
    row = connection.execute(select(PLACEMENTS).where(PLACEMENTS.c.placement == placement)).first()
    return None if row is None else to_placement(row)


def get_placement(connection: Connection, placement: str) -> PlacementRow:
    """Return the placement of a link id in any state, or raise `PlacementError` (`unknown-placement`)."""
    found = find_placement(connection, placement)
    if found is None:
        raise PlacementError(f"There is no placement {placement}.", reason="unknown-placement")
    return found


def list_placements(
    connection: Connection,
    *,
    owner: str | None = None,
    states: Collection[PlacementState] = (),
    link_ids: Collection[str] | None = None,
) -> list[PlacementRow]:
    """Return placements by service name, then link id; of one owner, in certain states or of some ids only."""
    query = select(PLACEMENTS).order_by(PLACEMENTS.c.service, PLACEMENTS.c.placement)
    if owner is not None:
        query = query.where(PLACEMENTS.c.owner == owner)
    if states:
        query = query.where(PLACEMENTS.c.state.in_(states))
    if link_ids is not None:
        query = query.where(PLACEMENTS.c.placement.in_(link_ids))
    return [to_placement(row) for row in connection.execute(query)]


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


def to_placement(row: Row[Any]) -> PlacementRow:
    """Return one row of the table as a `PlacementRow`."""
    return PlacementRow(**row._mapping)


def count_reports(connection: Connection, placement: str) -> int:
    """Return the number of reports from people with this link id; made-up cases do not count."""
    count: int = connection.execute(
        select(func.count()).select_from(CASES).where(CASES.c.placement == placement, CASES.c.synthetic.is_(False))
    ).scalar_one()
    return count


def count_button_requests(connection: Connection, *, with_decided: bool = False) -> int:
    """Return the number of waiting requests to show the button; on request with the decided ones."""
    query = select(func.count()).select_from(ADOPTION_REQUESTS)
    if not with_decided:
        query = query.where(ADOPTION_REQUESTS.c.state == "waiting")
    return connection.execute(query).scalar_one()


def format_place(surface: str, position: str) -> str:
    """Return a surface and a position as one line, e.g. `Profile page: under the name`."""
    return f"{SURFACE_TITLES.get(surface, surface)}: {position}"
