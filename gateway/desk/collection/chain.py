"""Follows the gateway's chains of intake statements, one for each sender, and keeps the state of collecting.

Gaps and forks are alarms, never a reason to lose a report. A link counts once its intake statement is genuine, even if
the rest of its row is refused. Never trusts the gateway: each number that it states or withholds is compared with the
desk's own links. Never stores content: only codes, counts, positions and times.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, Select, func, insert, select, update

from gateway.desk.collection.row_checks import PartnerKey, TrustedKeys
from gateway.desk.keyring.key_set import make_key_set
from gateway.desk.office.feed_client import FeedClient
from gateway.desk.office.people.permissions import BY_THE_DESK
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.queue import queue
from gateway.desk.store import DeskStoreError
from gateway.desk.store.agency_tables import FORMER_PARTNER_KEYS, PARTNERS, VERIFY_KEYS
from gateway.desk.store.audit import list_alarm_subjects, raise_alarm
from gateway.desk.store.schema import ALARMS, CHAIN_LINKS, COLLECTOR, DESTRUCTIONS
from gateway.desk.store.schema import CollectorState as CollectorState
from gateway.exchange.feed import EPOCH_PATTERN, INSTANCE_PATTERN, REPORT, FeedStatus, WaitingReports
from partner_sdk.errors import FormatError, ProblemError, ReportAbuseError
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.receipts import FIRST_PREVIOUS, IntakeStatement
from partner_sdk.wire.submission import SENDER_PATTERN

GAP: Final = "chain-gap"
FORK: Final = "chain-fork"
NEW_EPOCH: Final = "new-epoch"
# Raised when a gateway is behind a number of the same epoch that the desk already has: its newest rows are gone.
WENT_BACK: Final = "chain-went-back"
# Any epoch, e.g. for a missing number that only the gateway can date.
ANY_EPOCH: Final = "*"
# Built by `Chain.name`, from names that row_checks.py has checked.
_GAP_NAME: Final = re.compile(rf"({INSTANCE_PATTERN})/({EPOCH_PATTERN}|\*)/({SENDER_PATTERN})/([0-9]+)(?:-([0-9]+))?")
_OLDEST_BACKUP: Final = timedelta(days=31)  # docs/running.md: backups are kept for 30 days
_NO_PREVIOUS: Final = bytes.fromhex(FIRST_PREVIOUS)


@dataclass(frozen=True, slots=True)
class Chain:
    """One sender's sequence of numbers. A gateway begins a new epoch after every restore; the numbers continue.

    `partner` is `public` for all reports of the form.
    """

    instance: str
    epoch: str
    partner: str

    def name(self, first: int, last: int) -> str:
        """Return the text for this chain's links in an alarm."""
        return f"{self.instance}/{self.epoch}/{self.partner}/{first}" + ("" if first == last else f"-{last}")


@dataclass(frozen=True, slots=True)
class Link:
    """One genuine intake statement as a link of the chain."""

    chain: Chain
    sequence: int
    statement_sha256: bytes
    previous_sha256: bytes
    report_id: str = ""
    reference: str = ""
    filed: bool = False


def make_link(intake: IntakeStatement, *, statement_sha256: bytes, filed: bool = False) -> Link:
    """Return the link of a genuine statement."""
    chain = Chain(intake.instance, intake.epoch, intake.clear.partner)
    previous = bytes.fromhex(intake.previous)
    return Link(chain, intake.sequence, statement_sha256, previous, intake.clear.report_id, intake.reference, filed)


def add_links(connection: Connection, links: Sequence[Link], *, now: datetime) -> None:
    """Enter genuine intake statements, many together, and raise an alarm for each fork."""
    for chain in dict.fromkeys(link.chain for link in links):
        note_epoch(connection, instance=chain.instance, epoch=chain.epoch, now=now)
        _add_to_chain(connection, chain, [link for link in links if link.chain == chain], now=now)


def note_epoch(connection: Connection, *, instance: str, epoch: str, now: datetime) -> bool:
    """Raise the alarm for a new epoch of a known gateway; a person clears it.

    Run it before the epoch's first link is entered. A new gateway's first epoch raises no alarm: a person has added its
    card.
    """
    of_instance = select(CHAIN_LINKS.c.sequence).where(CHAIN_LINKS.c.instance == instance).limit(1)
    of_epoch = of_instance.where(CHAIN_LINKS.c.epoch == epoch)
    if connection.execute(of_instance).first() is None or connection.execute(of_epoch).first() is not None:
        return False
    # A copy of the gateway from before a destruction brought back the reports of it: they are forgotten again.
    is_young = DESTRUCTIONS.c.begun_at > format_time(now - _OLDEST_BACKUP)
    forgotten = select(DESTRUCTIONS.c.destruction_id).where(is_young, DESTRUCTIONS.c.forget.is_not(None))
    queue(connection, "forget", connection.execute(forgotten).scalars().all(), now=now)
    return raise_alarm(connection, NEW_EPOCH, f"{instance}/{epoch}", now=now)


def list_gaps(connection: Connection, *, now: datetime) -> list[str]:
    """Look for the link before each new one, raise an alarm for every gap, and return the open gaps.

    Run it once no more rows wait at the gateway. A late link closes its gap.
    """
    unfollowed = connection.execute(select(CHAIN_LINKS).where(CHAIN_LINKS.c.followed.is_(False))).all()
    for row in unfollowed:
        is_first = bytes(row.previous_sha256) == _NO_PREVIOUS
        _check_before(connection, Chain(row.instance, row.epoch, row.partner), row.sequence, is_first=is_first, now=now)
    connection.execute(update(CHAIN_LINKS).where(CHAIN_LINKS.c.followed.is_(False)).values(followed=True))
    _close_filled_gaps(connection, now=now)
    return list_alarm_subjects(connection, GAP)


def list_senders(connection: Connection, *, instance: str) -> list[str]:
    """Return the senders for whom the desk has chains from this gateway, in any epoch."""
    found: list[str] = []
    # Steps from one sender to the next through the key: a DISTINCT would walk every link.
    following = select(func.min(CHAIN_LINKS.c.partner)).where(CHAIN_LINKS.c.instance == instance)
    partner = connection.execute(following).scalar()
    while partner is not None:
        found.append(partner)
        partner = connection.execute(following.where(CHAIN_LINKS.c.partner > partner)).scalar()
    return found


def get_highest(connection: Connection, chain: Chain) -> int:
    """Return the highest number seen of a chain (of all epochs for `ANY_EPOCH`), 0 before the first."""
    numbers = _of(chain).order_by(CHAIN_LINKS.c.sequence.desc()).limit(1)
    row = connection.execute(numbers).first()
    return 0 if row is None else row.sequence


def _add_to_chain(connection: Connection, chain: Chain, links: Sequence[Link], *, now: datetime) -> None:
    around = {near for link in links for near in (link.sequence - 1, link.sequence, link.sequence + 1)}
    rows = connection.execute(
        select(CHAIN_LINKS.c.sequence, CHAIN_LINKS.c.statement_sha256, CHAIN_LINKS.c.previous_sha256).where(
            *_conditions_of(chain), CHAIN_LINKS.c.sequence.in_(around)
        )
    )
    known = {row.sequence: Link(chain, row.sequence, row.statement_sha256, row.previous_sha256) for row in rows}
    fresh: list[Link] = []
    for link in sorted(links, key=lambda link: link.sequence):
        seen = known.get(link.sequence)
        if seen is None:
            known[link.sequence] = link
            fresh.append(link)
        elif seen.statement_sha256 != link.statement_sha256:
            name = chain.name(link.sequence, link.sequence)
            raise_alarm(connection, FORK, f"{name} two statements carry this number", now=now)
        elif link.filed:  # first refused, now filed
            mine = (*_conditions_of(chain), CHAIN_LINKS.c.sequence == link.sequence)
            connection.execute(update(CHAIN_LINKS).where(*mine).values(filed=True))
    suspect = {sequence for link in fresh for sequence in (link.sequence, link.sequence + 1)}
    for sequence in sorted(suspect & known.keys()):
        before = known.get(sequence - 1)
        expected = before.statement_sha256 if before else _NO_PREVIOUS if sequence == 1 else None
        if expected is not None and known[sequence].previous_sha256 != expected:
            name = chain.name(sequence, sequence)
            raise_alarm(connection, FORK, f"{name} does not follow the statement before it", now=now)
    _check_firsts(connection, chain, fresh, known=known.keys(), now=now)
    if fresh:
        connection.execute(
            insert(CHAIN_LINKS),
            [
                {
                    "instance": chain.instance,
                    "epoch": chain.epoch,
                    "partner": chain.partner,
                    "sequence": link.sequence,
                    "statement_sha256": link.statement_sha256,
                    "previous_sha256": link.previous_sha256,
                    "report_id": link.report_id,
                    "reference": link.reference,
                    "filed": link.filed,
                    "followed": False,
                }
                for link in fresh
            ],
        )


def _check_firsts(
    connection: Connection, chain: Chain, fresh: Sequence[Link], *, known: Collection[int], now: datetime
) -> None:
    """Raise an alarm for each link that claims to be the first while the chain has a lower number (WIRE.md §6.2)."""
    if not fresh:
        return
    stored = connection.execute(select(func.min(CHAIN_LINKS.c.sequence)).where(*_conditions_of(chain))).scalar()
    firsts = {link.sequence for link in fresh if link.previous_sha256 == _NO_PREVIOUS}
    lowest = min(link.sequence for link in fresh)
    if stored is not None and lowest < stored:
        # An older "first" link may now follow a lower number.
        former = connection.execute(_of(chain).where(CHAIN_LINKS.c.previous_sha256 == _NO_PREVIOUS))
        firsts.update(row.sequence for row in former)
    elif stored is not None:
        lowest = stored
    for sequence in sorted(firsts):
        # If the preceding number is known, "does not follow" is raised already.
        if sequence > lowest and sequence - 1 not in known:
            name = chain.name(sequence, sequence)
            raise_alarm(connection, FORK, f"{name} claims to be the first of its epoch", now=now)


def _check_before(connection: Connection, chain: Chain, sequence: int, *, is_first: bool, now: datetime) -> None:
    """Raise an alarm for unexplained missing numbers below a link."""
    if connection.execute(_of(chain).where(CHAIN_LINKS.c.sequence == sequence - 1)).first() is not None:
        return
    below = _find_below(connection, chain, sequence)
    if below is not None:
        raise_alarm(connection, GAP, chain.name(below + 1, sequence - 1), now=now)
        return
    reached = sequence - 1
    if not is_first:
        # It names a previous one, in its own epoch.
        raise_alarm(connection, GAP, chain.name(reached, reached), now=now)
        reached -= 1
    # Numbers continue through a restore: an epoch begins directly after a number that the desk has, or with the very
    # first one.
    every_epoch = Chain(chain.instance, ANY_EPOCH, chain.partner)
    highest = _find_below(connection, every_epoch, sequence) or 0
    if highest < reached:
        raise_alarm(connection, GAP, every_epoch.name(highest + 1, reached), now=now)


def _find_below(connection: Connection, chain: Chain, sequence: int) -> int | None:
    below = _of(chain).where(CHAIN_LINKS.c.sequence < sequence).order_by(CHAIN_LINKS.c.sequence.desc()).limit(1)
    row = connection.execute(below).first()
    return None if row is None else row.sequence


def _of(chain: Chain) -> Select[tuple[int]]:
    return select(CHAIN_LINKS.c.sequence).where(*_conditions_of(chain))


def _conditions_of(chain: Chain) -> tuple[ColumnElement[bool], ...]:
    links = CHAIN_LINKS.c
    of_sender = (links.instance == chain.instance, links.partner == chain.partner)
    return of_sender if chain.epoch == ANY_EPOCH else (*of_sender, links.epoch == chain.epoch)


def _close_filled_gaps(connection: Connection, *, now: datetime) -> None:
    gaps = connection.execute(
        select(ALARMS.c.id, ALARMS.c.subject).where(ALARMS.c.kind == GAP, ALARMS.c.cleared_at.is_(None))
    )
    for gap in gaps.all():
        named = _GAP_NAME.fullmatch(gap.subject)
        if named is None:
            continue  # a person clears it
        instance, epoch, partner, first, last = named.groups()
        low, high = int(first), int(last or first)
        numbers = (
            _of(Chain(instance, epoch, partner)).where(CHAIN_LINKS.c.sequence.between(low, high)).distinct().subquery()
        )
        filled = connection.execute(select(func.count()).select_from(numbers)).scalar_one()
        if filled == high - low + 1:
            connection.execute(
                update(ALARMS).where(ALARMS.c.id == gap.id).values(cleared_at=format_time(now), cleared_by=BY_THE_DESK)
            )


_TURNED_AWAY: Final = (401, 403)
_ROW: Final = 1
UNKNOWN_INSTANCE: Final = "unknown-gateway"
# The gateway has found damaged pages in its database: it hands over the readable rows.
DAMAGED: Final = "gateway-storage-damaged"
MOST_NAMED: Final = 50


def note_collected(desk: Desk, status: FeedStatus, *, left_urgent: int = 0, left_others: int = 0) -> None:
    """Note that the reports were collected, and how many the gateway reports as still waiting.

    Rows that this desk left there because their sender's share is full have an alarm of their own and are not counted
    here: they must not hide another sender's waiting report.
    """
    now = desk.clock()
    urgent = [one for one in status.waiting if one.priority == "P1"]
    others = [one for one in status.waiting if one.priority != "P1"]
    urgent_waiting = max(0, sum(one.count for one in urgent) - left_urgent)
    others_waiting = max(0, sum(one.count for one in others) - left_others)
    write_collector_state(
        desk,
        succeeded_at=format_time(now),
        failure=None,
        is_refused=False,
        urgent_waiting=urgent_waiting,
        urgent_since=_find_oldest(urgent, now=now) if urgent_waiting else None,
        others_waiting=others_waiting,
        others_since=_find_oldest(others, now=now) if others_waiting else None,
    )


def note_read(desk: Desk, status: FeedStatus, *, position: int, left: int) -> None:
    """Note how far the feed was judged, and how far the rows left earlier were judged again."""
    write_collector_state(
        desk,
        feed_instance=status.instance,
        feed_epoch=status.epoch,
        feed_position=position,
        left_position=left,
    )


def note_failed(desk: Desk, error: Exception) -> None:
    """Note why a round failed. If the database itself failed, the next check finds the round missing."""
    reason = error.reason if isinstance(error, ReportAbuseError) else "unexpected"
    is_refused = isinstance(error, ProblemError) and error.status in _TURNED_AWAY
    try:
        write_collector_state(desk, failed_at=format_time(desk.clock()), failure=reason, is_refused=is_refused)
    except DeskStoreError:
        return


def get_collector_state(connection: Connection) -> CollectorState:
    """Return the results of the last rounds; a desk that has never collected has an empty state."""
    row = connection.execute(select(*(COLLECTOR.c[name] for name in CollectorState._fields))).first()
    return CollectorState() if row is None else CollectorState._make(row)


def write_collector_state(desk: Desk, **values: object) -> None:
    """Write columns of the collector's only row. Raises `DeskStoreError`."""
    with desk.store.write() as connection:
        changed = connection.execute(update(COLLECTOR).where(COLLECTOR.c.id == _ROW).values(**values))
        if changed.rowcount == 0:
            connection.execute(insert(COLLECTOR).values(id=_ROW, **values))


def _find_oldest(waiting: Sequence[WaitingReports], *, now: datetime) -> str | None:
    oldest = min((read_feed_time(one.oldest_received_at, now=now) for one in waiting), default=None)
    return None if oldest is None else format_time(oldest)


def read_feed_time(text: str, *, now: datetime) -> datetime:
    """Return a time from the gateway unless it is in the future; `now` if it names none."""
    try:
        return min(parse_time(text), now)
    except FormatError:
        return now  # the gateway is not trusted: a malformed time must not end a round


def get_feed_status(desk: Desk, feed: FeedClient) -> FeedStatus:
    """Return the gateway's position; an alarm if it is before the desk's own links of the same epoch."""
    status = feed.get_status()
    if status.is_damaged:
        with desk.store.write() as connection:
            now = desk.clock()
            raise_alarm(connection, DAMAGED, f"{status.instance} on {now:%Y-%m-%d}", now=now)
    with desk.store.read() as connection:
        behind = _list_behind(connection, status)
    if not behind:
        return status
    # Another run may have collected a newer row since we asked. The gateway has every row that run saw.
    status = feed.get_status()
    said = {head.partner: head.sequence for head in status.chains or ()}
    with desk.store.write() as connection:
        for chain, seen in behind:
            number = said.get(chain.partner, 0)
            # A restore begins a new epoch, with an alarm of its own.
            is_same = (chain.instance, chain.epoch) == (status.instance, status.epoch) and status.chains is not None
            if is_same and number < seen:
                raise_alarm(connection, WENT_BACK, chain.name(number + 1, seen), now=desk.clock())
    return status


def _list_behind(connection: Connection, status: FeedStatus) -> list[tuple[Chain, int]]:
    """Return each chain that the gateway puts before a number seen in this epoch, with that number."""
    if status.chains is None:
        return []
    said = {head.partner: head.sequence for head in status.chains}
    found = []
    for sender in list_senders(connection, instance=status.instance):
        number = said.get(sender, 0)
        # The highest of all epochs is at the end of the key; for one epoch it may have to be searched.
        if number < get_highest(connection, Chain(status.instance, ANY_EPOCH, sender)):
            chain = Chain(status.instance, status.epoch, sender)
            if number < (seen := get_highest(connection, chain)):
                found.append((chain, seen))
    return found


@dataclass(frozen=True, slots=True)
class ChainFindings:
    """The open gaps and new epochs; `is_behind` if a chain was just found to end too early."""

    gaps: list[str]
    new_epochs: list[str]
    is_behind: bool


def look_for_gaps(desk: Desk, status: FeedStatus) -> ChainFindings:
    """Look for gaps once no more rows wait."""
    now, is_behind = desk.clock(), False
    with desk.store.write() as connection:
        carded = select(VERIFY_KEYS.c.key_id).where(VERIFY_KEYS.c.instance == status.instance)
        if connection.execute(carded).first() is None:
            raise_alarm(connection, UNKNOWN_INSTANCE, status.instance, now=now)
        note_epoch(connection, instance=status.instance, epoch=status.epoch, now=now)
        for head in status.chains or ():
            highest = get_highest(connection, Chain(status.instance, ANY_EPOCH, head.partner))
            if highest < head.sequence:
                chain = Chain(status.instance, status.epoch, head.partner)
                is_behind |= raise_alarm(connection, GAP, chain.name(highest + 1, head.sequence), now=now)
        gaps = list_gaps(connection, now=now)
        return ChainFindings(gaps, list_alarm_subjects(connection, NEW_EPOCH), is_behind)


def count_hidden(feed: FeedClient, *, rows: int) -> int:
    """Return the number of reports that the gateway counts as waiting but neither shows nor names.

    Other runs may acknowledge meanwhile, and more may arrive: the gateway is asked before and after, and the lower
    number counts.
    """
    before = feed.get_status().unacknowledged
    page = feed.get_items(REPORT, limit=rows)
    after = feed.get_status().unacknowledged
    return 0 if page.more else max(0, min(before, after) - len(page.items) - len(page.unreadable))


def name_positions(positions: Sequence[int]) -> str:
    """Return numbers as text for an alarm, e.g. `4-6, 9`."""
    runs: list[tuple[int, int]] = []
    for position in sorted(positions):
        if runs and position == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], position
        else:
            runs.append((position, position))
    named = ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs[:MOST_NAMED])
    return named if len(runs) <= MOST_NAMED else f"{named}, ..."


def load_trusted_keys(desk: Desk, *, actor: str) -> TrustedKeys:
    """Return the evidence for judging rows: this desk's own key set and register, never the gateway's."""
    with desk.store.read() as connection:
        key_set = make_key_set(connection, desk=desk, now=desk.clock())
        receipt_keys = select(VERIFY_KEYS.c.key_id, VERIFY_KEYS.c.instance).where(VERIFY_KEYS.c.instance.is_not(None))
        instances = {row.key_id: str(row.instance) for row in connection.execute(receipt_keys)}
        keys: dict[str, dict[str, PartnerKey]] = {}
        for table, end, revoked in (
            (FORMER_PARTNER_KEYS, FORMER_PARTNER_KEYS.c.ended_at, FORMER_PARTNER_KEYS.c.revoked),
            (PARTNERS, PARTNERS.c.suspended_at, PARTNERS.c.revoked_at.is_not(None)),
        ):
            columns = (table.c.partner, table.c.key_id, table.c.submission_key)
            for row in connection.execute(select(*columns, end.label("end"), revoked.label("revoked"))):
                ended_at = None if row.end is None else parse_time(row.end)
                keys.setdefault(row.partner, {})[row.key_id] = PartnerKey(
                    bytes(row.submission_key), ended_at, bool(row.revoked)
                )
    return TrustedKeys(
        key_set=key_set, instances=instances, submission_keys=keys, vault=desk.load_vault(actor=actor, reason="file")
    )


def note_today(desk: Desk, kind: str, status: FeedStatus, *, what: str = "") -> None:
    """Raise an alarm for this gateway and epoch, once a day."""
    with desk.store.write() as connection:
        now = desk.clock()
        subject = name_today(status.instance, status.epoch, now=now)
        raise_alarm(connection, kind, f"{subject}: {what}" if what else subject, now=now)


def name_today(instance: str, epoch: str, *, now: datetime) -> str:
    """Return the subject of such an alarm, e.g. `gateway-1/EPOCH on 2026-11-25`."""
    # Once a day: a cleared alarm is raised again while its cause continues.
    return f"{instance}/{epoch} on {now:%Y-%m-%d}"
