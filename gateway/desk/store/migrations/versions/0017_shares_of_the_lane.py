"""What one partner sent to the crisis lane beyond its share stands behind the rest: a column, and indexes for it."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_UNREAD_CRISIS = "crisis = 1 AND opened_at IS NULL AND closed_at IS NULL"


def upgrade() -> None:
    """Add them. What is filed already keeps its place until its sender's next report, or until one is opened."""
    op.add_column("cases", sa.Column("is_behind", sa.Boolean(), server_default=sa.text("0"), nullable=False))
    op.drop_index("ix_cases_queue", "cases")
    op.execute(
        "CREATE INDEX ix_cases_queue ON cases "
        "((closed_at IS NULL) DESC, crisis DESC, is_behind, score DESC, received_at, case_id, joined_to)"
    )
    op.execute(
        "CREATE INDEX ix_cases_unread_crisis ON cases (partner, score DESC, received_at, case_id) "
        f"WHERE {_UNREAD_CRISIS}"
    )
    op.execute(f"CREATE INDEX ix_cases_ahead ON cases (partner, is_behind) WHERE {_UNREAD_CRISIS}")
