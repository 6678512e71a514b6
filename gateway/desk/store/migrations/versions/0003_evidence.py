"""Sealed evidence that was collected, and sealed files that came by another way."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and columns; the way back is the backup. All that came before came through the gateway."""
    op.add_column("cases", sa.Column("channel", sa.Text(), nullable=False, server_default=sa.text("'gateway'")))
    op.add_column("cases", sa.Column("other_reference", sa.Text(), nullable=True))
    op.create_index(op.f("ix_cases_other_reference"), "cases", ["other_reference"])
    op.add_column("set_aside", sa.Column("channel", sa.Text(), nullable=False, server_default=sa.text("'gateway'")))
    op.create_table(
        "named_evidence",
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("evidence_id", sa.Text(), nullable=False),
        sa.Column("report_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("partner", "evidence_id", "report_id", name=op.f("pk_named_evidence")),
    )
    op.create_table(
        "evidence",
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("evidence_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("collected_at", sa.Text(), nullable=False),
        sa.Column("acknowledged_at", sa.Text(), nullable=True),
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
    op.create_index(op.f("ix_imported_reports_reference"), "imported_reports", ["reference"])


def downgrade() -> None:
    """Refuse: the desk's records are never taken apart."""
    raise NotImplementedError("The desk's records are never taken apart: restore a backup instead.")
