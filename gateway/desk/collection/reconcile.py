"""Compares the gateway's chain with what this desk holds: ids and digests, link by link.

Never changes a report: differences become alarms for a person.
"""

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select

from gateway.desk.alarms import raise_alarm
from gateway.desk.collection.chain import Chain
from gateway.desk.feed_client import FeedClient
from gateway.desk.store.schema import CHAIN_LINKS
from gateway.desk.wiring import Desk

MISSING_HERE: Final = "missing-at-desk"
MISSING_THERE: Final = "missing-at-gateway"
DIFFERENT: Final = "different-at-gateway"
ENDLESS: Final = "reconciliation-endless"
MOST_PAGES: Final = 10_000
MOST_LINKS: Final = 2_000_000
MOST_ALARMS: Final = 100


@dataclass(slots=True)
class Reconciled:
    """How many links were compared, and the sequence numbers that differ; `is_whole` unless the feed did not end."""

    compared: int = 0
    missing_here: list[int] = field(default_factory=list)
    missing_there: list[int] = field(default_factory=list)
    different: list[int] = field(default_factory=list)
    is_whole: bool = True

    @property
    def is_even(self) -> bool:
        """Whether both sides were compared to their end and hold the same."""
        return self.is_whole and not (self.missing_here or self.missing_there or self.different)


def reconcile(desk: Desk, feed: FeedClient) -> Reconciled:
    """Compare every link of the gateway's running chain; run it after `collect`, so that nothing is under way."""
    status = feed.get_status()
    chain = Chain(status.instance, status.epoch)
    theirs, end = _read_theirs(feed)
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
        # Behind `end` nothing was shown to us.
        missing_there=sorted(one for one in running - theirs.keys() if end is None or one <= end),
        different=sorted(one for one in ours.keys() & theirs.keys() if theirs[one] not in ours[one]),
        is_whole=end is None,
    )
    now = desk.clock()
    with desk.store.write() as connection:
        if not result.is_whole:
            raise_alarm(connection, ENDLESS, f"{chain.instance}/{chain.epoch} on {now:%Y-%m-%d}", now=now)
        for kind, sequences in (
            (MISSING_HERE, result.missing_here),
            (MISSING_THERE, result.missing_there),
            (DIFFERENT, result.different),
        ):
            for first, last in _list_runs(sequences, most=MOST_ALARMS):
                raise_alarm(connection, kind, chain.name(first, last), now=now)
    return result


def _list_runs(sequences: list[int], *, most: int) -> list[tuple[int, int]]:
    """Return first and last of each run of numbers; all that is behind the run `most` goes into that one."""
    runs: list[tuple[int, int]] = []
    for sequence in sequences:
        if runs and (sequence == runs[-1][1] + 1 or len(runs) == most):
            runs[-1] = runs[-1][0], sequence
        else:
            runs.append((sequence, sequence))
    return runs


def _read_theirs(feed: FeedClient) -> tuple[dict[int, str], int | None]:
    """Return their links by number, and where the reading ended early: the feed goes in a circle, or on and on."""
    theirs: dict[int, str] = {}
    after = 0
    for _ in range(MOST_PAGES):
        page = feed.get_reconciliation(after=after)
        theirs |= {row.sequence: row.intake_sha256 for row in page.statements if row.sequence > after}
        if not page.more:
            return theirs, None
        reached = max((row.sequence for row in page.statements), default=after)
        if reached <= after or len(theirs) > MOST_LINKS:
            return theirs, after
        after = reached
    return theirs, after
