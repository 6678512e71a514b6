"""Collects evidence from the feed, still sealed: each part is checked and on disk before the whole is acknowledged.

Never fetches what no report here names, never acknowledges what is not whole on this desk's own disk, and never takes
more than the disk, the time, a partner's share and the bounds of one run allow: the next run goes on from there.
"""

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from gateway.desk import audit
from gateway.desk.evidence import holdings
from gateway.desk.evidence.fetch_plan import FetchPlan, WantedEvidence
from gateway.desk.evidence.run_alarms import RunAlarms
from gateway.desk.evidence.sealed_parts import SealedParts, get_parts, hold_alone
from gateway.desk.feed_client import FeedClient
from gateway.desk.inbox import FeedCircleError, read_pages
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, RefusedError, ReportAbuseError, TransportError, UnavailableError
from partner_sdk.wire.canonical import check_report_id, encode, parse_exact
from partner_sdk.wire.evidence import (
    EvidenceRow,
    count_sealed_parts,
    evidence_digest,
    size_of_sealed_part,
)
from partner_sdk.wire.items import EVIDENCE, Acknowledgement
from partner_sdk.wire.submission import check_partner_id

# Alarms. A part that is not what the list names, or is not there at all.
SPOILED: Final = "evidence-spoiled"
# Sealed bytes with another digest than the partner sealed into its report, or than the desk holds.
OTHER_DIGEST: Final = "evidence-digest-differs"
# Evidence that no report names, though every report of the gateway is here.
NOT_NAMED: Final = "evidence-not-named"
# A line of the list that no gateway writes: sizes and digests that do not fit one another.
BAD_LINE: Final = "evidence-list-wrong"
ENDLESS: Final = "evidence-endless"
DISK_LOW: Final = "evidence-disk-low"
NOT_TAKEN: Final = "evidence-acknowledgement-not-taken"
# One partner's evidence has the share of this disk that `desk.toml` gives to one; that of the others goes on.
SHARE_USED: Final = "evidence-share-used"

# The desk's own database must go on: reports come first on its disk too.
LEAST_FREE_SHARE: Final = 0.1
MOST_PAGES: Final = 1_000
MAX_LINE_BYTES: Final = 128 * 1024  # the largest names 1,282 parts: 90 kB
MOST_RUN_BYTES: Final = 256 * 1024**3
MOST_FAILURES: Final = 3
MOST_ACKS: Final = 50
# Of a run's time: a list that is long leaves as much for fetching what it names.
LISTING_SHARE: Final = 0.5
# Lines that no report names are counted, and so many are looked at again once the list is read.
MOST_UNNAMED: Final = 1_000
_ALARM_OF: Final = {"bytes": ENDLESS, "circle": ENDLESS, "disk": DISK_LOW, "pages": ENDLESS}


@dataclass(slots=True)
class EvidenceCollected:
    """What one run did. `left` says why it ended before everything was here; `over_share` is of partners over theirs.

    `left` is one of busy, bytes, circle, disk, list, pages, time.
    """

    collected: int = 0
    fetched_bytes: int = 0
    spoiled: int = 0
    refused: int = 0
    unnamed: int = 0
    over_share: int = 0
    left: str | None = None

    @property
    def is_well(self) -> bool:
        """Whether nothing of it waits for a person; what is left for want of time comes by itself."""
        waits = self.spoiled or self.refused or self.over_share
        return not (waits or self.left not in {None, "busy", "list", "time"})


class _EnoughError(Exception):
    """A bound of this run is reached: `why` is one word for it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(slots=True)
class _Run:
    """One run: what it works with, what it may take, and what it has found so far."""

    desk: Desk
    feed: FeedClient
    actor: str
    ticks: Callable[[], float]
    ends_at: float | None
    alarms: RunAlarms
    done: EvidenceCollected = field(default_factory=EvidenceCollected)
    plan: FetchPlan = field(default_factory=FetchPlan)
    unnamed: list[tuple[str, str]] = field(default_factory=list)
    acks: list[Acknowledgement] = field(default_factory=list)
    taken_bytes: dict[str, int] = field(default_factory=dict)
    failure: ReportAbuseError | None = None
    failures: int = 0

    def check_time(self, *, until: float | None = None) -> None:
        """Raise `_EnoughError` when the time of this run, or of this piece of it, is used up."""
        ends_at = self.ends_at if until is None else until
        if ends_at is not None and self.ticks() >= ends_at:
            raise _EnoughError("time")

    def check_bounds(self, next_bytes: int) -> None:
        """Raise `_EnoughError` when the next part would be too much for this run or this disk."""
        if self.done.fetched_bytes + next_bytes > MOST_RUN_BYTES:
            raise _EnoughError("bytes")
        disk = shutil.disk_usage(self.desk.paths.evidence)
        if disk.free - next_bytes < disk.total * LEAST_FREE_SHARE:
            raise _EnoughError("disk")

    def has_share_left(self, row: EvidenceRow) -> bool:
        """Return whether this evidence fits into what its partner may have of this disk; what it brings is counted."""
        if row.partner not in self.taken_bytes:
            with self.desk.store.read() as connection:
                self.taken_bytes[row.partner] = holdings.sum_held_bytes(connection, partner=row.partner)
        share = shutil.disk_usage(self.desk.paths.evidence).total * self.desk.config.evidence_share_of_one_partner
        wanted = self.taken_bytes[row.partner] + row.size_bytes
        if wanted > share:
            return False
        self.taken_bytes[row.partner] = wanted
        return True


def collect_evidence(
    desk: Desk,
    feed: FeedClient,
    *,
    actor: str,
    seconds: float | None = None,
    ticks: Callable[[], float] = time.monotonic,
) -> EvidenceCollected:
    """Fetch what the gateway holds of evidence, for about `seconds` at most, and acknowledge what is whole here.

    First the gateway's list is read, then what it names is fetched: that of urgent reports first, small before large,
    each partner in its turn. Raises what the feed client raises, and `LocalStateError`; what was fetched until then
    stays, and the next run goes on from there.
    """
    started = ticks()
    ends_at = None if seconds is None else started + seconds
    run = _Run(desk, feed, actor, ticks=ticks, ends_at=ends_at, alarms=RunAlarms(desk.store))
    with hold_alone(desk.paths.evidence) as is_alone:
        if not is_alone:
            run.done.left = "busy"
            return run.done
        try:
            _read_list(run, until=None if seconds is None else started + seconds * LISTING_SHARE)
            _fetch_all(run)
        finally:
            _enter_alarms(run)
    if run.failure is not None:
        raise run.failure
    return run.done


def _enter_alarms(run: _Run) -> None:
    now = run.desk.clock()
    with run.desk.store.read() as connection:
        for partner, evidence_id in holdings.list_differing(connection):
            run.alarms.find(OTHER_DIGEST, f"{partner}/{evidence_id}")
    if run.done.left in _ALARM_OF:
        run.alarms.find(_ALARM_OF[run.done.left], f"{now:%Y-%m-%d}")
    run.alarms.enter(now=now)


def _read_list(run: _Run, *, until: float | None) -> None:
    """Sort the rows that the gateway lists; an error or a limit in the list keeps the rows read so far."""
    try:
        _take_pages(run, until=until)
    except _EnoughError as enough:
        run.done.left = enough.why
    except FeedCircleError:
        run.done.left = "circle"
    except (FormatError, TransportError, UnavailableError) as error:
        run.failure = error
    _acknowledge(run)
    _note_unnamed(run)


def _take_pages(run: _Run, *, until: float | None) -> None:
    run.check_time(until=until)
    for number, page in enumerate(read_pages(run.feed, EVIDENCE), start=1):
        rows = [parse_exact(bytes(raw), kind=EvidenceRow, max_bytes=MAX_LINE_BYTES) for raw in page.items]
        with run.desk.store.read() as connection:
            for row in rows:
                run.check_time(until=until)
                _sort_out(run, row, connection=connection)
        if len(run.acks) >= MOST_ACKS:
            _acknowledge(run)
        if not page.more:
            return
        if run.plan.is_full:
            raise _EnoughError("list")
        if number >= MOST_PAGES:
            raise _EnoughError("pages")
        run.check_time(until=until)


def _sort_out(run: _Run, row: EvidenceRow, *, connection: Connection) -> None:
    """Put one line of the list where it belongs: wrong, named by nothing, here already, or to be fetched."""
    desk, done = run.desk, run.done
    if not _fits(row):
        done.refused += 1
        run.alarms.find(BAD_LINE, hashlib.sha256(encode(row)).hexdigest())
        return
    named = holdings.find_naming(
        connection, environment=desk.config.environment, partner=row.partner, evidence_id=row.evidence_id
    )
    if named is None:
        done.unnamed += 1
        if len(run.unnamed) < MOST_UNNAMED:
            run.unnamed.append((row.partner, row.evidence_id))
        return
    held = holdings.find_held(connection, partner=row.partner, evidence_id=row.evidence_id)
    digest = bytes.fromhex(row.digest)
    # The signed digest overrides the stored one: e.g. a P1 names no digest, and junk was collected in its place.
    known = named.digests or (frozenset() if held is None else {held.digest})
    if not known <= {digest}:
        done.refused += 1
        run.alarms.find(OTHER_DIGEST, _name(row))
        return
    parts = get_parts(desk.paths.evidence, partner=row.partner, evidence_id=row.evidence_id)
    if held is None or held.digest != digest or not parts.is_whole(size_bytes=row.size_bytes):
        run.plan.add(WantedEvidence(row, is_urgent=named.is_urgent))
    else:
        run.acks.append(_make_ack(row))


def _fetch_all(run: _Run) -> None:
    if run.plan.is_cut:
        run.done.left = run.done.left or "list"
    try:
        for wanted in run.plan.list_in_order():
            run.check_time()
            _take(run, wanted.row)
            if len(run.acks) >= MOST_ACKS:
                _acknowledge(run)
    except _EnoughError as enough:
        run.done.left = enough.why
    finally:
        # What is whole is said, whatever stopped the rest.
        _acknowledge(run)


def _take(run: _Run, row: EvidenceRow) -> None:
    """Bring one piece of evidence in as far as it goes."""
    with run.desk.store.read() as connection:
        held = holdings.find_held(connection, partner=row.partner, evidence_id=row.evidence_id)
    parts = get_parts(run.desk.paths.evidence, partner=row.partner, evidence_id=row.evidence_id)
    if held is not None and held.digest != bytes.fromhex(row.digest):
        _drop(run, held, parts)
        held = None
    if held is None and not run.has_share_left(row):
        run.done.over_share += 1
        run.alarms.find(SHARE_USED, f"{row.partner} on {run.desk.clock():%Y-%m-%d}")
        return
    if _fetch(run, row, parts):
        _keep(run, row)
        run.acks.append(_make_ack(row))


def _drop(run: _Run, held: holdings.Held, parts: SealedParts) -> None:
    """Let go of bytes that a signed report contradicts; that they were here once is for a person to ask about."""
    name = f"{held.partner}/{held.evidence_id}"
    run.alarms.find(OTHER_DIGEST, name)
    now = run.desk.clock()
    with run.desk.store.write() as connection:
        holdings.drop_held(connection, held)
        audit.append_entry(connection, "drop-evidence", name, at=now, actor=run.actor, digest=held.digest.hex())
    parts.clear()


def _fits(row: EvidenceRow) -> bool:
    """Return whether sizes and digests of a line fit one another, and its ids are spelled as ids are."""
    digests = [bytes.fromhex(one) for one in row.part_sha256]
    return (
        _has_good_ids(row)
        and len(digests) == count_sealed_parts(row.size_bytes)
        and evidence_digest(digests, size_bytes=row.size_bytes).hex() == row.digest
    )


def _has_good_ids(row: EvidenceRow) -> bool:
    try:
        check_partner_id(row.partner)
        check_report_id(row.evidence_id)
    except FormatError:
        return False
    return True


def _fetch(run: _Run, row: EvidenceRow, parts: SealedParts) -> bool:
    """Bring in every part that is not here; False when one is not what the list names, or cannot be had now."""
    parts.prepare()
    is_whole = True
    for number, sha256 in enumerate(map(bytes.fromhex, row.part_sha256)):
        run.check_time()
        if parts.has_part(number, sha256=sha256):
            continue
        size_bytes = size_of_sealed_part(number, sealed_bytes=row.size_bytes)
        run.check_bounds(size_bytes)
        run.done.fetched_bytes += size_bytes
        try:
            raw = run.feed.get_evidence_part(partner=row.partner, evidence_id=row.evidence_id, part=number)
        except UnavailableError as error:
            # One file that the gateway cannot read must not keep back all that lie behind it.
            run.failure, run.failures = error, run.failures + 1
            if run.failures >= MOST_FAILURES:
                raise
            return False
        except (FormatError, RefusedError):
            raw = b""  # larger than a part may be, or not there: not what the list names
        if len(raw) == size_bytes and hashlib.sha256(raw).digest() == sha256:
            parts.write_part(number, raw)
        else:
            is_whole = False
    if not is_whole:
        run.done.spoiled += 1
        # Once a day: an alarm that somebody has cleared is raised anew while its cause goes on.
        run.alarms.find(SPOILED, f"{_name(row)} on {run.desk.clock():%Y-%m-%d}")
    return is_whole


def _keep(run: _Run, row: EvidenceRow) -> None:
    held = holdings.Held(
        partner=row.partner,
        evidence_id=row.evidence_id,
        digest=bytes.fromhex(row.digest),
        size_bytes=row.size_bytes,
    )
    now = run.desk.clock()
    with run.desk.store.write() as connection:
        holdings.add_held(connection, held, now=now)
        audit.append_entry(connection, "collect-evidence", _name(row), at=now, actor=run.actor)
    run.done.collected += 1


def _acknowledge(run: _Run) -> None:
    while run.acks:
        batch = tuple(run.acks[:MOST_ACKS])
        taken = run.feed.acknowledge(EVIDENCE, batch)
        del run.acks[: len(batch)]
        now = run.desk.clock()
        with run.desk.store.write() as connection:
            named = [(one.address, one.item_id) for one in batch]
            holdings.note_acknowledged(connection, named, now=now)
        if taken < len(batch):
            run.alarms.find(NOT_TAKEN, f"{now:%Y-%m-%d}")


def _note_unnamed(run: _Run) -> None:
    """Raise an alarm for evidence that no report here names, once nothing that could name it waits anywhere.

    The report may have come in a moment ago: then it waits at the gateway. Or it waits here for a person.
    """
    if not run.unnamed or run.failure is not None or run.feed.get_status().unacknowledged:
        return
    with run.desk.store.read() as connection:
        partners = {partner for partner, _ in run.unnamed}
        may_name = {partner for partner in partners if holdings.has_set_aside(connection, partner=partner)}
    for partner, evidence_id in run.unnamed:
        if partner not in may_name:
            run.done.refused += 1
            run.alarms.find(NOT_NAMED, f"{partner}/{evidence_id}")


def _make_ack(row: EvidenceRow) -> Acknowledgement:
    return Acknowledgement(address=row.partner, item_id=row.evidence_id, sha256=row.digest)


def _name(row: EvidenceRow) -> str:
    return f"{row.partner}/{row.evidence_id}"
