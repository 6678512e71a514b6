"""The store: transactions on persistent connections, with writers in one queue; checks of it; weekly counts of events.

Never confirms a write before it is committed and synced; never keeps half of one. A check writes and reads back a row
the size of a report, at most once in PROBE_SECONDS however often a load balancer asks, and recovers by itself.

Counts are names of events and numbers: never by person, network or report, and never by less than a week.

Never creates or migrates a database by itself: `init` and `serve` do so once, before the first worker starts.
"""

import logging
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, inspect, or_, select, text
from sqlalchemy.exc import DBAPIError

from gateway.config import GatewayConfig, StateFolder
from gateway.databases.columns import PreparedStatement
from gateway.databases.database import Database, list_revisions, make_database, translate_error
from gateway.databases.failures import (
    FailureReason,
    StorageUnavailableError,
    find_driver_reason,
    make_storage_error,
)
from gateway.store.connections import (
    NOTHING_YET,
    Connections,
    HighWaterMark,
    KeptConnection,
    Mark,
    WriterLock,
    Writers,
    abandon,
    close_all,
    find_instance,
    find_newest,
    holds_report,
    put_instance,
)
from gateway.store.schema import SCHEMA_REVISION, USABLE_REVISIONS, counts, instance, metadata, probes
from gateway.web.logs import log_event, log_failure
from gateway.web.settings import SettingsError
from partner_sdk.durable_files import sync_folder

DEFAULT_LOCK_TIMEOUT_SECONDS = 5.0
MIGRATIONS: Final = Path(__file__).parent / "migrations"
PROBE_BYTES = 68 * 1024  # a padded public report with its statement

_OWN_PROBE = probes.c.process == bindparam("process")
# Each store rewrites its own row and deletes rows older than an hour. The number of its row is random, because process
# ids repeat on two machines.
_FORGET_PROBES = PreparedStatement(
    delete(probes).where(or_(_OWN_PROBE, probes.c.written_at < bindparam("forgotten_before")))
)
_WRITE_PROBE = PreparedStatement(insert(probes).values({c.name: bindparam(c.name) for c in probes.c}))
_READ_PROBE = PreparedStatement(select(probes.c.token).where(_OWN_PROBE))


class Store:
    """One database in one process: `write()` and `read()` give a connection inside one transaction."""

    def __init__(self, path: Path, *, database: Database, lock: WriterLock, is_checked: bool = True) -> None:
        self.path = path  # the mark and other files of this gateway's own have its name
        self._mark = HighWaterMark(path.with_suffix(".mark"))
        self._is_checked = is_checked
        self._database = database
        self._lock = lock
        self._connections = Connections(database, mark=self._mark if is_checked else None)
        self._writers = Writers(lock, database=database, connections=self._connections, mark=self._mark)
        self._probe_id = secrets.randbits(62)
        for close in (self._mark.close, lock.close):
            weakref.finalize(self, close).atexit = False

    @contextmanager
    def write(self, *, alone: bool = False) -> Iterator[Connection]:
        """Give a connection for writing; when the block ends, all of it is committed and synced, or nothing.

        Writers of this process that wait share a transaction; `alone` is for a block that would keep the others waiting
        or must not fail with them. Raises StorageUnavailableError when the storage fails or the turn does not come in
        time.
        """
        with self._writers.write(alone=alone) as group:
            yield group.connection

    @contextmanager
    def write_beside(self) -> Iterator[Connection]:
        """As `write`, but beside other writers where the database can: a child's page never waits behind reports.

        Only for statements that are right whatever others commit between them.
        """
        if self._database.has_one_writer:
            with self.write() as connection:
                yield connection
        else:
            with self._transaction(self._connections.writers, self._database.begin_write_beside) as connection:
                yield connection

    def advance_mark(self, mark: Mark) -> None:
        """Advance the high-water mark to the report of this write, once it is committed.

        Raises StorageUnavailableError (`behind`) if the mark is already past it, because reports were removed
        meanwhile.
        """
        self._writers.advance_mark(mark)

    def find_mark(self) -> Mark | None:
        """Return the high-water mark, or None if it is missing or unreadable. Raises StorageUnavailableError."""
        return self._mark.find()

    def reset_mark(self, mark: Mark) -> None:
        """Set the mark to `mark` once this write is committed, in either direction: for a restore."""
        self._writers.reset_mark(mark)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection for reading one snapshot of the database; never waits for a writer."""
        with self._transaction(self._connections.readers, self._database.begin_read, is_write=False) as connection:
            yield connection

    def look(self, query: str | PreparedStatement, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of one query, in a quarter of the time of `read`: alone it is consistent anyway."""

        def run(connection: Connection) -> list[tuple[Any, ...]]:
            if isinstance(query, PreparedStatement):
                cursor = query.run(connection, values or {})
            else:
                cursor = connection.connection.cursor()
                cursor.execute(query)
            rows = list(cursor.fetchall())
            cursor.close()
            connection.connection.rollback()
            return rows

        connection, rows = self._connections.start(self._connections.readers, run)
        self._connections.give_back(self._connections.readers, connection)
        return rows

    def check(self) -> None:
        """Write as much as a public report takes, and read it back; raises StorageUnavailableError.

        An empty transaction succeeds on a full disk, and often so does a short row, in the free space of the
        write-ahead log. A database behind its mark refuses every report, so it is unavailable (`behind`) here too.
        """
        token = os.urandom(PROBE_BYTES)
        now = int(time.time())
        values = {"process": self._probe_id, "written_at": now, "forgotten_before": now - 3600, "token": token}
        with self.write(alone=True) as connection:
            self._database.check_safety(connection)
            # No other process stores a report or writes the mark meanwhile.
            mark = self.find_mark() if self._is_checked else None
            if mark is not None and not holds_report(connection, mark):
                raise make_storage_error("behind")
            _FORGET_PROBES.run(connection, values)
            _WRITE_PROBE.run(connection, values)
        with self.read() as connection:
            row = _READ_PROBE.run(connection, values).fetchone()
        if row is None or row[0] != token:
            raise make_storage_error("broken")

    def has_damage(self) -> bool:
        """Return whether the database's own check finds a malformed page; reads all of it, and blocks no one.

        Raises StorageUnavailableError if the database cannot be opened at all.
        """
        try:
            with self.read() as connection:
                return self._database.has_damage(connection)
        except StorageUnavailableError as error:
            if error.reason != "broken":
                raise
            return True

    def has_deleted_bytes(self) -> bool:
        """Return whether `erase_deleted_bytes` has anything to do."""
        return self._database.has_deleted_bytes()

    def erase_deleted_bytes(self) -> bool:
        """Move the write-ahead log into the database and truncate it; returns False if a reader was in the way.

        Until then the log may still hold deleted bytes. Waits only briefly for a reader, because all writers wait
        meanwhile.
        """
        with self._lock.hold():
            connection, was_truncated = self._connections.start(
                self._connections.writers, self._database.erase_deleted_bytes
            )
            self._connections.give_back(self._connections.writers, connection)
        return was_truncated

    def close(self) -> None:
        """Close idle connections; the store opens again at its next use."""
        if not self._connections.is_log_gone:
            with self._lock.hold():
                close_all(self._connections.writers)
                self._mark.close()
            close_all(self._connections.readers)
        self._lock.close()

    @contextmanager
    def _transaction(
        self, idle: list[KeptConnection], begin: Callable[[Connection], None], *, is_write: bool = True
    ) -> Iterator[Connection]:
        """Run the block in one transaction; closes the connection after a failure of the driver."""
        kept, _ = self._connections.start(idle, begin)
        connection = kept[2]
        try:
            yield connection
            if is_write:
                self._database.commit(connection)
            else:
                connection.rollback()
        except self._connections.driver_errors as error:
            abandon(connection)
            raise translate_error(error) from error
        except BaseException:
            try:
                connection.rollback()
            except self._connections.driver_errors:
                abandon(connection)
            raise
        finally:
            self._connections.give_back(idle, kept)


def open_store(
    path: Path,
    *,
    lock_path: Path,
    uri: str = "",
    lock_timeout_seconds: float = DEFAULT_LOCK_TIMEOUT_SECONDS,
    is_checked: bool = True,
) -> Store:
    """Return the store over an existing database: the server at `uri`, or the file `path`; opened at the first use.

    A missing database is not an error here: the doors must run, and answer 503 or show the phone numbers. `is_checked`
    refuses a database behind its high-water mark; only starting a new epoch disables it. Raises SettingsError if the
    server's driver is not installed.
    """
    database = make_database(path, uri=uri, lock_timeout_seconds=lock_timeout_seconds)
    lock = WriterLock(lock_path, timeout_seconds=lock_timeout_seconds)
    return Store(path, database=database, lock=lock, is_checked=is_checked)


def open_own_store(state: Path, *, config: GatewayConfig, is_checked: bool = True) -> Store:
    """Return the store of the gateway in the state folder `state`; as `open_store`."""
    folder = StateFolder(state)
    return open_store(
        folder.database,
        lock_path=folder.lock,
        uri=config.database_uri,
        lock_timeout_seconds=config.lock_timeout_seconds,
        is_checked=is_checked,
    )


# Text, because Core has ON CONFLICT only by dialect. Both databases know it.
_ADD = PreparedStatement(
    text(
        "INSERT INTO counts (name, week, number) VALUES (:name, :week, 1) "
        "ON CONFLICT (name, week) DO UPDATE SET number = counts.number + 1"
    )
)
_LIST = select(counts.c.name, counts.c.week, counts.c.number).order_by(counts.c.week, counts.c.name)


def add_count(connection: Connection, *, name: str, week: str) -> None:
    """Add one to a count; the first of a week inserts its row. Right beside other writers."""
    _ADD.run(connection, {"name": name, "week": week})


def list_counts(connection: Connection) -> list[tuple[str, str, int]]:
    """Return every count, by week and name: event name, week (e.g. `2026-W48`) and number."""
    return [(row.name, row.week, row.number) for row in connection.execute(_LIST)]


PROBE_SECONDS: Final = 5.0


class Soundness:
    """The state of the storage, as one process knows it. A file shares the result of the last page check."""

    def __init__(self, store: Store, *, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._elapsed = elapsed
        self._probing = threading.Lock()
        self._probed_at: float | None = None
        self._fault: FailureReason | None = None

    @property
    def _mark_of_damage(self) -> Path:
        return self._store.path.with_suffix(".damaged")

    def find_fault(self) -> FailureReason | None:
        """Return the reason why nothing can be stored, or None if a recent test write succeeded."""
        # While one thread writes, the others return the last result, so that no queue grows behind a slow disk.
        if self._probing.acquire(blocking=self._probed_at is None):
            try:
                if self._probed_at is None or self._elapsed() - self._probed_at >= PROBE_SECONDS:
                    self._fault = self._probe()
                    self._probed_at = self._elapsed()
            finally:
                self._probing.release()
        return self._fault

    def look_for_damage(self) -> bool:
        """Check every page of the database, share the result with all processes, and return whether one is damaged.

        Raises StorageUnavailableError.
        """
        is_damaged = self._store.has_damage()
        try:
            if is_damaged:
                log_event("storage-damaged", level=logging.ERROR, reason="quick-check")
                self._mark_of_damage.touch(mode=0o600)
            else:
                self._mark_of_damage.unlink(missing_ok=True)
        except OSError as error:
            log_failure(error, event="storage-check-not-kept")
        return is_damaged

    def is_damaged(self) -> bool:
        """Return whether the last page check, by any process, found damage."""
        return self._mark_of_damage.exists()

    def _probe(self) -> FailureReason | None:
        try:
            self._store.check()
        except StorageUnavailableError as error:
            if error.reason != self._fault:
                log_failure(error, event="storage-unavailable")
            return error.reason
        if self._fault is not None:
            log_event("storage-available")
        return None


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
            from gateway.databases.migrations import migrate

            migrate(connection, database=database, folder=MIGRATIONS)
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


def _make_file(path: Path) -> None:
    # SQLite gives its log and index files the mode of the database file.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
