"""Makes a new database file, and brings an old one up to the schema of this release.

Never run by a door: `init` and `serve` run it once, before the first worker starts.
"""

import os
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from gateway.store.engine import make_sqlite_engine
from gateway.store.high_water import NOTHING_YET
from gateway.store.instance import find_instance, put_instance
from gateway.store.reports import find_newest
from gateway.store.schema import SCHEMA_REVISION
from gateway.store.store import DEFAULT_LOCK_TIMEOUT_SECONDS, Store, open_store
from gateway.store.writer_lock import WriterLock
from partner_sdk.durable_files import sync_folder


def make_store(
    path: Path,
    *,
    lock_path: Path,
    name: str,
    epoch: str,
    now: datetime,
    lock_timeout_seconds: float = DEFAULT_LOCK_TIMEOUT_SECONDS,
) -> Store:
    """Create the database file if it is missing, migrate it, give it its instance name and first epoch, and open it.

    An existing file keeps the name and epoch that it has.
    """
    _make_file(path)
    migrate_store(path, lock_path=lock_path, lock_timeout_seconds=lock_timeout_seconds)
    store = open_store(path, lock_path=lock_path, lock_timeout_seconds=lock_timeout_seconds)
    with store.write() as connection:
        if find_instance(connection) is None:
            put_instance(connection, name=name, epoch=epoch, now=now)
    sync_folder(path.parent)
    return store


def begin_epoch(store: Store, *, epoch: str, now: datetime) -> None:
    """Begin a new epoch of the chains: to be run after every restore, before the gateway serves again.

    The high-water mark goes back to the newest report that is here. The store must have been opened unchecked.
    """
    with store.write() as connection:
        found = find_instance(connection)
        if found is None:
            raise LookupError("The database has no instance yet.")
        put_instance(connection, name=found.name, epoch=epoch, now=now)
        newest = find_newest(connection)
        store.reset_mark(NOTHING_YET if newest is None else newest)


def migrate_store(path: Path, *, lock_path: Path, lock_timeout_seconds: float = DEFAULT_LOCK_TIMEOUT_SECONDS) -> None:
    """Bring an existing file to the newest schema, one process at a time."""
    engine = make_sqlite_engine(path, busy_timeout_seconds=lock_timeout_seconds)
    lock = WriterLock(lock_path, timeout_seconds=lock_timeout_seconds)
    with lock.hold(), engine.connect() as connection:
        if not _is_newest(connection):
            run_migrations(connection)
    lock.close()


def _is_newest(connection: Connection) -> bool:
    """Return whether the file has the schema of this release: then every start is spared what runs migrations."""
    known = connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").first()
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all() if known else []
    connection.rollback()
    # Alembic refuses a file that names more than one.
    return list(found) == [SCHEMA_REVISION]


def run_migrations(connection: Connection, *, revision: str = "head") -> None:
    """Run the migrations on an open connection, all in one transaction."""
    # Alembic is 60 ms of import that a door never needs.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _make_file(path: Path) -> None:
    # SQLite gives its log and index files the mode of the database file.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
