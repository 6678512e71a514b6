"""Sealed evidence: parts, completion, the lock by a report, collection by the desk, deletion.

An id belongs to its partner, and is never revealed to another. Never confirms a part before its row is committed. Never
deletes the parts of evidence named by a report before the desk has acknowledged them, and never a digest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Executable, bindparam, delete, func, insert, select, update

from gateway.store.schema import evidence, evidence_parts, to_epoch_seconds

_SAME = (evidence.c.evidence_id == bindparam("wanted_id"), evidence.c.partner == bindparam("wanted_partner"))
_FIND = select(evidence.c.position, evidence.c.digest, evidence.c.size_bytes).where(*_SAME)
_PARTS = (
    select(evidence_parts.c.part, evidence_parts.c.size_bytes, evidence_parts.c.sha256, evidence_parts.c.blob)
    .where(evidence_parts.c.position == bindparam("wanted_position"))
    .order_by(evidence_parts.c.part)
)
_PART = _PARTS.where(evidence_parts.c.part == bindparam("wanted_part"))
_NAME_OTHER_BLOB = (
    update(evidence_parts)
    .where(
        evidence_parts.c.position == bindparam("wanted_position"),
        evidence_parts.c.part == bindparam("wanted_part"),
        evidence_parts.c.blob == bindparam("lost_blob"),
    )
    .values(blob=bindparam("new_blob"))
)
_PARTS_BY_BLOB = (
    select(evidence_parts.c.part, evidence_parts.c.size_bytes, evidence_parts.c.sha256, evidence_parts.c.blob)
    .where(evidence_parts.c.blob > bindparam("after"))
    .order_by(evidence_parts.c.blob)
    .limit(bindparam("limit"))
)
_NAMED = select(evidence_parts.c.blob).where(evidence_parts.c.blob.in_(bindparam("blobs", expanding=True)))
_ADD_TO_HELD = (
    update(evidence)
    .where(evidence.c.position == bindparam("wanted_position"))
    .values(held_bytes=evidence.c.held_bytes + bindparam("new_bytes"), newest_part_at=bindparam("now"))
)
_COMPLETE = (
    update(evidence)
    .where(evidence.c.position == bindparam("wanted_position"))
    .values(completed_at=bindparam("now"), digest=bindparam("new_digest"), size_bytes=bindparam("new_size"))
)
_HELD_BY = select(func.coalesce(func.sum(evidence.c.held_bytes), 0)).where(
    evidence.c.partner == bindparam("wanted_partner"),
    evidence.c.held_bytes > 0,  # matches the partial index
)
_KNOWN = select(evidence.c.evidence_id).where(
    evidence.c.partner == bindparam("wanted_partner"), evidence.c.evidence_id.in_(bindparam("ids", expanding=True))
)
_REFERENCE = (
    update(evidence)
    .where(
        evidence.c.partner == bindparam("wanted_partner"),
        evidence.c.evidence_id.in_(bindparam("ids", expanding=True)),
        evidence.c.referenced_at.is_(None),
    )
    .values(referenced_at=bindparam("now"))
)
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


class ConflictingEvidenceError(Exception):
    """The part has different bytes, or the evidence is already complete."""


@dataclass(frozen=True, slots=True)
class StoredEvidence:
    """One piece of evidence. `digest` and `size_bytes` are None until it is complete."""

    position: int
    digest: bytes | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class PartRow:
    """One part: its number from 0, size and SHA-256 of its sealed bytes, and the name of the blob that holds them.

    Rows are equal if the bytes are, in whichever blob.
    """

    part: int
    size_bytes: int
    sha256: bytes
    blob: str = field(default="", compare=False)


def find_evidence(connection: Connection, *, partner: str, evidence_id: str) -> StoredEvidence | None:
    """Return the partner's evidence, never another partner's with the same id."""
    row = connection.execute(_FIND, {"wanted_id": evidence_id, "wanted_partner": partner}).first()
    return None if row is None else StoredEvidence(*row)


def list_parts(connection: Connection, *, position: int) -> list[PartRow]:
    """Return the stored parts in order; none once they are deleted."""
    return [PartRow(*row) for row in connection.execute(_PARTS, {"wanted_position": position})]


def find_part(connection: Connection, *, position: int, part: int) -> PartRow | None:
    """Return one part, or None if it is not stored."""
    row = connection.execute(_PART, {"wanted_position": position, "wanted_part": part}).first()
    return None if row is None else PartRow(*row)


def is_part_here(found: StoredEvidence | None, stored: PartRow | None, *, part: PartRow) -> bool:
    """Return whether exactly this part is stored; raises `ConflictingEvidenceError` if it can no longer be added."""
    if stored is not None and stored != part:
        raise ConflictingEvidenceError("The part was stored with different bytes.")
    if stored is None and found is not None and found.digest is not None:
        raise ConflictingEvidenceError("The evidence is already complete.")
    return stored is not None


def count_held_bytes(connection: Connection, *, partner: str) -> int:
    """Return the number of bytes stored for the partner, collected or not."""
    return int(connection.execute(_HELD_BY, {"wanted_partner": partner}).scalar_one())


def add_part(
    connection: Connection, *, partner: str, evidence_id: str, part: PartRow, lost: str | None, now: datetime
) -> bool:
    """Insert the row of a part, or let an existing one name this blob instead of the `lost` one.

    Returns False if the part is here in another blob. Raises `ConflictingEvidenceError`. Never call it before the bytes
    and their name are durable.
    """
    found = find_evidence(connection, partner=partner, evidence_id=evidence_id)
    stored = None if found is None else find_part(connection, position=found.position, part=part.part)
    if found is not None and is_part_here(found, stored, part=part):
        wanted = {"wanted_position": found.position, "wanted_part": part.part}
        changed = connection.execute(_NAME_OTHER_BLOB, {**wanted, "lost_blob": lost, "new_blob": part.blob})
        return changed.rowcount == 1
    position = (
        _insert_evidence(connection, partner=partner, evidence_id=evidence_id) if found is None else found.position
    )
    connection.execute(
        insert(evidence_parts),
        {
            "position": position,
            "part": part.part,
            "size_bytes": part.size_bytes,
            "sha256": part.sha256,
            "blob": part.blob,
        },
    )
    connection.execute(
        _ADD_TO_HELD, {"wanted_position": position, "new_bytes": part.size_bytes, "now": to_epoch_seconds(now)}
    )
    return True


def complete_evidence(connection: Connection, *, position: int, digest: bytes, size_bytes: int, now: datetime) -> None:
    """Mark evidence as complete under this digest; the caller has checked it in this transaction."""
    connection.execute(
        _COMPLETE,
        {
            "wanted_position": position,
            "new_digest": digest,
            "new_size": size_bytes,
            "now": to_epoch_seconds(now),
        },
    )


def reference_evidence(connection: Connection, *, partner: str, evidence_ids: Sequence[str], now: datetime) -> None:
    """Lock the evidence that a report names, in the report's transaction, until the desk has collected it.

    Includes ids without parts yet, because a P1 is sent before its evidence.
    """
    if not evidence_ids:
        return
    wanted = {"wanted_partner": partner, "ids": list(evidence_ids)}
    known = set(connection.execute(_KNOWN, wanted).scalars())
    if known:
        connection.execute(_REFERENCE, {**wanted, "now": to_epoch_seconds(now)})
    missing = [evidence_id for evidence_id in evidence_ids if evidence_id not in known]
    if missing:
        rows = [
            {
                "evidence_id": evidence_id,
                "partner": partner,
                "referenced_at": to_epoch_seconds(now),
                "held_bytes": 0,
            }
            for evidence_id in missing
        ]
        connection.execute(insert(evidence), rows)


def _insert_evidence(connection: Connection, *, partner: str, evidence_id: str) -> int:
    inserted = connection.execute(
        insert(evidence), {"evidence_id": evidence_id, "partner": partner, "held_bytes": 0}
    ).inserted_primary_key
    if inserted is None:
        raise LookupError("The database returned no row id.")
    return int(inserted[0])


@dataclass(frozen=True, slots=True)
class WaitingEvidence:
    """Evidence that is complete, named by a report, and not acknowledged by the desk."""

    position: int
    partner: str
    evidence_id: str
    digest: bytes
    size_bytes: int
    parts: list[PartRow]


def list_waiting_evidence(connection: Connection, *, limit: int, after: int = 0) -> list[WaitingEvidence]:
    """Return the oldest waiting evidence after a position.

    Only a hint for paging past evidence that the desk could not take: evidence completed later may have an older
    position.
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
    """Return the number of pieces waiting for the desk, and the bytes stored in total."""
    return connection.execute(_COUNT_WAITING).scalar_one(), int(connection.execute(_SUM_HELD).scalar_one())


def acknowledge_evidence(
    connection: Connection, *, partner: str, evidence_id: str, digest: bytes, now: datetime
) -> bool:
    """Mark evidence with this digest as held by the desk; False if there is none. Safe to repeat."""
    wanted = {"wanted_id": evidence_id, "wanted_partner": partner, "wanted_digest": digest}
    return connection.execute(_ACKNOWLEDGE, {**wanted, "now": to_epoch_seconds(now)}).rowcount == 1


def list_parts_by_blob(connection: Connection, *, after: str, limit: int) -> list[PartRow]:
    """Return the parts of all evidence in the order of their blobs, after the blob `after`."""
    return [PartRow(*row) for row in connection.execute(_PARTS_BY_BLOB, {"after": after, "limit": limit})]


def list_named_blobs(connection: Connection, blobs: Sequence[str]) -> set[str]:
    """Return those of these blobs, at most a thousand, that a row names."""
    return set(connection.execute(_NAMED, {"blobs": list(blobs)}).scalars())


def forget_unreferenced(connection: Connection, *, before: datetime) -> list[str] | None:
    """Delete the rows of the oldest evidence that no report names, if its newest part came before `before`.

    Returns the names of its blobs, which no row has then; None if there is no such evidence.
    """
    condition = (evidence.c.referenced_at.is_(None), evidence.c.newest_part_at < to_epoch_seconds(before))
    return _forget_first(connection, *condition, order=evidence.c.newest_part_at, then=_FORGET_EVIDENCE)


def forget_collected(connection: Connection, *, before: datetime) -> list[str] | None:
    """Delete the part rows of the evidence acknowledged first, if before `before`; its digest stays.

    Returns the names of its blobs, or None, as `forget_unreferenced` does.
    """
    condition = (
        evidence.c.acknowledged_at < to_epoch_seconds(before),
        evidence.c.acknowledged_at.is_not(None),  # matches the partial index
        evidence.c.held_bytes > 0,
    )
    return _forget_first(connection, *condition, order=evidence.c.acknowledged_at, then=_HOLDS_NOTHING)


def _forget_first(
    connection: Connection, *condition: ColumnElement[bool], order: ColumnElement[int], then: Executable
) -> list[str] | None:
    row = connection.execute(select(*_COLUMNS).where(*condition).order_by(order).limit(1)).first()
    return None if row is None else _forget(connection, position=row.position, then=then)


def forget_evidence(connection: Connection, *, partner: str, evidence_id: str, now: datetime) -> list[str]:
    """Delete the part rows of one piece, collected or not, and return the names of its blobs.

    The digest of a complete piece stays; the desk is not asked to collect it any more.
    """
    found = find_evidence(connection, partner=partner, evidence_id=evidence_id)
    if found is None:
        return []
    if found.digest is None:
        return _forget(connection, position=found.position, then=_FORGET_EVIDENCE)
    acknowledge_evidence(connection, partner=partner, evidence_id=evidence_id, digest=found.digest, now=now)
    return _forget(connection, position=found.position, then=_HOLDS_NOTHING)


def _forget(connection: Connection, *, position: int, then: Executable) -> list[str]:
    parts = list_parts(connection, position=position)
    connection.execute(_FORGET_PARTS, {"wanted_position": position})
    connection.execute(then, {"wanted_position": position})
    return [part.blob for part in parts]
