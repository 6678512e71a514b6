"""How a placement stands by its last check: as agreed, faults, not reached, looked at too long ago, or never."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, select

from gateway.desk.placements.checks import OLD_AFTER, CheckRow, LastResult, get_last_checks, list_last_results
from gateway.desk.placements.placements import PlacementRow, PlacementState, list_placements
from gateway.desk.store.placement_tables import PLACEMENTS
from partner_sdk.wire.canonical import format_time, parse_time

StandingCode = Literal["as_agreed", "with_faults", "not_reached", "long_ago", "not_looked_at"]
# What a person at the desk should see to.
TO_SEE_TO: Final[tuple[StandingCode, ...]] = ("with_faults", "not_reached", "long_ago")


@dataclass(frozen=True, slots=True)
class Standing:
    """One placement with its last check. `days` is how long ago it was looked at, or agreed when it never was."""

    placement: PlacementRow
    last: CheckRow | None
    code: StandingCode
    days: int


@dataclass(frozen=True, slots=True)
class Glance:
    """One placement as the long list counts it: its state and how it stands, and nothing that a line of it says."""

    placement: str
    state: PlacementState
    code: StandingCode


def list_standings(
    connection: Connection, *, now: datetime, owner: str | None = None, link_ids: Collection[str] | None = None
) -> list[Standing]:
    """Return every placement with how it stands, by the service's name; of one owner or of some link ids only."""
    last = get_last_checks(connection, placements=link_ids)
    rows = list_placements(connection, owner=owner, link_ids=link_ids)
    return [make_standing(row, last.get(row.placement), now=now) for row in rows]


def list_glances(connection: Connection, *, now: datetime) -> list[Glance]:
    """Return all placements in the order of the list, each at a glance: the register may hold 20,000."""
    last, oldest = list_last_results(connection), _spell_oldest(now)
    columns = (PLACEMENTS.c.placement, PLACEMENTS.c.state, PLACEMENTS.c.state_at)
    found = []
    for placement, state, state_at in connection.execute(
        select(*columns).order_by(PLACEMENTS.c.service, PLACEMENTS.c.placement)
    ):
        one = last.get(placement)
        found.append(Glance(placement=placement, state=state, code=_judge(one, state_at=state_at, oldest=oldest)))
    return found


def make_standing(row: PlacementRow, last: CheckRow | None, *, now: datetime) -> Standing:
    """Return how a placement stands. One that was agreed a month ago and never looked at is as bad as an old check."""
    since = row.state_at if last is None else last.checked_at
    days = max(0, (now - parse_time(since)).days)
    code = _judge(None if last is None else last.outcome, state_at=row.state_at, oldest=_spell_oldest(now))
    return Standing(placement=row, last=last, code=code, days=days)


def _spell_oldest(now: datetime) -> str:
    return format_time(now - OLD_AFTER)


def _judge(last: LastResult | None, *, state_at: str, oldest: str) -> StandingCode:
    # Times have one spelling, so they compare as they stand: reading 20,000 of them would be half of the work.
    if (state_at if last is None else last.checked_at) < oldest:
        return "long_ago"
    if last is None:
        return "not_looked_at"
    if last.is_well:
        return "as_agreed"
    return "not_reached" if last.result == "unreachable" else "with_faults"
