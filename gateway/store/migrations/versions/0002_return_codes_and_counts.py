"""The way back of a return code, the replies that wait for it, counts by week, and what a draft is."""

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
    # A column that may not be empty, and a check with it, can not be added to a table of SQLite: the rows move over.
    op.execute("CREATE TABLE drafts_before AS SELECT draft_id, version, expires_at, box FROM drafts")
    op.drop_index("ix_drafts_expires_at", "drafts")
    op.drop_table("drafts")
    op.create_table(
        "drafts",
        sa.Column("draft_id", sa.LargeBinary(32), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("box", sa.LargeBinary, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.PrimaryKeyConstraint("draft_id", name=op.f("pk_drafts")),
        sa.CheckConstraint("kind IN ('writing', 'sent', 'returned')", name=op.f("ck_drafts_kind")),
    )
    op.create_index("ix_drafts_expires_at", "drafts", ["expires_at"])
    op.create_index("ix_drafts_kind", "drafts", ["kind"])
    op.execute(
        "INSERT INTO drafts (draft_id, version, expires_at, box, kind)"
        " SELECT draft_id, version, expires_at, box, 'writing' FROM drafts_before"
    )
    op.execute("DROP TABLE drafts_before")
