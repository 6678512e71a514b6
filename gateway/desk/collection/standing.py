"""The state of collecting: the results of the last rounds, and the gateway's chains against the links seen here.

Never trusts the gateway: each number that it states or withholds is compared with the desk's own links. Never stores
content: only codes, counts, positions and times.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select, update

from gateway.desk.alarms import list_subjects, raise_alarm
from gateway.desk.collection.chain import (
    ANY_EPOCH,
    GAP,
    NEW_EPOCH,
    WENT_BACK,
    Chain,
    get_highest,
    list_gaps,
    list_senders,
    note_epoch,
)
from gateway.desk.collection.row_checks import PartnerKey, TrustedKeys
from gateway.desk.feed_client import FeedClient
from gateway.desk.keyring.key_set import make_key_set
from gateway.desk.store import DeskStoreError
from gateway.desk.store.agency_tables import FORMER_PARTNER_KEYS, PARTNERS, VERIFY_KEYS
from gateway.desk.store.schema import COLLECTOR
from gateway.desk.wiring import Desk
from gateway.exchange.feed import REPORT, FeedStatus, WaitingReports
from partner_sdk.errors import FormatError, ProblemError, ReportAbuseError
from partner_sdk.wire.canonical import format_time, parse_time

_TURNED_AWAY: Final = (401, 403)
_ROW: Final = 1
UNKNOWN_INSTANCE: Final = "unknown-gateway"
# The gateway has found damaged pages in its database: it hands over the readable rows.
DAMAGED: Final = "gateway-storage-damaged"
MOST_NAMED: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorState:
    """The results of the last rounds of collecting. `failure` is a reason code, or None after a success."""

    succeeded_at: str | None = None
    failed_at: str | None = None
    failure: str | None = None
    is_refused: bool = False
    urgent_waiting: int = 0
    urgent_since: str | None = None
    others_waiting: int = 0
    others_since: str | None = None
    feed_instance: str | None = None
    feed_epoch: str | None = None
    feed_position: int = 0
    left_position: int = 0
    logged_report: int = 0
    examined_at: str | None = None
    examined_to: str | None = None


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
    row = connection.execute(select(*(COLLECTOR.c[name] for name in CollectorState.__dataclass_fields__))).first()
    return CollectorState() if row is None else CollectorState(**row._mapping)


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


def get_standing(desk: Desk, feed: FeedClient) -> FeedStatus:
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
class Standing:
    """The open gaps and new epochs; `is_behind` if a chain was just found to end too early."""

    gaps: list[str]
    new_epochs: list[str]
    is_behind: bool


def look_for_gaps(desk: Desk, status: FeedStatus) -> Standing:
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
        return Standing(gaps, list_subjects(connection, NEW_EPOCH), is_behind)


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
