"""Every table of the desk, from all its files: exactly the tables that the migrations make."""

from gateway.desk.store import key_tables, outbox_tables, partner_tables, placement_tables
from gateway.desk.store.schema import METADATA

# Importing a table file registers its tables; a file missing here would be forgotten.
TABLE_FILES = (key_tables, outbox_tables, partner_tables, placement_tables)

__all__ = ["METADATA", "TABLE_FILES"]
