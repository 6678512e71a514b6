"""Alembic's entry: runs the migrations on the connection that `creation.run_migrations` hands over."""

from alembic import context

from gateway.store.engine import begin_write
from gateway.store.schema import metadata


def run() -> None:
    """Run the wanted migrations in one transaction of ours: a half-migrated file must not exist."""
    connection = context.config.attributes["connection"]
    # transactional_ddl stays off: Alembic would commit the transaction that begin_write has begun by hand.
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=False)
    begin_write(connection)
    context.run_migrations()
    connection.commit()


run()
