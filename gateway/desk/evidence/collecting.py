"""Collects evidence from the feed, still sealed: each part is checked and on disk before the whole is acknowledged.

Never fetches what no report here names, never acknowledges what is not whole on this desk's own disk, and never takes
more than the disk, the time and the bounds of one run allow: the next run goes on where this one stopped.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.desk import audit
from gateway.desk.alarms import raise_alarm
from gateway.desk.evidence import holdings
from gateway.desk.evidence.sealed_parts import SealedParts, count_parts, get_parts, hold_alone, size_of_part
from gateway.desk.feed_client import FeedClient
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, RefusedError, UnavailableError
from partner_sdk.wire.canonical import check_report_id, encode
from partner_sdk.wire.evidence import EvidenceAck, EvidenceRow, evidence_digest
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

# The desk's own database must go on: reports come first on its disk too.
LEAST_FREE_SHARE: Final = 0.1
MOST_PAGES: Final = 1_000
MOST_RUN_BYTES: Final = 256 * 1024**3
MOST_FAILURES: Final = 3
MOST_ACKS: Final = 500
_ALARM_OF: Final = {"bytes": ENDLESS, "circle": ENDLESS, "disk": DISK_LOW, "pages": ENDLESS}


@dataclass(slots=True)
class EvidenceCollected:
    """What one run did. `left` says why it ended before everything was here: busy, bytes, circle, disk, pages, time."""

    collected: int = 0
    fetched_bytes: int = 0
    spoiled: int = 0
    refused: int = 0
    unnamed: int = 0
    left: str | None = None

    @property
    def is_well(self) -> bool:
        """Whether nothing of it waits for a person; what is left for want of time comes by itself."""
        return not (self.spoiled or self.refused or self.left not in {None, "busy", "time"})


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
    done: EvidenceCollected = field(default_factory=EvidenceCollected)
    acks: list[EvidenceAck] = field(default_factory=list)
    failure: UnavailableError | None = None
    failures: int = 0

    def check_bounds(self, next_bytes: int) -> None:
        """Raise `_EnoughError` when the next part would be too much for this run or this disk."""
        if self.ends_at is not None and self.ticks() >= self.ends_at:
            raise _EnoughError("time")
        if self.done.fetched_bytes + next_bytes > MOST_RUN_BYTES:
            raise _EnoughError("bytes")
        disk = shutil.disk_usage(self.desk.paths.evidence)
        if disk.free - next_bytes < disk.total * LEAST_FREE_SHARE:
            raise _EnoughError("disk")

    def alarm(self, kind: str, subject: str) -> None:
        """Raise an alarm for a person."""
        with self.desk.store.write() as connection:
            raise_alarm(connection, kind, subject, now=self.desk.clock())


def collect_evidence(
    desk: Desk,
    feed: FeedClient,
    *,
    actor: str,
    seconds: float | None = None,
    ticks: Callable[[], float] = time.monotonic,
) -> EvidenceCollected:
    """Fetch what the gateway holds of evidence, for about `seconds` at most, and acknowledge what is whole here.

    Raises what the feed client raises, and `LocalStateError`; what was fetched until then stays, and the next run goes
    on from there.
    """
    ends_at = None if seconds is None else ticks() + seconds
    run = _Run(desk, feed, actor, ticks=ticks, ends_at=ends_at)
    with hold_alone(desk.paths.evidence) as is_alone:
        if not is_alone:
            run.done.left = "busy"
            return run.done
        try:
            _take_pages(run)
        except _EnoughError as enough:
            run.done.left = enough.why
    for name in _list_differing(desk):
        run.alarm(OTHER_DIGEST, name)
    if run.done.left in _ALARM_OF:
        run.alarm(_ALARM_OF[run.done.left], f"{desk.clock():%Y-%m-%d}")
    if run.failure is not None:
        raise run.failure
    return run.done


def _take_pages(run: _Run) -> None:
    after = ""
    for _ in range(MOST_PAGES):
        page = run.feed.get_evidence(after=after)
        if not page.evidence:
            return
        try:
            unnamed = [row for row in page.evidence if not _take(run, row)]
        finally:
            # What is whole is said, whatever stopped the rest.
            _acknowledge(run)
        _note_unnamed(run, unnamed)
        last = max((row.evidence_id for row in page.evidence if _has_good_ids(row)), default="")
        if not page.more:
            return
        if last <= after:
            raise _EnoughError("circle")
        after = last
    raise _EnoughError("pages")


def _take(run: _Run, row: EvidenceRow) -> bool:
    """Take one line of the list as far as it goes; False when no report here names it."""
    desk, done = run.desk, run.done
    if not _fits(row):
        done.refused += 1
        run.alarm(BAD_LINE, hashlib.sha256(encode(row)).hexdigest())
        return True
    with desk.store.read() as connection:
        is_named = holdings.is_named(connection, partner=row.partner, evidence_id=row.evidence_id)
        digests = holdings.list_digests(connection, partner=row.partner, evidence_id=row.evidence_id)
        held = holdings.find_held(connection, partner=row.partner, evidence_id=row.evidence_id)
    if not is_named:
        return False
    if held is not None:
        digests |= {held.digest}
    if not digests <= {bytes.fromhex(row.digest)}:
        done.refused += 1
        run.alarm(OTHER_DIGEST, _name(row))
        return True
    parts = get_parts(desk.paths.evidence, partner=row.partner, evidence_id=row.evidence_id)
    if held is None or not parts.is_whole(size_bytes=row.size_bytes):
        if not _fetch(run, row, parts):
            return True
        _keep(run, row)
    run.acks.append(EvidenceAck(digest=row.digest, evidence_id=row.evidence_id, partner=row.partner))
    return True


def _fits(row: EvidenceRow) -> bool:
    """Return whether sizes and digests of a line fit one another, and its ids are spelled as ids are."""
    digests = [bytes.fromhex(one) for one in row.part_sha256]
    return (
        _has_good_ids(row)
        and len(digests) == count_parts(row.size_bytes)
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
    """Bring in every part that is not here; False when one is not what the list names, or can not be had now."""
    parts.prepare()
    is_whole = True
    for number, sha256 in enumerate(map(bytes.fromhex, row.part_sha256)):
        if parts.has_part(number, sha256=sha256):
            continue
        size_bytes = size_of_part(number, size_bytes=row.size_bytes)
        run.check_bounds(size_bytes)
        run.done.fetched_bytes += size_bytes
        try:
            raw = run.feed.get_evidence_part(partner=row.partner, evidence_id=row.evidence_id, part=number)
        except UnavailableError as error:
            # One file that the gateway can not read must not keep back all that lie behind it.
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
        run.alarm(SPOILED, f"{_name(row)} on {run.desk.clock():%Y-%m-%d}")
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
        audit.append_entry(connection, at=now, actor=run.actor, action="collect-evidence", subject=_name(row))
    run.done.collected += 1


def _acknowledge(run: _Run) -> None:
    while run.acks:
        batch = tuple(run.acks[:MOST_ACKS])
        taken = run.feed.post_evidence_acks(batch)
        del run.acks[: len(batch)]
        now = run.desk.clock()
        with run.desk.store.write() as connection:
            named = [(one.partner, one.evidence_id) for one in batch]
            holdings.note_acknowledged(connection, named, now=now)
        if taken < len(batch):
            run.alarm(NOT_TAKEN, f"{now:%Y-%m-%d}")


def _note_unnamed(run: _Run, rows: Sequence[EvidenceRow]) -> None:
    """Raise an alarm for evidence that no report here names, once nothing that could name it waits anywhere.

    The report may have come in a moment ago: then it waits at the gateway. Or it waits here for a person.
    """
    run.done.unnamed += len(rows)
    if not rows or run.feed.get_status().unacknowledged:
        return
    for row in rows:
        with run.desk.store.read() as connection:
            may_be_named = holdings.has_set_aside(connection, partner=row.partner)
        if not may_be_named:
            run.done.refused += 1
            run.alarm(NOT_NAMED, _name(row))


def _list_differing(desk: Desk) -> list[str]:
    with desk.store.read() as connection:
        return [f"{partner}/{evidence_id}" for partner, evidence_id in holdings.list_differing(connection)]


def _name(row: EvidenceRow) -> str:
    return f"{row.partner}/{row.evidence_id}"
