"""The record of a digest: the frozen data and clusters, the draws, and each later state with the published bytes.

Rows are only ever added, and triggers of the database hold that: the order in which they came is the history. Never
leaves the desk: only the published bytes do.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, Protocol, TypeVar

import msgspec
from sqlalchemy import Connection, Row, bindparam, func, insert, select

from gateway.desk.digests.clusters import FrozenClusters, parse_clusters
from gateway.desk.keyring.key_set import Period, Quarter
from gateway.desk.partners.mailbox import has_message
from gateway.desk.placements.merges import list_ever_merged
from gateway.desk.store.agency_tables import DIGEST_DRAWS, DIGEST_STEPS, DIGESTS
from gateway.desk.store.schema import AUDIT
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire import canonical

T = TypeVar("T")
# The draws and the data beside the clusters: a few kilobytes.
MAX_RECORD_BYTES = 1024 * 1024
_MOST_AT_ONCE: Final = 500
_MESSAGE_LABEL: Final = "report-abuse digest message v1"
# The time inside every such id: the id depends on the digest's id alone.
_SAME_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)

State = Literal["drawing", "made", "not-eligible", "rejected", "released"]


class DigestRecordError(ReportAbuseError):
    """A digest is absent, or a write-once part of it would be written again."""


class Workings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data behind a digest beside its clusters, frozen with them."""

    adopted: bool
    threshold: int
    placements: list[tuple[str, str]]
    synthetic: bool


@dataclass(frozen=True, slots=True)
class DigestRecord:
    """One digest of the desk, without its clusters (`get_clusters`).

    `body` is the published bytes, which never change; None before they are made, or if the partner is ineligible.
    """

    digest_id: str
    partner: str
    quarter: str
    clusters_sha256: bytes
    frozen_at: str
    made_at: str
    made_by: str
    workings: Workings
    draws: dict[str, list[int]]
    state: State = "drawing"
    body: bytes | None = None
    reason: str | None = None
    rejected_by: str | None = None
    released_at: str | None = None
    released_by: str | None = None
    message_id: str | None = None


class Encodable(Protocol):
    """Frozen data with one spelling in bytes."""

    def encode(self) -> bytes:
        """Return the bytes to store."""


def make_digest_id(*, partner: str, quarter: Period) -> str:
    """Return the only possible id for a partner's period, e.g. `2026-Q3.example-chat`."""
    return f"{quarter.name}.{partner}"


def make_message_id(digest_id: str) -> str:
    """Return the only possible id of the message with a digest, a UUIDv7 of the hash of the digest's id.

    The gateway refuses other bytes under an id that it knows. So a desk that was restored from an old backup, and has
    forgotten that it published this period, cannot publish it again.
    """
    random = hashlib.sha256(f"{_MESSAGE_LABEL}/{digest_id}".encode()).digest()[: canonical.REPORT_ID_RANDOM_BYTES]
    return canonical.make_report_id(_SAME_TIME, random)


def find_record(connection: Connection, digest_id: str) -> DigestRecord | None:
    """Return a digest's record, or None."""
    row = connection.execute(_ONE_FROZEN, {"digest_id": digest_id}).first()
    return None if row is None else _read(connection, [row])[0]


def get_record(connection: Connection, digest_id: str) -> DigestRecord:
    """Return a digest's record, or raise `DigestRecordError`."""
    record = find_record(connection, digest_id)
    if record is None:
        raise DigestRecordError("No digest has that id.", reason="unknown-digest")
    return record


def list_records(
    connection: Connection, *, partner: str | None = None, period: str | None = None, rows: slice | None = None
) -> list[DigestRecord]:
    """Return the records, newest quarter first; on request of one partner, of one period, or some rows alone."""
    query = _FROZEN.order_by(DIGESTS.c.quarter.desc(), DIGESTS.c.partner)
    if partner is not None:
        query = query.where(DIGESTS.c.partner == partner)
    if period is not None:
        query = query.where(DIGESTS.c.quarter == period)
    if rows is not None:
        query = query.offset(rows.start).limit(rows.stop - rows.start)
    return _read(connection, connection.execute(query).all())


def count_periods(connection: Connection) -> dict[str, int]:
    """Return the number of digests of each period, the newest first, e.g. `{"2026-Q3": 40}`."""
    number = func.count().label("number")
    query = select(DIGESTS.c.quarter, number).group_by(DIGESTS.c.quarter).order_by(DIGESTS.c.quarter.desc())
    return {row.quarter: row.number for row in connection.execute(query)}


def get_clusters(connection: Connection, digest_id: str) -> FrozenClusters:
    """Return the frozen clusters of a digest; raise `DigestRecordError` if they are not those of its manifest."""
    return parse_clusters(get_frozen(connection, digest_id))


def get_frozen(connection: Connection, digest_id: str) -> bytes:
    """Return the frozen bytes of a digest; raise `DigestRecordError` if they are not those of its manifest."""
    row = connection.execute(_CLUSTERS.where(DIGESTS.c.digest_id == digest_id)).one()
    raw = bytes(row.clusters)
    if hashlib.sha256(raw).digest() != bytes(row.clusters_sha256):
        raise DigestRecordError("The frozen clusters are not those of the manifest.", reason="clusters-changed")
    return raw


def list_spent(connection: Connection, *, partner: str, quarter: Quarter) -> frozenset[bytes]:
    """Return the cases, as `shorten` makes them, in clusters that another digest of this partner has counted.

    Digests of a service that was ever merged with it are its own too, those of the same quarter included.
    """
    digest_id = make_digest_id(partner=partner, quarter=quarter)
    asked = {"family": sorted(list_ever_merged(connection, partner)), "digest_id": digest_id}
    digest_ids = connection.execute(_OTHERS, asked).scalars().all()
    return frozenset().union(*(get_clusters(connection, digest_id).list_cases() for digest_id in digest_ids))


def add_record(
    connection: Connection,
    *,
    partner: str,
    quarter: Period,
    by: str,
    now: datetime,
    workings: Workings,
    clusters: Encodable,
) -> DigestRecord:
    """Freeze the data behind a digest and its clusters. Raises `DigestRecordError` (`made-before`)."""
    digest_id, raw = make_digest_id(partner=partner, quarter=quarter), clusters.encode()
    _check_unknown(connection, digest_id)
    moment, manifest = canonical.format_time(now), hashlib.sha256(raw).digest()
    values = {
        "digest_id": digest_id,
        "partner": partner,
        "quarter": quarter.name,
        "workings": canonical.encode(workings),
        "clusters": raw,
        "clusters_sha256": manifest,
        "frozen_at": moment,
        "frozen_by": by,
    }
    connection.execute(insert(DIGESTS), values)
    return DigestRecord(digest_id, partner, quarter.name, manifest, moment, moment, by, workings, draws={})


def _check_unknown(connection: Connection, digest_id: str) -> None:
    """Raise `DigestRecordError` if the audit log or the mailbox knows a digest whose record is gone."""
    is_audited = connection.execute(_AUDITED, {"digest_id": digest_id}).first() is not None
    if is_audited or has_message(connection, make_message_id(digest_id)):
        raise DigestRecordError(
            "The audit log or the mailbox knows a digest of this partner and period, and its record is gone. It is "
            "never made a second time: restore the newest backup.",
            reason="made-before",
        )


def add_draw(connection: Connection, record: DigestRecord, *, table: str, draw: list[int]) -> None:
    """Store one draw, or find it stored by a command that took it from the journal meanwhile.

    Raises `DigestRecordError` if another draw exists or the digest is past drawing.
    """
    stored = connection.execute(_DRAW, {"digest_id": record.digest_id, "table": table}).scalar()
    if stored is not None and _parse(stored, list[int]) == draw and table not in record.draws:
        return
    if _is_past_drawing(connection, record) or table in record.draws or stored is not None:
        raise DigestRecordError(
            f"The draw of {table} came too late to be stored and was discarded unseen.", reason="drawn-already"
        )
    values = {"digest_id": record.digest_id, "table_name": table, "draw": canonical.encode(draw)}
    connection.execute(insert(DIGEST_DRAWS), values)


def finish_record(connection: Connection, record: DigestRecord, *, body: bytes | None, now: datetime) -> DigestRecord:
    """Store the published bytes, or that the partner is ineligible; raise `DigestRecordError` the second time."""
    if _is_past_drawing(connection, record):
        raise DigestRecordError("This digest has already been made.", reason="made-already")
    state: State = "not-eligible" if body is None else "made"
    _add_step(connection, record.digest_id, state=state, now=now, body=body)
    return replace(record, state=state, body=body, made_at=canonical.format_time(now))


def _is_past_drawing(connection: Connection, record: DigestRecord) -> bool:
    return connection.execute(_STEP, {"digest_id": record.digest_id}).first() is not None


def mark_rejected(connection: Connection, digest_id: str, *, by: str, reason: str | None, now: datetime) -> None:
    """Record that a person rejected the preview, and why; the spend stays."""
    _add_step(connection, digest_id, state="rejected", now=now, by=by, reason=reason)


def mark_released(connection: Connection, digest_id: str, *, by: str, message_id: str, now: datetime) -> None:
    """Record the releasing person and the message of a digest."""
    _add_step(connection, digest_id, state="released", now=now, by=by, message_id=message_id)


def _add_step(connection: Connection, digest_id: str, *, state: State, now: datetime, **values: object) -> None:
    whole = {"digest_id": digest_id, "state": state, "at": canonical.format_time(now), **values}
    connection.execute(insert(DIGEST_STEPS), whole)


_FROZEN: Final = select(*(column for column in DIGESTS.c if column.name != "clusters"))
_CLUSTERS: Final = select(DIGESTS.c.clusters, DIGESTS.c.clusters_sha256)
# Built once: a run over all services executes each of them thousands of times.
_ONE_FROZEN: Final = _FROZEN.where(DIGESTS.c.digest_id == bindparam("digest_id"))
_OTHERS: Final = select(DIGESTS.c.digest_id).where(
    DIGESTS.c.partner.in_(bindparam("family", expanding=True)), DIGESTS.c.digest_id != bindparam("digest_id")
)
_AUDITED: Final = select(AUDIT.c.id).where(
    AUDIT.c.subject == bindparam("digest_id"), AUDIT.c.action.in_(("digest-frozen", "digest-released"))
)
_DRAW: Final = select(DIGEST_DRAWS.c.draw).where(
    DIGEST_DRAWS.c.digest_id == bindparam("digest_id"), DIGEST_DRAWS.c.table_name == bindparam("table")
)
_STEP: Final = select(DIGEST_STEPS.c.id).where(DIGEST_STEPS.c.digest_id == bindparam("digest_id")).limit(1)


def _read(connection: Connection, rows: Sequence[Row[Any]]) -> list[DigestRecord]:
    found = {row.digest_id: _to_record(row) for row in rows}
    digest_ids = list(found)
    for start in range(0, len(digest_ids), _MOST_AT_ONCE):
        some = digest_ids[start : start + _MOST_AT_ONCE]
        for one in connection.execute(select(DIGEST_DRAWS).where(DIGEST_DRAWS.c.digest_id.in_(some))):
            found[one.digest_id].draws[one.table_name] = _parse(one.draw, list[int])
        steps = select(DIGEST_STEPS).where(DIGEST_STEPS.c.digest_id.in_(some)).order_by(DIGEST_STEPS.c.id)
        for step in connection.execute(steps):
            changes = _STEPS[step.state](step)
            found[step.digest_id] = replace(found[step.digest_id], **changes, state=step.state)
    return list(found.values())


def _to_record(row: Row[Any]) -> DigestRecord:
    return DigestRecord(
        digest_id=row.digest_id,
        partner=row.partner,
        quarter=row.quarter,
        clusters_sha256=bytes(row.clusters_sha256),
        frozen_at=row.frozen_at,
        made_at=row.frozen_at,
        made_by=row.frozen_by,
        workings=_parse(row.workings, Workings),
        draws={},
    )


def _parse(raw: bytes, kind: type[T]) -> T:
    return canonical.parse_exact(bytes(raw), kind=kind, max_bytes=MAX_RECORD_BYTES)


# The fields of a record that each state sets.
_STEPS: Final[dict[str, Callable[[Row[Any]], dict[str, Any]]]] = {
    "made": lambda step: {"made_at": step.at, "body": bytes(step.body)},
    "not-eligible": lambda step: {"made_at": step.at},
    "rejected": lambda step: {"rejected_by": step.by, "reason": step.reason},
    "released": lambda step: {"released_at": step.at, "released_by": step.by, "message_id": step.message_id},
}
