"""Eligibility for a digest: agreed places of the button, or a significant number of incidents.

A partner is eligible if it adopted the button, or has a significant number of incidents (R43). The second test reads
the noisy total only, so testing a small partner reveals no more than the tables do.

The total is the sum of the draws of all kinds, not the least-squares estimate, which leaves no negative numbers and so
would lift a partner without incidents. Eight draws of epsilon 0.55 have a standard error of 7.2 together, so with a
threshold of 60 a partner with 40 incidents is eligible in 0.5 % of quarters, one with 80 in 99.6 %, and one without any
never (5 in 10^10); with 60 it is about every second one.

Counted places are those agreed in the register, never those found in cases. A label is the link id, its title the
surface and the position: both were agreed with the service itself. Nothing else of the register is in a digest, not an
address, a state, a reason or the result of a check.
"""

from collections import Counter
from typing import Final, get_args

from sqlalchemy import Connection, func, select

from gateway.desk.digests.tables import NOT_STATED
from gateway.desk.keyring.quarters import Quarter
from gateway.desk.placements.register import PlacementRow, format_place, list_placements
from gateway.desk.store.schema import CASES
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.keys import Environment

DEFAULT_THRESHOLD = 60
# A cell takes up to about 700 bytes in a digest, which has 256 KiB. Places beyond this count as elsewhere.
MOST_PLACES: Final = 200


def is_eligible(*, adopted: bool, drawn_total: int | None, threshold: int = DEFAULT_THRESHOLD) -> bool:
    """Return whether a digest may be made; one test is enough. Without the draw (lost), only the button counts."""
    return adopted or (drawn_total is not None and drawn_total >= threshold)


def has_adopted(connection: Connection, *, partner: str, quarter: Quarter) -> bool:
    """Return whether a partner shows the button by agreement: one of the two tests of eligibility (R43)."""
    return any(not _ended_before(row, quarter) for row in list_placements(connection, owner=partner))


def list_adopters(connection: Connection) -> set[str]:
    """Return the owners of placements that have not ended."""
    return {row.owner for row in list_placements(connection, states=("agreed", "suspended"))}


def list_places(connection: Connection, *, partner: str, quarter: Quarter) -> tuple[tuple[str, str], ...]:
    """Return link id and title of each placement that existed in the quarter, the oldest agreement first.

    Suspended ones are included: the button was there, and earlier reports name it.
    """
    last_day = quarter.last_day.isoformat()
    rows = [
        row
        for row in list_placements(connection, owner=partner)
        if row.agreed_on <= last_day and not _ended_before(row, quarter)
    ]
    rows.sort(key=lambda row: (row.agreed_on, row.placement))
    return tuple((row.placement, format_place(row.surface, row.position)) for row in rows[:MOST_PLACES])


def _ended_before(row: PlacementRow, quarter: Quarter) -> bool:
    return row.state == "ended" and row.state_at < format_time(quarter.starts_at)


def count_own_answers(connection: Connection, *, partner: str, quarter: Quarter) -> dict[str, dict[str, int]]:
    """Return, by table and label, the partner's own cases closed in the quarter, exactly, as the assessor answered."""
    answers = (CASES.c.kind, CASES.c.weakness_1, CASES.c.weakness_2)
    rows = connection.execute(
        select(*answers, func.count().label("number"))
        .where(
            # Both environments are named so that SQLite uses the index that begins with it.
            CASES.c.environment.in_(get_args(Environment)),
            CASES.c.partner == partner,
            CASES.c.door == "industry",
            CASES.c.synthetic.is_(False),
            CASES.c.joined_to.is_(None),
            CASES.c.closed_at >= format_time(quarter.starts_at),
            CASES.c.closed_at < format_time(quarter.ends_at),
        )
        .group_by(*answers)
    )
    found: dict[str, Counter[str]] = {"kind": Counter(), "weakness": Counter()}
    for row in rows:
        found["kind"][row.kind or NOT_STATED] += row.number
        for code in {row.weakness_1, row.weakness_2} - {None}:
            found["weakness"][code] += row.number
    return {table: dict(counts) for table, counts in found.items()}
