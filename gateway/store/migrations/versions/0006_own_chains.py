"""A chain for each sender, the order of insertion in a column of its own, and why the desk set a report aside."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_WAITING = sa.text("acknowledged_at IS NULL")
_COLLECTED = sa.text("acknowledged_at IS NOT NULL AND envelope IS NOT NULL")
_KEPT = (
    "epoch, report_id, partner, environment, door, reference, kind, priority, placement, received_at, acknowledged_at, "
    "stage, outcome, envelope_sha256, submission_sha256, intake_sha256, intake, submission, envelope"
)


def upgrade() -> None:
    """Copy the reports: the old number is the position, and each chain goes on behind its sender's highest."""
    op.rename_table("reports", "reports_before")
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
        sa.PrimaryKeyConstraint("position", name=op.f("pk_reports")),
        sa.UniqueConstraint(
            "report_id", "partner", "environment", name=op.f("uq_reports_report_id_partner_environment")
        ),
        sa.UniqueConstraint("reference", name=op.f("uq_reports_reference")),
        sa.UniqueConstraint("partner", "sequence", name=op.f("uq_reports_partner_sequence")),
        sa.CheckConstraint("door IN ('public', 'industry')", name=op.f("ck_reports_door")),
        sa.CheckConstraint("environment IN ('live', 'sandbox')", name=op.f("ck_reports_environment")),
        sa.CheckConstraint("stage IN ('received', 'collected', 'opened')", name=op.f("ck_reports_stage")),
        sa.CheckConstraint(
            "envelope IS NOT NULL OR acknowledged_at IS NOT NULL", name=op.f("ck_reports_kept_until_acknowledged")
        ),
    )
    op.execute(
        f"INSERT INTO reports (position, sequence, {_KEPT}) "  # noqa: S608 - our own columns
        f"SELECT sequence, sequence, {_KEPT} FROM reports_before ORDER BY sequence"
    )
    op.drop_table("reports_before")
    op.create_index("ix_reports_waiting", "reports", ["position"], sqlite_where=_WAITING, postgresql_where=_WAITING)
    op.create_index(
        "ix_reports_collected", "reports", ["acknowledged_at"], sqlite_where=_COLLECTED, postgresql_where=_COLLECTED
    )
