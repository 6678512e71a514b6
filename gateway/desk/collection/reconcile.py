"""Compares the gateway's chains with this desk's: ids and digests, link by link.

Never changes a report that is here: missing reports are fetched again, and other differences become alarms for a
person.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlalchemy import select

from gateway.desk.alarms import raise_alarm
from gateway.desk.collection.chain import Chain
from gateway.desk.collection.collect import collect_reports
from gateway.desk.feed_client import FeedClient
from gateway.desk.store.schema import CHAIN_LINKS
from gateway.desk.wiring import Desk
from gateway.exchange.feed import REPORT, Acknowledgement, FeedStatus, ReconciliationRow

MISSING_HERE: Final = "missing-at-desk"
MISSING_THERE: Final = "missing-at-gateway"
DIFFERENT: Final = "different-at-gateway"
ENDLESS: Final = "reconciliation-endless"
MOST_PAGES: Final = 10_000
MOST_LINKS: Final = 2_000_000
MOST_ALARMS: Final = 100


class Place(NamedTuple):
    """One number of one sender's chain."""

    partner: str
    sequence: int


@dataclass(slots=True)
class Reconciled:
    """The number of compared links and the differing places; `is_whole` unless the feed did not end.

    `brought_back` are reports that the gateway still had and this desk had lost.
    """

    compared: int = 0
    missing_here: list[Place] = field(default_factory=list)
    missing_there: list[Place] = field(default_factory=list)
    different: list[Place] = field(default_factory=list)
    is_whole: bool = True
    brought_back: int = 0

    @property
    def is_even(self) -> bool:
        """Whether both sides were compared to their end without a difference."""
        return self.is_whole and not (self.missing_here or self.missing_there or self.different)


def reconcile(desk: Desk, feed: FeedClient, *, actor: str) -> Reconciled:
    """Compare every link of the gateway's current epoch; run it after `collect`, so that no report is under way.

    Reports that were acknowledged but are missing here, because this desk was restored from a backup, are requested
    again and filed; alarms are for reports still missing after that.
    """
    status = feed.get_status()
    theirs, is_whole = _read_theirs(feed)
    result = _compare(desk, status, theirs=theirs, is_whole=is_whole)
    if result.missing_here and _ask_again(feed, [theirs[place] for place in result.missing_here]):
        collected = collect_reports(desk, feed, actor=actor, from_start=True)
        result = _compare(desk, status, theirs=theirs, is_whole=is_whole)
        result.brought_back = collected.filed + collected.quarantined
    now = desk.clock()
    with desk.store.write() as connection:
        if not result.is_whole:
            raise_alarm(connection, ENDLESS, f"{status.instance}/{status.epoch} on {now:%Y-%m-%d}", now=now)
        for kind, places in (
            (MISSING_HERE, result.missing_here),
            (MISSING_THERE, result.missing_there),
            (DIFFERENT, result.different),
        ):
            for partner, first, last in _list_runs(places, most=MOST_ALARMS):
                chain = Chain(status.instance, status.epoch, partner)
                raise_alarm(connection, kind, chain.name(first, last), now=now)
    return result


def _ask_again(feed: FeedClient, rows: list[ReconciliationRow]) -> int:
    """Return how many of these the gateway makes wait again."""
    lost = tuple(Acknowledgement(address=row.partner, item_id=row.report_id, sha256=row.intake_sha256) for row in rows)
    return feed.acknowledge(REPORT, lost, is_withdrawn=True)


def _compare(
    desk: Desk, status: FeedStatus, *, theirs: Mapping[Place, ReconciliationRow], is_whole: bool
) -> Reconciled:
    ours: dict[Place, set[str]] = {}
    running: set[Place] = set()
    with desk.store.read() as connection:
        for row in connection.execute(
            select(
                CHAIN_LINKS.c.partner, CHAIN_LINKS.c.sequence, CHAIN_LINKS.c.epoch, CHAIN_LINKS.c.statement_sha256
            ).where(CHAIN_LINKS.c.instance == status.instance)
        ):
            place = Place(row.partner, row.sequence)
            ours.setdefault(place, set()).add(bytes(row.statement_sha256).hex())
            if row.epoch == status.epoch:
                running.add(place)
    shown: dict[str, int] = {}
    for place in theirs:
        shown[place.partner] = max(place.sequence, shown.get(place.partner, 0))
    return Reconciled(
        compared=len(theirs.keys() | running),
        missing_here=sorted(theirs.keys() - ours.keys()),
        # A loss in an older epoch, in a restore, is recorded here and is no fault of the current one. An incomplete
        # list shows, for each chain, only the numbers before its highest one.
        missing_there=sorted(
            one for one in running - theirs.keys() if is_whole or one.sequence < shown.get(one.partner, 0)
        ),
        different=sorted(one for one in ours.keys() & theirs.keys() if theirs[one].intake_sha256 not in ours[one]),
        is_whole=is_whole,
    )


def _list_runs(places: list[Place], *, most: int) -> list[tuple[str, int, int]]:
    """Return chain, first and last of each run of numbers; after `most` runs, a whole chain counts as one."""
    runs: list[tuple[str, int, int]] = []
    for partner, sequence in places:
        if runs and runs[-1][0] == partner and (sequence == runs[-1][2] + 1 or len(runs) >= most):
            runs[-1] = partner, runs[-1][1], sequence
        else:
            runs.append((partner, sequence, sequence))
    return runs


def _read_theirs(feed: FeedClient) -> tuple[dict[Place, ReconciliationRow], bool]:
    """Return their links by place, and whether the list is complete: a feed may be circular or endless."""
    theirs: dict[Place, ReconciliationRow] = {}
    after = 0
    for _ in range(MOST_PAGES):
        page = feed.get_reconciliation(after=after)
        shown = [row for row in page.statements if row.position > after]
        theirs |= {Place(row.partner, row.sequence): row for row in shown}
        if not page.more:
            return theirs, True
        reached = max((row.position for row in shown), default=after)
        if reached <= after or len(theirs) > MOST_LINKS:
            return theirs, False
        after = reached
    return theirs, False
