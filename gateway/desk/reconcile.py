"""Compares the gateway's chain with what this desk holds: ids and digests, link by link.

Never changes a report: differences become alarms for a person.
"""

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select

from gateway.desk.chain import Chain, raise_alarm
from gateway.desk.feed_client import FeedClient
from gateway.desk.store.schema import CHAIN_LINKS
from gateway.desk.wiring import Desk

MISSING_HERE: Final = "missing-at-desk"
MISSING_THERE: Final = "missing-at-gateway"
DIFFERENT: Final = "different-at-gateway"


@dataclass(slots=True)
class Reconciled:
    """How many links were compared, and the sequence numbers that differ."""

    compared: int = 0
    missing_here: list[int] = field(default_factory=list)
    missing_there: list[int] = field(default_factory=list)
    different: list[int] = field(default_factory=list)

    @property
    def is_even(self) -> bool:
        """Whether both sides hold the same."""
        return not (self.missing_here or self.missing_there or self.different)


def reconcile(desk: Desk, feed: FeedClient) -> Reconciled:
    """Compare every link of the gateway's running chain; run it after `collect`, so that nothing is under way."""
    status = feed.get_status()
    chain = Chain(status.instance, status.epoch)
    theirs = _read_theirs(feed)
    ours: dict[int, set[str]] = {}
    running: set[int] = set()
    with desk.store.read() as connection:
        for row in connection.execute(
            select(CHAIN_LINKS.c.sequence, CHAIN_LINKS.c.epoch, CHAIN_LINKS.c.statement_sha256).where(
                CHAIN_LINKS.c.instance == chain.instance
            )
        ):
            ours.setdefault(row.sequence, set()).add(bytes(row.statement_sha256).hex())
            if row.epoch == chain.epoch:
                running.add(row.sequence)
    result = Reconciled(
        compared=len(theirs.keys() | running),
        missing_here=sorted(theirs.keys() - ours.keys()),
        # What an older epoch lost in a restore is held here and is no fault of the running one.
        missing_there=sorted(running - theirs.keys()),
        different=sorted(one for one in ours.keys() & theirs.keys() if theirs[one] not in ours[one]),
    )
    now = desk.clock()
    with desk.store.write() as connection:
        for kind, sequences in (
            (MISSING_HERE, result.missing_here),
            (MISSING_THERE, result.missing_there),
            (DIFFERENT, result.different),
        ):
            for sequence in sequences:
                raise_alarm(connection, kind, chain.name(sequence, sequence), now=now)
    return result


def _read_theirs(feed: FeedClient) -> dict[int, str]:
    theirs: dict[int, str] = {}
    after = 0
    while True:
        page = feed.get_reconciliation(after=after)
        theirs |= {row.sequence: row.intake_sha256 for row in page.statements}
        if not page.more or not page.statements:
            return theirs
        after = max(row.sequence for row in page.statements)
