"""One queue for what goes to the gateway, in the place of a state in each table of records."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Carry over what waits and what was sent, in the order in which it was queued."""
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("queued_at", sa.Text(), nullable=False),
        sa.Column("next_try_at", sa.Text(), nullable=False),
        sa.Column("done_at", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_outbox_kind_subject")),
    )
    op.create_index(op.f("ix_outbox_kind_state_next_try_at"), "outbox", ["kind", "state", "next_try_at"])
    _queue(
        "SELECT 'message', message_id, partner, CASE WHEN posted_at IS NULL THEN 'waiting' ELSE 'sent' END, "
        "0, 0, issued_at, issued_at, posted_at, NULL FROM mailbox_messages ORDER BY issued_at, number"
    )
    _queue(
        "SELECT 'stage', partner || ' ' || report_id, '', "
        "CASE WHEN sent_at IS NULL THEN 'waiting' ELSE 'sent' END, "
        "0, 0, queued_at, queued_at, sent_at, NULL FROM stages ORDER BY queued_at"
    )
    _queue(
        "SELECT 'reply', message_id, '', CASE WHEN no_place_at IS NOT NULL THEN 'given_up' "
        "WHEN posted_at IS NULL THEN 'waiting' ELSE 'sent' END, "
        "0, 0, written_at, written_at, coalesce(no_place_at, posted_at), "
        "CASE WHEN no_place_at IS NOT NULL THEN 'no-place' END FROM reply_messages ORDER BY written_at, message_id"
    )
    for table, columns in {
        "mailbox_messages": ["posted_at"],
        "stages": ["queued_at", "sent_at"],
        "reply_messages": ["posted_at", "no_place_at"],
    }.items():
        for column in columns:
            op.drop_column(table, column)


def _queue(rows: str) -> None:
    columns = "kind, subject, lane, state, turn, tries, queued_at, next_try_at, done_at, last_error"
    op.execute(f"INSERT INTO outbox ({columns}) {rows}")
