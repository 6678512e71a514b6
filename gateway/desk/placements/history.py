"""The history of a placement: what was done with it, by whom, why, and the terms as they stood after it."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from gateway.desk.placements.terms import Terms
from gateway.desk.store.placement_tables import PLACEMENT_HISTORY
from partner_sdk.wire.canonical import parse_exact

_MAX_TERMS_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One deed: `agree`, `change`, `suspend`, `resume` or `end`."""

    at: str
    by: str
    deed: str
    reason: str | None
    terms: Terms


def list_history(connection: Connection, placement: str) -> list[HistoryRow]:
    """Return what was done with a placement, the newest first."""
    rows = connection.execute(
        select(PLACEMENT_HISTORY)
        .where(PLACEMENT_HISTORY.c.placement == placement)
        .order_by(PLACEMENT_HISTORY.c.id.desc())
    )
    return [
        HistoryRow(
            at=row.at,
            by=row.by,
            deed=row.deed,
            reason=row.reason,
            terms=parse_exact(bytes(row.terms), kind=Terms, max_bytes=_MAX_TERMS_BYTES),
        )
        for row in rows
    ]
