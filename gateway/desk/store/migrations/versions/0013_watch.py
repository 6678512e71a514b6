"""What the collector last did, who has an alert, and rows set aside by sender and cause."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and the columns. Alerts from before were taken by a pager, and count as acknowledged."""
    op.create_table(
        "collector",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("succeeded_at", sa.Text(), nullable=True),
        sa.Column("failed_at", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("is_refused", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("urgent_waiting", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("urgent_since", sa.Text(), nullable=True),
        sa.Column("others_waiting", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("others_since", sa.Text(), nullable=True),
        sa.Column("probed_at", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collector")),
    )
    for name in ("acknowledged_at", "acknowledged_by", "repeated_at", "repeated_to"):
        op.add_column("pages", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("pages", sa.Column("repeats", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("set_aside", sa.Column("is_urgent", sa.Boolean(), server_default=sa.text("0"), nullable=False))
    op.add_column("set_aside", sa.Column("stated_priority", sa.Text(), nullable=True))
    op.execute("CREATE INDEX ix_set_aside_waiting ON set_aside (claimed_partner, reason) WHERE resolved_at IS NULL")
    op.execute("UPDATE pages SET acknowledged_at = sent_at, acknowledged_by = 'before-0013' WHERE sent_at IS NOT NULL")
