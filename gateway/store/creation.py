"""Creates the tables of a database, and the file if it is one, and migrates an old one to the schema of this release.

Never run by a door: `init` and `serve` run it once, before the first worker starts.
"""

import os
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError

from gateway.databases.database import Database, list_revisions, make_database
from gateway.databases.failures import find_driver_reason, make_storage_error
from gateway.store.connections import NOTHING_YET, HighWaterMark, find_instance, holds_report, put_instance
from gateway.store.reports import find_newest
from gateway.store.schema import SCHEMA_REVISION, USABLE_REVISIONS, instance, metadata
from gateway.store.store import DEFAULT_LOCK_TIMEOUT_SECONDS, Store, open_store
from gateway.store.writers import WriterLock
from gateway.web.settings import SettingsError
from partner_sdk.durable_files import sync_folder


class UnknownSchemaError(Exception):
    """The database has a schema that this release cannot migrate: too old, or newer."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"This release does not support the schema of the database ({revision}). If a newer release made it, "
            "install "
            "that release. If a version before the first release made it, run that version until the desk has "
            "collected "
            "every report, then make a new gateway in an empty folder with `init`."
        )


def make_store(
    path: Path,
    *,
    lock_path: Path,
    name: str,
    epoch: str,
    now: datetime,
    uri: str = "",
    lock_timeout_seconds: float = DEFAULT_LOCK_TIMEOUT_SECONDS,
) -> Store:
    """Migrate a database, set its instance name and first epoch, and open it; creates the file `path` without a `uri`.

    An existing database keeps its name and epoch. Nobody creates one on a server but its administrator.
    """
    if not uri:
        _make_file(path)
    migrate_store(path, lock_path=lock_path, uri=uri, lock_timeout_seconds=lock_timeout_seconds)
    store = open_store(path, lock_path=lock_path, uri=uri, lock_timeout_seconds=lock_timeout_seconds)
    with store.write() as connection:
        if find_instance(connection) is None:
            put_instance(connection, name=name, epoch=epoch, now=now)
    sync_folder(path.parent)
    return store


def begin_epoch(store: Store, *, epoch: str, now: datetime) -> None:
    """Begin a new epoch of the chains; run it after every restore, before the gateway serves again.

    Resets the high-water mark to the newest stored report. The store must have been opened unchecked.
    """
    with store.write() as connection:
        found = find_instance(connection)
        if found is None:
            raise LookupError("The database has no instance name yet.")
        put_instance(connection, name=found.name, epoch=epoch, now=now)
        newest = find_newest(connection)
        store.reset_mark(NOTHING_YET if newest is None else newest)


def migrate_store(
    path: Path, *, lock_path: Path, uri: str = "", lock_timeout_seconds: float = DEFAULT_LOCK_TIMEOUT_SECONDS
) -> None:
    """Migrate an existing database to the newest schema, one process at a time.

    Raises `UnknownSchemaError`, StorageUnavailableError, and SettingsError for a server's database of another program,
    e.g. of the desk, whose schemas have the same names.
    """
    database = make_database(path, uri=uri, lock_timeout_seconds=lock_timeout_seconds)
    lock = WriterLock(lock_path, timeout_seconds=lock_timeout_seconds)
    with lock.hold(), _connect(database) as connection:
        tables = inspect(connection).get_table_names() if uri else []
        if tables and instance.name not in tables:
            raise SettingsError(
                "The database of database_uri belongs to another program: a gateway needs an empty one of its own.",
                reason="database-taken",
            )
        if not _is_newest(connection):
            database.check_safety(connection)
            database.lift_time_limit(connection)
            run_migrations(connection, database=database)
    lock.close()


def move_store(
    path: Path, *, lock_path: Path, uri: str, lock_timeout_seconds: float = DEFAULT_LOCK_TIMEOUT_SECONDS
) -> dict[str, int]:
    """Copy the rows of the file `path` into an empty database of the server at `uri`, and return their numbers.

    The chains and the high-water mark go on there. Raises `MoveError` and StorageUnavailableError (`behind`).
    """
    from gateway.databases.migrations import move_rows

    mark = HighWaterMark(path.with_suffix(".mark"))

    def check(connection: Connection) -> None:
        newest = mark.find()
        if newest is not None and not holds_report(connection, newest):
            raise make_storage_error("behind")

    database = make_database(path, uri=uri, lock_timeout_seconds=lock_timeout_seconds)
    return move_rows(
        path,
        database,
        metadata=metadata,
        revision=SCHEMA_REVISION,
        migrate=lambda: migrate_store(path, lock_path=lock_path, uri=uri, lock_timeout_seconds=lock_timeout_seconds),
        check=check,
    )


def _connect(database: Database) -> Connection:
    try:
        return database.engine.connect()
    except DBAPIError as error:
        raise make_storage_error(find_driver_reason(error.orig) or "missing") from error


def _is_newest(connection: Connection) -> bool:
    """Return whether the database has the schema of this release or of the next one: a start skips the migrations."""
    found = list_revisions(connection)
    connection.rollback()
    # Alembic refuses a file with more than one revision.
    return len(found) == 1 and found[0] in USABLE_REVISIONS


def run_migrations(connection: Connection, *, database: Database, revision: str = "head") -> None:
    """Run the migrations on an open connection, in one transaction. Raises `UnknownSchemaError`."""
    from gateway.databases.migrations import UnknownRevisionError, migrate

    try:
        migrate(connection, database=database, folder=Path(__file__).parent / "migrations", revision=revision)
    except UnknownRevisionError as error:
        raise UnknownSchemaError(error.revision) from error


def _make_file(path: Path) -> None:
    # SQLite gives its log and index files the mode of the database file.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
