"""Sealed evidence as the desk collects it: what waits, what is acknowledged, which rows go after that.

Never deletes the parts of evidence that a report names before the desk has acknowledged it, and never its digest.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, func, select, update

from gateway.store.evidence import PartRow, list_parts
from gateway.store.schema import evidence, evidence_parts, to_epoch_seconds


@dataclass(frozen=True, slots=True)
class WaitingEvidence:
    """Evidence that is complete, named by a report, and not acknowledged by the desk."""

    position: int
    partner: str
    evidence_id: str
    digest: bytes
    size_bytes: int
    parts: list[PartRow]


@dataclass(frozen=True, slots=True)
class DeletedParts:
    """Evidence whose parts have no rows any more: their bytes go next."""

    partner: str
    evidence_id: str
    parts: list[PartRow]


_COLUMNS = (
    evidence.c.position,
    evidence.c.partner,
    evidence.c.evidence_id,
    evidence.c.digest,
    evidence.c.size_bytes,
)
_IS_WAITING = (
    evidence.c.completed_at.is_not(None),
    evidence.c.referenced_at.is_not(None),
    evidence.c.acknowledged_at.is_(None),
)
_WAITING = (
    select(*_COLUMNS)
    .where(*_IS_WAITING, evidence.c.position > bindparam("after"))
    .order_by(evidence.c.position)
    .limit(bindparam("limit"))
)
_COUNT_WAITING = select(func.count()).select_from(evidence).where(*_IS_WAITING)
_SUM_HELD = select(func.coalesce(func.sum(evidence.c.held_bytes), 0)).where(evidence.c.held_bytes > 0)
_ACKNOWLEDGE = (
    update(evidence)
    .where(
        evidence.c.evidence_id == bindparam("wanted_id"),
        evidence.c.partner == bindparam("wanted_partner"),
        evidence.c.digest == bindparam("wanted_digest"),
    )
    .values(acknowledged_at=func.coalesce(evidence.c.acknowledged_at, bindparam("now")))
)
_FORGET_PARTS = delete(evidence_parts).where(evidence_parts.c.position == bindparam("wanted_position"))
_FORGET_EVIDENCE = delete(evidence).where(evidence.c.position == bindparam("wanted_position"))
_HOLDS_NOTHING = update(evidence).where(evidence.c.position == bindparam("wanted_position")).values(held_bytes=0)


def list_waiting_evidence(connection: Connection, *, limit: int, after: int = 0) -> list[WaitingEvidence]:
    """Return the oldest evidence that waits behind a position.

    A hint, for what the desk could not take: what becomes complete later may have an older position.
    """
    return [
        WaitingEvidence(
            position=row.position,
            partner=row.partner,
            evidence_id=row.evidence_id,
            digest=row.digest,
            size_bytes=row.size_bytes,
            parts=list_parts(connection, position=row.position),
        )
        for row in connection.execute(_WAITING, {"after": after, "limit": limit}).all()
    ]


def count_evidence(connection: Connection) -> tuple[int, int]:
    """Return how many pieces of evidence wait for the desk, and how many bytes are kept of all."""
    return connection.execute(_COUNT_WAITING).scalar_one(), connection.execute(_SUM_HELD).scalar_one()


def acknowledge_evidence(
    connection: Connection, *, partner: str, evidence_id: str, digest: bytes, now: datetime
) -> bool:
    """Note that the desk holds evidence with this digest; False when there is none such. Safe to repeat."""
    wanted = {"wanted_id": evidence_id, "wanted_partner": partner, "wanted_digest": digest}
    return connection.execute(_ACKNOWLEDGE, {**wanted, "now": to_epoch_seconds(now)}).rowcount == 1


def forget_unreferenced(connection: Connection, *, before: datetime, limit: int) -> list[DeletedParts]:
    """Delete the rows of evidence that no report has ever named and whose newest part came before `before`."""
    condition = (evidence.c.referenced_at.is_(None), evidence.c.newest_part_at < to_epoch_seconds(before))
    forgotten = []
    for row in _list_rows(connection, *condition, order=evidence.c.newest_part_at, limit=limit):
        forgotten.append(_forget_parts(connection, row))
        connection.execute(_FORGET_EVIDENCE, {"wanted_position": row.position})
    return forgotten


def forget_collected(connection: Connection, *, before: datetime, limit: int) -> list[DeletedParts]:
    """Delete the rows of the parts of evidence that was acknowledged before `before`; its digest stays."""
    condition = (
        evidence.c.acknowledged_at < to_epoch_seconds(before),
        evidence.c.acknowledged_at.is_not(None),  # names the partial index
        evidence.c.held_bytes > 0,
    )
    forgotten = []
    for row in _list_rows(connection, *condition, order=evidence.c.acknowledged_at, limit=limit):
        forgotten.append(_forget_parts(connection, row))
        connection.execute(_HOLDS_NOTHING, {"wanted_position": row.position})
    return forgotten


def _list_rows(
    connection: Connection, *condition: ColumnElement[bool], order: ColumnElement[int], limit: int
) -> list[Row[Any]]:
    return list(connection.execute(select(*_COLUMNS).where(*condition).order_by(order).limit(limit)))


def _forget_parts(connection: Connection, row: Row[Any]) -> DeletedParts:
    parts = list_parts(connection, position=row.position)
    connection.execute(_FORGET_PARTS, {"wanted_position": row.position})
    return DeletedParts(partner=row.partner, evidence_id=row.evidence_id, parts=parts)
