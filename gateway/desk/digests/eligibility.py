"""Eligibility for a digest: agreed places of the button, or a significant number of incidents.

A partner is eligible if it adopted the button, or has a significant number of incidents (R43). The second test reads
the noisy total only, so testing a small partner reveals no more than the tables do.

The total is the sum of the draws of all kinds with what is below zero: cut off first, it would lift a partner without
incidents. Eight draws of epsilon 0.55 have a standard error of 7.2 together, so with a
threshold of 60 a partner with 40 incidents is eligible in 0.5 % of quarters, one with 80 in 99.6 %, and one without any
never (5 in 10^10); with 60 it is about every second one.

Counted places are those agreed in the register, never those found in cases. A label is the link id, its title the
surface and the position: both were agreed with the service itself. Nothing else of the register is in a digest, not an
address, a state, a reason or the result of a check.
"""

from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from gateway.desk.config import SIGNIFICANT_INCIDENTS
from gateway.desk.keyring.key_set import Quarter
from gateway.desk.placements.register import PlacementRow, format_place, list_placements, to_placement
from gateway.desk.store.agency_tables import ENROLMENTS, PARTNERS, PLACEMENTS
from partner_sdk.wire.canonical import format_time

DEFAULT_THRESHOLD: Final = SIGNIFICANT_INCIDENTS
# A cell takes up to about 700 bytes in a digest, which has 256 KiB. Places beyond this count as elsewhere.
MOST_PLACES: Final = 200
_DAY: Final = len("2026-11-28")
_OF_OWNER: Final = select(PLACEMENTS).where(PLACEMENTS.c.owner == bindparam("owner"))


def is_eligible(*, adopted: bool, drawn_total: int | None, threshold: int = DEFAULT_THRESHOLD) -> bool:
    """Return whether a digest may be made; one test is enough. Without the draw (lost), only the button counts."""
    return adopted or (drawn_total is not None and drawn_total >= threshold)


def has_adopted(connection: Connection, *, partner: str, quarter: Quarter) -> bool:
    """Return whether a partner shows the button by agreement: one of the two tests of eligibility (R43)."""
    return any(not _ended_before(row, quarter) for row in _list_all(connection, partner))


def find_joining_day(connection: Connection, *, partner: str) -> str | None:
    """Return the day from which the register knows a service, by its first keys or its first place; None without."""
    enrolled = select(func.min(ENROLMENTS.c.decided_at)).where(
        ENROLMENTS.c.partner == partner, ENROLMENTS.c.state == "approved"
    )
    # A rotation of keys renews `approved_at`, which stands in for enrolments that are not kept.
    approved = select(PARTNERS.c.approved_at).where(PARTNERS.c.partner == partner)
    first = connection.execute(enrolled).scalar() or connection.execute(approved).scalar()
    days = [row.agreed_on for row in _list_all(connection, partner)] + ([first[:_DAY]] if first else [])
    return min(days, default=None)


def list_adopters(connection: Connection) -> set[str]:
    """Return the owners of placements that have not ended."""
    return {row.owner for row in list_placements(connection, states=("agreed", "suspended"))}


def list_places(connection: Connection, *, partner: str, quarter: Quarter) -> tuple[tuple[str, str], ...]:
    """Return link id and title of each placement that existed in the quarter, the oldest agreement first.

    Suspended ones are included: the button was there, and earlier reports name it.
    """
    last_day = quarter.last_day.isoformat()
    rows = [
        row for row in _list_all(connection, partner) if row.agreed_on <= last_day and not _ended_before(row, quarter)
    ]
    rows.sort(key=lambda row: (row.agreed_on, row.placement))
    return tuple((row.placement, format_place(row.surface, row.position)) for row in rows[:MOST_PLACES])


def _list_all(connection: Connection, partner: str) -> list[PlacementRow]:
    return [to_placement(row) for row in connection.execute(_OF_OWNER, {"owner": partner})]


def _ended_before(row: PlacementRow, quarter: Quarter) -> bool:
    return row.state == "ended" and row.state_at < format_time(quarter.starts_at)
