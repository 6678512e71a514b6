"""The slot of the network that writes a draft, so that each network has a share of the ceiling."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the rows over, as 0002 does: SQLite would put a new column behind the constraints."""
    op.execute("CREATE TABLE drafts_before AS SELECT draft_id, version, expires_at, box, kind FROM drafts")
    op.drop_index("ix_drafts_kind", "drafts")
    op.drop_index("ix_drafts_expires_at", "drafts")
    op.drop_table("drafts")
    op.create_table(
        "drafts",
        sa.Column("draft_id", sa.LargeBinary(32), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("box", sa.LargeBinary, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("network_slot", sa.Integer),
        sa.PrimaryKeyConstraint("draft_id", name=op.f("pk_drafts")),
        sa.CheckConstraint("kind IN ('writing', 'sent', 'returned')", name=op.f("ck_drafts_kind")),
    )
    op.create_index("ix_drafts_expires_at", "drafts", ["expires_at"])
    op.create_index("ix_drafts_kind", "drafts", ["kind"])
    op.create_index("ix_drafts_network_slot", "drafts", ["network_slot"])
    op.execute(
        "INSERT INTO drafts (draft_id, version, expires_at, box, kind)"
        " SELECT draft_id, version, expires_at, box, kind FROM drafts_before"
    )
    op.execute("DROP TABLE drafts_before")
