"""The baseline: every table of the first release. A database that was made before it is refused (`engine.py`)."""

import sqlalchemy as sa
from alembic import op

from gateway.databases.columns import Number, PlainText
from gateway.desk.store.migrations.r1_actions import make_actions
from gateway.desk.store.migrations.r1_partner_side import make_partner_side
from gateway.desk.store.migrations.r1_people import make_people
from gateway.desk.store.migrations.r1_post import make_post
from gateway.desk.store.migrations.r1_retention import make_retention

revision = "r1"
down_revision = None
branch_labels = None
depends_on = None

# A trigger holds them: rows are only ever added.
_APPEND_ONLY = (
    *("audit", "ledger", "case_steps", "case_links", "digests", "digest_draws", "digest_steps"),
    *("person_authorities", "person_roles", "service_merges", "releases", "release_signatures"),
)
# PostgreSQL's triggers call a function. 23000 is an integrity error, as at SQLite's ABORT.
_REFUSE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


def upgrade() -> None:
    """Make the tables; the way back is the backup."""
    make_partner_side()
    make_people()
    _make_cases()
    _make_identifiers()
    make_post()
    make_retention()
    make_actions()
    is_on_server = op.get_bind().dialect.name == "postgresql"
    if is_on_server:
        op.execute(_REFUSE)
    for table in _APPEND_ONLY:
        for verb in ("UPDATE", "DELETE", "TRUNCATE") if is_on_server else ("UPDATE", "DELETE"):
            refusal = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                + ("EXECUTE FUNCTION refuse_change()" if is_on_server else refusal)
            )


def _is(value: bool, /) -> str:
    """Return a condition on a Boolean column, e.g. `= 1` on SQLite and `= true` on PostgreSQL."""
    literal = sa.true() if value else sa.false()
    return f"= {literal.compile(dialect=op.get_bind().dialect)}"


def _make_cases() -> None:
    op.create_table(
        "alarms",
        sa.Column("id", Number, nullable=False),
        sa.Column("kind", PlainText, nullable=False),
        sa.Column("subject", PlainText, nullable=False),
        sa.Column("raised_at", PlainText, nullable=False),
        sa.Column("cleared_at", PlainText),
        sa.Column("cleared_by", PlainText),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_alarms_kind_subject")),
    )
    op.create_table(
        "audit",
        sa.Column("id", Number, autoincrement=False, nullable=False),
        sa.Column("at", PlainText, nullable=False),
        sa.Column("actor", PlainText, nullable=False),
        sa.Column("action", PlainText, nullable=False),
        sa.Column("subject", PlainText, nullable=False),
        sa.Column("detail", PlainText, nullable=False),
        sa.Column("previous_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("entry_sha256", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sa.UniqueConstraint("entry_sha256", name=op.f("uq_audit_entry_sha256")),
    )
    op.execute("CREATE INDEX ix_audit_action_id ON audit (action, id)")
    op.execute("CREATE INDEX ix_audit_actor_id ON audit (actor, id)")
    op.execute("CREATE INDEX ix_audit_at ON audit (at)")
    op.execute("CREATE INDEX ix_audit_subject ON audit (subject)")
    op.create_table(
        "case_links",
        sa.Column("id", Number, nullable=False),
        sa.Column("case_a", PlainText, nullable=False),
        sa.Column("case_b", PlainText, nullable=False),
        sa.Column("is_end", sa.Boolean(), nullable=False),
        sa.Column("at", PlainText, nullable=False),
        sa.Column("by", PlainText, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_links")),
    )
    op.execute("CREATE INDEX ix_case_links_case_a_case_b ON case_links (case_a, case_b)")
    op.execute("CREATE INDEX ix_case_links_case_b ON case_links (case_b)")
    op.create_table(
        "case_steps",
        sa.Column("id", Number, nullable=False),
        sa.Column("step_id", PlainText, nullable=False),
        sa.Column("case_id", PlainText, nullable=False),
        sa.Column("at", PlainText, nullable=False),
        sa.Column("by", PlainText, nullable=False),
        sa.Column("kind", PlainText, nullable=False),
        sa.Column("detail", PlainText, nullable=False),
        sa.Column("box", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_steps")),
        sa.UniqueConstraint("step_id", name=op.f("uq_case_steps_step_id")),
    )
    op.execute("CREATE INDEX ix_case_steps_case_id_kind ON case_steps (case_id, kind)")
    op.create_table(
        "cases",
        sa.Column("case_id", PlainText, nullable=False),
        sa.Column("environment", PlainText, nullable=False),
        sa.Column("partner", PlainText, nullable=False),
        sa.Column("about", PlainText),
        sa.Column("report_id", PlainText, nullable=False),
        sa.Column("reference", PlainText, nullable=False),
        sa.Column("door", PlainText, nullable=False),
        sa.Column("placement", PlainText),
        sa.Column("priority", PlainText, nullable=False),
        sa.Column("received_at", PlainText, nullable=False),
        sa.Column("collected_at", PlainText, nullable=False),
        sa.Column("opened_at", PlainText),
        sa.Column("closed_at", PlainText),
        sa.Column("factors", PlainText, server_default=sa.text("''"), nullable=False),
        sa.Column("crisis", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("score", Number, server_default=sa.text("0"), nullable=False),
        sa.Column("crisis_since", PlainText),
        sa.Column("is_behind", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("reply_owed", sa.Boolean(), nullable=False),
        sa.Column("reply_code", PlainText),
        sa.Column("reply_recorded_at", PlainText),
        sa.Column("holder", PlainText),
        sa.Column("held_since", PlainText),
        sa.Column("faculty", PlainText),
        sa.Column("kind", PlainText),
        sa.Column("age_band", PlainText),
        sa.Column("outcome", PlainText),
        sa.Column("weakness_1", PlainText),
        sa.Column("weakness_2", PlainText),
        sa.Column("first_contact", PlainText),
        sa.Column("moved_to", PlainText),
        sa.Column("blackmail", PlainText),
        sa.Column("posed_as", PlainText),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        sa.Column("reply_by", PlainText),
        sa.Column("region", PlainText),
        sa.Column("country", PlainText),
        sa.Column("has_reply_key", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("flagged", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("redirected_to", PlainText),
        sa.Column("adds_to", PlainText),
        sa.Column("reply_key_sha256", PlainText),
        sa.Column("channel", PlainText, server_default=sa.text("'gateway'"), nullable=False),
        sa.Column("other_reference", PlainText),
        sa.Column("report_kind", PlainText),
        sa.Column("joined_to", PlainText),
        sa.Column("answers_request", PlainText),
        sa.Column("stated_kind", PlainText),
        sa.Column("completeness", Number),
        sa.Column("missing_fields", PlainText),
        sa.Column("key_number", Number),
        sa.Column("hold_review", PlainText),
        sa.Column("destroyed_at", PlainText),
        sa.Column("requests", PlainText, server_default=sa.text("''"), nullable=False),
        sa.Column("request_due", PlainText),
        sa.Column("index_version", Number),
        sa.CheckConstraint("weakness_2 IS NULL OR weakness_1 IS NOT NULL", name=op.f("ck_cases_weakness_order")),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_cases")),
        sa.UniqueConstraint("environment", "partner", "report_id", name=op.f("uq_cases_environment_partner_report_id")),
    )
    op.execute("CREATE INDEX ix_cases_adds_to ON cases (adds_to)")
    op.execute(
        "CREATE INDEX ix_cases_ahead"
        " ON cases (partner, is_behind)"
        f" WHERE crisis {_is(True)} AND opened_at IS NULL AND closed_at IS NULL"
    )
    op.execute("CREATE INDEX ix_cases_closed_at_received_at ON cases (closed_at, received_at)")
    op.execute(
        "CREATE INDEX ix_cases_counted"
        " ON cases (about, closed_at, environment, synthetic, case_id, partner, received_at, age_band, kind, outcome,"
        " placement, weakness_1, weakness_2, first_contact, moved_to, blackmail, posed_as)"
        " WHERE closed_at IS NOT NULL"
    )
    op.execute(f"CREATE INDEX ix_cases_crisis ON cases (crisis_since) WHERE crisis {_is(True)}")
    op.execute("CREATE INDEX ix_cases_joined_to ON cases (joined_to)")
    op.execute("CREATE INDEX ix_cases_key_number ON cases (key_number)")
    op.execute("CREATE INDEX ix_cases_received_at_case_id ON cases (received_at, case_id)")
    op.execute("CREATE INDEX ix_cases_other_reference ON cases (other_reference)")
    op.execute(
        "CREATE INDEX ix_cases_owed"
        " ON cases (reply_owed, reply_code, closed_at, reply_by)"
        f" WHERE reply_owed {_is(True)}"
    )
    op.execute(
        "CREATE INDEX ix_cases_queue"
        " ON cases ((closed_at IS NULL) DESC, crisis DESC, is_behind, score DESC, received_at, case_id, joined_to)"
    )
    op.execute(
        "CREATE INDEX ix_cases_open"
        " ON cases (crisis, opened_at, reply_owed, reply_code, reply_by, joined_to, case_id,"
        " holder, faculty, kind, stated_kind, age_band, factors, region, door, channel, about)"
        " WHERE closed_at IS NULL"
    )
    op.execute("CREATE INDEX ix_cases_requests ON cases (request_due) WHERE request_due IS NOT NULL")
    op.execute("CREATE INDEX ix_cases_reference ON cases (reference)")
    op.execute(
        "CREATE INDEX ix_cases_unread_crisis"
        " ON cases (partner, score DESC, received_at, case_id)"
        f" WHERE crisis {_is(True)} AND opened_at IS NULL AND closed_at IS NULL"
    )
    op.create_table(
        "chain_links",
        sa.Column("instance", PlainText, nullable=False),
        sa.Column("partner", PlainText, nullable=False),
        sa.Column("sequence", Number, nullable=False),
        sa.Column("epoch", PlainText, nullable=False),
        sa.Column("statement_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("previous_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("followed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("instance", "partner", "sequence", "epoch", name=op.f("pk_chain_links")),
    )
    op.execute(f"CREATE INDEX ix_chain_links_followed ON chain_links (followed) WHERE followed {_is(False)}")
    op.create_table(
        "collector",
        sa.Column("id", Number, nullable=False),
        sa.Column("succeeded_at", PlainText),
        sa.Column("failed_at", PlainText),
        sa.Column("failure", PlainText),
        sa.Column("is_refused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("urgent_waiting", Number, server_default=sa.text("0"), nullable=False),
        sa.Column("urgent_since", PlainText),
        sa.Column("others_waiting", Number, server_default=sa.text("0"), nullable=False),
        sa.Column("others_since", PlainText),
        sa.Column("probed_at", PlainText),
        sa.Column("feed_instance", PlainText),
        sa.Column("feed_epoch", PlainText),
        sa.Column("feed_position", Number, server_default=sa.text("0"), nullable=False),
        sa.Column("left_position", Number, server_default=sa.text("0"), nullable=False),
        sa.Column("logged_report", Number, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collector")),
    )
    op.create_table(
        "reports",
        sa.Column("id", Number, nullable=False),
        sa.Column("environment", PlainText, nullable=False),
        sa.Column("partner", PlainText, nullable=False),
        sa.Column("report_id", PlainText, nullable=False),
        sa.Column("door", PlainText, nullable=False),
        sa.Column("kind", PlainText, nullable=False),
        sa.Column("priority", PlainText, nullable=False),
        sa.Column("earlier_reference", PlainText),
        sa.Column("schema_version", PlainText, nullable=False),
        sa.Column("reference", PlainText, nullable=False),
        sa.Column("instance", PlainText, nullable=False),
        sa.Column("epoch", PlainText, nullable=False),
        sa.Column("sequence", Number, nullable=False),
        sa.Column("received_at", PlainText, nullable=False),
        sa.Column("collected_at", PlainText, nullable=False),
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
        "set_aside",
        sa.Column("id", Number, nullable=False),
        sa.Column("row_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("reason", PlainText, nullable=False),
        sa.Column("alarmed", sa.Boolean(), nullable=False),
        sa.Column("priority", PlainText, nullable=False),
        sa.Column("is_urgent", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("stated_priority", PlainText),
        sa.Column("claimed_partner", PlainText),
        sa.Column("claimed_report_id", PlainText),
        sa.Column("intake_sha256", sa.LargeBinary()),
        sa.Column("row", sa.LargeBinary(), nullable=False),
        sa.Column("set_aside_at", PlainText, nullable=False),
        sa.Column("resolved_at", PlainText),
        sa.Column("resolution", PlainText),
        sa.Column("channel", PlainText, server_default=sa.text("'gateway'"), nullable=False),
        sa.Column("reference", PlainText),
        sa.Column("is_proven", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("told", PlainText),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_set_aside")),
        sa.UniqueConstraint("row_sha256", name=op.f("uq_set_aside_row_sha256")),
    )
    op.execute("CREATE INDEX ix_set_aside_waiting ON set_aside (claimed_partner, reason) WHERE resolved_at IS NULL")


def _make_identifiers() -> None:
    op.create_table(
        "case_identifiers",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("case_id", PlainText, nullable=False),
        sa.Column("kind", PlainText, nullable=False),
        sa.Column("place", PlainText, nullable=False),
        sa.Column("strength", Number, nullable=False),
        sa.ForeignKeyConstraint(
            ["case_id"], ["cases.case_id"], name=op.f("fk_case_identifiers_case_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", "case_id", name=op.f("pk_case_identifiers")),
        sqlite_with_rowid=False,
    )
    op.execute("CREATE INDEX ix_case_identifiers_case_id ON case_identifiers (case_id)")
    op.create_table(
        "service_identifiers",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("partner", PlainText, nullable=False),
        sa.PrimaryKeyConstraint("digest", "partner", name=op.f("pk_service_identifiers")),
    )
