"""How a placement stands by its last check: as agreed, faults, not reached, looked at too long ago, or never."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection

from gateway.desk.placements.checks import OLD_AFTER, CheckRow, get_last_checks
from gateway.desk.placements.placements import PlacementRow, list_placements
from partner_sdk.wire.canonical import parse_time

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


def list_standings(connection: Connection, *, now: datetime, owner: str | None = None) -> list[Standing]:
    """Return every placement with how it stands, by the service's name."""
    last = get_last_checks(connection)
    return [make_standing(row, last.get(row.placement), now=now) for row in list_placements(connection, owner=owner)]


def make_standing(row: PlacementRow, last: CheckRow | None, *, now: datetime) -> Standing:
    """Return how a placement stands. One that was agreed a month ago and never looked at is as bad as an old check."""
    since = parse_time(row.state_at if last is None else last.checked_at)
    days = max(0, (now - since).days)
    return Standing(placement=row, last=last, code=_judge(last, is_old=now - since > OLD_AFTER), days=days)


def _judge(last: CheckRow | None, *, is_old: bool) -> StandingCode:
    if is_old:
        return "long_ago"
    if last is None:
        return "not_looked_at"
    if last.is_well:
        return "as_agreed"
    return "not_reached" if last.result == "unreachable" else "with_faults"
