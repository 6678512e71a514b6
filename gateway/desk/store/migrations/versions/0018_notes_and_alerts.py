"""Notes and alerts wait in the outbox too; their own tables keep what they are."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Carry both over with their states."""
    op.create_table(
        "notes",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("address_mac", sa.LargeBinary(), nullable=True),
        sa.Column("domain_mac", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_notes")),
    )
    op.execute(
        "INSERT INTO notes SELECT case_id, channel, language, address_mac, domain_mac FROM outgoing_post ORDER BY id"
    )
    _queue(
        "SELECT 'note', case_id, '', state, 0, tries, queued_at, next_try_at, "
        "coalesce(sent_at, CASE WHEN state = 'given_up' THEN next_try_at END), last_error "
        "FROM outgoing_post ORDER BY id"
    )
    op.drop_table("outgoing_post")
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.Text(), nullable=False),
        sa.Column("acknowledged_at", sa.Text(), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("repeats", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("repeated_at", sa.Text(), nullable=True),
        sa.Column("repeated_to", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.execute(
        "INSERT INTO alerts SELECT id, target, count, first_at, acknowledged_at, acknowledged_by, repeats, "
        "repeated_at, repeated_to FROM pages ORDER BY id"
    )
    _queue(
        "SELECT 'alert', CAST(id AS TEXT), '', CASE WHEN sent_at IS NULL THEN 'waiting' ELSE 'sent' END, "
        "0, tries, first_at, next_try_at, sent_at, last_error FROM pages ORDER BY id"
    )
    op.drop_table("pages")


def _queue(rows: str) -> None:
    columns = "kind, subject, lane, state, turn, tries, queued_at, next_try_at, done_at, last_error"
    op.execute(f"INSERT INTO outbox ({columns}) {rows}")
