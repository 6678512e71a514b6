"""The part of the desk's baseline (`versions/r1_baseline.py`) that is about the people who work there."""

import sqlalchemy as sa
from alembic import op

from gateway.databases.columns import Number, PlainText


def make_people() -> None:
    """Make these tables."""
    _make_passkeys()
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
    op.create_table(
        "sessions",
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("browser_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("person", PlainText, nullable=False),
        sa.Column("began_at", PlainText, nullable=False),
        sa.Column("seen_at", PlainText, nullable=False),
        sa.Column("touched_at", PlainText, nullable=False),
        sa.PrimaryKeyConstraint("secret_sha256", name=op.f("pk_sessions")),
    )
    op.execute("CREATE INDEX ix_sessions_person ON sessions (person)")


def _make_passkeys() -> None:
    op.create_table(
        "passkeys",
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("person", PlainText, nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", Number, nullable=False),
        sa.Column("is_synced", sa.Boolean(), nullable=False),
        sa.Column("label", PlainText, nullable=False),
        sa.Column("added_at", PlainText, nullable=False),
        sa.Column("added_by", PlainText, nullable=False),
        sa.Column("last_used_at", PlainText),
        sa.Column("ended_at", PlainText),
        sa.Column("ended_by", PlainText),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_passkeys")),
    )
    op.execute("CREATE INDEX ix_passkeys_person ON passkeys (person)")
    op.create_table(
        "spent_challenges",
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", PlainText, nullable=False),
        sa.PrimaryKeyConstraint("challenge", name=op.f("pk_spent_challenges")),
    )
    op.create_table(
        "releases",
        sa.Column("id", Number, nullable=False),
        sa.Column("kind", PlainText, nullable=False),
        sa.Column("subject", PlainText, nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("drafted_at", PlainText, nullable=False),
        sa.Column("drafted_by", PlainText, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_releases")),
        sa.UniqueConstraint("kind", "subject", "body_sha256", name=op.f("uq_releases_kind_subject_body_sha256")),
    )
    op.create_table(
        "release_signatures",
        sa.Column("release_id", Number, autoincrement=False, nullable=False),
        sa.Column("signed_at", PlainText, nullable=False),
        sa.Column("signed_by", PlainText, nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("statement", sa.LargeBinary(), nullable=False),
        sa.Column("client_data", sa.LargeBinary(), nullable=False),
        sa.Column("authenticator_data", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("release_id", name=op.f("pk_release_signatures")),
    )
