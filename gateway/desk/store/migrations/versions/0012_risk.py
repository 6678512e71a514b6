"""How urgent a case is: codes, score and lane in the place of two flags; who moved it; and the indexes of the queue."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Points and codes of risk.toml on the day of this migration: later ones are for what comes later.
_KNOWN = (
    ("danger", "danger_now", 110),
    ("meeting_soon", "meeting_soon", 75),
    ("priority = 'P1'", "p1_stated", 30),
)
_P2 = ("priority = 'P2' AND partner != 'public'", "p2_stated", 15)


def upgrade() -> None:
    """Weigh what is filed by the flags that it has: its reports are sealed, and nobody is here to open them."""
    op.add_column("cases", sa.Column("factors", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("cases", sa.Column("crisis", sa.Boolean(), nullable=False, server_default=sa.text("0")))
    op.add_column("cases", sa.Column("score", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("cases", sa.Column("crisis_since", sa.Text(), nullable=True))
    for condition, code, points in (*_KNOWN, _P2):
        _add(condition, code, points)
    for condition, _, _ in _KNOWN:
        op.execute(f"UPDATE cases SET crisis = 1, crisis_since = collected_at WHERE {condition}")  # noqa: S608 - our own words
    op.drop_column("cases", "danger")
    op.drop_column("cases", "meeting_soon")
    op.create_table(
        "case_moves",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("moved_at", sa.Text(), nullable=False),
        sa.Column("moved_by", sa.Text(), nullable=False),
        sa.Column("crisis_before", sa.Boolean(), nullable=False),
        sa.Column("score_before", sa.Integer(), nullable=False),
        sa.Column("crisis", sa.Boolean(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_moves")),
    )
    op.create_index(op.f("ix_case_moves_case_id"), "case_moves", ["case_id"])
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER case_moves_no_{verb.lower()} BEFORE {verb} ON case_moves "
            "BEGIN SELECT RAISE(ABORT, 'case_moves is append-only'); END"
        )
    op.create_index(op.f("ix_cases_reference"), "cases", ["reference"])
    op.execute(
        "CREATE INDEX ix_cases_queue ON cases "
        "((closed_at IS NULL) DESC, crisis DESC, score DESC, received_at, case_id, joined_to)"
    )
    op.execute("CREATE INDEX ix_cases_owed ON cases (reply_owed, reply_code, closed_at, reply_by) WHERE reply_owed = 1")
    op.execute("CREATE INDEX ix_cases_crisis ON cases (crisis_since) WHERE crisis = 1")


def _add(condition: str, code: str, points: int) -> None:
    op.execute(
        f"UPDATE cases SET factors = ltrim(factors || ' {code}'), score = score + {points} WHERE {condition}"  # noqa: S608 - our own words
    )
