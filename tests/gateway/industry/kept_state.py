"""Everything that a gateway has kept, to be compared before and after: no refusal may leave a trace."""

from typing import Any

from gateway.wiring import Gateway
from tests.builders import House

LEAST_TABLES = 12


def read_kept(house: House, *, gateway: Gateway | None = None) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables of the database; `gateway` spares opening it anew."""
    with (gateway or house.open_gateway()).store.read() as connection:
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        tables = [row[0] for row in names]
        kept = {
            name: sorted((tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {name}")), key=repr)  # noqa: S608 - names of the database itself
            for name in tables
        }
    assert len(kept) >= LEAST_TABLES
    return kept
