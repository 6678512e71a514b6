"""The baseline: every table of the first release. A database that was made before it is refused (`engine.py`)."""

import sqlalchemy as sa
from alembic import op

from gateway.desk.store.migrations.r1_partner_side import make_partner_side

revision = "r1"
down_revision = None
branch_labels = None
depends_on = None

# A trigger holds them: rows are only ever added.
_APPEND_ONLY = ("audit", "ledger", "case_moves")


def upgrade() -> None:
    """Make the tables; the way back is the backup."""
    make_partner_side()
    _make_cases()
    _make_post()
    _make_evidence()
    for table in _APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def _make_cases() -> None:
    op.create_table(
        "alarms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.Text(), nullable=False),
        sa.Column("cleared_at", sa.Text()),
        sa.Column("cleared_by", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_alarms_kind_subject")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("previous_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("entry_sha256", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sa.UniqueConstraint("entry_sha256", name=op.f("uq_audit_entry_sha256")),
    )
    op.create_table(
        "case_moves",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("moved_at", sa.Text(), nullable=False),
        sa.Column("moved_by", sa.Text(), nullable=False),
        sa.Column("crisis_before", sa.Boolean(), nullable=False),
        sa.Column("score_before", sa.Integer(), nullable=False),
        sa.Column("crisis", sa.Boolean(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_moves")),
    )
    op.execute("CREATE INDEX ix_case_moves_case_id ON case_moves (case_id)")
    op.create_table(
        "cases",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text()),
        sa.Column("report_id", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("placement", sa.Text()),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("collected_at", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.Text()),
        sa.Column("closed_at", sa.Text()),
        sa.Column("factors", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("crisis", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("score", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("crisis_since", sa.Text()),
        sa.Column("is_behind", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("reply_owed", sa.Boolean(), nullable=False),
        sa.Column("reply_code", sa.Text()),
        sa.Column("reply_reason", sa.Text()),
        sa.Column("reply_recorded_at", sa.Text()),
        sa.Column("assessor", sa.Text()),
        sa.Column("immediate_risk", sa.Text()),
        sa.Column("urgent", sa.Text()),
        sa.Column("urgent_dissemination", sa.Text()),
        sa.Column("best_placed", sa.Text()),
        sa.Column("kind", sa.Text()),
        sa.Column("age_band", sa.Text()),
        sa.Column("outcome", sa.Text()),
        sa.Column("weakness_1", sa.Text()),
        sa.Column("weakness_2", sa.Text()),
        sa.Column("cluster_id", sa.Text()),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        sa.Column("reply_by", sa.Text()),
        sa.Column("region", sa.Text()),
        sa.Column("country", sa.Text()),
        sa.Column("has_reply_key", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("flagged", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("redirected_to", sa.Text()),
        sa.Column("adds_to", sa.Text()),
        sa.Column("reply_key_sha256", sa.Text()),
        sa.Column("channel", sa.Text(), server_default=sa.text("'gateway'"), nullable=False),
        sa.Column("other_reference", sa.Text()),
        sa.Column("report_kind", sa.Text()),
        sa.Column("joined_to", sa.Text()),
        sa.Column("answers_request", sa.Text()),
        sa.CheckConstraint("weakness_2 IS NULL OR weakness_1 IS NOT NULL", name=op.f("ck_cases_weakness_order")),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_cases")),
        sa.UniqueConstraint("environment", "partner", "report_id", name=op.f("uq_cases_environment_partner_report_id")),
    )
    op.execute("CREATE INDEX ix_cases_adds_to ON cases (adds_to)")
    op.execute(
        "CREATE INDEX ix_cases_ahead"
        " ON cases (partner, is_behind)"
        " WHERE crisis = 1 AND opened_at IS NULL AND closed_at IS NULL"
    )
    op.execute("CREATE INDEX ix_cases_closed_at_received_at ON cases (closed_at, received_at)")
    op.execute("CREATE INDEX ix_cases_crisis ON cases (crisis_since) WHERE crisis = 1")
    op.execute("CREATE INDEX ix_cases_joined_to ON cases (joined_to)")
    op.execute("CREATE INDEX ix_cases_other_reference ON cases (other_reference)")
    op.execute("CREATE INDEX ix_cases_owed ON cases (reply_owed, reply_code, closed_at, reply_by) WHERE reply_owed = 1")
    op.execute("CREATE INDEX ix_cases_provider_closed_at ON cases (provider, closed_at)")
    op.execute(
        "CREATE INDEX ix_cases_queue"
        " ON cases ((closed_at IS NULL) DESC, crisis DESC, is_behind, score DESC, received_at, case_id, joined_to)"
    )
    op.execute("CREATE INDEX ix_cases_reference ON cases (reference)")
    op.execute(
        "CREATE INDEX ix_cases_unread_crisis"
        " ON cases (partner, score DESC, received_at, case_id)"
        " WHERE crisis = 1 AND opened_at IS NULL AND closed_at IS NULL"
    )
    op.create_table(
        "chain_links",
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("statement_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("previous_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("followed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("instance", "partner", "sequence", "epoch", name=op.f("pk_chain_links")),
    )
    op.execute("CREATE INDEX ix_chain_links_followed ON chain_links (followed) WHERE followed = 0")
    op.create_table(
        "collector",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("succeeded_at", sa.Text()),
        sa.Column("failed_at", sa.Text()),
        sa.Column("failure", sa.Text()),
        sa.Column("is_refused", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("urgent_waiting", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("urgent_since", sa.Text()),
        sa.Column("others_waiting", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("others_since", sa.Text()),
        sa.Column("probed_at", sa.Text()),
        sa.Column("feed_instance", sa.Text()),
        sa.Column("feed_epoch", sa.Text()),
        sa.Column("feed_position", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("left_position", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collector")),
    )
    op.create_table(
        "reports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("report_id", sa.Text(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("earlier_reference", sa.Text()),
        sa.Column("schema_version", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("collected_at", sa.Text(), nullable=False),
        sa.Column("intake_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("envelope_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("intake", sa.LargeBinary(), nullable=False),
        sa.Column("submission", sa.LargeBinary()),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
        sa.UniqueConstraint(
            "environment", "partner", "report_id", name=op.f("uq_reports_environment_partner_report_id")
        ),
        sa.UniqueConstraint("intake_sha256", name=op.f("uq_reports_intake_sha256")),
        sa.UniqueConstraint("reference", name=op.f("uq_reports_reference")),
    )
    op.create_table(
        "sessions",
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("began_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("secret_sha256", name=op.f("pk_sessions")),
    )
    op.create_table(
        "set_aside",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("row_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("alarmed", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("is_urgent", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("stated_priority", sa.Text()),
        sa.Column("claimed_partner", sa.Text()),
        sa.Column("claimed_report_id", sa.Text()),
        sa.Column("intake_sha256", sa.LargeBinary()),
        sa.Column("row", sa.LargeBinary(), nullable=False),
        sa.Column("set_aside_at", sa.Text(), nullable=False),
        sa.Column("resolved_at", sa.Text()),
        sa.Column("resolution", sa.Text()),
        sa.Column("channel", sa.Text(), server_default=sa.text("'gateway'"), nullable=False),
        sa.Column("reference", sa.Text()),
        sa.Column("is_proven", sa.Boolean(), server_default=sa.text("0"), nullable=False),
        sa.Column("told", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_set_aside")),
        sa.UniqueConstraint("row_sha256", name=op.f("uq_set_aside_row_sha256")),
    )
    op.execute("CREATE INDEX ix_set_aside_waiting ON set_aside (claimed_partner, reason) WHERE resolved_at IS NULL")


def _make_post() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.Text(), nullable=False),
        sa.Column("acknowledged_at", sa.Text()),
        sa.Column("acknowledged_by", sa.Text()),
        sa.Column("repeats", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("repeated_at", sa.Text()),
        sa.Column("repeated_to", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "mailbox_messages",
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("signed", sa.LargeBinary(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", sa.Text(), nullable=False),
        sa.Column("signed_sha256", sa.Text()),
        sa.Column("desk_copy", sa.LargeBinary()),
        sa.Column("replaces", sa.Text()),
        sa.PrimaryKeyConstraint("partner", "number", name=op.f("pk_mailbox_messages")),
        sa.UniqueConstraint("message_id", name=op.f("uq_mailbox_messages_message_id")),
    )
    op.create_table(
        "notes",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("address_mac", sa.LargeBinary()),
        sa.Column("domain_mac", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_notes")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("silences", sa.Integer(), nullable=False),
        sa.Column("queued_at", sa.Text(), nullable=False),
        sa.Column("next_try_at", sa.Text(), nullable=False),
        sa.Column("done_at", sa.Text()),
        sa.Column("last_error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_outbox_kind_subject")),
        sqlite_autoincrement=True,
    )
    op.execute("CREATE INDEX ix_outbox_kind_state_next_try_at ON outbox (kind, state, next_try_at)")
    op.create_table(
        "reply_messages",
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("desk_copy", sa.LargeBinary()),
        sa.Column("written_at", sa.Text(), nullable=False),
        sa.Column("written_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_reply_messages")),
    )
    op.execute("CREATE INDEX ix_reply_messages_case_id ON reply_messages (case_id)")
    op.create_table(
        "stages",
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("report_id", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text()),
        sa.Column("set_aside_reason", sa.Text()),
        sa.PrimaryKeyConstraint("partner", "report_id", name=op.f("pk_stages")),
    )


def _make_evidence() -> None:
    op.create_table(
        "evidence",
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("evidence_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("collected_at", sa.Text(), nullable=False),
        sa.Column("acknowledged_at", sa.Text()),
        sa.PrimaryKeyConstraint("partner", "evidence_id", name=op.f("pk_evidence")),
    )
    op.create_table(
        "imported_reports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("report_id", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("submission_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("submission", sa.LargeBinary(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=False),
        sa.Column("imported_at", sa.Text(), nullable=False),
        sa.Column("imported_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imported_reports")),
        sa.UniqueConstraint(
            "environment", "partner", "report_id", name=op.f("uq_imported_reports_environment_partner_report_id")
        ),
        sa.UniqueConstraint("submission_sha256", name=op.f("uq_imported_reports_submission_sha256")),
    )
    op.execute("CREATE INDEX ix_imported_reports_reference ON imported_reports (reference)")
    op.create_table(
        "named_evidence",
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("evidence_id", sa.Text(), nullable=False),
        sa.Column("report_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("partner", "evidence_id", "report_id", name=op.f("pk_named_evidence")),
    )
