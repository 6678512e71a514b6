"""Sealed evidence as the desk collects it: what waits, what is acknowledged, which rows go after that.

Never deletes the parts of evidence that a report names before the desk has acknowledged it, and never its digest.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, func, select, update

from gateway.store.evidence import PartRow, list_parts
from gateway.store.evidence_tables import evidence, evidence_parts
from gateway.store.instants import to_epoch_seconds

FIRST_ID = ""  # sorts before every id


@dataclass(frozen=True, slots=True)
class WaitingEvidence:
    """Evidence that is complete, named by a report, and not acknowledged by the desk."""

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
_ORDER = (evidence.c.evidence_id, evidence.c.partner)
_WAITING = (
    select(*_COLUMNS)
    .where(*_IS_WAITING, evidence.c.evidence_id > bindparam("after"))
    .order_by(*_ORDER)
    .limit(bindparam("limit"))
)
# Two partners may have chosen one id. A page ends between ids, never inside one.
_SAME_ID = (
    select(*_COLUMNS)
    .where(*_IS_WAITING, evidence.c.evidence_id == bindparam("same_id"), evidence.c.partner > bindparam("behind"))
    .order_by(*_ORDER)
)
_IS_MORE = select(evidence.c.position).where(*_IS_WAITING, evidence.c.evidence_id > bindparam("after")).limit(1)
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


def list_waiting_evidence(
    connection: Connection, *, limit: int, after: str = FIRST_ID
) -> tuple[list[WaitingEvidence], bool]:
    """Return what waits behind the id `after`, oldest id first, and whether more waits behind that.

    About `limit` rows: those of one id stand on one page.
    """
    rows = list(connection.execute(_WAITING, {"after": after, "limit": limit}))
    if not rows:
        return [], False
    last = rows[-1]
    rows += connection.execute(_SAME_ID, {"same_id": last.evidence_id, "behind": last.partner})
    found = [
        WaitingEvidence(
            partner=row.partner,
            evidence_id=row.evidence_id,
            digest=row.digest,
            size_bytes=row.size_bytes,
            parts=list_parts(connection, position=row.position),
        )
        for row in rows
    ]
    return found, connection.execute(_IS_MORE, {"after": last.evidence_id}).first() is not None


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
