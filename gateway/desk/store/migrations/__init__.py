"""The desk's migrations, and the metadata of every table that they make."""

from gateway.desk.store import (
    action_tables,
    identifier_tables,
    key_tables,
    outbox_tables,
    partner_tables,
    passkey_tables,
    people_tables,
    placement_tables,
    retention_tables,
)
from gateway.desk.store.schema import METADATA

# Importing a file of tables puts them on the metadata: a file that is not named here would be forgotten.
TABLE_FILES = (
    action_tables,
    identifier_tables,
    key_tables,
    outbox_tables,
    partner_tables,
    passkey_tables,
    people_tables,
    placement_tables,
    retention_tables,
)

__all__ = ["METADATA", "TABLE_FILES"]
