"""Alembic's entry point: runs the desk's migrations on the connection that the store gives it."""

from gateway.databases.migrations import run_in_one_transaction
from gateway.desk.store.migrations import METADATA

run_in_one_transaction(METADATA)
