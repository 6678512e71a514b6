"""Sealed changes of a partner's account that wait for the desk."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# As gateway/store/schema.py: SQLite makes a key its row number only when the type is exactly INTEGER.
_BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables; the way back is the backup."""
    op.create_table(
        "account_changes",
        sa.Column("position", _BIG_KEY, nullable=False),
        sa.Column("change_id", sa.String(36), nullable=False),
        sa.Column("partner", sa.String(64), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("envelope_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "envelope IS NOT NULL OR acknowledged_at IS NOT NULL",
            name=op.f("ck_account_changes_kept_until_acknowledged"),
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_account_changes")),
        sa.UniqueConstraint("change_id", "partner", name=op.f("uq_account_changes_change_id_partner")),
    )
    waiting = sa.text("acknowledged_at IS NULL")
    op.create_index(
        "ix_account_changes_waiting",
        "account_changes",
        ["position"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
