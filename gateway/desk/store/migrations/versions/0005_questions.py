"""Questions to partners with their clock, and outcomes that are held back; a partner's reports joined to one case."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and the columns; reports that a partner had added before are joined to the first of them."""
    for name in ("report_kind", "joined_to", "answers_request"):
        op.add_column("cases", sa.Column(name, sa.Text(), nullable=True))
    op.create_index(op.f("ix_cases_joined_to"), "cases", ["joined_to"])
    op.add_column("mailbox_messages", sa.Column("signed_sha256", sa.Text(), nullable=True))
    op.add_column("mailbox_messages", sa.Column("desk_copy", sa.LargeBinary(), nullable=True))
    op.execute(
        "UPDATE cases SET report_kind = (SELECT kind FROM reports WHERE reports.environment = cases.environment "
        "AND reports.partner = cases.partner AND reports.report_id = cases.report_id)"
    )
    _join_reports()
    op.create_table(
        "information_requests",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("due_at", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.Text(), nullable=True),
        sa.Column("answer_case_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_information_requests")),
        sa.UniqueConstraint("message_id", name=op.f("uq_information_requests_message_id")),
    )
    op.create_index(op.f("ix_information_requests_case_id"), "information_requests", ["case_id"])
    op.create_table(
        "outcome_signals",
        sa.Column("signal_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("held_until", sa.Text(), nullable=False),
        sa.Column("released_at", sa.Text(), nullable=True),
        sa.Column("taken_back_at", sa.Text(), nullable=True),
        sa.Column("taken_back_by", sa.Text(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("signal_id", name=op.f("pk_outcome_signals")),
    )
    op.create_index(op.f("ix_outcome_signals_case_id"), "outcome_signals", ["case_id"])


def _join_reports() -> None:
    op.execute(
        "UPDATE cases SET joined_to = (SELECT first.case_id FROM cases AS first "
        "WHERE first.environment = cases.environment AND first.partner = cases.partner "
        "AND first.reference = cases.adds_to AND first.case_id <> cases.case_id) "
        "WHERE partner <> 'public' AND adds_to IS NOT NULL"
    )
    # What adds to an addition belongs to the first of all: a chain is followed to its end, and each step shortens it.
    for _ in range(64):
        moved = op.get_bind().exec_driver_sql(
            "UPDATE cases SET joined_to = (SELECT middle.joined_to FROM cases AS middle "
            "WHERE middle.case_id = cases.joined_to) WHERE joined_to IN "
            "(SELECT case_id FROM cases WHERE joined_to IS NOT NULL) AND (SELECT middle.joined_to FROM cases AS middle "
            "WHERE middle.case_id = cases.joined_to) <> cases.case_id"
        )
        if moved.rowcount == 0:
            return


def downgrade() -> None:
    """Refuse: the desk's records are never taken apart."""
    raise NotImplementedError("The desk's records are never taken apart: restore a backup instead.")
