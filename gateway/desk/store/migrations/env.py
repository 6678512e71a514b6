"""Alembic's entry: runs the desk's migrations on the connection that the store hands over."""

from alembic import context

from gateway.desk.store.migrations import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
