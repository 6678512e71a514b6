"""The part of the desk's baseline (`versions/r1_baseline.py`) that is about outgoing post and evidence."""

import sqlalchemy as sa
from alembic import op

from gateway.databases.columns import Number, PlainText


def make_post() -> None:
    """Make these tables."""
    _make_outgoing()
    _make_evidence()


def _make_outgoing() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", Number, nullable=False),
        sa.Column("count", Number, nullable=False),
        sa.Column("told", Number, server_default=sa.text("0"), nullable=False),
        sa.Column("first_at", PlainText, nullable=False),
        sa.Column("news_at", PlainText),
        sa.Column("acknowledged_at", PlainText),
        sa.Column("acknowledged_by", PlainText),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "alert_calls",
        sa.Column("id", Number, nullable=False),
        sa.Column("alert_id", Number, nullable=False),
        sa.Column("rung", PlainText, nullable=False),
        sa.Column("person", PlainText),
        sa.Column("turn", Number, nullable=False),
        sa.Column("count", Number, nullable=False),
        sa.Column("called_at", PlainText, nullable=False),
        sa.Column("waits_until", PlainText, nullable=False),
        sa.Column("taken_at", PlainText),
        sa.Column("failed_because", PlainText),
        sa.Column("link_sha256", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_calls")),
        sa.UniqueConstraint("link_sha256", name=op.f("uq_alert_calls_link_sha256")),
        sqlite_autoincrement=True,
    )
    op.execute("CREATE INDEX ix_alert_calls_alert_id ON alert_calls (alert_id)")
    op.create_table(
        "mailbox_messages",
        sa.Column("partner", PlainText, nullable=False),
        sa.Column("number", Number, nullable=False),
        sa.Column("message_id", PlainText, nullable=False),
        sa.Column("kind", PlainText, nullable=False),
        sa.Column("signed", sa.LargeBinary(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", PlainText, nullable=False),
        sa.Column("signed_sha256", PlainText),
        sa.Column("desk_copy", sa.LargeBinary()),
        sa.Column("case_id", PlainText),
        sa.Column("replaces", PlainText),
        sa.PrimaryKeyConstraint("partner", "number", name=op.f("pk_mailbox_messages")),
        sa.UniqueConstraint("message_id", name=op.f("uq_mailbox_messages_message_id")),
    )
    op.execute("CREATE INDEX ix_mailbox_messages_case_id ON mailbox_messages (case_id)")
    op.create_table(
        "notes",
        sa.Column("case_id", PlainText, nullable=False),
        sa.Column("channel", PlainText, nullable=False),
        sa.Column("language", PlainText, nullable=False),
        sa.Column("address_mac", sa.LargeBinary()),
        sa.Column("domain_mac", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_notes")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", Number, nullable=False),
        sa.Column("kind", PlainText, nullable=False),
        sa.Column("subject", PlainText, nullable=False),
        sa.Column("lane", PlainText, nullable=False),
        sa.Column("state", PlainText, nullable=False),
        sa.Column("turn", Number, nullable=False),
        sa.Column("tries", Number, nullable=False),
        sa.Column("silences", Number, nullable=False),
        sa.Column("queued_at", PlainText, nullable=False),
        sa.Column("next_try_at", PlainText, nullable=False),
        sa.Column("done_at", PlainText),
        sa.Column("last_error", PlainText),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_outbox_kind_subject")),
        sqlite_autoincrement=True,
    )
    op.execute("CREATE INDEX ix_outbox_kind_state_next_try_at ON outbox (kind, state, next_try_at)")
    op.create_table(
        "reply_messages",
        sa.Column("message_id", PlainText, nullable=False),
        sa.Column("case_id", PlainText, nullable=False),
        sa.Column("kind", PlainText, nullable=False),
        sa.Column("reference", PlainText, nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("desk_copy", sa.LargeBinary()),
        sa.Column("written_at", PlainText, nullable=False),
        sa.Column("written_by", PlainText, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_reply_messages")),
    )
    op.execute("CREATE INDEX ix_reply_messages_case_id ON reply_messages (case_id)")
    op.create_table(
        "stages",
        sa.Column("partner", PlainText, nullable=False),
        sa.Column("report_id", PlainText, nullable=False),
        sa.Column("stage", PlainText, nullable=False),
        sa.Column("outcome", PlainText),
        sa.Column("set_aside_reason", PlainText),
        sa.PrimaryKeyConstraint("partner", "report_id", name=op.f("pk_stages")),
    )


def _make_evidence() -> None:
    op.create_table(
        "evidence",
        sa.Column("partner", PlainText, nullable=False),
        sa.Column("evidence_id", PlainText, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size_bytes", Number, nullable=False),
        sa.Column("collected_at", PlainText, nullable=False),
        sa.Column("acknowledged_at", PlainText),
        sa.PrimaryKeyConstraint("partner", "evidence_id", name=op.f("pk_evidence")),
    )
    op.create_table(
        "imported_reports",
        sa.Column("id", Number, nullable=False),
        sa.Column("environment", PlainText, nullable=False),
        sa.Column("partner", PlainText, nullable=False),
        sa.Column("report_id", PlainText, nullable=False),
        sa.Column("reference", PlainText, nullable=False),
        sa.Column("clear", PlainText, nullable=False),
        sa.Column("submission_sha256", sa.LargeBinary()),
        sa.Column("submission", sa.LargeBinary()),
        sa.Column("envelope_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("receipt", sa.LargeBinary()),
        sa.Column("imported_at", PlainText, nullable=False),
        sa.Column("imported_by", PlainText, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imported_reports")),
        sa.UniqueConstraint(
            "environment", "partner", "report_id", name=op.f("uq_imported_reports_environment_partner_report_id")
        ),
        sa.UniqueConstraint("submission_sha256", name=op.f("uq_imported_reports_submission_sha256")),
    )
    op.execute("CREATE INDEX ix_imported_reports_reference ON imported_reports (reference)")
    op.create_table(
        "named_evidence",
        sa.Column("partner", PlainText, nullable=False),
        sa.Column("evidence_id", PlainText, nullable=False),
        sa.Column("report_id", PlainText, nullable=False),
        sa.Column("digest", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("partner", "evidence_id", "report_id", name=op.f("pk_named_evidence")),
    )
