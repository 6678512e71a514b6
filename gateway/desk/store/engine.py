"""Opens the desk's database: SQLite in WAL with synchronous=FULL, one writer at a time.

A commit returns after the write-ahead log is on the disk; only then may the desk acknowledge the stored rows.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import NullPool

from partner_sdk.errors import ReportAbuseError

# The newest migration; a test compares it with Alembic's head in migrations/versions.
HEAD_REVISION: Final = "r1"
BUSY_TIMEOUT_SECONDS: Final = 20

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # acknowledging is allowed only after our own fsync (docs/decisions/0003)
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",  # nothing readable reaches a disk on the way
)


if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Copied = TypeVar("Copied", bound=DataclassInstance)


def copy_fields(kind: "type[Copied]", source: object, **own: object) -> "Copied":
    """Return a dataclass with the fields of the same names of a row or another value; `own` adds given values."""
    return kind(**{one.name: getattr(source, one.name) for one in fields(kind) if one.name not in own}, **own)


class DeskStoreError(ReportAbuseError):
    """The desk's database is missing, locked, full, or unknown to this release."""


@dataclass(frozen=True, slots=True)
class DeskStore:
    """The desk's database. `write()` and `read()` each open one transaction."""

    engine: Engine

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection in one writing transaction, durable once the block ends without an error."""
        with _named_errors(), self.engine.connect() as connection:
            connection = connection.execution_options(desk_begin="BEGIN IMMEDIATE")
            with connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection in one reading transaction."""
        with _named_errors(), self.engine.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Close the database."""
        self.engine.dispose()


def open_store(path: Path, *, create: bool = False) -> DeskStore:
    """Open the desk's database and migrate it to this release's schema. Raises `DeskStoreError`.

    `create` makes a new one, readable by its owner only, and refuses an existing file.
    """
    if create:
        try:
            path.touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            raise DeskStoreError(f"{path} already exists.", reason="store-exists") from None
    elif not path.is_file():
        raise DeskStoreError(
            f"There is no desk database at {path}. Run `report-abuse-desk init` first.", reason="no-store"
        )
    store = DeskStore(_make_engine(path))
    with store.read() as connection:
        revision = _find_revision(connection)
    if revision != HEAD_REVISION:
        _migrate(store, revision=revision)
    return store


def _make_engine(path: Path) -> Engine:
    # NullPool: a command opens the file, works and leaves; nothing is shared between threads of the web page.
    engine = create_engine(
        f"sqlite:///{path}", poolclass=NullPool, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(raw_connection: Any, _record: object) -> None:
    raw_connection.isolation_level = None  # we send BEGIN ourselves: sqlite3 would begin too late for a write lock
    for pragma in _PRAGMAS:
        raw_connection.execute(pragma)


def _on_begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("desk_begin", "BEGIN"))


def _find_revision(connection: Connection) -> str | None:
    known = connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").first()
    if known is None:
        return None
    row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
    return None if row is None else str(row[0])


def _migrate(store: DeskStore, *, revision: str | None) -> None:
    # Alembic costs 100 ms to import, and nearly every start finds the current schema.
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with store.write() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise DeskStoreError(
                (
                    f"This release does not know the schema of the desk's database ({revision}). If a newer "
                    "release made it, install that release. If it is older than the first release, keep its "
                    "folder with the version that made it, and make a new desk in an empty folder with "
                    "`init`."
                ),
                reason="unknown-store",
            ) from error


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        # Only the driver's own short text: a statement's parameters may contain text of a report.
        raise DeskStoreError(
            (
                f"The desk's database is busy or the disk is full ({error.orig}). Free disk space or stop "
                "the other command, then run this again. Nothing was changed."
            ),
            reason="store-unavailable",
        ) from None
    except DatabaseError as error:
        if type(error) is not DatabaseError:
            raise
        raise DeskStoreError(f"The desk's database is damaged ({error.orig}).", reason="store-damaged") from None
