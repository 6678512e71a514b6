"""Sealed evidence: which parts are here, what is complete, what a report names."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# SQLite makes a key its row number only when the type is exactly INTEGER.
_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables; the way back is the backup."""
    op.create_table(
        "evidence",
        sa.Column("position", _KEY, nullable=False),
        sa.Column("evidence_id", sa.String(36), nullable=False),
        sa.Column("partner", sa.String(64), nullable=False),
        sa.Column("newest_part_at", sa.BigInteger),
        sa.Column("referenced_at", sa.BigInteger),
        sa.Column("completed_at", sa.BigInteger),
        sa.Column("acknowledged_at", sa.BigInteger),
        sa.Column("held_bytes", sa.BigInteger, nullable=False),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("digest", sa.LargeBinary(32)),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_evidence")),
        sa.UniqueConstraint("evidence_id", "partner", name=op.f("uq_evidence_evidence_id_partner")),
        sa.CheckConstraint("(completed_at IS NULL) = (digest IS NULL)", name=op.f("ck_evidence_digest_when_complete")),
        sa.CheckConstraint(
            "acknowledged_at IS NULL OR completed_at IS NOT NULL",
            name=op.f("ck_evidence_complete_before_acknowledged"),
        ),
    )
    for name, columns, where in (
        (
            "ix_evidence_waiting",
            ["evidence_id", "partner"],
            "completed_at IS NOT NULL AND referenced_at IS NOT NULL AND acknowledged_at IS NULL",
        ),
        ("ix_evidence_unreferenced", ["newest_part_at"], "referenced_at IS NULL"),
        ("ix_evidence_collected", ["acknowledged_at"], "acknowledged_at IS NOT NULL AND held_bytes > 0"),
        ("ix_evidence_held", ["partner", "held_bytes"], "held_bytes > 0"),
    ):
        op.create_index(name, "evidence", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.create_table(
        "evidence_parts",
        sa.Column("position", _KEY, nullable=False),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("position", "part", name=op.f("pk_evidence_parts")),
        sa.ForeignKeyConstraint(["position"], ["evidence.position"], name=op.f("fk_evidence_parts_position_evidence")),
    )
