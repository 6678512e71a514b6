"""Alembic's entry point: runs the migrations on the connection from `creation.run_migrations`."""

from alembic import context

from gateway.store.schema import metadata


def run() -> None:
    """Run the migrations in one transaction, so that a half-migrated file cannot exist."""
    connection, database = context.config.attributes["connection"], context.config.attributes["database"]
    # transactional_ddl stays off, because Alembic would commit the transaction begun here.
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=False)
    database.begin_write(connection)
    context.run_migrations()
    database.commit(connection)


run()
