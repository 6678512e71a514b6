"""The part of the baseline with the tables of actions and their threads."""

import sqlalchemy as sa
from alembic import op

from gateway.databases.columns import Number, PlainText

_ACTS = ("released", "sent", "acknowledged", "answered", "ended", "withdrawn")


def make_actions() -> None:
    """Make the tables."""
    op.create_table(
        "case_actions",
        sa.Column("action_id", PlainText, nullable=False),
        sa.Column("kind", PlainText, nullable=False),
        sa.Column("case_id", PlainText),
        sa.Column("recipient", PlainText, nullable=False),
        sa.Column("way", PlainText, nullable=False),
        sa.Column("state", PlainText, nullable=False),
        sa.Column("drafted_at", PlainText, nullable=False),
        sa.Column("drafted_by", PlainText, nullable=False),
        *(sa.Column(f"{act}_{end}", PlainText) for act in _ACTS for end in ("at", "by")),
        sa.Column("failed_at", PlainText),
        sa.Column("failed_because", PlainText),
        sa.Column("not_before", PlainText),
        sa.Column("expires_at", PlainText),
        sa.Column("due_at", PlainText),
        sa.Column("reminded_at", PlainText),
        sa.Column("covers", Number),
        sa.Column("protects", sa.Boolean(), nullable=False),
        sa.Column("body_sha256", PlainText, nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("action_id", name=op.f("pk_case_actions")),
    )
    op.execute("CREATE INDEX ix_case_actions_case_id ON case_actions (case_id)")
    op.execute("CREATE INDEX ix_case_actions_state_kind ON case_actions (state, kind)")
    op.create_table(
        "thread_entries",
        sa.Column("entry_id", PlainText, nullable=False),
        sa.Column("action_id", PlainText, nullable=False),
        sa.Column("direction", PlainText, nullable=False),
        sa.Column("kind", PlainText, nullable=False),
        sa.Column("at", PlainText, nullable=False),
        sa.Column("by", PlainText, nullable=False),
        sa.Column("outside_id", PlainText),
        sa.Column("read_at", PlainText),
        sa.Column("read_by", PlainText),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_thread_entries")),
        sa.UniqueConstraint("by", "outside_id", name=op.f("uq_thread_entries_by_outside_id")),
    )
    op.execute("CREATE INDEX ix_thread_entries_action_id ON thread_entries (action_id)")
    op.create_table(
        "service_alerts",
        sa.Column("action_id", PlainText, nullable=False),
        sa.Column("alert_id", PlainText, nullable=False),
        sa.PrimaryKeyConstraint("action_id", name=op.f("pk_service_alerts")),
    )
    op.execute("CREATE INDEX ix_service_alerts_alert_id ON service_alerts (alert_id)")
    op.create_table(
        "refused_entries",
        sa.Column("partner", PlainText, nullable=False),
        sa.Column("entry_id", PlainText, nullable=False),
        sa.Column("reason", PlainText, nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", PlainText, nullable=False),
        sa.PrimaryKeyConstraint("partner", "entry_id", name=op.f("pk_refused_entries")),
    )
