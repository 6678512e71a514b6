"""What the last rounds of collecting brought: one row, by which a stopped collector is seen and the next round goes on.

Never holds content: codes, counts, positions and times.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select, update

from gateway.desk.store import DeskStoreError
from gateway.desk.store.schema import COLLECTOR
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError, ProblemError, ReportAbuseError
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.feed_messages import FeedStatus, WaitingReports

_TURNED_AWAY: Final = (401, 403)
_ROW: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorState:
    """What the last rounds of collecting brought. `failure` is a reason code, or None after a success."""

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


def note_collected(desk: Desk, status: FeedStatus, *, left_urgent: int = 0, left_others: int = 0) -> None:
    """Note that the reports were collected, and what the gateway says still waits there.

    What this desk left there itself, because its sender's share is full, is an alarm of its own and not counted here:
    it must not hide another sender's report that waits.
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
    """Note how far the feed was judged, and how far what was left before that was judged again."""
    write_collector_state(
        desk,
        feed_instance=status.instance,
        feed_epoch=status.epoch,
        feed_position=position,
        left_position=left,
    )


def note_failed(desk: Desk, error: Exception) -> None:
    """Note why a round did not collect. The database may be what failed: then the next look finds the round missing."""
    reason = error.reason if isinstance(error, ReportAbuseError) else "unexpected"
    is_refused = isinstance(error, ProblemError) and error.status in _TURNED_AWAY
    try:
        write_collector_state(desk, failed_at=format_time(desk.clock()), failure=reason, is_refused=is_refused)
    except DeskStoreError:
        return


def get_collector_state(connection: Connection) -> CollectorState:
    """Return what the last rounds brought; a desk that has never collected has an empty state."""
    row = connection.execute(select(*(COLLECTOR.c[name] for name in CollectorState.__dataclass_fields__))).first()
    return CollectorState() if row is None else CollectorState(**row._mapping)


def write_collector_state(desk: Desk, **values: object) -> None:
    """Write columns of the one row of the collector. Raises `DeskStoreError`."""
    with desk.store.write() as connection:
        changed = connection.execute(update(COLLECTOR).where(COLLECTOR.c.id == _ROW).values(**values))
        if changed.rowcount == 0:
            connection.execute(insert(COLLECTOR).values(id=_ROW, **values))


def _find_oldest(waiting: Sequence[WaitingReports], *, now: datetime) -> str | None:
    oldest = min((read_feed_time(one.oldest_received_at, now=now) for one in waiting), default=None)
    return None if oldest is None else format_time(oldest)


def read_feed_time(text: str, *, now: datetime) -> datetime:
    """Return a time that the gateway names, but none that is yet to come; `now` where it names none."""
    try:
        return min(parse_time(text), now)
    except FormatError:
        return now  # the gateway is not believed: a time that is none must not end a round
