"""Reports as the two doors store and read them; the desk's side of the same rows is in `collection`.

Never opens an envelope, and never changes a stored one.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, exists, func, insert, literal_column, select

from gateway.store.high_water import Mark
from gateway.store.prepared import PreparedStatement
from gateway.store.schema import instance, reports, to_epoch_seconds

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
_NEWEST_REPORT = select(reports.c.position, reports.c.intake_sha256).order_by(reports.c.position.desc()).limit(1)
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


def find_newest(connection: Connection) -> Mark | None:
    """Return the newest report."""
    row = connection.execute(_NEWEST_REPORT).first()
    return None if row is None else Mark(row.position, row.intake_sha256)


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
    _INSERT.run(
        connection,
        {
            "position": row.position,
            "sequence": row.sequence,
            "epoch": row.epoch,
            "report_id": row.report_id,
            "partner": row.partner,
            "environment": row.environment,
            "door": row.door,
            "reference": row.reference,
            "kind": row.kind,
            "priority": row.priority,
            "placement": row.placement,
            "received_at": to_epoch_seconds(row.received_at),
            "stage": STAGE_RECEIVED,
            "envelope": row.envelope,
            "envelope_sha256": row.envelope_sha256,
            "submission": row.submission,
            "submission_sha256": row.submission_sha256,
            "intake": row.intake,
            "intake_sha256": row.intake_sha256,
        },
    )
