"""The register of placements, and the results of checks of their buttons."""

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; the way back is the backup."""
