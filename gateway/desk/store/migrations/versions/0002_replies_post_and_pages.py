"""Replies to a return code, short notes to be sent, pages; and what a case is sorted and answered by."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TEXTS = ("reply_by", "region", "country", "redirected_to", "adds_to", "reply_key_sha256")
_FLAGS = ("has_reply_key", "flagged", "meeting_soon")


def upgrade() -> None:
    """Add the tables and the columns; cases from before have none of what the columns say, but what they add to."""
    for name in _TEXTS:
        op.add_column("cases", sa.Column(name, sa.Text(), nullable=True))
    for name in _FLAGS:
        op.add_column("cases", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.text("0")))
    op.create_index(op.f("ix_cases_adds_to"), "cases", ["adds_to"])
    op.execute(
        "UPDATE cases SET adds_to = (SELECT earlier_reference FROM reports "
        "WHERE reports.environment = cases.environment "
        "AND reports.partner = cases.partner AND reports.report_id = cases.report_id)"
    )
    op.create_table(
        "reply_messages",
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("desk_copy", sa.LargeBinary(), nullable=True),
        sa.Column("written_at", sa.Text(), nullable=False),
        sa.Column("written_by", sa.Text(), nullable=False),
        sa.Column("posted_at", sa.Text(), nullable=True),
        sa.Column("no_place_at", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_reply_messages")),
    )
    op.create_index(op.f("ix_reply_messages_case_id"), "reply_messages", ["case_id"])
    op.create_table(
        "outgoing_post",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.Text(), nullable=False),
        sa.Column("queued_at", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.Text(), nullable=True),
        sa.Column("address_mac", sa.LargeBinary(), nullable=True),
        sa.Column("domain_mac", sa.LargeBinary(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outgoing_post")),
        sa.UniqueConstraint("case_id", "kind", name=op.f("uq_outgoing_post_case_id_kind")),
    )
    op.create_index(op.f("ix_outgoing_post_state_next_try_at"), "outgoing_post", ["state", "next_try_at"])
    op.create_table(
        "pages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.Text(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.Text(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pages")),
    )


def downgrade() -> None:
    """Refuse: the desk's records are never taken apart."""
    raise NotImplementedError("The desk's records are never taken apart: restore a backup instead.")
