"""Which places were agreed with which request to show the button."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; the way back is the backup."""
    op.create_table(
        "adoption_places",
        sa.Column("placement", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("placement", name=op.f("pk_adoption_places")),
    )
    op.create_index(op.f("ix_adoption_places_request_id"), "adoption_places", ["request_id"], unique=False)
