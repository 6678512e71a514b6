"""The desk's migrations, and the metadata of every table that they make."""

# Importing a file of tables puts them on the metadata: a file that is not named here would be forgotten.
from gateway.desk.store import agency_tables as agency_tables
from gateway.desk.store.schema import METADATA

__all__ = ["METADATA"]
