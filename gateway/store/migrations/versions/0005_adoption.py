"""Sealed requests of services that want to show the button, until the desk has them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# As gateway/store/schema.py: SQLite makes a key its row number only when the type is exactly INTEGER.
_BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables; the way back is the backup."""
    op.create_table(
        "adoption_requests",
        sa.Column("position", _BIG_KEY, nullable=False),
        sa.Column("request_id", sa.String(36), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("envelope_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_adoption_requests")),
        sa.UniqueConstraint("request_id", name=op.f("uq_adoption_requests_request_id")),
    )
