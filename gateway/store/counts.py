"""Weekly event counts: names of events and numbers.

Never counts by person, network or report, and never by less than a week.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, select, text

from gateway.store.prepared import PreparedStatement
from gateway.store.schema import counts


@dataclass(frozen=True, slots=True)
class Count:
    """One count: event name, week (e.g. `2026-W48`) and number."""

    name: str
    week: str
    number: int


# Text, because Core has ON CONFLICT only by dialect. Both databases know it.
_ADD = PreparedStatement(
    text(
        "INSERT INTO counts (name, week, number) VALUES (:name, :week, 1) "
        "ON CONFLICT (name, week) DO UPDATE SET number = counts.number + 1"
    )
)
_LIST = select(counts.c.name, counts.c.week, counts.c.number).order_by(counts.c.week, counts.c.name)


def add_count(connection: Connection, *, name: str, week: str) -> None:
    """Add one to a count; the first of a week inserts its row. Right beside other writers."""
    _ADD.run(connection, {"name": name, "week": week})


def list_counts(connection: Connection) -> list[Count]:
    """Return every count, by week and name."""
    return [Count(*row) for row in connection.execute(_LIST)]
