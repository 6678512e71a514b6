"""Alembic's entry point: runs the migrations on the connection from `creation.run_migrations`."""

from gateway.databases.migrations import run_in_one_transaction
from gateway.store.schema import metadata

run_in_one_transaction(metadata)
