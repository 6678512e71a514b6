"""The shelf of set-aside rows: a bounded share for each sender, and one line for each sender and cause.

A row claims its own sender: unverified, but enough to keep one sender's flood out of the others' room.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, Integer, cast, func, select, update

from gateway.desk import audit
from gateway.desk.alarms import list_subjects
from gateway.desk.collection.row_checks import BY_GATEWAY, PRIORITIES
from gateway.desk.outbox.alerts import find_waiting
from gateway.desk.store.schema import SET_ASIDE
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.submission import PUBLIC_SENDER

# The most rows that wait here for one claimed sender: a flood from one leaves room for the others. Further rows stay at
# the gateway, unacknowledged, and are taken once rows here are resolved.
MOST_ROWS_OF_ONE: Final = 500
MOST_BYTES_OF_ONE: Final = 64 * 1024 * 1024
# Beyond a full share there is extra room for rows that seal a crisis, so that each of them alerts and can be found.
MOST_CRISES_OF_ONE: Final = 100

# Why a row is set aside, for a person who reads it on a page.
EXPLANATIONS: Final = {
    "bad-padding": "the sealed report is padded wrongly",
    "clear-fields-mismatch": "the sealed report names other facts than its statement",
    "does-not-open": "the sealed report does not open",
    "door-mismatch": "it did not come through the door that it names",
    "duplicate-reference": "its reference belongs to another report",
    "duplicate-report-id": "its id belongs to another report",
    "envelope-mismatch": "the sealed report is not the one that the gateway accepted",
    "intake-misspelled": "the gateway's statement breaks the format",
    "intake-not-genuine": "the gateway's statement is not genuine",
    "key-ended": "the sender's key had ended",
    "malformed": "it cannot be read",
    "no-intake-statement": "the gateway's statement is missing",
    "submission-mismatch": "the sender's statement is not the one that the gateway accepted",
    "submission-not-genuine": "the sender did not sign it",
    "unknown-key": "it is sealed to a key that this desk does not have",
    "unreadable-content": "it opens, but its format is unknown",
    "wrong-environment": "it is for another environment",
    "wrong-instance": "a gateway of another name signed it",
    "wrong-purpose": "it is sealed for another purpose",
}


class SetAsideError(ReportAbuseError):
    """The row does not exist, or is already resolved."""


def format_cause(reason: str) -> str:
    """Return why a row is set aside, in words; a code without words stays as it is."""
    return EXPLANATIONS.get(reason, reason)


def format_sender(partner: str | None, *, names: Mapping[str, str]) -> str:
    """Return the sender that a row claims, by its name, e.g. `Example Chat`."""
    if not partner:
        return "No sender"
    return "The public form" if partner == PUBLIC_SENDER else names.get(partner, f"{partner} (unknown here)")


@dataclass(frozen=True, slots=True)
class SetAsideGroup:
    """The waiting rows of one sender for one cause: `priorities` counts them by stated priority, "" for none.

    `urgent` counts those that state P1, seal a crisis or cannot be weighed; `last_id` is the number of the newest row.
    """

    partner: str
    reason: str
    channel: str
    alarmed: bool
    count: int
    first_at: str
    last_at: str
    priorities: dict[str, int]
    urgent: int
    last_id: int


@dataclass(frozen=True, slots=True)
class Share:
    """All waiting rows of one sender."""

    partner: str
    rows: int
    size: int
    last_at: str

    @property
    def is_full(self) -> bool:
        """Whether the desk keeps no more rows of this sender."""
        return self.rows >= MOST_ROWS_OF_ONE or self.size >= MOST_BYTES_OF_ONE


class Shelf:
    """The waiting rows, looked up once for a whole transaction: each sender's share, alerts and alarms."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._shares: dict[str, Share] = {}
        self._alerted: set[tuple[str | None, str, str]] = set()

    def is_full_for(self, partner: str, *, is_crisis: bool = False) -> bool:
        """Return whether the desk keeps no more rows of this sender, or no more that seal a crisis."""
        if partner not in self._shares:
            found = _list_shares(self._connection, SET_ASIDE.c.claimed_partner.is_not_distinct_from(partner or None))
            self._shares[partner] = found[0] if found else Share(partner, rows=0, size=0, last_at="")
        share = self._shares[partner]
        if is_crisis:
            return share.rows >= MOST_ROWS_OF_ONE + MOST_CRISES_OF_ONE or share.size >= 2 * MOST_BYTES_OF_ONE
        return share.is_full

    def add(self, partner: str, size: int) -> None:
        """Count a stored row."""
        if partner in self._shares:
            share = self._shares[partner]
            self._shares[partner] = replace(share, rows=share.rows + 1, size=share.size + size)

    def needs_alert(self, group: tuple[str | None, str, str], *, is_certain: bool) -> bool:
        """Return whether an urgent row of this sender, reason and channel needs an alert.

        The first of its group does. A later one does if it is known to be urgent, unless its group's alert is still to
        be sent: the person who acknowledged an earlier alert cannot know of it.
        """
        if group in self._alerted:
            return False
        partner, reason, channel = group
        query = select(func.max(SET_ASIDE.c.set_aside_at)).where(
            SET_ASIDE.c.resolved_at.is_(None),
            SET_ASIDE.c.claimed_partner.is_not_distinct_from(partner),
            SET_ASIDE.c.reason == reason,
            SET_ASIDE.c.channel == channel,
            SET_ASIDE.c.is_urgent,
        )
        last_at = self._connection.execute(query).scalar()
        if last_at is not None:
            # An alert that was tried may be on its way to the pager at this moment, with its earlier count.
            waiting = find_waiting(self._connection)
            is_told = waiting is not None and waiting.tries == 0 and (waiting.news_at or waiting.first_at) <= last_at
            if not is_certain or is_told:
                return False
        self._alerted.add(group)
        return True

    def has_alarm(self, partner: str | None, reason: str) -> bool:
        """Return whether an alarm for this sender and cause is open. A cleared one hides no later row."""
        rows = [bytes.fromhex(subject) for subject in list_subjects(self._connection, reason)]
        query = select(SET_ASIDE.c.id).where(
            SET_ASIDE.c.row_sha256.in_(rows), SET_ASIDE.c.claimed_partner.is_not_distinct_from(partner)
        )
        return self._connection.execute(query.limit(1)).first() is not None


def list_groups(connection: Connection) -> list[SetAsideGroup]:
    """Return the waiting rows by sender and cause: urgent groups first, then alarmed ones, then by stated priority."""
    columns = SET_ASIDE.c
    keys = (columns.claimed_partner, columns.reason, columns.channel)
    query = (
        select(
            *keys,
            columns.stated_priority,
            func.max(cast(columns.alarmed, Integer)).label("alarmed"),
            func.sum(cast(columns.is_urgent, Integer)).label("urgent"),
            func.max(columns.id).label("last_id"),
            func.count().label("rows"),
            func.min(columns.set_aside_at).label("first_at"),
            func.max(columns.set_aside_at).label("last_at"),
        )
        .where(columns.resolved_at.is_(None))
        .group_by(*keys, columns.stated_priority)
    )
    groups: dict[tuple[str | None, str, str], SetAsideGroup] = {}
    for row in connection.execute(query):
        key = (row.claimed_partner, row.reason, row.channel)
        known = groups.get(key) or SetAsideGroup(
            partner=row.claimed_partner or "",
            reason=row.reason,
            channel=row.channel,
            alarmed=bool(row.alarmed),
            count=0,
            first_at=row.first_at,
            last_at=row.last_at,
            priorities={},
            urgent=0,
            last_id=0,
        )
        groups[key] = replace(
            known,
            count=known.count + row.rows,
            first_at=min(known.first_at, row.first_at),
            last_at=max(known.last_at, row.last_at),
            priorities={**known.priorities, row.stated_priority or "": row.rows},
            urgent=known.urgent + int(row.urgent),
            last_id=max(known.last_id, row.last_id),
        )
    return sorted(
        groups.values(),
        # A row without a priority may be the most urgent: it is sorted with P1.
        key=lambda one: (
            not one.urgent,
            not one.alarmed,
            min(code or PRIORITIES[0] for code in one.priorities),
            one.first_at,
        ),
    )


def list_full_shares(connection: Connection) -> list[Share]:
    """Return the senders whose shares are full: the desk keeps no more until a person resolves rows."""
    return [share for share in _list_shares(connection) if share.is_full]


def resolve_group(
    connection: Connection, *, partner: str, reason: str, up_to: int, resolution: str, actor: str, now: datetime
) -> int:
    """Record how the rows of one group were resolved; their bytes stay. Return their number.

    `up_to` is the newest row that the person was shown, and one of the group, e.g. 41 for "up to row 41": later rows
    keep waiting. `partner` is empty for rows that name none. Raises `SetAsideError` (`unknown-row`).
    """
    of_group = (SET_ASIDE.c.claimed_partner.is_not_distinct_from(partner or None), SET_ASIDE.c.reason == reason)
    channel = connection.execute(select(SET_ASIDE.c.channel).where(SET_ASIDE.c.id == up_to, *of_group)).scalar()
    waiting = (SET_ASIDE.c.resolved_at.is_(None), SET_ASIDE.c.channel == channel, SET_ASIDE.c.id <= up_to)
    changed = connection.execute(
        update(SET_ASIDE).where(*of_group, *waiting).values(resolved_at=format_time(now), resolution=resolution)
    )
    if changed.rowcount == 0:
        raise SetAsideError(
            (
                "No row from this sender with this reason is waiting up to that number. `set-aside list` "
                "shows the waiting rows."
            ),
            reason="unknown-row",
        )
    audit.append_entry(
        connection,
        "resolve-set-aside-group",
        partner or "unknown",
        at=now,
        actor=actor,
        reason=reason,
        resolution=resolution,
        rows=changed.rowcount,
        up_to=up_to,
    )
    return changed.rowcount


def _list_shares(connection: Connection, *conditions: ColumnElement[bool]) -> list[Share]:
    partner = func.coalesce(SET_ASIDE.c.claimed_partner, "")
    wanted = (SET_ASIDE.c.resolved_at.is_(None), SET_ASIDE.c.channel == BY_GATEWAY, *conditions)
    query = select(
        partner.label("partner"),
        func.count().label("rows"),
        func.sum(func.length(SET_ASIDE.c.row)).label("size"),
        func.max(SET_ASIDE.c.set_aside_at).label("last_at"),
    ).where(*wanted)
    return [
        Share(row.partner, rows=row.rows, size=row.size, last_at=row.last_at)
        for row in connection.execute(query.group_by(partner).order_by(partner))
    ]
