"""Alerts as records: one is open at a time, climbs the ladder, and ends by a name or once all was read (R21).

Never contains a word of a report: an alert has counts and times. Its entry in the outbox stays open as long as the
alert is, with the time of the next notice; each notice is a row of `alert_calls`.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, insert, or_, select, update

from gateway.desk import audit
from gateway.desk.outbox.queue import IS_OPEN, drop, queue, record
from gateway.desk.people.permissions import BY_THE_DESK
from gateway.desk.store.agency_tables import ALERT_CALLS, ALERTS, OUTBOX
from gateway.desk.store.schema import CASES, SET_ASIDE
from gateway.guidance.risk import is_danger_today
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time, parse_time


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert: `count` cases, `told` of them in a notice that was taken; the first of the rest came at `news_at`."""

    id: int
    count: int
    told: int
    first_at: str
    news_at: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None
    state: str
    tries: int
    next_try_at: str
    last_error: str | None

    @property
    def is_open(self) -> bool:
        """Whether it still calls people."""
        return self.state in {"waiting", "held"}

    def is_on_its_way(self, now: datetime) -> bool:
        """Return whether a run is delivering it now, with its earlier count."""
        return self.tries > 0 and self.last_error is None and parse_time(self.next_try_at) > now


@dataclass(frozen=True, slots=True)
class AlertCall:
    """One notice of an alert: the rung that it called, the time and the result."""

    id: int
    alert_id: int
    rung: str
    person: str | None
    turn: int
    count: int
    called_at: str
    waits_until: str
    taken_at: str | None
    failed_because: str | None


class AlertError(ReportAbuseError):
    """No alert of this number waits for a person."""


def queue_alert(connection: Connection, *, count: int, now: datetime) -> None:
    """Queue an alert for this many new crisis cases, in the caller's transaction; an open alert takes them in.

    Its next notice goes at once, to the rung that was called last; its way up the ladder goes on as before.
    """
    if count < 1:
        return
    found = find_open(connection)
    if found is None:
        add_alert(connection, count=count, first_at=format_time(now), now=now)
        return
    # Another process may have read its clock before this alert was queued, and commit after that.
    values = {
        "count": ALERTS.c.count + count,
        "first_at": min(found.first_at, format_time(now)),
        "news_at": min(found.news_at or format_time(now), format_time(now)),
    }
    connection.execute(update(ALERTS).where(ALERTS.c.id == found.id).values(**values))
    if not found.is_on_its_way(now):  # else its run queues it again
        mine = record("alert", ALERTS.c.id) & (ALERTS.c.id == found.id)
        entry = select(OUTBOX.c.id).where(mine).scalar_subquery()
        connection.execute(update(OUTBOX).where(OUTBOX.c.id == entry).values(next_try_at=format_time(now)))


def add_alert(connection: Connection, *, count: int, first_at: str, now: datetime) -> None:
    """Open an alert. The rung that it calls is chosen when it is sent."""
    values = {"count": count, "first_at": first_at, "news_at": format_time(now)}
    number = connection.execute(insert(ALERTS).values(**values).returning(ALERTS.c.id)).scalar_one()
    queue(connection, "alert", [str(number)], now=now)


def find_open(connection: Connection) -> AlertRow | None:
    """Return the open alert, if any."""
    return next(iter(_list_rows(connection, IS_OPEN, most=1)), None)


def get_alert(connection: Connection, number: int) -> AlertRow:
    """Return the alert of a number that the desk gave it."""
    (found,) = _list_rows(connection, ALERTS.c.id == number)
    return found


def find_waiting(connection: Connection) -> AlertRow | None:
    """Return the open alert if it has cases that no notice named yet."""
    found = find_open(connection)
    return found if found is not None and found.count > found.told else None


def find_unacknowledged(connection: Connection) -> AlertRow | None:
    """Return the open alert if a rung was called, and urgent cases are unread."""
    found = find_open(connection)
    is_called = found is not None and found.told and count_unread(connection, since=found.first_at)
    return found if is_called else None


def count_anew(connection: Connection, *, now: datetime) -> None:
    """Remove cases opened since from the open alert, and end it if none is left.

    A report opened before the first call needs no alert: the audit log records that it was dropped.
    """
    row = find_open(connection)
    if row is None or row.is_on_its_way(now):
        return
    unread = count_unread(connection, since=row.first_at)
    if row.told:
        if not unread:
            _end(connection, row, now=now)
        return
    if left := min(row.count, unread):
        connection.execute(update(ALERTS).where(ALERTS.c.id == row.id).values(count=left))
        return
    drop(connection, "alert", [str(row.id)])
    connection.execute(ALERT_CALLS.delete().where(ALERT_CALLS.c.alert_id == row.id))
    connection.execute(ALERTS.delete().where(ALERTS.c.id == row.id))
    audit.append_entry(connection, "drop-alert", str(row.id), at=now, actor=BY_THE_DESK, count=row.count)


def list_alerts(connection: Connection, *, most: int) -> list[AlertRow]:
    """Return the newest alerts, the newest first."""
    rows = connection.execute(_ROWS.order_by(ALERTS.c.id.desc()).limit(most))
    return [AlertRow(**row._mapping) for row in rows]


def list_calls(connection: Connection, alerts: Collection[int]) -> list[AlertCall]:
    """Return every notice of these alerts, the oldest first."""
    rows = select(*_CALL_COLUMNS).where(ALERT_CALLS.c.alert_id.in_(alerts)).order_by(ALERT_CALLS.c.id)
    return [AlertCall(**row._mapping) for row in connection.execute(rows)]


def find_unsent(connection: Connection, *, now: datetime, within: timedelta) -> AlertRow | None:
    """Return the open alert if it has cases that no notice has named within this time."""
    found = find_waiting(connection)
    return found if found is not None and (found.news_at or found.first_at) < format_time(now - within) else None


def find_overdue(connection: Connection, *, now: datetime) -> tuple[AlertRow, int, AlertCall | None] | None:
    """Return the unacknowledged alert once the first rung's time is over: its unread cases, and where it came round.

    The call is the first of the second way up the ladder, if there was one.
    """
    found = find_unacknowledged(connection)
    if found is None:
        return None
    calls = list_calls(connection, [found.id])
    first = next((one for one in calls if one.taken_at is not None), None)
    if first is None or format_time(now) <= first.waits_until:
        return None
    unread = min(found.count, count_unread(connection, since=found.first_at))
    return found, unread, next((one for one in calls if one.turn > 1), None)


def acknowledge_alert(
    connection: Connection, number: int, *, actor: str, now: datetime, seen: int | None = None
) -> int:
    """Record the person in charge of the open alert, and return the number of its cases.

    `seen` is the count that the person saw, by default that of the last notice: cases that came later, and are unread,
    become the next alert.
    Raises `AlertError` (`unknown-alert`) if no alert of this number waits for a person.
    """
    found = find_open(connection)
    if found is None or found.id != number or not found.told:
        raise AlertError(
            "No alert with this number waits for a person. `alert list` shows every alert.", reason="unknown-alert"
        )
    covered = min(found.count, found.told if seen is None else max(1, seen))
    left = min(found.count, count_unread(connection, since=found.first_at)) - covered
    values = {"acknowledged_at": format_time(now), "acknowledged_by": actor, "count": covered}
    _end(connection, found, now=now, **values)
    audit.append_entry(connection, "acknowledge-alert", str(number), at=now, actor=actor, count=covered)
    if left > 0:
        # Their time is that of this alert: which of its cases were the later ones is not recorded.
        add_alert(connection, count=left, first_at=found.first_at, now=now)
    return covered


def begin_call(
    connection: Connection, *, alert_id: int, rung: str, person: str | None, turn: int, count: int, now: datetime,
    waits_until: datetime, link_secret: str,
) -> int:  # fmt: skip
    """Record that a rung is being called, before the notice goes; return the number of the call."""
    values = {
        "alert_id": alert_id,
        "rung": rung,
        "person": person,
        "turn": turn,
        "count": count,
        "called_at": format_time(now),
        "waits_until": format_time(waits_until),
        "link_sha256": hash_link(link_secret),
    }
    return int(connection.execute(insert(ALERT_CALLS).values(**values).returning(ALERT_CALLS.c.id)).scalar_one())


def finish_call(connection: Connection, call_id: int, *, alert: AlertRow, now: datetime) -> None:
    """Record that a notice was taken: it named the cases of this alert up to its count."""
    moment = format_time(now)
    connection.execute(update(ALERT_CALLS).where(ALERT_CALLS.c.id == call_id).values(taken_at=moment))
    told = ALERTS.update().where(ALERTS.c.id == alert.id)
    connection.execute(told.values(told=alert.count))
    connection.execute(told.where(ALERTS.c["count"] <= alert.count).values(news_at=None))


def fail_call(connection: Connection, call_id: int, *, code: str) -> None:
    """Record why a notice was not taken."""
    connection.execute(update(ALERT_CALLS).where(ALERT_CALLS.c.id == call_id).values(failed_because=code))


def find_call_by_link(connection: Connection, secret: str) -> tuple[AlertRow, AlertCall] | None:
    """Return the alert and call of a notice's link."""
    found = connection.execute(select(*_CALL_COLUMNS).where(ALERT_CALLS.c.link_sha256 == hash_link(secret))).first()
    if found is None:
        return None
    call = AlertCall(**found._mapping)
    return get_alert(connection, call.alert_id), call


def hash_link(secret: str) -> bytes:
    """Return the form in which the secret of a link is stored."""
    return hashlib.sha256(secret.encode()).digest()


def count_unread(connection: Connection, *, since: str) -> int:
    """Return the number of unopened crisis cases since then, plus waiting set-aside rows.

    A case and its sender's additions count once.
    """
    cases = select(func.count(func.coalesce(CASES.c.joined_to, CASES.c.case_id).distinct())).where(*_list_unread(since))
    # Of any priority: the sealed content may be more urgent than the stated priority.
    group = SET_ASIDE.c.reason + " " + func.coalesce(SET_ASIDE.c.claimed_partner, "")
    rows = select(func.count(group.distinct())).where(
        SET_ASIDE.c.resolved_at.is_(None), SET_ASIDE.c.set_aside_at >= since
    )
    return int(connection.execute(cases).scalar_one()) + int(connection.execute(rows).scalar_one())


def count_danger_today(connection: Connection, *, since: str) -> int:
    """Return the number of these unopened crisis cases whose answers name danger today; additions count once."""
    root = func.coalesce(CASES.c.joined_to, CASES.c.case_id).label("root")
    rows = connection.execute(select(root, CASES.c.factors).where(*_list_unread(since)))
    return len({row.root for row in rows if is_danger_today(row.factors)})


def find_last_call(connection: Connection, rung: str) -> datetime | None:
    """Return when a rung last took a notice."""
    query = select(func.max(ALERT_CALLS.c.taken_at)).where(ALERT_CALLS.c.rung == rung)
    last = connection.execute(query).scalar()
    return None if last is None else parse_time(last)


def _list_unread(since: str) -> tuple[ColumnElement[bool], ...]:
    # Opened before it came into the crisis lane: the reader has not seen why it did.
    unread = or_(CASES.c.opened_at.is_(None), CASES.c.opened_at < CASES.c.crisis_since)
    return CASES.c.crisis, CASES.c.crisis_since >= since, unread


def _end(connection: Connection, row: AlertRow, *, now: datetime, **values: object) -> None:
    if values:
        connection.execute(update(ALERTS).where(ALERTS.c.id == row.id).values(**values))
    # The next turn: a run that is delivering it at this moment queues it no more.
    entry = select(OUTBOX.c.id).where(record("alert", ALERTS.c.id), ALERTS.c.id == row.id).scalar_subquery()
    ended = {"state": "sent", "turn": OUTBOX.c.turn + 1, "done_at": format_time(now), "last_error": None}
    connection.execute(update(OUTBOX).where(OUTBOX.c.id == entry).values(**ended))


def _list_rows(connection: Connection, *conditions: ColumnElement[bool], most: int | None = None) -> Sequence[AlertRow]:
    rows = connection.execute(_ROWS.where(*conditions).order_by(ALERTS.c.id).limit(most))
    return [AlertRow(**row._mapping) for row in rows]


def _columns() -> list[Any]:
    own = dict(ALERTS.c.items())
    return [own[name] if name in own else OUTBOX.c[name] for name in AlertRow.__dataclass_fields__]


_ROWS: Final = select(*_columns()).join(OUTBOX, record("alert", ALERTS.c.id))
_CALL_COLUMNS: Final = [ALERT_CALLS.c[name] for name in AlertCall.__dataclass_fields__]
