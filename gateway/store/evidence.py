"""Sealed evidence: parts, completion, the lock on evidence that a report names, collection by the desk, deletion.

An id belongs to its partner: nobody learns of another one's. Never says that a part is here whose row is not committed.
Never deletes the parts of evidence that a report names before the desk has acknowledged it, and never its digest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Executable, bindparam, delete, func, insert, select, update

from gateway.store.schema import evidence, evidence_parts, to_epoch_seconds

_SAME = (evidence.c.evidence_id == bindparam("wanted_id"), evidence.c.partner == bindparam("wanted_partner"))
_FIND = select(
    evidence.c.position, evidence.c.newest_part_at.is_not(None), evidence.c.digest, evidence.c.size_bytes
).where(*_SAME)
_PARTS = (
    select(evidence_parts.c.part, evidence_parts.c.size_bytes, evidence_parts.c.sha256)
    .where(evidence_parts.c.position == bindparam("wanted_position"))
    .order_by(evidence_parts.c.part)
)
_PART = _PARTS.where(evidence_parts.c.part == bindparam("wanted_part"))
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
    evidence.c.held_bytes > 0,  # names the partial index
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
    """This part has other bytes, or this evidence is complete in another way."""


@dataclass(frozen=True, slots=True)
class StoredEvidence:
    """One piece of evidence. `digest` and `size_bytes` are null until it is complete; `has_parts` is False while
    a report names it and nothing has come.
    """

    position: int
    has_parts: bool
    digest: bytes | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class PartRow:
    """One part: its number from 0, and size and SHA-256 of its sealed bytes."""

    part: int
    size_bytes: int
    sha256: bytes


def find_evidence(connection: Connection, *, partner: str, evidence_id: str) -> StoredEvidence | None:
    """Return one partner's evidence; another partner's with the same id is not found."""
    row = connection.execute(_FIND, {"wanted_id": evidence_id, "wanted_partner": partner}).first()
    return None if row is None else StoredEvidence(*row)


def list_parts(connection: Connection, *, position: int) -> list[PartRow]:
    """Return the parts that are here, in order; none once they are deleted."""
    return [PartRow(*row) for row in connection.execute(_PARTS, {"wanted_position": position})]


def find_part(connection: Connection, *, position: int, part: int) -> PartRow | None:
    """Return one part, or None if it is not here."""
    row = connection.execute(_PART, {"wanted_position": position, "wanted_part": part}).first()
    return None if row is None else PartRow(*row)


def is_part_here(found: StoredEvidence | None, stored: PartRow | None, *, part: PartRow) -> bool:
    """Return whether this very part is here; raises `ConflictingEvidenceError` if it cannot come any more."""
    if stored is not None and stored != part:
        raise ConflictingEvidenceError("This part has other bytes.")
    if stored is None and found is not None and found.digest is not None:
        raise ConflictingEvidenceError("This evidence is complete.")
    return stored is not None


def count_held_bytes(connection: Connection, *, partner: str) -> int:
    """Return how many bytes of this partner lie here, collected or not."""
    return int(connection.execute(_HELD_BY, {"wanted_partner": partner}).scalar_one())


def add_part(connection: Connection, *, partner: str, evidence_id: str, part: PartRow, now: datetime) -> bool:
    """Store the row of a part; False when it is here. Raises `ConflictingEvidenceError`.

    Never call it before the bytes and their name are on the disk.
    """
    found = find_evidence(connection, partner=partner, evidence_id=evidence_id)
    stored = None if found is None else find_part(connection, position=found.position, part=part.part)
    if is_part_here(found, stored, part=part):
        return False
    position = (
        _insert_evidence(connection, partner=partner, evidence_id=evidence_id) if found is None else found.position
    )
    connection.execute(
        insert(evidence_parts),
        {"position": position, "part": part.part, "size_bytes": part.size_bytes, "sha256": part.sha256},
    )
    connection.execute(
        _ADD_TO_HELD, {"wanted_position": position, "new_bytes": part.size_bytes, "now": to_epoch_seconds(now)}
    )
    return True


def complete_evidence(connection: Connection, *, position: int, digest: bytes, size_bytes: int, now: datetime) -> None:
    """Note that all parts are here and stand under this digest; the caller has checked them in this transaction."""
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
    """Lock what a report names, in the report's transaction: it is kept until the desk has it.

    Also ids of which nothing has come yet: a P1 goes first.
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
        raise LookupError("The database did not say which row it made.")
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


@dataclass(frozen=True, slots=True)
class DeletedParts:
    """Evidence whose parts have no rows any more: their bytes go next."""

    partner: str
    evidence_id: str
    parts: list[PartRow]


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


def forget_unreferenced(connection: Connection, *, before: datetime) -> DeletedParts | None:
    """Delete the rows of the oldest evidence that no report has ever named, if its newest part came before `before`."""
    condition = (evidence.c.referenced_at.is_(None), evidence.c.newest_part_at < to_epoch_seconds(before))
    return _forget_first(connection, *condition, order=evidence.c.newest_part_at, then=_FORGET_EVIDENCE)


def forget_collected(connection: Connection, *, before: datetime) -> DeletedParts | None:
    """Delete the rows of the parts of the evidence that was acknowledged first, before `before`; its digest stays."""
    condition = (
        evidence.c.acknowledged_at < to_epoch_seconds(before),
        evidence.c.acknowledged_at.is_not(None),  # names the partial index
        evidence.c.held_bytes > 0,
    )
    return _forget_first(connection, *condition, order=evidence.c.acknowledged_at, then=_HOLDS_NOTHING)


def _forget_first(
    connection: Connection, *condition: ColumnElement[bool], order: ColumnElement[int], then: Executable
) -> DeletedParts | None:
    row = connection.execute(select(*_COLUMNS).where(*condition).order_by(order).limit(1)).first()
    if row is None:
        return None
    parts = list_parts(connection, position=row.position)
    connection.execute(_FORGET_PARTS, {"wanted_position": row.position})
    connection.execute(then, {"wanted_position": row.position})
    return DeletedParts(partner=row.partner, evidence_id=row.evidence_id, parts=parts)
