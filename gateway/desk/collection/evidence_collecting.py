"""Collects evidence from the feed, still sealed: each part is checked and on disk before the whole is acknowledged.

Urgent reports come first, then small files before large, partners in turn. Never fetches evidence that no report here
names, never acknowledges evidence that is incomplete on this desk's own disk, and never exceeds the disk, the time, a
partner's share or the limits of one run: the next run continues. A list with a million wrong lines costs no memory,
and raises a few alarms and one for the rest.
"""

import hashlib
import heapq
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from gateway.desk.collection import evidence_holdings as holdings
from gateway.desk.collection.evidence_holdings import SealedParts, get_parts, hold_alone, size_of_sealed_part
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.office.inbox import FeedCircleError, read_pages
from gateway.desk.office.wiring import Desk
from gateway.desk.store import DeskStore, audit
from gateway.desk.store.audit import list_alarm_subjects, raise_alarm
from gateway.exchange.feed import EVIDENCE, Acknowledgement, EvidenceRow
from partner_sdk.errors import FormatError, RefusedError, ReportAbuseError, TransportError, UnavailableError
from partner_sdk.wire.canonical import check_report_id, encode, parse_exact
from partner_sdk.wire.evidence import count_sealed_parts, evidence_digest
from partner_sdk.wire.submission import check_partner_id

# 32 bytes of digest each, 120 in memory. This many of one partner are 390 GB in the largest files, or 50,000 small
# ones.
MOST_DIGESTS_OF_ONE: Final = 50_000
MOST_DIGESTS: Final = 500_000


@dataclass(frozen=True, slots=True)
class WantedEvidence:
    """One line of the list that a report here names; `is_urgent` if one of its reports is a P1."""

    row: EvidenceRow
    is_urgent: bool


# Heap order: the least wanted comes out first.
_Entry = tuple[bool, int, str, WantedEvidence]


@dataclass(slots=True)
class FetchPlan:
    """The fetch list of one run. `is_cut`: some lines were left to the next run."""

    is_cut: bool = False
    _by_partner: dict[str, list[_Entry]] = field(default_factory=dict)
    _digests: dict[str, int] = field(default_factory=dict)
    _seen: set[tuple[str, str]] = field(default_factory=set)

    @property
    def is_full(self) -> bool:
        """Whether the plan cannot take another line, of any partner."""
        return sum(self._digests.values()) >= MOST_DIGESTS

    def add(self, wanted: WantedEvidence) -> None:
        """Add one line; above its partner's limit, that partner's least wanted line is dropped."""
        row = wanted.row
        if (row.partner, row.evidence_id) in self._seen:
            return
        self._seen.add((row.partner, row.evidence_id))
        heap = self._by_partner.setdefault(row.partner, [])
        heapq.heappush(heap, (wanted.is_urgent, -row.size_bytes, row.evidence_id, wanted))
        self._digests[row.partner] = self._digests.get(row.partner, 0) + len(row.part_sha256)
        while self._digests[row.partner] > MOST_DIGESTS_OF_ONE:
            gone = heapq.heappop(heap)[-1].row
            self._seen.discard((gone.partner, gone.evidence_id))
            self._digests[row.partner] -= len(gone.part_sha256)
            self.is_cut = True

    def list_in_order(self) -> list[WantedEvidence]:
        """Return the wanted lines in the order of fetching.

        Urgent ones first. Within each group, the next line is from the partner with the fewest bytes so far including
        it, so that a thousand files of one partner come before only about as many bytes of another.
        """
        ordered: list[tuple[bool, int, str, str, WantedEvidence]] = []
        for partner, heap in self._by_partner.items():
            sizes = {True: 0, False: 0}
            for is_urgent, _, evidence_id, wanted in sorted(heap, key=lambda entry: entry[:3], reverse=True):
                sizes[is_urgent] += wanted.row.size_bytes
                ordered.append((not is_urgent, sizes[is_urgent], partner, evidence_id, wanted))
        ordered.sort(key=lambda entry: entry[:4])
        return [entry[-1] for entry in ordered]


# Up to this many alarms of one kind are open together; further ones share one alarm a day.
MOST_OPEN: Final = 20
# Up to this many findings of a kind are remembered until they are entered.
_MOST_FOUND: Final = 1_000


@dataclass(slots=True)
class RunAlarms:
    """The findings of a run by kind, in order."""

    store: DeskStore
    _found: dict[str, dict[str, None]] = field(default_factory=dict)

    def find(self, kind: str, subject: str) -> None:
        """Remember a finding for a person."""
        subjects = self._found.setdefault(kind, {})
        if len(subjects) < _MOST_FOUND:
            subjects[subject] = None

    def enter(self, *, now: datetime) -> None:
        """Raise all findings in one durable transaction; without findings, write nothing."""
        if not self._found:
            return
        found, self._found = self._found, {}
        with self.store.write() as connection:
            for kind, subjects in found.items():
                is_open = list_alarm_subjects(connection, kind)
                room = max(0, MOST_OPEN - len(is_open))
                for subject in (one for one in subjects if one not in is_open):
                    if room == 0:
                        raise_alarm(connection, kind, f"and more on {now:%Y-%m-%d}", now=now)
                        break
                    room -= raise_alarm(connection, kind, subject, now=now)


# Alarms. A part that differs from the list, or is missing.
SPOILED: Final = "evidence-spoiled"
# The sealed bytes' digest differs from the one in the partner's report, or from the desk's own.
OTHER_DIGEST: Final = "evidence-digest-differs"
# Evidence that no report names, although every report of the gateway is here.
NOT_NAMED: Final = "evidence-not-named"
# A list line that no correct gateway writes: its sizes and digests are inconsistent.
BAD_LINE: Final = "evidence-list-wrong"
ENDLESS: Final = "evidence-endless"
DISK_LOW: Final = "evidence-disk-low"
NOT_TAKEN: Final = "evidence-acknowledgement-not-taken"
# A partner's evidence has used its share of this disk (`desk.toml`); the other partners' evidence is still collected.
SHARE_USED: Final = "evidence-share-used"

# Space kept free for the desk's own database: reports come first on its disk too.
LEAST_FREE_SHARE: Final = 0.1
MOST_PAGES: Final = 1_000
MAX_LINE_BYTES: Final = 128 * 1024  # the largest file has 1,282 parts: 90 kB
MOST_RUN_BYTES: Final = 256 * 1024**3
MOST_FAILURES: Final = 3
MOST_ACKS: Final = 50
# The share of a run's time for reading the list: even a long list leaves as much for fetching.
LISTING_SHARE: Final = 0.5
# Lines that no report names are counted, and up to this many are checked again after the list.
MOST_UNNAMED: Final = 1_000
_ALARM_OF: Final = {"bytes": ENDLESS, "circle": ENDLESS, "disk": DISK_LOW, "pages": ENDLESS}


@dataclass(slots=True)
class EvidenceCollected:
    """The result of one run. `left` is the reason for stopping early; `over_share` counts partners over their share.

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
        """Whether nothing needs a person; evidence left for lack of time is fetched by the next run."""
        waits = self.spoiled or self.refused or self.over_share
        return not (waits or self.left not in {None, "busy", "list", "time"})


class _EnoughError(Exception):
    """A limit of this run is reached: `why` is the one-word reason."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(slots=True)
class _Run:
    """One run: its tools, its limits, and its findings so far."""

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
        """Raise `_EnoughError` if the time for this run, or this part of it, is used up."""
        ends_at = self.ends_at if until is None else until
        if ends_at is not None and self.ticks() >= ends_at:
            raise _EnoughError("time")

    def check_bounds(self, next_bytes: int) -> None:
        """Raise `_EnoughError` if the next part would be too much for this run or this disk."""
        if self.done.fetched_bytes + next_bytes > MOST_RUN_BYTES:
            raise _EnoughError("bytes")
        disk = shutil.disk_usage(self.desk.paths.evidence)
        if disk.free - next_bytes < disk.total * LEAST_FREE_SHARE:
            raise _EnoughError("disk")

    def has_share_left(self, row: EvidenceRow) -> bool:
        """Return whether this evidence fits into its partner's share of this disk, and count it."""
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
    """Fetch the gateway's evidence, for about `seconds` at most, and acknowledge complete files.

    The gateway's list comes first, then its files: urgent reports first, small before large, partners in turn. Raises
    the feed client's errors and `LocalStateError`; files fetched before the error stay, and the next run continues.
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
    """Sort the rows of the gateway's list; an error or a limit keeps the rows read so far."""
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
    """Sort one line of the list: wrong, unnamed, already here, or to be fetched."""
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
        # Complete files are acknowledged even if the run stopped early.
        _acknowledge(run)


def _take(run: _Run, row: EvidenceRow) -> None:
    """Fetch one piece of evidence as far as possible."""
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
    """Delete bytes that a signed report contradicts; the alarm tells a person that they were here."""
    name = f"{held.partner}/{held.evidence_id}"
    run.alarms.find(OTHER_DIGEST, name)
    now = run.desk.clock()
    with run.desk.store.write() as connection:
        holdings.drop_held(connection, held)
        audit.append_entry(connection, "drop-evidence", name, at=now, actor=run.actor, digest=held.digest.hex())
    parts.clear()


def _fits(row: EvidenceRow) -> bool:
    """Return whether a line is consistent: its sizes match its digests, and its ids are well formed."""
    try:
        check_partner_id(row.partner)
        check_report_id(row.evidence_id)
    except FormatError:
        return False
    digests = [bytes.fromhex(one) for one in row.part_sha256]
    is_whole = len(digests) == count_sealed_parts(row.size_bytes)
    return is_whole and evidence_digest(digests, size_bytes=row.size_bytes).hex() == row.digest


def _fetch(run: _Run, row: EvidenceRow, parts: SealedParts) -> bool:
    """Fetch every missing part; False if one differs from the list or is not available now."""
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
            # A file that the gateway cannot read must not hold back the rest.
            run.failure, run.failures = error, run.failures + 1
            if run.failures >= MOST_FAILURES:
                raise
            return False
        except (FormatError, RefusedError):
            raw = b""  # larger than a part may be, or missing: not as listed
        if len(raw) == size_bytes and hashlib.sha256(raw).digest() == sha256:
            parts.write_part(number, raw)
        else:
            is_whole = False
    if not is_whole:
        run.done.spoiled += 1
        # Once a day: a cleared alarm is raised again while its cause continues.
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
    """Raise an alarm for evidence that no report here names, once no report is still waiting.

    A report may just have arrived: then it waits at the gateway. Or it waits here for a person.
    """
    if not run.unnamed or run.failure is not None or run.feed.get_status().unacknowledged:
        return
    with run.desk.store.read() as connection:
        partners = {partner for partner, _ in run.unnamed}
        may_name = {partner for partner in partners if holdings.has_quarantined(connection, partner=partner)}
    for partner, evidence_id in run.unnamed:
        if partner not in may_name:
            run.done.refused += 1
            run.alarms.find(NOT_NAMED, f"{partner}/{evidence_id}")


def _make_ack(row: EvidenceRow) -> Acknowledgement:
    return Acknowledgement(address=row.partner, item_id=row.evidence_id, sha256=row.digest)


def _name(row: EvidenceRow) -> str:
    return f"{row.partner}/{row.evidence_id}"
