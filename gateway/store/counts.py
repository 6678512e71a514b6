"""Weekly event counts: names of events and numbers.

Never counts by person, network or report, and never by less than a week.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from gateway.store.schema import counts


@dataclass(frozen=True, slots=True)
class Count:
    """One count: event name, week (e.g. `2026-W48`) and number."""

    name: str
    week: str
    number: int


_ADD = (
    update(counts)
    .where(counts.c.name == bindparam("wanted_name"), counts.c.week == bindparam("wanted_week"))
    .values(number=counts.c.number + 1)
)
_LIST = select(counts.c.name, counts.c.week, counts.c.number).order_by(counts.c.week, counts.c.name)


def add_count(connection: Connection, *, name: str, week: str) -> None:
    """Add one to a count; the first of a week inserts its row."""
    # Writers are serialised (decision 0008), so no other writer can insert the row in between.
    if connection.execute(_ADD, {"wanted_name": name, "wanted_week": week}).rowcount == 0:
        connection.execute(insert(counts), {"name": name, "week": week, "number": 1})


def list_counts(connection: Connection) -> list[Count]:
    """Return every count, by week and name."""
    return [Count(*row) for row in connection.execute(_LIST)]
