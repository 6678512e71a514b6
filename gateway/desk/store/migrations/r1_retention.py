"""The part of the baseline with the tables of destruction."""

import sqlalchemy as sa
from alembic import op

from gateway.databases.columns import Number, PlainText


def make_retention() -> None:
    """Make the tables."""
    op.create_table(
        "destructions",
        sa.Column("destruction_id", PlainText, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("drafted_at", PlainText, nullable=False),
        sa.Column("drafted_by", PlainText, nullable=False),
        sa.Column("certificate", sa.LargeBinary()),
        sa.Column("certified_at", PlainText),
        sa.PrimaryKeyConstraint("destruction_id", name=op.f("pk_destructions")),
    )
    op.create_table(
        "destroyed_cases",
        sa.Column("case_id", PlainText, nullable=False),
        sa.Column("destruction_id", PlainText, nullable=False),
        sa.Column("destroyed_at", PlainText, nullable=False),
        sa.Column("rows", Number, nullable=False),
        sa.Column("row_bytes", Number, nullable=False),
        sa.Column("files", Number, nullable=False),
        sa.Column("file_bytes", Number, nullable=False),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_destroyed_cases")),
    )
    op.execute("CREATE INDEX ix_destroyed_cases_destruction_id ON destroyed_cases (destruction_id)")
