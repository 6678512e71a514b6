"""Draws the tables of a digest, each once: pay, sample, store, and only then the next.

A spend is committed before its table is sampled, and a draw that was not stored is lost: it is never drawn again.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from gateway.desk.digests import noise
from gateway.desk.digests.ledger import LedgerError
from gateway.desk.digests.records import DigestRecord, add_draw
from gateway.desk.digests.tables import Table
from gateway.desk.store import DeskStore
from partner_sdk.errors import ReportAbuseError

Clock = Callable[[], datetime]


class DigestError(ReportAbuseError):
    """A digest cannot be made, shown or released as asked."""


class Draft(Protocol):
    """A digest of any kind that is being made."""

    @property
    def record(self) -> DigestRecord:
        """Its record; the draws are added to it."""

    @property
    def unpaid(self) -> list[Table]:
        """The tables that are neither paid for nor drawn."""

    @property
    def lost(self) -> list[str]:
        """The tables that were paid for and whose draw was never stored."""

    def count(self, table: Table) -> list[int]:
        """Return the exact counts of a table. Secret: only the noise may see them."""

    def drop_undeserved(self) -> None:
        """Leave tables unpaid that earlier draws have made needless."""

    def pay_for(self, connection: Connection, table: Table, *, now: datetime) -> None:
        """Write the spend of a table. Raises `LedgerError`."""


def draw_unpaid(store: DeskStore, draft: Draft, *, accept_lost: bool, clock: Clock) -> None:
    """Draw every table of a draft once; the first one is paid for. Raises `DigestError` if a draw was lost."""
    # Each transaction stores one draw and pays for the next: a crash loses at most the table that is being drawn.
    while draft.unpaid:
        table = draft.unpaid.pop(0)
        draw = noise.draw(draft.count(table), sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro)
        refused: LedgerError | None = None
        with store.write() as connection:
            add_draw(connection, draft.record, table=table.name, draw=draw)
            draft.record.draws[table.name] = draw
            draft.drop_undeserved()
            try:
                if draft.unpaid:
                    draft.pay_for(connection, draft.unpaid[0], now=clock())
            except LedgerError as error:
                refused = error  # the draw before it is stored all the same
        if refused is not None:
            raise refused
    if draft.lost and not accept_lost:
        raise DigestError(
            (
                f"The budget for {', '.join(draft.lost)} is spent, but the noise was never stored: the desk "
                "stopped halfway, or another command is drawing it right now. It is never drawn again. "
                "Wait a minute and try again; if you see this message again, make the digest without it "
                "(--without-lost)."
            ),
            reason="draw-lost",
        )
