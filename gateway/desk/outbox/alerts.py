"""Alerts as records: queued for the people on duty, and acknowledged by one of them (R21).

Never contains a word of a report: an alert has a count and times. Only one alert waits at a time, and later cases join
it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, insert, or_, select, update

from gateway.desk import audit
from gateway.desk.outbox.queue import IS_OPEN, SENT_AT, drop, queue, record
from gateway.desk.people.permissions import BY_THE_DESK
from gateway.desk.store.outbox_tables import ALERTS, OUTBOX
from gateway.desk.store.schema import CASES, SET_ASIDE
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.alert_notice import AlertTarget
from partner_sdk.wire.canonical import format_time, parse_time


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert for lists: its target, count and times."""

    id: int
    target: AlertTarget
    count: int
    first_at: str
    sent_at: str | None
    tries: int
    next_try_at: str
    last_error: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None
    repeats: int
    repeated_at: str | None
    repeated_to: str | None

    def is_on_its_way(self, now: datetime) -> bool:
        """Return whether a run is delivering it now, with its earlier count."""
        return self.tries > 0 and self.last_error is None and parse_time(self.next_try_at) > now


class AlertError(ReportAbuseError):
    """No unacknowledged alert has this number."""


def queue_alert(connection: Connection, *, count: int, now: datetime) -> None:
    """Queue an alert for this many new crisis cases, in the caller's transaction; a waiting alert takes them in."""
    if count < 1:
        return
    waiting = find_waiting(connection)
    if waiting is None:
        # Addressed only when it is sent, to the people on duty then.
        add_alert(connection, "desk", count=count, first_at=format_time(now), now=now)
        return
    # Another process may have read its clock before this alert was queued, and commit after that.
    first_at = min(waiting.first_at, format_time(now))
    values = {"count": ALERTS.c.count + count, "first_at": first_at}
    connection.execute(update(ALERTS).where(ALERTS.c.id == waiting.id).values(**values))


def add_alert(connection: Connection, target: str, *, count: int, first_at: str, now: datetime) -> None:
    """Queue a separate alert."""
    values = {"target": target, "count": count, "first_at": first_at}
    number = connection.execute(insert(ALERTS).values(**values).returning(ALERTS.c.id)).scalar_one()
    queue(connection, "alert", [str(number)], now=now)


def find_waiting(connection: Connection) -> AlertRow | None:
    """Return the unsent alert, if any."""
    return next(iter(_list_rows(connection, IS_OPEN, most=1)), None)


def count_anew(connection: Connection, *, now: datetime) -> None:
    """Remove cases opened since from the waiting alert; drop the alert if none is left.

    A report opened before its alert was sent needs no alert. The audit log records it.
    """
    row = find_waiting(connection)
    if row is None or row.is_on_its_way(now):
        return
    left = min(row.count, count_unread(connection, since=row.first_at))
    if left:
        connection.execute(update(ALERTS).where(ALERTS.c.id == row.id).values(count=left))
        return
    drop(connection, "alert", [str(row.id)])
    connection.execute(ALERTS.delete().where(ALERTS.c.id == row.id))
    audit.append_entry(connection, "drop-alert", row.target, at=now, actor=BY_THE_DESK, count=row.count)


def list_alerts(connection: Connection, *, most: int) -> list[AlertRow]:
    """Return the newest alerts, the newest first."""
    rows = connection.execute(_ROWS.order_by(ALERTS.c.id.desc()).limit(most))
    return [AlertRow(**row._mapping) for row in rows]


def list_unsent(connection: Connection, *, now: datetime, within: timedelta) -> list[AlertRow]:
    """Return the alerts not sent within this time."""
    return _list_rows(connection, IS_OPEN, ALERTS.c.first_at < format_time(now - within))


def list_unacknowledged(connection: Connection) -> list[AlertRow]:
    """Return the sent alerts that are not acknowledged, the oldest first.

    An alert whose urgent cases have all been opened since needs no acknowledgement.
    """
    rows = _list_rows(connection, OUTBOX.c.state == "sent", ALERTS.c.acknowledged_at.is_(None))
    # Cases unread since one moment are unread since every earlier one: the newest alert that has some settles the rest.
    while rows and not count_unread(connection, since=rows[-1].first_at):
        rows.pop()
    return rows


def list_overdue(connection: Connection, *, now: datetime, within: timedelta) -> list[AlertRow]:
    """Return the alerts sent longer ago than this that are not acknowledged."""
    latest = format_time(now - within)
    return [row for row in list_unacknowledged(connection) if row.sent_at is not None and row.sent_at < latest]


def acknowledge_alert(connection: Connection, number: int, *, actor: str, now: datetime) -> int:
    """Record the person handling an alert and every earlier sent one; return their number.

    Raises `AlertError` (`unknown-alert`) if no unacknowledged alert has this number.
    """
    went = select(OUTBOX.c.id).where(record("alert", ALERTS.c.id), OUTBOX.c.state == "sent").exists()
    waiting = [went, ALERTS.c.acknowledged_at.is_(None)]
    if connection.execute(select(ALERTS.c.id).where(ALERTS.c.id == number, *waiting)).first() is None:
        raise AlertError(
            "No unacknowledged alert has this number. `alert list` shows every alert.",
            reason="unknown-alert",
        )
    changed = connection.execute(
        update(ALERTS)
        .where(ALERTS.c.id <= number, *waiting)
        .values(acknowledged_at=format_time(now), acknowledged_by=actor)
    )
    audit.append_entry(connection, "acknowledge-alert", str(number), at=now, actor=actor, alerts=changed.rowcount)
    return changed.rowcount


def count_unread(connection: Connection, *, since: str) -> int:
    """Return the number of unopened crisis cases since then, plus waiting set-aside rows.

    A case and its sender's additions count once.
    """
    cases = select(func.count(func.coalesce(CASES.c.joined_to, CASES.c.case_id).distinct())).where(
        CASES.c.crisis,
        CASES.c.crisis_since >= since,
        # Opened before it came into the crisis lane: the reader has not seen why it did.
        or_(CASES.c.opened_at.is_(None), CASES.c.opened_at < CASES.c.crisis_since),
    )
    # Of any priority: the sealed content may be more urgent than the stated priority.
    group = SET_ASIDE.c.reason + " " + func.coalesce(SET_ASIDE.c.claimed_partner, "")
    rows = select(func.count(group.distinct())).where(
        SET_ASIDE.c.resolved_at.is_(None), SET_ASIDE.c.set_aside_at >= since
    )
    return int(connection.execute(cases).scalar_one()) + int(connection.execute(rows).scalar_one())


def find_last_sent(connection: Connection, target: str) -> datetime | None:
    """Return the time of the last alert sent to a target."""
    went = select(func.max(SENT_AT)).join(ALERTS, record("alert", ALERTS.c.id)).where(ALERTS.c.target == target)
    last = connection.execute(went).scalar()
    return None if last is None else parse_time(last)


def _list_rows(connection: Connection, *conditions: ColumnElement[bool], most: int | None = None) -> list[AlertRow]:
    rows = connection.execute(_ROWS.where(*conditions).order_by(ALERTS.c.id).limit(most))
    return [AlertRow(**row._mapping) for row in rows]


def _columns() -> list[Any]:
    found = {"sent_at": SENT_AT.label("sent_at"), **dict(ALERTS.c.items())}
    return [found[name] if name in found else OUTBOX.c[name] for name in AlertRow.__dataclass_fields__]


_ROWS: Final = select(*_columns()).join(OUTBOX, record("alert", ALERTS.c.id))
