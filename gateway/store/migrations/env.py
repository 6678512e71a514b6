"""Alembic's entry point: runs the migrations on the connection from `creation.run_migrations`."""

from alembic import context

from gateway.store.engine import begin_write
from gateway.store.schema import metadata


def run() -> None:
    """Run the migrations in one transaction, so that a half-migrated file cannot exist."""
    connection = context.config.attributes["connection"]
    # transactional_ddl stays off, because Alembic would commit the transaction that begin_write began.
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=False)
    begin_write(connection)
    context.run_migrations()
    connection.commit()


run()
