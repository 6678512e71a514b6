"""Reports that were set aside are told to their senders: by a stage with a reason, and a message."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; rows that wait already have no reference and are told to nobody. The way back is the backup."""
    op.add_column("stages", sa.Column("set_aside_reason", sa.Text(), nullable=True))
    op.add_column("set_aside", sa.Column("reference", sa.Text(), nullable=True))
    op.add_column("set_aside", sa.Column("is_proven", sa.Boolean(), nullable=False, server_default=sa.text("0")))
    op.add_column("set_aside", sa.Column("told", sa.Text(), nullable=True))
