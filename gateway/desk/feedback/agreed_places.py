"""The places of the button that a digest counts: those that the register says were agreed, never those found in cases.

A label is the link id, its title the surface and the position: both were agreed with the service itself. Nothing else
of the register is in a digest, not an address, a state, a reason or what a check found.
"""

from typing import Final

from sqlalchemy import Connection

from gateway.desk.keyring.quarters import Quarter
from gateway.desk.placements.placements import PlacementRow, list_placements
from gateway.desk.placements.surfaces import spell_place
from partner_sdk.wire.canonical import format_time

# A cell has at most some 700 bytes in a digest, which has 256 KiB. What is over this counts as elsewhere.
MOST_PLACES: Final = 200


def has_adopted(connection: Connection, *, partner: str, quarter: Quarter) -> bool:
    """Return whether a partner shows the button by agreement: one limb of who gets a digest (R43)."""
    return any(not _ended_before(row, quarter) for row in list_placements(connection, owner=partner))


def list_adopters(connection: Connection) -> set[str]:
    """Return everybody with a placement that has not ended."""
    return {row.owner for row in list_placements(connection, states=("agreed", "suspended"))}


def list_places(connection: Connection, *, partner: str, quarter: Quarter) -> tuple[tuple[str, str], ...]:
    """Return link id and title of each placement that stood in the quarter, the oldest agreement first.

    A suspended one is among them: its button stood there, and reports of before it was suspended name it.
    """
    last_day = quarter.last_day.isoformat()
    rows = [
        row
        for row in list_placements(connection, owner=partner)
        if row.agreed_on <= last_day and not _ended_before(row, quarter)
    ]
    rows.sort(key=lambda row: (row.agreed_on, row.placement))
    return tuple((row.placement, spell_place(row.surface, row.position)) for row in rows[:MOST_PLACES])


def _ended_before(row: PlacementRow, quarter: Quarter) -> bool:
    return row.state == "ended" and row.state_at < format_time(quarter.starts_at)
