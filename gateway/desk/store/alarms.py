"""Alarms: faults that a person must look into, raised once, and kept on record after they are cleared.

Never contains typed text: a kind, and a name of ours for its subject.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from gateway.desk.store import audit
from gateway.desk.store.schema import ALARMS
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time


class AlarmError(ReportAbuseError):
    """No open alarm has this number."""


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One open alarm."""

    id: int
    kind: str
    raised_at: str
    subject: str


def raise_alarm(connection: Connection, kind: str, subject: str, *, now: datetime) -> bool:
    """Enter an alarm for a person to look at; False if the same one was raised before."""
    known = connection.execute(select(ALARMS.c.id).where(ALARMS.c.kind == kind, ALARMS.c.subject == subject)).first()
    if known is not None:
        return False
    connection.execute(insert(ALARMS).values(kind=kind, subject=subject, raised_at=format_time(now)))
    return True


def clear_alarm(connection: Connection, alarm_id: int, *, actor: str, now: datetime) -> None:
    """Record the person who has dealt with an alarm; it stays on record. Raises `AlarmError` (`unknown-alarm`)."""
    changed = connection.execute(
        update(ALARMS)
        .where(ALARMS.c.id == alarm_id, ALARMS.c.cleared_at.is_(None))
        .values(cleared_at=format_time(now), cleared_by=actor)
    )
    if changed.rowcount == 0:
        raise AlarmError("No open alarm has this number. `alarms` lists the open ones.", reason="unknown-alarm")
    audit.append_entry(connection, "clear-alarm", str(alarm_id), at=now, actor=actor)


def list_alarms(connection: Connection) -> list[AlarmRow]:
    """Return the open alarms, the oldest first."""
    columns = [ALARMS.c[name] for name in AlarmRow.__dataclass_fields__]
    rows = connection.execute(select(*columns).where(ALARMS.c.cleared_at.is_(None)).order_by(ALARMS.c.id))
    return [AlarmRow(**row._mapping) for row in rows]


def count_alarms(connection: Connection) -> int:
    """Return how many alarms are open."""
    query = select(func.count()).select_from(ALARMS).where(ALARMS.c.cleared_at.is_(None))
    return int(connection.execute(query).scalar_one())


def list_subjects(connection: Connection, kind: str) -> list[str]:
    """Return the subjects of the open alarms of a kind, the oldest first."""
    query = select(ALARMS.c.subject).where(ALARMS.c.kind == kind, ALARMS.c.cleared_at.is_(None)).order_by(ALARMS.c.id)
    return list(connection.execute(query).scalars())
