"""The baseline: every table of the metadata. From the first release on, a change of a table is a revision of its own,
and this one lists its tables as they were then. A store made before it is refused (`UnknownSchemaError`).
"""

from alembic import op

from gateway.store.schema import metadata

revision = "r1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; the way back is the backup."""
    metadata.create_all(op.get_bind(), checkfirst=False)
