"""The baseline: every table of the first release. A store made before it is refused (`creation.UnknownSchemaError`)."""

import sqlalchemy as sa
from alembic import op

revision = "r1"
down_revision = None
branch_labels = None
depends_on = None

# SQLite makes a key its row number only when the type is exactly INTEGER.
_BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables; the way back is the backup."""
    _make_reports()
    _make_evidence()
    _make_items()
    _make_form_tables()
    _make_state_tables()


def _make_reports() -> None:
    op.create_table(
        "reports",
        sa.Column("position", _BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.String(36), nullable=False),
        sa.Column("report_id", sa.String(36), nullable=False),
        sa.Column("partner", sa.String(64), nullable=False),
        sa.Column("environment", sa.String(7), nullable=False),
        sa.Column("door", sa.String(8), nullable=False),
        sa.Column("reference", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("priority", sa.String(8), nullable=False),
        sa.Column("placement", sa.String(128)),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger()),
        sa.Column("stage", sa.String(9), nullable=False),
        sa.Column("outcome", sa.String(32)),
        sa.Column("set_aside_reason", sa.String(16)),
        sa.Column("envelope_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("submission_sha256", sa.LargeBinary(32)),
        sa.Column("intake_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("intake", sa.LargeBinary(), nullable=False),
        sa.Column("submission", sa.LargeBinary()),
        sa.Column("envelope", sa.LargeBinary()),
        sa.CheckConstraint("door IN ('public', 'industry')", name=op.f("ck_reports_door")),
        sa.CheckConstraint("environment IN ('live', 'sandbox')", name=op.f("ck_reports_environment")),
        sa.CheckConstraint("stage IN ('received', 'collected', 'opened')", name=op.f("ck_reports_stage")),
        sa.CheckConstraint(
            "envelope IS NOT NULL OR acknowledged_at IS NOT NULL", name=op.f("ck_reports_kept_until_acknowledged")
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_reports")),
        sa.UniqueConstraint("partner", "sequence", name=op.f("uq_reports_partner_sequence")),
        sa.UniqueConstraint("reference", name=op.f("uq_reports_reference")),
        sa.UniqueConstraint(
            "report_id", "partner", "environment", name=op.f("uq_reports_report_id_partner_environment")
        ),
    )
    op.create_index(
        "ix_reports_collected",
        "reports",
        ["acknowledged_at"],
        sqlite_where=sa.text("acknowledged_at IS NOT NULL AND envelope IS NOT NULL"),
        postgresql_where=sa.text("acknowledged_at IS NOT NULL AND envelope IS NOT NULL"),
    )
    op.create_index(
        "ix_reports_waiting",
        "reports",
        ["position"],
        sqlite_where=sa.text("acknowledged_at IS NULL"),
        postgresql_where=sa.text("acknowledged_at IS NULL"),
    )


def _make_evidence() -> None:
    op.create_table(
        "evidence",
        sa.Column("position", _BIG_KEY, nullable=False),
        sa.Column("evidence_id", sa.String(36), nullable=False),
        sa.Column("partner", sa.String(64), nullable=False),
        sa.Column("newest_part_at", sa.BigInteger()),
        sa.Column("referenced_at", sa.BigInteger()),
        sa.Column("completed_at", sa.BigInteger()),
        sa.Column("acknowledged_at", sa.BigInteger()),
        sa.Column("held_bytes", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("digest", sa.LargeBinary(32)),
        sa.CheckConstraint("(completed_at IS NULL) = (digest IS NULL)", name=op.f("ck_evidence_digest_when_complete")),
        sa.CheckConstraint(
            "acknowledged_at IS NULL OR completed_at IS NOT NULL", name=op.f("ck_evidence_complete_before_acknowledged")
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_evidence")),
        sa.UniqueConstraint("evidence_id", "partner", name=op.f("uq_evidence_evidence_id_partner")),
    )
    op.create_index(
        "ix_evidence_collected",
        "evidence",
        ["acknowledged_at"],
        sqlite_where=sa.text("acknowledged_at IS NOT NULL AND held_bytes > 0"),
        postgresql_where=sa.text("acknowledged_at IS NOT NULL AND held_bytes > 0"),
    )
    op.create_index(
        "ix_evidence_held",
        "evidence",
        ["partner", "held_bytes"],
        sqlite_where=sa.text("held_bytes > 0"),
        postgresql_where=sa.text("held_bytes > 0"),
    )
    op.create_index(
        "ix_evidence_unreferenced",
        "evidence",
        ["newest_part_at"],
        sqlite_where=sa.text("referenced_at IS NULL"),
        postgresql_where=sa.text("referenced_at IS NULL"),
    )
    op.create_index(
        "ix_evidence_waiting",
        "evidence",
        ["position"],
        sqlite_where=sa.text("completed_at IS NOT NULL AND referenced_at IS NOT NULL AND acknowledged_at IS NULL"),
        postgresql_where=sa.text("completed_at IS NOT NULL AND referenced_at IS NOT NULL AND acknowledged_at IS NULL"),
    )
    op.create_table(
        "evidence_parts",
        sa.Column("position", _BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("blob", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["position"], ["evidence.position"], name="fk_evidence_parts_position_evidence"),
        sa.PrimaryKeyConstraint("position", "part", name=op.f("pk_evidence_parts")),
        sa.UniqueConstraint("blob", name=op.f("uq_evidence_parts_blob")),
    )


def _make_items() -> None:
    op.create_table(
        "items",
        sa.Column("position", _BIG_KEY, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("item_id", sa.String(36), nullable=False),
        sa.Column("identity", sa.String(101), nullable=False),
        sa.Column("put_at", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger()),
        sa.Column("envelope_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("envelope", sa.LargeBinary()),
        sa.CheckConstraint(
            "envelope IS NOT NULL OR acknowledged_at IS NOT NULL", name=op.f("ck_items_kept_until_acknowledged")
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_items")),
        sa.UniqueConstraint("kind", "identity", name=op.f("uq_items_kind_identity")),
    )
    op.create_index(
        "ix_items_collected",
        "items",
        ["acknowledged_at"],
        sqlite_where=sa.text("acknowledged_at IS NOT NULL AND envelope IS NOT NULL"),
        postgresql_where=sa.text("acknowledged_at IS NOT NULL AND envelope IS NOT NULL"),
    )
    op.create_index(
        "ix_items_waiting",
        "items",
        ["kind", "address", "position"],
        sqlite_where=sa.text("acknowledged_at IS NULL"),
        postgresql_where=sa.text("acknowledged_at IS NULL"),
    )
    op.create_table(
        "invitations",
        sa.Column("secret_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("partner", sa.String(64), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("secret_sha256", name=op.f("pk_invitations")),
    )


def _make_form_tables() -> None:
    op.create_table(
        "drafts",
        sa.Column("draft_id", sa.LargeBinary(32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("network_slot", sa.Integer()),
        sa.CheckConstraint("kind IN ('writing', 'sent', 'returned')", name=op.f("ck_drafts_kind")),
        sa.PrimaryKeyConstraint("draft_id", name=op.f("pk_drafts")),
    )
    op.create_index("ix_drafts_expires_at", "drafts", ["expires_at"])
    op.create_index("ix_drafts_kind", "drafts", ["kind"])
    op.create_index("ix_drafts_network_slot", "drafts", ["network_slot"])
    op.create_table(
        "return_places",
        sa.Column("reference", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_return_places")),
    )
    op.create_index("ix_return_places_expires_at", "return_places", ["expires_at"])
    op.create_table(
        "counts",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("week", sa.String(10), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", "week", name=op.f("pk_counts")),
    )


def _make_state_tables() -> None:
    op.create_table(
        "published",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=False),
        sa.Column("document_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("name IN ('key-set', 'register')", name=op.f("ck_published_name")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_published")),
    )
    op.create_table(
        "instance",
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("epoch", sa.String(36), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("position = 1", name=op.f("ck_instance_one_row")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_instance")),
    )
    op.create_table(
        "probes",
        sa.Column("process", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("process", name=op.f("pk_probes")),
    )
