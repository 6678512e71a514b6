"""Draws the tables of a digest, each once: pay, note the intent, sample, store, and only then the next.

A spend is committed and its intent is in the journal before a table is sampled. A draw is in the journal before it is
in the database, so a desk restored from a backup takes it from there. A draw that is in neither is lost: it is never
drawn again.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from gateway.desk.audit import append_entry
from gateway.desk.digests import noise
from gateway.desk.digests.journal import (
    Journal,
    JournalError,
    JournalledDraw,
    add_intent,
    add_journalled_draw,
    find_journal,
)
from gateway.desk.digests.ledger import LedgerError, get_spends
from gateway.desk.digests.records import DigestRecord, add_draw
from gateway.desk.digests.tables import Table
from gateway.desk.keyring.key_set import parse_period
from gateway.desk.store import DeskStore
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time

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
    _take_waiting(store, draft, now=clock())
    # Each transaction stores one draw and pays for the next: a crash loses at most the table that is being drawn.
    while draft.unpaid:
        table = draft.unpaid.pop(0)
        add_intent(
            store.journal,
            draft.record,
            table=table.name,
            micro_epsilon=_get_cost(table),
            at=format_time(clock()),
        )
        draw = noise.draw(draft.count(table), sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro)
        add_journalled_draw(store.journal, draft.record, table=table.name, draw=draw)
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


def take_from_journal(connection: Connection, draft: Draft, journal: Journal | None, *, now: datetime) -> None:
    """Store each draw that the journal has and the database lacks, and pay for it; an intent alone is a lost draw.

    The draws stand even if the clusters frozen now are others: the audit log names the manifest of each. Raises
    `JournalError` (`journal-differs`) if this release draws a table at another cost or with other labels.
    """
    record = draft.record
    paid = _list_paid(connection, record) if journal else set()
    for name, one in journal.tables.items() if journal else ():
        table = next((table for table in draft.unpaid if table.name == name), None)
        if table is not None:
            _check_same(table, one)
            draft.unpaid.remove(table)
            draft.lost.append(name)
            if name not in paid:
                draft.pay_for(connection, table, now=now)
        if name in draft.lost and one.draw is not None:
            add_draw(connection, record, table=name, draw=one.draw)
            record.draws[name] = one.draw
            draft.lost.remove(name)
            detail = {"table": name, "clusters_sha256": one.clusters_sha256}
            append_entry(connection, "digest-draw-restored", record.digest_id, at=now, actor=record.made_by, **detail)
    draft.drop_undeserved()


def _take_waiting(store: DeskStore, draft: Draft, *, now: datetime) -> None:
    journal = find_journal(store.journal, draft.record.digest_id)
    unpaid = {table.name for table in draft.unpaid}
    if journal and any(name in unpaid or (name in draft.lost and one.draw) for name, one in journal.tables.items()):
        with store.write() as connection:
            take_from_journal(connection, draft, journal, now=now)
            if draft.unpaid and draft.unpaid[0].name not in _list_paid(connection, draft.record):
                draft.pay_for(connection, draft.unpaid[0], now=now)


def _list_paid(connection: Connection, record: DigestRecord) -> set[str]:
    quarters = parse_period(record.quarter).quarters
    return {name for one in quarters for name in get_spends(connection, partner=record.partner, quarter=one)}


def _check_same(table: Table, one: JournalledDraw) -> None:
    if one.micro_epsilon != _get_cost(table) or (one.draw is not None and len(one.draw) != len(table.labels)):
        raise JournalError(
            f"The journal has a draw of {table.name} at another cost or with other labels: install the release that "
            "made it, and make this digest with that.",
            reason="journal-differs",
        )


def _get_cost(table: Table) -> int:
    return noise.get_cost_micro(sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro)
