"""What partners registered of themselves, and changes of their keys."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and the columns; partners from before are services, and no key of theirs was revoked."""
    op.add_column("partners", sa.Column("revoked_at", sa.Text(), nullable=True))
    op.add_column("partners", sa.Column("type", sa.Text(), nullable=False, server_default=sa.text("'service'")))
    op.add_column("partners", sa.Column("country", sa.Text(), nullable=True))
    op.add_column(
        "former_partner_keys", sa.Column("revoked", sa.Boolean(), nullable=False, server_default=sa.text("0"))
    )
    op.add_column("invitations", sa.Column("type", sa.Text(), nullable=True))
    op.add_column("invitations", sa.Column("country", sa.Text(), nullable=True))
    op.add_column("mailbox_messages", sa.Column("replaces", sa.Text(), nullable=True))
    op.create_table(
        "account_changes",
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("change_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("statement", sa.LargeBinary(), nullable=True),
        sa.Column("old_key_id", sa.Text(), nullable=True),
        sa.Column("new_key_id", sa.Text(), nullable=True),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("partner", "change_id", name=op.f("pk_account_changes")),
    )
    op.create_index(op.f("ix_account_changes_state_received_at"), "account_changes", ["state", "received_at"])


def downgrade() -> None:
    """Refuse: the desk's records are never taken apart."""
    raise NotImplementedError("The desk's records are never taken apart: restore a backup instead.")
