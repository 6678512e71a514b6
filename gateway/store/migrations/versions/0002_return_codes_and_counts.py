"""The way back of a return code, the replies that wait for it, and counts by week."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; the way back is the backup."""
    op.create_table(
        "return_places",
        sa.Column("reference", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("box", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_return_places")),
    )
    op.create_index("ix_return_places_expires_at", "return_places", ["expires_at"])
    op.create_table(
        "replies",
        sa.Column("message_id", sa.String(36), nullable=False),
        sa.Column("reference", sa.String(32), nullable=False),
        sa.Column("posted_at", sa.BigInteger, nullable=False),
        sa.Column("envelope_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_replies")),
    )
    op.create_index("ix_replies_reference", "replies", ["reference"])
    op.create_table(
        "counts",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("week", sa.String(10), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", "week", name=op.f("pk_counts")),
    )
