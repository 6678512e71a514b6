"""Reports: stored and read by the two doors, listed and acknowledged for the desk, deleted later.

Never opens an envelope, and never changes a stored one.

Never deletes an envelope that the desk has neither acknowledged nor signed to forget, and never a digest or a
statement. If a page of the database is damaged, returns every readable row, and the positions of the others.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Table,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError

from gateway.databases.columns import PreparedStatement
from gateway.databases.database import surviving_damage
from gateway.databases.failures import is_damage
from gateway.exchange.desk_statements import ForgetList
from gateway.exchange.feed import ChainHead, StageItem, WaitingReports
from gateway.store.evidence import forget_evidence
from gateway.store.items import forget_return_place
from gateway.store.schema import evidence, from_epoch_seconds, instance, items, reports, to_epoch_seconds
from gateway.store.store import Store
from partner_sdk.wire.canonical import format_time

STAGE_RECEIVED = "received"


@dataclass(frozen=True, slots=True)
class NextPlace:
    """The place of a sender's next report: its position in the table, and its number in the sender's chain.

    `previous_sha256` is the digest of the sender's previous statement, None for the first of an epoch.
    `is_reference_taken` is of the reference that was asked with it: one statement, because every other writer waits.
    """

    instance: str
    epoch: str
    position: int
    sequence: int
    previous_sha256: bytes | None
    is_reference_taken: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRow:
    """A report about to be stored."""

    position: int
    sequence: int
    epoch: str
    report_id: str
    partner: str
    environment: str
    door: str
    reference: str
    kind: str
    priority: str
    placement: str | None
    received_at: datetime
    envelope: bytes
    envelope_sha256: bytes
    submission: bytes | None
    submission_sha256: bytes | None
    intake: bytes
    intake_sha256: bytes


@dataclass(frozen=True, slots=True)
class StoredReport:
    """The part of a stored report that its sender may read, and the digests to tell a repeat from a conflict."""

    reference: str
    stage: str
    outcome: str | None
    set_aside_reason: str | None
    envelope_sha256: bytes
    submission_sha256: bytes | None
    intake: bytes


_every_report, _same_sender, _same_reference = reports.alias(), reports.alias(), reports.alias()
# Each reads the end of its index. PostgreSQL may read every report of a sender for `max`, by a plan that it made when
# the sender had a few.
_NEWEST = select(func.max(_every_report.c.position)).scalar_subquery()
_HEAD = (
    select(_same_sender.c.sequence)
    .where(_same_sender.c.partner == bindparam("partner"))
    .order_by(_same_sender.c.sequence.desc())
    .limit(literal_column("1"))
    .offset(literal_column("0"))
    .scalar_subquery()
)
_PLACE = PreparedStatement(
    select(
        instance.c.name,
        instance.c.epoch,
        _NEWEST.label("newest"),
        reports.c.sequence,
        reports.c.epoch.label("head"),
        reports.c.intake_sha256,
        exists().where(_same_reference.c.reference == bindparam("reference")).label("is_taken"),
    ).select_from(
        instance.join(
            reports, and_(reports.c.partner == bindparam("partner"), reports.c.sequence == _HEAD), isouter=True
        )
    )
)
_FIND = PreparedStatement(
    select(
        reports.c.reference,
        reports.c.stage,
        reports.c.outcome,
        reports.c.set_aside_reason,
        reports.c.envelope_sha256,
        reports.c.submission_sha256,
        reports.c.intake,
    ).where(
        reports.c.report_id == bindparam("report_id"),
        reports.c.partner == bindparam("partner"),
        reports.c.environment == bindparam("environment"),
    )
)
_IS_TAKEN = PreparedStatement(select(reports.c.position).where(reports.c.reference == bindparam("reference")))
_STAGE = select(reports.c.stage).where(reports.c.reference == bindparam("reference"))
_WRITTEN_LATER = {"acknowledged_at", "outcome", "set_aside_reason"}
_GIVEN = tuple(field.name for field in fields(NewRow))
_INSERT = PreparedStatement(
    insert(reports).values({c.name: bindparam(c.name) for c in reports.c if c.name not in _WRITTEN_LATER})
)


def find_next_place(connection: Connection, *, partner: str, reference: str) -> NextPlace | None:
    """Return the place of a sender's next report, or None in a database without an instance.

    Only for the holder of the writer lock, in the same transaction. Numbers continue across epochs, so that a database
    never issues a number of a chain twice.
    """
    row = _PLACE.run(connection, {"partner": partner, "reference": reference}).fetchone()
    if row is None:
        return None
    name, epoch, newest, sequence, head_epoch, head_sha256, is_taken = row
    position = (newest or 0) + 1
    previous = head_sha256 if head_epoch == epoch else None
    return NextPlace(name, epoch, position, (sequence or 0) + 1, previous, bool(is_taken))


def find_report(connection: Connection, *, partner: str, environment: str, report_id: str) -> StoredReport | None:
    """Return the sender's report, never another sender's with the same id."""
    key = {"report_id": report_id, "partner": partner, "environment": environment}
    row = _FIND.run(connection, key).fetchone()
    return None if row is None else StoredReport(*row)


def is_reference_taken(connection: Connection, *, reference: str) -> bool:
    """Return whether a report has this reference."""
    return _IS_TAKEN.run(connection, {"reference": reference}).fetchone() is not None


def find_stage(connection: Connection, *, reference: str) -> str | None:
    """Return the stage of the report with this reference: `received`, `collected` or `opened`."""
    return connection.execute(_STAGE, {"reference": reference}).scalar_one_or_none()


def insert_report(connection: Connection, *, row: NewRow) -> None:
    """Store a report at stage `received`."""
    values = {name: getattr(row, name) for name in _GIVEN}
    _INSERT.run(connection, values | {"received_at": to_epoch_seconds(row.received_at), "stage": STAGE_RECEIVED})


STAGE_COLLECTED = "collected"
STAGE_OPENED = "opened"
ANSWER_BYTES = 16 * 1024 * 1024  # a page of envelopes is held in memory while it is sent
ROWS_AT_A_TIME = 8
DELETE_BATCH = 200  # short transactions, so that a child's report does not wait


@dataclass(frozen=True, slots=True)
class WaitingReport:
    """A report that the desk has not acknowledged."""

    position: int
    partner: str
    report_id: str
    intake: bytes
    submission: bytes | None
    envelope: bytes


class WaitingPage(NamedTuple):
    """Waiting reports, whether more follow, and the positions of unreadable ones."""

    reports: list[WaitingReport]
    more: bool
    unreadable: list[int]

    def get_last(self, *, after: int) -> int:
        """Return the position after which the next page begins."""
        return max([after, *(report.position for report in self.reports), *self.unreadable])


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One link for reconciliation: a report's place in its sender's chain, and the digest of its statement."""

    position: int
    sequence: int
    partner: str
    report_id: str
    intake_sha256: bytes


# SQLite stores any type in any column: cast, so that one altered row cannot stop collection. The desk then receives its
# bytes and sets it aside.
_REPORT = select(
    reports.c.position,
    reports.c.partner,
    reports.c.report_id,
    cast(reports.c.intake, LargeBinary).label("intake"),
    cast(reports.c.submission, LargeBinary).label("submission"),
    cast(func.coalesce(reports.c.envelope, b""), LargeBinary).label("envelope"),
)
_WAITING = _REPORT.where(reports.c.acknowledged_at.is_(None), reports.c.position > bindparam("after")).order_by(
    reports.c.position
)
# Reads only the index, so a damaged page of the table does not matter.
_WAITING_POSITIONS = (
    select(reports.c.position)
    .where(reports.c.acknowledged_at.is_(None), reports.c.position > bindparam("after"))
    .order_by(reports.c.position)
)
_COUNT_WAITING = select(func.count()).select_from(reports).where(reports.c.acknowledged_at.is_(None))
# The desk treats an unknown priority as the most urgent; so does this. Its parts are literals, because PostgreSQL takes
# the expression in GROUP BY for another one if they are parameters.
_SHOWN_PRIORITY: ColumnElement[Any] = case(
    (
        reports.c.priority.in_((literal_column("'P2'"), literal_column("'P3'"))),
        reports.c.priority,
    ),
    else_=literal_column("'P1'"),
)
_WAITING_BY_KIND: tuple[Any, ...] = (
    select(literal_column("'report'"), func.count(), func.min(reports.c.received_at)).where(
        reports.c.acknowledged_at.is_(None)
    ),
    select(literal_column("'evidence'"), func.count(), func.min(evidence.c.completed_at)).where(
        evidence.c.completed_at.is_not(None),
        evidence.c.referenced_at.is_not(None),
        evidence.c.acknowledged_at.is_(None),
    ),
    select(items.c.kind, func.count(), func.min(items.c.put_at))
    .where(items.c.acknowledged_at.is_(None))
    .group_by(items.c.kind),
)
_WAITING_BY_PRIORITY = (
    select(
        _SHOWN_PRIORITY.label("priority"),
        func.count().label("count"),
        cast(func.min(reports.c.received_at), BigInteger).label("oldest"),
    )
    .where(reports.c.acknowledged_at.is_(None))
    .group_by(_SHOWN_PRIORITY)
    .order_by(_SHOWN_PRIORITY)
)
_IS_WAITING = select(reports.c.acknowledged_at.is_(None))
_LINK = select(
    reports.c.position,
    reports.c.sequence,
    reports.c.partner,
    reports.c.report_id,
    cast(reports.c.intake_sha256, LargeBinary).label("intake_sha256"),
)
_LINKS = _LINK.where(reports.c.position > bindparam("after")).order_by(reports.c.position).limit(bindparam("limit"))
# By the table's own key, without an index.
_AT_POSITION = reports.c.position == bindparam("position")
# From sender to sender by the index of (partner, sequence): a GROUP BY would read all of it.
# PostgreSQL may read all of it for `min` and `max` too (reports.py).
_any, _later, _own = reports.alias(), reports.alias(), reports.alias()
_lowest = select(_any.c.partner).order_by(_any.c.partner).limit(1).scalar_subquery()
_first = select(_lowest.label("partner")).cte("senders", recursive=True)
_following = (
    select(_later.c.partner)
    .where(_later.c.partner > _first.c.partner)
    .order_by(_later.c.partner)
    .limit(1)
    .scalar_subquery()
)
_senders = _first.union_all(select(_following).where(_first.c.partner.is_not(None)))
_newest_own = (
    select(_own.c.sequence)
    .where(_own.c.partner == _senders.c.partner)
    .order_by(_own.c.sequence.desc())
    .limit(1)
    .scalar_subquery()
)
_HEADS = select(_senders.c.partner, _newest_own).where(_senders.c.partner.is_not(None))
_NEWEST_WAITING = select(func.coalesce(func.max(reports.c.position), 0))
_SAME_REPORT = (
    reports.c.report_id == bindparam("wanted_id"),
    reports.c.partner == bindparam("wanted_partner"),
)
_FIND_STATEMENT = select(cast(reports.c.intake, LargeBinary)).where(*_SAME_REPORT)
_ACKNOWLEDGE = (
    update(reports)
    .where(*_SAME_REPORT, reports.c.acknowledged_at.is_(None))
    .values(
        acknowledged_at=bindparam("now"),
        # The desk may have reported the opening first.
        stage=case((reports.c.stage == STAGE_RECEIVED, STAGE_COLLECTED), else_=reports.c.stage),
    )
)
_IS_HELD = (reports.c.acknowledged_at.is_not(None), reports.c.envelope.is_not(None))
_WITHDRAW = update(reports).where(*_SAME_REPORT, *_IS_HELD).values(acknowledged_at=None)
_SET_STAGE = (
    update(reports)
    .where(*_SAME_REPORT)
    .values(stage=bindparam("new_stage"), outcome=bindparam("new_outcome"), set_aside_reason=bindparam("new_reason"))
)
_FIND_STAGE = select(reports.c.stage, reports.c.outcome).where(*_SAME_REPORT)
_STAGES = (STAGE_RECEIVED, STAGE_COLLECTED, STAGE_OPENED)


def read_waiting(connection: Connection, *, limit: int, after: int = 0, max_bytes: int = ANSWER_BYTES) -> WaitingPage:
    """Return the oldest waiting reports after position `after`, and whether more follow.

    At most `limit` reports, and about `max_bytes` of envelopes.
    """
    rows = _read_in_order(connection, after=after, most=limit + 1)
    try:
        with surviving_damage(connection):
            return _fill_page(rows, limit=limit, max_bytes=max_bytes)
    except DBAPIError as error:
        if not is_damage(error):
            raise
    one_by_one = _read_one_by_one(connection, after=after, most=limit + 1)
    return _fill_page(one_by_one, limit=limit, max_bytes=max_bytes)


def _fill_page(rows: Iterator[WaitingReport | int], *, limit: int, max_bytes: int) -> WaitingPage:
    found: list[WaitingReport] = []
    unreadable: list[int] = []
    held_bytes = 0
    for row in rows:
        if len(found) + len(unreadable) == limit or held_bytes >= max_bytes:
            return WaitingPage(found, True, unreadable)
        if isinstance(row, int):
            unreadable.append(row)
        else:
            found.append(row)
            held_bytes += len(row.envelope)
    return WaitingPage(found, False, unreadable)


def _read_in_order(connection: Connection, *, after: int, most: int) -> Iterator[WaitingReport]:
    # PostgreSQL's driver would fetch a page's every envelope before the first is looked at.
    options = {"stream_results": True, "max_row_buffer": ROWS_AT_A_TIME}
    result = connection.execute(_WAITING.limit(most), {"after": after}, execution_options=options)
    try:
        while (row := result.fetchone()) is not None:
            yield WaitingReport(*row)
    finally:
        result.close()


def _read_one_by_one(connection: Connection, *, after: int, most: int) -> Iterator[WaitingReport | int]:
    """Yield each waiting report that is readable on its own, and the position of each that is not."""
    for position in _list_waiting_positions(connection, after=after, most=most):
        rows = _try_read(connection, _REPORT.where(_AT_POSITION), {"position": position})
        yield WaitingReport(*rows[0]) if rows else position


def _list_waiting_positions(connection: Connection, *, after: int, most: int | None) -> Iterator[int]:
    found = _try_read(connection, _WAITING_POSITIONS.limit(most), {"after": after})
    if found is not None:
        yield from (row.position for row in found)
        return
    # The index is damaged too: try every position; an unreadable one may be waiting.
    for position in range(after + 1, get_newest_position(connection) + 1):
        found = _try_read(connection, _IS_WAITING.where(_AT_POSITION), {"position": position})
        if found is None or any(row[0] for row in found):
            yield position


def _try_read(connection: Connection, query: Select[Any], values: dict[str, int]) -> Sequence[Any] | None:
    """Return the rows of a query, or None if it needs a damaged page."""
    try:
        with surviving_damage(connection):
            return connection.execute(query, values).all()
    except DBAPIError as error:
        if not is_damage(error):
            raise
        return None


def count_waiting(connection: Connection) -> int:
    """Return the number of reports that the desk has not acknowledged."""
    found = _try_read(connection, _COUNT_WAITING, {})
    if found is not None:
        return int(found[0][0])
    return sum(1 for _ in _list_waiting_positions(connection, after=0, most=None))


def get_newest_position(connection: Connection) -> int:
    """Return the position of the newest report, 0 before the first."""
    return int(connection.execute(_NEWEST_WAITING).scalar_one())


def find_heads(connection: Connection) -> tuple[ChainHead, ...] | None:
    """Return the newest number of each sender's chain, by sender; None if damaged pages hide some."""
    found = _try_read(connection, _HEADS, {})
    return None if found is None else tuple(ChainHead(partner=row[0], sequence=row[1]) for row in found)


def list_waiting_by_priority(connection: Connection) -> list[WaitingReports]:
    """Return the number and the oldest time of unacknowledged reports for each stated priority.

    Returns nothing if damaged pages hide some of them; the status reports the damage.
    """
    return [
        WaitingReports(
            count=row._mapping["count"],
            oldest_received_at=format_time(from_epoch_seconds(row.oldest)),
            priority=row.priority,
        )
        for row in _try_read(connection, _WAITING_BY_PRIORITY, {}) or ()
    ]


def list_waiting(connection: Connection) -> list[tuple[str, int, int]]:
    """Return kind, count and oldest time (seconds since 1970) of the items not yet acknowledged."""
    return [(row[0], row[1], row[2] or 0) for query in _WAITING_BY_KIND for row in connection.execute(query)]


def list_links(connection: Connection, *, after: int, limit: int) -> tuple[list[ChainLink], bool]:
    """Return the readable links after position `after`, oldest first, and whether more follow."""
    rows = _try_read(connection, _LINKS, {"after": after, "limit": limit + 1})
    if rows is None:
        places = range(after + 1, get_newest_position(connection) + 1)
        found = (_try_read(connection, _LINK.where(_AT_POSITION), {"position": place}) for place in places)
        rows = list(islice((row for some in found for row in some or ()), limit + 1))
    links = [ChainLink(row.position, row.sequence, row.partner, row.report_id, row.intake_sha256) for row in rows]
    return links[:limit], len(links) > limit


def acknowledge_report(
    connection: Connection, *, partner: str, report_id: str, intake_sha256: bytes, now: datetime
) -> bool:
    """Mark a report with exactly this statement as held by the desk; False if there is none. Safe to repeat.

    Compares the digest of the stored bytes, not the column beside them: a row whose column was altered by hand would
    otherwise wait for ever.
    """
    wanted = {"wanted_id": report_id, "wanted_partner": partner}
    held = connection.execute(_FIND_STATEMENT, wanted).scalar_one_or_none()
    if held is None or hashlib.sha256(held).digest() != intake_sha256:
        return False
    connection.execute(_ACKNOWLEDGE, {**wanted, "now": to_epoch_seconds(now)})
    return True


def withdraw_acknowledgement(connection: Connection, *, partner: str, report_id: str, intake_sha256: bytes) -> bool:
    """Make a report wait again that the desk has lost; False if it was not acknowledged, or its envelope is gone."""
    wanted = {"wanted_id": report_id, "wanted_partner": partner}
    held = connection.execute(_FIND_STATEMENT, wanted).scalar_one_or_none()
    if held is None or hashlib.sha256(held).digest() != intake_sha256:
        return False
    return bool(connection.execute(_WITHDRAW, wanted).rowcount)


def set_stage(connection: Connection, item: StageItem) -> bool:
    """Move a partner's report forward, with its outcome if there is one; False if there is no such report.

    A late message never moves a report back or removes an outcome. A report can be set aside only before it is opened,
    and the latest message counts: a report set aside may still be filed.
    """
    wanted = {"wanted_id": item.report_id, "wanted_partner": item.partner}
    found = connection.execute(_FIND_STAGE, wanted).first()
    if found is None:
        return False
    furthest = max(item.stage, found.stage, key=_STAGES.index)
    reason = item.set_aside_reason if furthest == STAGE_COLLECTED else None
    connection.execute(
        _SET_STAGE,
        {**wanted, "new_stage": furthest, "new_outcome": item.outcome or found.outcome, "new_reason": reason},
    )
    return True


def delete_collected(store: Store, *, before: datetime) -> int:
    """Delete the envelopes acknowledged before `before`; digests and statements stay. Returns their number.

    Includes other items of kinds whose bytes are kept as long. SQLite overwrites deleted bytes in the database
    (secure_delete), and the write-ahead log, which still holds them, is truncated.
    """
    deleted = sum(_delete_envelopes(store, table=table, before=before) for table in (reports, items))
    if deleted:
        store.erase_deleted_bytes()
    return deleted


def _delete_envelopes(store: Store, *, table: Table, before: datetime) -> int:
    key = next(iter(table.primary_key))
    collected = (
        select(key)
        .where(table.c.acknowledged_at < to_epoch_seconds(before), table.c.envelope.is_not(None))
        .where(table.c.acknowledged_at.is_not(None))  # matches the partial index
        .order_by(table.c.acknowledged_at)
        .limit(DELETE_BATCH)
    )
    deleted = 0
    while True:
        with store.write(alone=True) as connection:
            batch = connection.execute(
                update(table).where(key.in_(collected.scalar_subquery())).values(envelope=None)
            ).rowcount
        deleted += batch
        if batch < DELETE_BATCH:
            return deleted


_FORGET_REPORT = (
    update(reports)
    .where(*_SAME_REPORT, reports.c.reference == bindparam("wanted_reference"))
    # The desk had it: a report that a restored database lets wait again stays acknowledged.
    .values(envelope=None, acknowledged_at=func.coalesce(reports.c.acknowledged_at, bindparam("now")))
)


def forget_reports(store: Store, listed: ForgetList, *, now: datetime) -> tuple[int, list[str]]:
    """Delete all content of these reports; return how many are known here, and the blobs that no row names any more.

    Digests, statements and places in the chain stay, so that chains and receipts verify as before. Safe to repeat.
    """
    known, blobs = 0, list[str]()
    with store.write(alone=True) as connection:
        for one in listed.reports:
            wanted = {"wanted_id": one.report_id, "wanted_partner": one.partner, "wanted_reference": one.reference}
            if not connection.execute(_FORGET_REPORT, {**wanted, "now": to_epoch_seconds(now)}).rowcount:
                continue  # a reference that another report has here, or a report that never came through this gateway
            known += 1
            forget_return_place(connection, reference=one.reference)
        for file in listed.evidence:
            blobs += forget_evidence(connection, partner=file.partner, evidence_id=file.evidence_id, now=now)
    # Also after a run that was killed here: the write-ahead log may still hold the bytes.
    store.erase_deleted_bytes()
    return known, blobs
