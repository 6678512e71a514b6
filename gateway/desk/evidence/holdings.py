"""This desk's records of evidence: named in reports, complete here, and the differences between the two."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from gateway.desk.store.schema import CASES, EVIDENCE, NAMED_EVIDENCE, SET_ASIDE
from partner_sdk.wire.canonical import format_time

_URGENT: Final = "P1"


@dataclass(frozen=True, slots=True)
class Held:
    """Complete evidence on this desk's disk, still sealed; `digest` and size are those of the sealed bytes."""

    partner: str
    evidence_id: str
    digest: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Naming:
    """The reports' statements about one piece of evidence.

    `digests` are the digests sealed in them: one if all agree, none for a P1 alone. `is_urgent` if one of them is a P1.
    """

    digests: frozenset[bytes]
    is_urgent: bool


def find_naming(connection: Connection, *, environment: str, partner: str, evidence_id: str) -> Naming | None:
    """Return the statements of this partner's filed reports about this evidence, or None if none names it."""
    case = (
        (CASES.c.environment == environment)
        & (CASES.c.partner == NAMED_EVIDENCE.c.partner)
        & (CASES.c.report_id == NAMED_EVIDENCE.c.report_id)
    )
    rows = connection.execute(
        select(NAMED_EVIDENCE.c.digest, CASES.c.priority)
        .outerjoin(CASES, case)
        .where(NAMED_EVIDENCE.c.partner == partner, NAMED_EVIDENCE.c.evidence_id == evidence_id)
    ).all()
    if not rows:
        return None
    return Naming(
        digests=frozenset(bytes(row.digest) for row in rows if row.digest is not None),
        is_urgent=any(row.priority == _URGENT for row in rows),
    )


def sum_held_bytes(connection: Connection, *, partner: str) -> int:
    """Return the number of this partner's sealed bytes that are complete here."""
    total = select(func.coalesce(func.sum(EVIDENCE.c.size_bytes), 0)).where(EVIDENCE.c.partner == partner)
    return int(connection.execute(total).scalar_one())


def list_reports_naming(
    connection: Connection, *, partner: str, evidence_ids: Collection[str], limit: int
) -> list[str]:
    """Return the ids of this partner's reports that name any of this evidence, the newest id first."""
    rows = connection.execute(
        select(NAMED_EVIDENCE.c.report_id)
        .distinct()
        .where(NAMED_EVIDENCE.c.partner == partner, NAMED_EVIDENCE.c.evidence_id.in_(evidence_ids))
        .order_by(NAMED_EVIDENCE.c.report_id.desc())
        .limit(limit)
    )
    return list(rows.scalars())


def count_arrived(connection: Connection, *, partner: str, report_ids: Collection[str], since: str) -> int:
    """Return how many files that these reports of a partner name became complete here after a time."""
    named = (NAMED_EVIDENCE.c.partner == EVIDENCE.c.partner) & (NAMED_EVIDENCE.c.evidence_id == EVIDENCE.c.evidence_id)
    query = (
        select(func.count(EVIDENCE.c.evidence_id.distinct()))
        .join(NAMED_EVIDENCE, named)
        .where(
            EVIDENCE.c.partner == partner,
            EVIDENCE.c.collected_at > since,
            NAMED_EVIDENCE.c.report_id.in_(report_ids),
        )
    )
    return int(connection.execute(query).scalar_one())


def find_held(connection: Connection, *, partner: str, evidence_id: str) -> Held | None:
    """Return the complete evidence under this id, or None."""
    row = connection.execute(
        select(EVIDENCE).where(EVIDENCE.c.partner == partner, EVIDENCE.c.evidence_id == evidence_id)
    ).first()
    return None if row is None else _to_held(row)


def add_held(connection: Connection, held: Held, *, now: datetime) -> None:
    """Record that evidence is complete here; the caller has synced every part of it. Safe to repeat."""
    if find_held(connection, partner=held.partner, evidence_id=held.evidence_id) is None:
        connection.execute(
            insert(EVIDENCE).values(
                partner=held.partner,
                evidence_id=held.evidence_id,
                digest=held.digest,
                size_bytes=held.size_bytes,
                collected_at=format_time(now),
            )
        )


def drop_held(connection: Connection, held: Held) -> None:
    """Remove the record of complete evidence: its bytes contradict a signed report."""
    connection.execute(
        delete(EVIDENCE).where(
            EVIDENCE.c.partner == held.partner,
            EVIDENCE.c.evidence_id == held.evidence_id,
            EVIDENCE.c.digest == held.digest,
        )
    )


def note_acknowledged(connection: Connection, evidence: Collection[tuple[str, str]], *, now: datetime) -> None:
    """Record that these were acknowledged to the gateway, by partner and id."""
    for partner, evidence_id in evidence:
        connection.execute(
            update(EVIDENCE)
            .where(
                EVIDENCE.c.partner == partner,
                EVIDENCE.c.evidence_id == evidence_id,
                EVIDENCE.c.acknowledged_at.is_(None),
            )
            .values(acknowledged_at=format_time(now))
        )


def list_differing(connection: Connection) -> list[tuple[str, str]]:
    """Return evidence whose digest here differs from the one sealed in a report, by partner and id."""
    rows = connection.execute(
        select(EVIDENCE.c.partner, EVIDENCE.c.evidence_id)
        .distinct()
        .join(
            NAMED_EVIDENCE,
            (NAMED_EVIDENCE.c.partner == EVIDENCE.c.partner) & (NAMED_EVIDENCE.c.evidence_id == EVIDENCE.c.evidence_id),
        )
        .where(NAMED_EVIDENCE.c.digest.is_not(None), NAMED_EVIDENCE.c.digest != EVIDENCE.c.digest)
        .order_by(EVIDENCE.c.partner, EVIDENCE.c.evidence_id)
    )
    return [(row.partner, row.evidence_id) for row in rows]


def has_set_aside(connection: Connection, *, partner: str) -> bool:
    """Return whether a set-aside row claims this partner: it may be the only one that names the evidence."""
    waiting = select(SET_ASIDE.c.id).where(SET_ASIDE.c.claimed_partner == partner, SET_ASIDE.c.resolved_at.is_(None))
    return connection.execute(waiting.limit(1)).first() is not None


def _to_held(row: Row[Any]) -> Held:
    return Held(partner=row.partner, evidence_id=row.evidence_id, digest=bytes(row.digest), size_bytes=row.size_bytes)
