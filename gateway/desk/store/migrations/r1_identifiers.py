"""The part of the baseline with the tables of identifiers."""

import sqlalchemy as sa
from alembic import op

from gateway.databases.columns import Number, PlainText


def make_identifiers() -> None:
    """Make the tables; that of the cases is there."""
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
