"""The part of the desk's baseline (`versions/r1_baseline.py`) that is about the people who work there."""

import sqlalchemy as sa
from alembic import op

from gateway.databases.columns import Number, PlainText


def make_people() -> None:
    """Make these tables."""
    op.create_table(
        "people",
        sa.Column("person", PlainText, nullable=False),
        sa.Column("name", PlainText, nullable=False),
        sa.Column("account", PlainText),
        sa.Column("added_at", PlainText, nullable=False),
        sa.Column("added_by", PlainText, nullable=False),
        sa.Column("ended_at", PlainText),
        sa.Column("ended_by", PlainText),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_people")),
        sa.UniqueConstraint("account", name=op.f("uq_people_account")),
    )
    op.create_table(
        "person_authorities",
        sa.Column("id", Number, nullable=False),
        sa.Column("person", PlainText, nullable=False),
        sa.Column("kind", PlainText, nullable=False),
        sa.Column("until", PlainText, nullable=False),
        sa.Column("at", PlainText, nullable=False),
        sa.Column("by", PlainText, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_authorities")),
    )
    op.execute("CREATE INDEX ix_person_authorities_person_kind ON person_authorities (person, kind)")
    op.create_table(
        "person_roles",
        sa.Column("id", Number, nullable=False),
        sa.Column("person", PlainText, nullable=False),
        sa.Column("role", PlainText, nullable=False),
        sa.Column("is_end", sa.Boolean(), nullable=False),
        sa.Column("at", PlainText, nullable=False),
        sa.Column("by", PlainText, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_roles")),
    )
    op.execute("CREATE INDEX ix_person_roles_person_role ON person_roles (person, role)")
