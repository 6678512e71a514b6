"""Collects from the feed: judges each row, stores it durably, and only then acknowledges it.

Never acknowledges a row that is not on this desk's own disk, and never lets one bad row delay the next. An
acknowledgement means "stored here, byte for byte": a row in quarantine is acknowledged too, because its bytes are
kept.

`reconcile` compares the gateway's chains with this desk's, link by link: missing reports are fetched again, and other
differences become alarms for a person. It never changes a report that is here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Connection, literal, select

from gateway.desk.collection.chain import (
    Chain,
    Link,
    add_links,
    count_hidden,
    get_collector_state,
    get_feed_status,
    load_trusted_keys,
    look_for_gaps,
    make_link,
    name_positions,
    name_today,
    note_collected,
    note_read,
    note_today,
)
from gateway.desk.collection.damage import Held, find_log_fault, list_filed, list_held, mend_reports
from gateway.desk.collection.filing import is_another, list_imported, list_imported_references, store_verified
from gateway.desk.collection.quarantine import Group, find_claim, keep_row, read_waiting, resolve_row
from gateway.desk.collection.row_checks import (
    BY_GATEWAY,
    KEY_ENDED,
    RowRefusedError,
    TrustedKeys,
    VerifiedRow,
    assess,
    check_row,
)
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.office.inbox import FeedCircleError, read_pages
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.alerts import queue_alert
from gateway.desk.store import audit
from gateway.desk.store.audit import raise_alarm
from gateway.desk.store.schema import CASES, CHAIN_LINKS, REPORTS
from gateway.exchange.feed import REPORT, Acknowledgement, FeedStatus, ReconciliationRow
from partner_sdk.wire.canonical import parse_time

PAGE_ROWS: Final = REPORT.max_items
STUCK: Final = "feed-stuck"
# Limits a feed that would never end or would fill this disk; reaching the limit raises one alarm.
ENDLESS: Final = "feed-endless"
MOST_PAGES: Final = 10_000
# The share of a run for rows that an earlier run left at the gateway, after everything newer.
LEFT_PAGES: Final = 5
LEFT_TIME: Final = timedelta(seconds=10)
MOST_QUARANTINED: Final = 2_000
MOST_QUARANTINED_BYTES: Final = 512 * 1024 * 1024
# The gateway has reports that it cannot read: pages of its database are damaged.
UNREADABLE: Final = "unreadable-at-gateway"
# The gateway counts more waiting reports than it shows or names.
HIDDEN: Final = "waiting-not-shown"
# The gateway's clock is so far ahead that its key's end means nothing: the report is filed, and a person must ask.
AHEAD: Final = "received-in-the-future"
MOST_CLOCK_LEAD: Final = timedelta(days=1)
DUPLICATE_ID: Final = "duplicate-report-id"
# The gateway's own columns no longer match the statement beside them: the row was changed.
NOT_TAKEN: Final = "acknowledgement-not-taken"

ALWAYS: Final = datetime.min.replace(tzinfo=UTC)  # as if a row was seen before any key ended

Progress = Callable[[int], None]


@dataclass(slots=True)
class Collected:
    """The result of one run: row counts, and the chain's open gaps and new epochs.

    `left` counts rows that stay at the gateway because their sender has too many in quarantine.
    """

    filed: int = 0
    mended: int = 0  # reports that were missing or damaged here
    quarantined: int = 0
    quarantined_bytes: int = 0
    left: int = 0
    left_urgent: int = 0  # the number of them that state P1
    known: int = 0
    unreadable: list[int] = field(default_factory=list)  # positions at the gateway
    hidden: int = 0
    is_behind: bool = False  # the gateway has issued numbers that this desk does not have: was it restored?
    refused: dict[str, int] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    new_epochs: list[str] = field(default_factory=list)
    log_fault: str | None = None  # why the public log contradicts the one seen before, or `unchecked`
    passed: set[bytes] = field(default_factory=set, compare=False)  # digests of rows to retry later


@dataclass(frozen=True, slots=True)
class _Judged:
    """One row of a page: verified, or refused."""

    raw: bytes
    verified: VerifiedRow | None
    refused: RowRefusedError | None


def collect_reports(
    desk: Desk, feed: FeedClient, *, actor: str, progress: Progress | None = None, from_start: bool = False
) -> Collected:
    """Take every row that the gateway still holds for us, after the last judged position; then check the public log.

    Rows that cannot be acknowledged are skipped. They are retried afterwards, a few pages a run, so that they never
    delay a newer row. `from_start` reads the whole feed again. An endless feed is abandoned with an alarm. Raises the
    feed client's errors; rows stored before the error stay, and the next run continues from there.
    """
    with desk.store.hold():
        return _collect(desk, feed, actor=actor, progress=progress, from_start=from_start)


def _collect(desk: Desk, feed: FeedClient, *, actor: str, progress: Progress | None, from_start: bool) -> Collected:
    collected = Collected()
    status = get_feed_status(desk, feed)
    with desk.store.read() as connection:
        state = get_collector_state(connection)
    is_known = (state.feed_instance, state.feed_epoch) == (status.instance, status.epoch) and not from_start
    start, left_from = (state.feed_position, state.left_position) if is_known else (0, 0)
    reading = _Reading(
        desk, feed, load_trusted_keys(desk, actor=actor), status, actor, collected, progress, reached=start
    )
    try:
        is_left = not reading.read()
    finally:
        note_read(desk, status, position=reading.reached, left=left_from)
    if start and reading.shown < status.unacknowledged:
        left_from = left_from if left_from < start else 0
        is_left |= left_from > 0
        reading_end, reading.reached, reading.pages = reading.reached, left_from, 0
        is_whole = reading.read(until=start)
        is_left |= not is_whole
        note_read(desk, status, position=reading_end, left=0 if is_whole else reading.reached)
    if collected.unreadable:
        note_today(desk, UNREADABLE, status, what=name_positions(collected.unreadable))
    if reading.shown < status.unacknowledged and not is_left:
        collected.hidden = count_hidden(feed, rows=PAGE_ROWS)
        if collected.hidden:
            note_today(desk, HIDDEN, status)
    # The endless feed was abandoned here, and later rows are still unseen: no gap.
    found = look_for_gaps(desk, msgspec.structs.replace(status, chains=()) if reading.is_endless else status)
    collected.gaps, collected.new_epochs = found.gaps, found.new_epochs
    collected.is_behind = found.is_behind
    # Asked again: the rows left now could not be acknowledged, or have just arrived.
    note_collected(
        desk, feed.get_status(), left_urgent=collected.left_urgent, left_others=collected.left - collected.left_urgent
    )
    collected.log_fault = find_log_fault(desk, feed)
    return collected


@dataclass(slots=True)
class _Reading:
    """One run through the feed: `reached` is the last judged position, `shown` counts rows."""

    desk: Desk
    feed: FeedClient
    trusted: TrustedKeys
    status: FeedStatus
    actor: str
    collected: Collected
    progress: Progress | None
    reached: int
    shown: int = 0
    pages: int = 0
    is_endless: bool = False

    def read(self, *, until: int | None = None) -> bool:
        """Take the rows after `reached`; return whether none are left. A feed that goes in a circle raises an alarm.

        `until` is the position up to which rows left earlier are retried, a few pages at most.
        """
        try:
            return self._read_pages(until=until)
        except FeedCircleError:
            note_today(self.desk, STUCK, self.status)
            return False

    def _read_pages(self, *, until: int | None) -> bool:
        collected, ends_at = self.collected, self.desk.clock() + LEFT_TIME
        for page in read_pages(self.feed, REPORT, limit=PAGE_ROWS, after=self.reached):
            rows = [bytes(one) for one in page.items]
            if collected.passed:
                rows = [row for row in rows if sha256(row).digest() not in collected.passed]
            unreadable = [one for one in page.unreadable if one not in collected.unreadable]
            self.shown += len(rows) + len(unreadable)
            collected.unreadable += unreadable
            claims = take_rows(self.desk, rows, trusted=self.trusted, actor=self.actor, collected=collected)
            if self.feed.acknowledge(REPORT, claims) < len(claims):
                note_today(self.desk, NOT_TAKEN, self.status)
            if self.progress is not None:
                self.progress(collected.filed + collected.quarantined)
            self.reached, self.pages = max(self.reached, page.last), self.pages + 1
            if until is not None:
                if self.reached >= until:
                    break
                is_late = self.pages >= LEFT_PAGES or self.desk.clock() >= ends_at
                if page.more and (is_late or _is_enough(collected, pages=0)):
                    return False
            elif page.more and _is_enough(collected, pages=self.pages):
                note_today(self.desk, ENDLESS, self.status)
                self.is_endless = True
                return False
        return True


def take_rows(
    desk: Desk, rows: Sequence[bytes], *, trusted: TrustedKeys, actor: str, collected: Collected
) -> tuple[Acknowledgement, ...]:
    """Judge rows, store all of them in one durable transaction, and return those to acknowledge now."""
    now = desk.clock()
    judged = _judge_all(desk, rows, trusted=trusted, now=now)
    held = list_held(desk, [row for one in judged if (row := one.verified)])
    with desk.store.write() as connection:
        refused = [one for one in judged if one.refused is not None]
        verified, known, clashing, mended, unmended = _sort_out(
            connection, [one for one in judged if one.verified is not None], held=held, desk=desk, actor=actor
        )
        kept, left = _store_refused(connection, [*refused, *clashing], desk=desk, actor=actor, collected=collected)
        filed_now = store_verified(connection, verified, desk=desk, actor=actor)
        left |= unmended
        add_links(connection, _links(judged, filed=verified), now=now)
        for one in judged:
            intake = one.verified.intake if one.verified is not None else one.refused.intake if one.refused else None
            if intake is not None and parse_time(intake.received_at) > now + MOST_CLOCK_LEAD:
                raise_alarm(connection, AHEAD, name_today(intake.instance, intake.epoch, now=now), now=now)
        if verified or kept:
            audit.append_entry(connection, "collect", "feed", at=now, actor=actor, filed=filed_now, quarantined=kept)
    collected.filed += filed_now
    collected.mended += mended
    collected.quarantined += kept
    collected.known += known + len(verified) - filed_now
    collected.left += len(left)
    acknowledged = list[Acknowledgement]()
    for one in judged:
        # A row that is not stored here is not acknowledged: the gateway keeps it. A row without a statement cannot be
        # named, so it stays at the gateway and is refused again each time. Hardly ever is a row left, and one from the
        # form has 90 kB: only then are rows hashed to look for it.
        claim = None if left and one.raw in left else _claim(one)
        if claim is None:
            collected.passed.add(sha256(one.raw).digest())
        else:
            acknowledged.append(claim)
    return tuple(acknowledged)


def try_again(desk: Desk, *, actor: str, by_word: int | None = None) -> Collected:
    """Judge every row in quarantine again, with today's keys and register.

    `by_word` is the number of one row to file by a person's word: its partner has confirmed that it sent it although
    its key had ended, or a reader believes a report that breaks the rules of the form.
    """
    collected = Collected()
    trusted = load_trusted_keys(desk, actor=actor)
    for row_id, raw, seen_at in read_waiting(desk, channel=BY_GATEWAY):
        is_accepted = row_id == by_word
        seen = ALWAYS if is_accepted else parse_time(seen_at)
        judged = _judge(raw, trusted=trusted, now=desk.clock(), seen_at=seen, by_word=is_accepted)
        if judged.verified is None:
            continue
        held = list_held(desk, [judged.verified])
        with desk.store.write() as connection:
            verified, known, clashing, _, unmended = _sort_out(connection, [judged], held=held, desk=desk, actor=actor)
            if clashing or unmended:
                continue
            filed_now = store_verified(connection, verified, desk=desk, actor=actor)
            add_links(connection, _links([judged], filed=verified), now=desk.clock())
            resolution = "known" if not filed_now else "filed-by-word" if is_accepted else "filed"
            resolve_row(connection, row_id, resolution=resolution, actor=actor, now=desk.clock())
        collected.filed += filed_now
        collected.known += known + len(verified) - filed_now
    return collected


def _judge_all(desk: Desk, rows: Sequence[bytes], *, trusted: TrustedKeys, now: datetime) -> list[_Judged]:
    """Judge rows. A report that was filed before its partner's key ended stays provable, and can be mended."""
    judged = [_judge(raw, trusted=trusted, now=now) for raw in rows]
    ended = {
        bytes.fromhex(claim.sha256 or ""): (number, one.refused.intake)
        for number, one in enumerate(judged)
        if one.refused and one.refused.reason == KEY_ENDED and one.refused.intake and (claim := find_claim(one.raw))
    }
    if ended:
        with desk.store.read() as connection:
            filed = list_filed(connection, {digest: intake for digest, (_, intake) in ended.items()})
        for digest in filed:
            number, _ = ended[digest]
            judged[number] = _judge(rows[number], trusted=trusted, now=now, seen_at=ALWAYS)
    return judged


def _judge(
    raw: bytes, *, trusted: TrustedKeys, now: datetime, seen_at: datetime | None = None, by_word: bool = False
) -> _Judged:
    try:
        return _Judged(raw, check_row(raw, trusted=trusted, now=now, seen_at=seen_at, by_word=by_word), None)
    except RowRefusedError as refused:
        return _Judged(raw, None, refused)


def _sort_out(
    connection: Connection, judged: Sequence[_Judged], *, held: Mapping[bytes, Held], desk: Desk, actor: str
) -> tuple[list[VerifiedRow], int, list[_Judged], int, set[bytes]]:
    """Split verified rows into new ones, the number already stored, and those under a taken id or reference.

    Mends what is stored and damaged: the last two are how many, and the bytes of rows that could not be.
    """
    again = {one.verified.intake_sha256: one for one in judged if one.verified and one.verified.intake_sha256 in held}
    left = {one.raw for digest, one in again.items() if held[digest] == "unwritable"}
    mended = [one.verified for digest, one in again.items() if one.verified and held[digest] == "broken"]
    lost = [one.verified for digest, one in again.items() if one.verified and held[digest] == "no-case"]
    mend_reports(connection, [*mended, *lost], desk=desk, actor=actor)
    known = len(again) - len(left) - len(mended) - len(lost)
    settled = again.keys() - {row.intake_sha256 for row in lost}
    judged = [one for one in judged if one.verified and one.verified.intake_sha256 not in settled]
    partners = {one.verified.intake.clear.partner for one in judged if one.verified}
    references = {one.verified.intake.reference for one in judged if one.verified is not None}
    named = set(connection.execute(select(REPORTS.c.reference).where(REPORTS.c.reference.in_(references))).scalars())
    named |= list_imported_references(connection, references)
    ids = {one.verified.intake.clear.report_id for one in judged if one.verified is not None}
    imported = list_imported(connection, ids)
    taken = dict[tuple[str, str], bytes]()
    # A case keeps the id of a report whose row was lost; only the row itself can take that place again (`held`).
    for table, digest in ((CASES, literal(b"")), (REPORTS, REPORTS.c.intake_sha256)):
        # By the index: a scan of the table would fail at a damaged page of any other report.
        own = table.c.environment == desk.config.environment, table.c.partner.in_(partners), table.c.report_id.in_(ids)
        for partner, report_id, found in connection.execute(
            select(table.c.partner, table.c.report_id, digest).where(*own)
        ):
            if table is REPORTS or (partner, report_id) not in imported:
                taken[partner, report_id] = bytes(found)
    fresh: list[VerifiedRow] = []
    clashing: list[_Judged] = []
    for one in judged:
        if one.verified is None:
            continue
        clear = one.verified.intake.clear
        holder = taken.get((clear.partner, clear.report_id))
        if holder is None and one.verified.intake.reference in named:
            clashing.append(_clash(one, one.verified, "reference", reason="duplicate-reference"))
        elif holder is None and not is_another(one.verified, imported=imported):
            taken[clear.partner, clear.report_id] = one.verified.intake_sha256
            named.add(one.verified.intake.reference)
            fresh.append(one.verified)
        elif holder == one.verified.intake_sha256:
            known += 1
        else:
            clashing.append(_clash(one, one.verified, "id", reason=DUPLICATE_ID))
    return fresh, known, clashing, len(mended), left


def _clash(one: _Judged, row: VerifiedRow, what: str, *, reason: str) -> _Judged:
    crisis = assess(row.content, received_at=parse_time(row.intake.received_at)).crisis
    message = f"Another report has this {what} already."
    refused = RowRefusedError(message, reason=reason, priority=row.intake.clear.priority, seals_crisis=crisis)
    return _Judged(one.raw, None, refused)


def _store_refused(
    connection: Connection, judged: Sequence[_Judged], *, desk: Desk, actor: str, collected: Collected
) -> tuple[int, set[bytes]]:
    """Store refused rows; return how many are new, and the bytes of rows left at the gateway."""
    kept = urgent = 0
    left: set[bytes] = set()
    alerted, now = set[Group](), desk.clock()
    for one in judged:
        if one.refused is None:
            continue
        row = keep_row(connection, one.raw, one.refused, alerted=alerted, actor=actor, now=now)
        if row.outcome == "kept":
            kept += 1
            urgent += row.needs_alert
            collected.quarantined_bytes += len(one.raw)
            collected.refused[one.refused.reason] = collected.refused.get(one.refused.reason, 0) + 1
        elif row.outcome == "full":
            left.add(one.raw)
            collected.left_urgent += row.states_p1
        else:
            collected.known += 1
    queue_alert(connection, count=urgent, now=now)
    return kept, left


def _links(judged: Sequence[_Judged], *, filed: Sequence[VerifiedRow]) -> list[Link]:
    """Return a link for every genuine intake statement, even if the rest of its row was refused."""
    links = []
    stored = {row.intake_sha256 for row in filed}
    for one in judged:
        if one.verified is not None:
            digest = one.verified.intake_sha256
            links.append(make_link(one.verified.intake, statement_sha256=digest, filed=digest in stored))
        elif one.refused is not None and one.refused.intake is not None and (claim := find_claim(one.raw)):
            links.append(make_link(one.refused.intake, statement_sha256=bytes.fromhex(claim.sha256 or "")))
    return links


def _claim(one: _Judged) -> Acknowledgement | None:
    if one.verified is None:
        return find_claim(one.raw)
    clear = one.verified.intake.clear
    return Acknowledgement(address=clear.partner, item_id=clear.report_id, sha256=one.verified.intake_sha256.hex())


def _is_enough(collected: Collected, *, pages: int) -> bool:
    return (
        pages >= MOST_PAGES
        or collected.quarantined >= MOST_QUARANTINED
        or collected.quarantined_bytes >= MOST_QUARANTINED_BYTES
    )


MISSING_HERE: Final = "missing-at-desk"
MISSING_THERE: Final = "missing-at-gateway"
DIFFERENT: Final = "different-at-gateway"
ENDLESS_LINKS: Final = "reconciliation-endless"

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
    lost = (theirs[place] for place in result.missing_here)
    asked = [Acknowledgement(address=row.partner, item_id=row.report_id, sha256=row.intake_sha256) for row in lost]
    if asked and feed.acknowledge(REPORT, tuple(asked), is_withdrawn=True):
        collected = collect_reports(desk, feed, actor=actor, from_start=True)
        result = _compare(desk, status, theirs=theirs, is_whole=is_whole)
        result.brought_back = collected.filed + collected.quarantined
    now = desk.clock()
    with desk.store.write() as connection:
        if not result.is_whole:
            raise_alarm(connection, ENDLESS_LINKS, f"{status.instance}/{status.epoch} on {now:%Y-%m-%d}", now=now)
        for kind, places in (
            (MISSING_HERE, result.missing_here),
            (MISSING_THERE, result.missing_there),
            (DIFFERENT, result.different),
        ):
            for partner, first, last in _list_runs(places, most=MOST_ALARMS):
                chain = Chain(status.instance, status.epoch, partner)
                raise_alarm(connection, kind, chain.name(first, last), now=now)
    return result


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
