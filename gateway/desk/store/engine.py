"""Opens the desk's database, SQLite in a file or PostgreSQL on a server, with one writer at a time.

A commit returns after the write-ahead log is on the disk; only then may the desk acknowledge the stored rows.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from sqlalchemy import Connection, inspect, select
from sqlalchemy.exc import DBAPIError

from gateway.databases.database import Database, list_revisions, make_database, translate_error
from gateway.databases.failures import (
    ADVICE_ON_FULL,
    ADVICE_ON_SERVERS,
    FailureReason,
    StorageUnavailableError,
    UnknownSchemaError,
)
from gateway.desk.store.schema import AUDIT
from partner_sdk.errors import RefusalError

# The newest file in migrations; a test compares.
HEAD_REVISION: Final = "r1"
BUSY_TIMEOUT_SECONDS: Final = 20
# To a server, which starts a process for each: a page makes a dozen transactions, and a few pages are made at once.
KEPT_CONNECTIONS: Final = 4
# Beside the database in the state folder, also if the database is on a server.
JOURNAL_FOLDER: Final = "draws"
_ADVICE: Final[dict[FailureReason, str]] = {
    "locked": "Stop the other command, or wait for its end, and run this again.",
    "full": ADVICE_ON_FULL,
    "read-only": "Let this user write to the database and its folder.",
    "missing": "Put it back where it was, or restore a backup.",
    "broken": "Keep a copy of it, and restore a backup.",
}


if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Copied = TypeVar("Copied", bound=DataclassInstance)


def copy_fields(kind: "type[Copied]", source: object, **own: object) -> "Copied":
    """Return a dataclass with the fields of the same names of a row or another value; `own` adds given values."""
    return kind(**{one.name: getattr(source, one.name) for one in fields(kind) if one.name not in own}, **own)


StoreReason = (
    Literal["disk-full", "no-store", "store-damaged", "store-exists", "store-unavailable", "store-unsafe"]
    | Literal["unknown-store"]
)


class DeskStoreError(RefusalError[StoreReason]):
    """The desk's database is missing, locked, full, or unknown to this release."""


class _Held(threading.local):
    """The connection that a thread keeps between two transactions while it holds the store."""

    is_wanted = False
    free: Connection | None = None


@dataclass(frozen=True, slots=True)
class DeskStore:
    """The desk's database. `write()` and `read()` each open one transaction.

    `journal` is the folder of the journal of draws (digests/ledger.py), which must outlive the database.
    """

    database: Database
    journal: Path
    held: _Held = field(default_factory=_Held, repr=False, compare=False)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection in one writing transaction, durable once the block ends without an error."""
        with self._connect() as connection:
            self.database.begin_write(connection)
            yield connection
            self.database.commit(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection in one reading transaction."""
        with self._connect() as connection:
            self.database.begin_read(connection)
            yield connection

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Make this thread's transactions within the block on one connection, one after the other.

        Opening a file costs 1.2 ms, a small transaction 0.04; a page makes a dozen of them, a batch thousands.
        """
        if self.held.is_wanted:
            yield
            return
        self.held.is_wanted = True
        try:
            yield
        finally:
            self.held.is_wanted = False
            self._let_go()

    def migrate(self) -> None:
        """Give the database the tables of this release. Raises `DeskStoreError`."""
        from gateway.databases.migrations import migrate

        with self._connect(is_new=True) as connection:
            self.database.lift_time_limit(connection)
            try:
                migrate(connection, database=self.database, folder=Path(__file__).parent / "migrations")
            except UnknownSchemaError as error:
                raise DeskStoreError(str(error), reason="unknown-store") from error

    def has_damage(self, *, is_deep: bool = False) -> bool:
        """Return whether a page is damaged. Takes as long as the database is large, and blocks no writer."""
        with self._connect(is_new=True) as connection:
            self.database.lift_time_limit(connection)
            self.database.begin_read(connection)
            return self.database.has_damage(connection, is_deep=is_deep)

    def reads_every_page(self) -> bool:
        """Return whether a deep check reads every page: on a server only with the extension amcheck."""
        with self.read() as connection:
            return self.database.reads_every_page(connection)

    def erase_deleted_bytes(self) -> bool:
        """Overwrite deleted bytes in the log of a file; False if a reader was in the way. A server keeps its own."""
        with self._connect(is_new=True) as connection:
            return self.database.erase_deleted_bytes(connection)

    def close(self) -> None:
        """Close the database, and the connection that this thread holds."""
        self._let_go()
        self.database.engine.dispose()

    def _let_go(self) -> None:
        if self.held.free is not None:
            self.held.free.close()
            self.held.free = None

    @contextmanager
    def _connect(self, *, is_new: bool = False) -> Iterator[Connection]:
        """Yield the held connection, or a new one within another transaction and where `is_new` asks for it."""
        engine, held = self.database.engine, self.held
        connection = None
        try:
            if not is_new:
                connection, held.free = held.free, None
            if connection is None:
                connection = engine.connect()
                self.database.check_safety(connection)
            yield connection
            connection.rollback()  # of a block that only read
            if held.is_wanted and held.free is None and not is_new:
                held.free, connection = connection, None
        except StorageUnavailableError as error:
            raise self._make_error(error.reason) from None
        except (DBAPIError, engine.dialect.loaded_dbapi.Error) as error:
            translated = translate_error(error)
            if isinstance(translated, StorageUnavailableError):
                raise self._make_error(translated.reason) from None
            raise
        finally:
            if connection is not None:
                connection.close()

    def _make_error(self, reason: FailureReason) -> DeskStoreError:
        # Our own text: a driver's could repeat an address or a value.
        advice = "" if self.database.has_one_writer else ADVICE_ON_SERVERS.get(reason, "")
        codes: dict[FailureReason, StoreReason] = {
            "broken": "store-damaged",
            "full": "disk-full",
            "unsafe": "store-unsafe",
        }
        return DeskStoreError(
            f"The desk's database cannot be used ({reason}). {advice or _ADVICE.get(reason, _ADVICE['broken'])}",
            reason=codes.get(reason, "store-unavailable"),
        )


def open_store(path: Path, *, uri: str = "", create: bool = False) -> DeskStore:
    """Open the desk's database and migrate it to this release's schema. Raises `DeskStoreError` and `SettingsError`.

    It is the server's at `uri`, or the file `path`. `create` makes a new one: a file readable by its owner only, or
    the tables in an empty database of the server; it refuses one that is in use.
    """
    if create and not uri:
        try:
            path.touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            raise DeskStoreError(f"{path} already exists.", reason="store-exists") from None
    elif not uri and not path.is_file():
        raise DeskStoreError(
            f"There is no desk database at {path}. Run `report-abuse-desk init` first.", reason="no-store"
        )
    store = _make_store(path, uri=uri)
    with store.read() as connection:
        revisions = list_revisions(connection)
        if uri:
            _check_owner(connection, is_new=create)
    if revisions != [HEAD_REVISION]:
        store.migrate()
    return store


def move_store(path: Path, *, uri: str, check: Callable[[Connection], object]) -> dict[str, int]:
    """Copy the rows of the file `path` into an empty database of the server at `uri`, and return their numbers.

    `check` looks at them before they are committed. Raises `MoveError`.
    """
    from gateway.databases.migrations import move_rows
    from gateway.desk.store.migrations import METADATA

    store = _make_store(path, uri=uri)
    return move_rows(
        path, store.database, metadata=METADATA, revision=HEAD_REVISION, migrate=store.migrate, check=check
    )


def _make_store(path: Path, *, uri: str) -> DeskStore:
    database = make_database(
        path, uri=uri, lock_timeout_seconds=BUSY_TIMEOUT_SECONDS, kept_connections=KEPT_CONNECTIONS
    )
    return DeskStore(database, journal=path.parent / JOURNAL_FOLDER)


def _check_owner(connection: Connection, *, is_new: bool) -> None:
    """Raise `DeskStoreError` unless the server's database is this desk's, or, for a new desk, has no rows of any."""
    tables = inspect(connection).get_table_names()
    is_desk = AUDIT.name in tables
    if is_new and tables and (not is_desk or connection.execute(select(AUDIT.c.id).limit(1)).first() is not None):
        raise DeskStoreError(
            "The database of database_uri is in use: a new desk needs an empty one of its own.", reason="store-exists"
        )
    if not is_new and not is_desk:
        raise DeskStoreError(
            "The database of database_uri holds no desk. Correct database_uri in desk.toml.", reason="no-store"
        )
