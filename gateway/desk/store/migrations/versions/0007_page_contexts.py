"""Which context of a page came with which report, to know one that is used again; the context keys of before."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and the column; the way back is the backup."""
    op.add_column("former_partner_keys", sa.Column("context_key", sa.LargeBinary(), nullable=True))
    op.create_table(
        "page_contexts",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=True),
        sa.Column("context_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_page_contexts")),
    )
    op.create_index(op.f("ix_page_contexts_token_sha256"), "page_contexts", ["token_sha256"])


def downgrade() -> None:
    """Refuse: the desk's records are never taken apart."""
    raise NotImplementedError("The desk's records are never taken apart: restore a backup instead.")
