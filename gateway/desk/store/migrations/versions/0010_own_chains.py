"""A chain for each sender: every link names whose it is."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Copy the links of reports that are filed or set aside here; their old numbers have gaps, which are no alarm."""
    op.drop_index(op.f("ix_chain_links_followed"), "chain_links")
    op.rename_table("chain_links", "chain_links_before")
    op.create_table(
        "chain_links",
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("statement_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("previous_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("followed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("instance", "partner", "sequence", "epoch", name=op.f("pk_chain_links")),
    )
    op.execute(
        "INSERT INTO chain_links (instance, partner, sequence, epoch, statement_sha256, previous_sha256, followed) "
        "SELECT b.instance, COALESCE(r.partner, (SELECT min(s.claimed_partner) FROM set_aside s "
        "WHERE s.intake_sha256 = b.statement_sha256)) AS sender, b.sequence, b.epoch, b.statement_sha256, "
        "b.previous_sha256, 1 FROM chain_links_before b "
        "LEFT JOIN reports r ON r.intake_sha256 = b.statement_sha256 WHERE sender IS NOT NULL"
    )
    op.drop_table("chain_links_before")
    op.create_index(
        op.f("ix_chain_links_followed"), "chain_links", ["followed"], unique=False, sqlite_where=sa.text("followed = 0")
    )
