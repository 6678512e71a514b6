"""The tables of sealed evidence: which parts are here, what is complete, what a report names.

Never the bytes themselves: they lie in files (gateway/evidence). Never a file's name, type or true size.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
)

from gateway.store.partial_indexes import add_partial_index
from gateway.store.schema import BigKey, metadata

# An id belongs to one partner: the same id of another one is another row.
evidence = Table(
    "evidence",
    metadata,
    Column("position", BigKey, primary_key=True),
    Column("evidence_id", String(36), nullable=False),
    Column("partner", String(64), nullable=False),
    Column("newest_part_at", BigInteger),  # null while a report names it and nothing has come
    Column("referenced_at", BigInteger),
    Column("completed_at", BigInteger),
    Column("acknowledged_at", BigInteger),
    Column("held_bytes", BigInteger, nullable=False),  # 0 again once the parts are deleted
    Column("size_bytes", BigInteger),
    Column("digest", LargeBinary(32)),
    # evidence_id leads: it is time-ordered, so the index grows at its end.
    UniqueConstraint("evidence_id", "partner"),
    CheckConstraint("(completed_at IS NULL) = (digest IS NULL)", name="digest_when_complete"),
    CheckConstraint("acknowledged_at IS NULL OR completed_at IS NOT NULL", name="complete_before_acknowledged"),
)
_WAITING = "completed_at IS NOT NULL AND referenced_at IS NOT NULL AND acknowledged_at IS NULL"
_UNREFERENCED = "referenced_at IS NULL"
_COLLECTED = "acknowledged_at IS NOT NULL AND held_bytes > 0"
_HELD = "held_bytes > 0"
add_partial_index("ix_evidence_waiting", evidence.c.position, where=_WAITING)
add_partial_index("ix_evidence_unreferenced", evidence.c.newest_part_at, where=_UNREFERENCED)
add_partial_index("ix_evidence_collected", evidence.c.acknowledged_at, where=_COLLECTED)
add_partial_index("ix_evidence_held", evidence.c.partner, evidence.c.held_bytes, where=_HELD)

evidence_parts = Table(
    "evidence_parts",
    metadata,
    Column(
        "position",
        BigKey,
        ForeignKey("evidence.position", name="fk_evidence_parts_position_evidence"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("size_bytes", Integer, nullable=False),
    Column("sha256", LargeBinary(32), nullable=False),
)
