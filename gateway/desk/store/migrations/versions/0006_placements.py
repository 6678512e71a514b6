"""The register of placements, and the results of checks of their buttons."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables. Nothing of before is put into them: a placement is there because two sides agreed it."""
    op.create_table(
        "adopters",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("added_at", sa.Text(), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_adopters")),
    )
    op.create_table(
        "placements",
        sa.Column("placement", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("surface", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("look_at", sa.Text(), nullable=True),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("agreed_on", sa.Text(), nullable=False),
        sa.Column("agreed_by", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_at", sa.Text(), nullable=False),
        sa.Column("state_by", sa.Text(), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("placement", name=op.f("pk_placements")),
    )
    op.create_index(op.f("ix_placements_owner"), "placements", ["owner"])
    op.create_index(op.f("ix_placements_look_at"), "placements", ["look_at"])
    op.create_table(
        "placement_history",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("placement", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("deed", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("terms", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_placement_history")),
    )
    op.create_index(op.f("ix_placement_history_placement"), "placement_history", ["placement"])
    op.create_table(
        "placement_checks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("placement", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("checker", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("named", sa.Text(), nullable=True),
        sa.Column("faults", sa.Integer(), nullable=False),
        sa.Column("findings", sa.LargeBinary(), nullable=False),
        sa.Column("taken_at", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_placement_checks")),
        sa.UniqueConstraint(
            "placement",
            "address",
            "method",
            "checked_at",
            name=op.f("uq_placement_checks_placement_address_method_checked_at"),
        ),
    )
    op.create_index(op.f("ix_placement_checks_placement_checked_at"), "placement_checks", ["placement", "checked_at"])
    op.create_table(
        "runner_tokens",
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.Text(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_runner_tokens")),
    )


def downgrade() -> None:
    """Refuse: the desk's records are never taken apart."""
    raise NotImplementedError("The desk's records are never taken apart: restore a backup instead.")
