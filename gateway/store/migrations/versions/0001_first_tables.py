"""First tables: reports, mailbox, invitations, enrolments, drafts, published, instance."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIG_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_WAITING = sa.text("acknowledged_at IS NULL")
_COLLECTED = sa.text("acknowledged_at IS NOT NULL AND envelope IS NOT NULL")


def upgrade() -> None:
    """Make the tables; the way back is the backup."""
    _make_reports()
    _make_mailbox()
    _make_enrolment_tables()
    _make_drafts()
    _make_state_tables()


def _make_reports() -> None:
    op.create_table(
        "reports",
        sa.Column("sequence", _BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.String(36), nullable=False),
        sa.Column("report_id", sa.String(36), nullable=False),
        sa.Column("partner", sa.String(64), nullable=False),
        sa.Column("environment", sa.String(7), nullable=False),
        sa.Column("door", sa.String(8), nullable=False),
        sa.Column("reference", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("priority", sa.String(8), nullable=False),
        sa.Column("placement", sa.String(128)),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger),
        sa.Column("stage", sa.String(9), nullable=False),
        sa.Column("outcome", sa.String(32)),
        sa.Column("envelope_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("submission_sha256", sa.LargeBinary(32)),
        sa.Column("intake_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("intake", sa.LargeBinary, nullable=False),
        sa.Column("submission", sa.LargeBinary),
        sa.Column("envelope", sa.LargeBinary),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_reports")),
        sa.UniqueConstraint(
            "report_id", "partner", "environment", name=op.f("uq_reports_report_id_partner_environment")
        ),
        sa.UniqueConstraint("reference", name=op.f("uq_reports_reference")),
        sa.CheckConstraint("door IN ('public', 'industry')", name=op.f("ck_reports_door")),
        sa.CheckConstraint("environment IN ('live', 'sandbox')", name=op.f("ck_reports_environment")),
        sa.CheckConstraint("stage IN ('received', 'collected', 'opened')", name=op.f("ck_reports_stage")),
        sa.CheckConstraint(
            "envelope IS NOT NULL OR acknowledged_at IS NOT NULL", name=op.f("ck_reports_kept_until_acknowledged")
        ),
    )
    op.create_index("ix_reports_waiting", "reports", ["sequence"], sqlite_where=_WAITING, postgresql_where=_WAITING)
    op.create_index(
        "ix_reports_collected", "reports", ["acknowledged_at"], sqlite_where=_COLLECTED, postgresql_where=_COLLECTED
    )


def _make_mailbox() -> None:
    op.create_table(
        "mailbox",
        sa.Column("position", _BIG_KEY, nullable=False),
        sa.Column("message_id", sa.String(36), nullable=False),
        sa.Column("partner", sa.String(64), nullable=False),
        sa.Column("posted_at", sa.BigInteger, nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger),
        sa.Column("envelope_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("envelope", sa.LargeBinary),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_mailbox")),
        sa.UniqueConstraint("message_id", name=op.f("uq_mailbox_message_id")),
        sa.CheckConstraint(
            "envelope IS NOT NULL OR acknowledged_at IS NOT NULL", name=op.f("ck_mailbox_kept_until_acknowledged")
        ),
    )
    op.create_index(
        "ix_mailbox_waiting", "mailbox", ["partner", "position"], sqlite_where=_WAITING, postgresql_where=_WAITING
    )
    op.create_index(
        "ix_mailbox_collected", "mailbox", ["acknowledged_at"], sqlite_where=_COLLECTED, postgresql_where=_COLLECTED
    )


def _make_enrolment_tables() -> None:
    op.create_table(
        "invitations",
        sa.Column("secret_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("partner", sa.String(64), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("secret_sha256", name=op.f("pk_invitations")),
    )
    op.create_table(
        "enrolments",
        sa.Column("enrolment_id", sa.String(36), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger),
        sa.Column("envelope_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("enrolment_id", name=op.f("pk_enrolments")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_enrolments_secret_sha256")),
    )


def _make_drafts() -> None:
    op.create_table(
        "drafts",
        sa.Column("draft_id", sa.LargeBinary(32), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("box", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("draft_id", name=op.f("pk_drafts")),
    )
    op.create_index("ix_drafts_expires_at", "drafts", ["expires_at"])


def _make_state_tables() -> None:
    op.create_table(
        "published",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("serial", sa.BigInteger, nullable=False),
        sa.Column("accepted_at", sa.BigInteger, nullable=False),
        sa.Column("document_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_published")),
        sa.CheckConstraint("name IN ('key-set', 'register')", name=op.f("ck_published_name")),
    )
    op.create_table(
        "instance",
        sa.Column("position", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("epoch", sa.String(36), nullable=False),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_instance")),
        sa.CheckConstraint("position = 1", name=op.f("ck_instance_one_row")),
    )
