"""Migrates the tables of a database, one process at a time and in one transaction.

Imported where it is used: Alembic takes 60 to 100 ms, and nearly every start finds the current schema.
"""

from pathlib import Path

from alembic import command, context
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData

from gateway.databases.database import Database, list_revisions


class UnknownRevisionError(Exception):
    """The database has a schema that this release cannot migrate: too old, or newer."""

    def __init__(self, revision: str) -> None:
        super().__init__(f"This release does not know the schema {revision}.")
        self.revision = revision


def migrate(connection: Connection, *, database: Database, folder: Path, revision: str = "head") -> None:
    """Run the migrations in `folder` on an open connection, in one transaction. Raises `UnknownRevisionError`.

    Another process that migrates the same database waits for its turn, and then finds nothing to do.
    """
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["database"] = database
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    unknown = set(list_revisions(connection)) - known
    connection.rollback()
    if unknown:
        raise UnknownRevisionError(unknown.pop())
    command.upgrade(config, revision)


def run_in_one_transaction(metadata: MetaData) -> None:
    """Run the chosen migrations, so that a half-migrated database cannot exist; for Alembic's `env.py`."""
    connection, database = context.config.attributes["connection"], context.config.attributes["database"]
    # transactional_ddl stays off, because Alembic would commit the transaction begun here.
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=False, render_as_batch=True)
    database.begin_write(connection)
    context.run_migrations()
    database.commit(connection)
