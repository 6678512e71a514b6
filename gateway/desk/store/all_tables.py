"""Every table of the desk, from all its files: exactly the tables that the migrations make."""

from gateway.desk.store import key_tables, outbox_tables, partner_tables, placement_tables
from gateway.desk.store.schema import METADATA

# A file of tables puts them on the metadata when it is imported; one that is not named here would be forgotten.
TABLE_FILES = (key_tables, outbox_tables, partner_tables, placement_tables)

__all__ = ["METADATA", "TABLE_FILES"]
