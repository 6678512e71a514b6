"""How far the feed was judged."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. A desk from before reads the feed once more from its first row."""
    op.add_column("collector", sa.Column("feed_instance", sa.Text(), nullable=True))
    op.add_column("collector", sa.Column("feed_epoch", sa.Text(), nullable=True))
    for name in ("feed_position", "left_position"):
        op.add_column("collector", sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False))
