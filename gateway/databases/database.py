"""The two databases of gateway and desk: SQLite in one file of one machine, or PostgreSQL on a server that many share.

Never creates a database: a missing one is a failure to report, not a reason to start an empty store. Never writes to a
server that could lose a committed report, nor to a replica, and never waits for a server without a limit.

Writers take turns on both: SQLite has one writer by itself. At PostgreSQL each write holds one advisory lock until it
ends, so two gateways on one database take turns too, and every rule that holds for the single writer of a file holds
there (docs/decisions/0036).
"""

import os
import re
import sqlite3
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from sqlalchemy import Connection, Engine, Select, create_engine, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from gateway.databases.failures import find_driver_reason, get_system_reason, is_damage, make_storage_error
from gateway.web.settings import SettingsError

# One row for each setting, with its reason. https://www.sqlite.org/pragma.html
SQLITE_PRAGMAS: Final = (
    ("journal_mode", "WAL", "readers never wait for the writer"),
    ("synchronous", "FULL", "a commit returns after the write-ahead log is on the disk: a receipt is a promise"),
    ("secure_delete", "ON", "deleted data is overwritten, not only unlinked"),
    ("temp_store", "MEMORY", "no row is ever written to a temporary file"),
    ("foreign_keys", "ON", "SQLite leaves them off by default"),
    ("trusted_schema", "OFF", "a file altered by hand must not run functions"),
)
TRUNCATE_WAIT_MILLISECONDS: Final = 200

Identity = tuple[int, int]


class SqliteFile:
    """A database in one file, for the processes of one machine."""

    has_one_writer = True

    def __init__(self, path: Path, *, lock_timeout_seconds: float) -> None:
        self.path = path
        self.engine = _make_sqlite_engine(path, busy_timeout_seconds=lock_timeout_seconds)
        self._log_path = f"{path}-wal"

    def identify(self) -> Identity:
        """Identify the file: an open connection to a removed or replaced one would "commit" into nothing."""
        try:
            found = os.stat(self.path)  # noqa: PTH116 - runs for every commit, and is several times as fast as Path
        except OSError as error:
            raise make_storage_error(get_system_reason(error)) from error
        return (found.st_dev, found.st_ino)

    def find_own_log(self) -> Identity | None:
        """Identify the write-ahead log."""
        try:
            found = os.stat(self._log_path)  # noqa: PTH116 - as above
        except OSError:
            return None
        return (found.st_dev, found.st_ino)

    def has_deleted_bytes(self) -> bool:
        """Return whether the write-ahead log has any content."""
        try:
            return os.stat(self._log_path).st_size > 0  # noqa: PTH116 - as above
        except FileNotFoundError:
            return False

    def erase_deleted_bytes(self, connection: Connection) -> bool:
        """Move the log into the database and truncate it; waits only briefly for a reader."""
        patience = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {min(patience, TRUNCATE_WAIT_MILLISECONDS)}")
        busy, _pages, _moved = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {patience}")
        connection.rollback()
        return not busy

    def save_removed_log(self, connection: Connection) -> None:
        """Move the log into the database, without waiting."""
        connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def check_safety(self, connection: Connection) -> None:
        """Accept: the connection made its own settings."""

    def begin_write(self, connection: Connection) -> None:
        """Begin a transaction that already has the write lock."""
        connection.begin()
        # Through the driver: Core's own execution would cost more than the statement.
        connection.connection.cursor().execute("BEGIN IMMEDIATE")

    begin_write_beside = begin_write

    def check_unbroken(self, connection: Connection) -> None:
        """Raise RuntimeError if SQLite has rolled the transaction back by itself, e.g. on a full disk."""
        driver: Any = connection.connection.dbapi_connection
        if not driver.in_transaction:
            raise RuntimeError("The transaction ended in a block that did not pass on the error.")

    def begin_read(self, connection: Connection) -> None:
        """Begin a transaction; its first read fixes its snapshot."""
        connection.begin()
        connection.connection.cursor().execute("BEGIN")

    def commit(self, connection: Connection) -> None:
        """Commit."""
        connection.commit()

    def lift_time_limit(self, connection: Connection) -> None:
        """Do nothing: a file answers or fails."""

    def has_damage(self, connection: Connection, *, is_deep: bool = False) -> bool:
        """Read every page, without blocking a writer."""
        try:
            return bool(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one() != "ok")
        except DBAPIError as error:
            if not is_damage(error):  # a page of the schema itself
                raise
            return True

    def reads_every_page(self, connection: Connection) -> bool:
        """Return True: every check does."""
        return True


def _make_sqlite_engine(path: Path, *, busy_timeout_seconds: float) -> Engine:
    address = f"file:{quote(str(path.absolute()))}?mode=rw"

    def open_connection() -> sqlite3.Connection:
        # isolation_level=None: the driver begins no transactions itself; begin_write and begin_read do.
        connection = sqlite3.connect(
            address, uri=True, isolation_level=None, check_same_thread=False, timeout=busy_timeout_seconds
        )
        try:
            for name, value, _reason in SQLITE_PRAGMAS:
                connection.execute(f"PRAGMA {name} = {value}")
        except BaseException:
            connection.close()
            raise
        return connection

    # The store keeps its connections open itself; a pool would add its bookkeeping to every commit. hide_parameters: an
    # error message must not repeat bound values.
    return create_engine("sqlite://", creator=open_connection, poolclass=NullPool, hide_parameters=True)


# Settings that a server must have, with the accepted values. https://www.postgresql.org/docs/15/runtime-config-wal.html
POSTGRESQL_NEEDS: Final = (
    ("fsync", ("on",), "a commit returns after the write-ahead log is on the disk: a receipt is a promise"),
    ("synchronous_commit", ("on", "remote_apply"), "as fsync; with synchronous standbys it includes their disks"),
    ("full_page_writes", ("on",), "a power failure in the middle of a page must not lose the rows beside it"),
    ("server_encoding", ("UTF8",), "text is compared and returned as it was stored"),
)
# Settings of our own sessions. https://www.postgresql.org/docs/15/runtime-config-client.html
POSTGRESQL_SESSION: Final = (
    ("idle_in_transaction_session_timeout", "10s", "a gateway that has vanished gives up its turn to write"),
    ("tcp_keepalives_idle", "10", "as above, for one whose network is gone"),
    ("tcp_keepalives_interval", "5", "as above"),
    ("tcp_keepalives_count", "3", "as above"),
)
# An UNLOGGED table is empty after a crash, and on every standby.
_HAS_UNLOGGED: Final = "EXISTS (SELECT FROM pg_class WHERE relpersistence = 'u' AND pg_table_is_visible(oid))"
# https://www.postgresql.org/docs/15/amcheck.html
_HAS_AMCHECK: Final = (
    "SELECT count(*) = 2 FROM pg_proc JOIN pg_extension ON extname = 'amcheck' AND extnamespace = pronamespace "
    "WHERE has_function_privilege(pg_proc.oid, 'EXECUTE') AND (proname = 'verify_heapam' "
    "OR proname = 'bt_index_check' AND pronargs = 1)"
)
_AMCHECK: Final = (
    (
        "SELECT EXISTS (SELECT FROM pg_class, LATERAL verify_heapam(pg_class.oid, on_error_stop => true, "
        "check_toast => true) WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace)"
    ),
    (
        "SELECT count(bt_index_check(indexrelid)) < 0 FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
        "WHERE relnamespace = current_schema()::regnamespace AND indisvalid "
        "AND relam = (SELECT oid FROM pg_am WHERE amname = 'btree')"
    ),
)
# A server waits for a lock itself; anything else that takes longer than this, beyond that wait, has gone wrong.
ANSWER_SECONDS: Final = 5.0
OLDEST_POSTGRESQL: Final = 150_000
# Any number will do; it must only be the same in every gateway, and differ from that of other programs.
WRITERS_TURN: Final = 0x7265_706F_7274
_IN_TRANSACTION, _IN_ERROR = 2, 3  # libpq: PQTRANS_INTRANS, PQTRANS_INERROR


class PostgresqlServer:
    """A database on a server, which any number of gateways may share."""

    has_one_writer = False

    def __init__(self, uri: str, *, lock_timeout_seconds: float, kept_connections: int = 0) -> None:
        self.engine = _make_postgresql_engine(
            uri, lock_timeout_seconds=lock_timeout_seconds, kept_connections=kept_connections
        )
        # Not at exit: the system closes them then.
        weakref.finalize(self, self.engine.dispose).atexit = False

    def identify(self) -> Identity:
        """Return a constant: a server that was replaced ends its connections."""
        return (0, 0)

    def find_own_log(self) -> Identity | None:
        """Return None: the log is the server's."""
        return None

    def has_deleted_bytes(self) -> bool:
        """Return False: pages and log are the server's."""
        return False

    def erase_deleted_bytes(self, connection: Connection) -> bool:
        """Do nothing: the server uses their space again by itself."""
        del connection
        return True

    def save_removed_log(self, connection: Connection) -> None:
        """Do nothing: the log is the server's."""

    def check_safety(self, connection: Connection) -> None:
        """Refuse a replica (`read-only`), and an old server or one whose settings could lose a report (`unsafe`)."""
        names = [name for name, _accepted, _reason in POSTGRESQL_NEEDS]
        columns = ", ".join(f"current_setting('{name}')" for name in names)
        version_and_tables = f"current_setting('server_version_num')::int, {_HAS_UNLOGGED}"
        query = f"SELECT pg_is_in_recovery(), {version_and_tables}, {columns}"
        in_recovery, version, has_unlogged, *found = _fetch(connection, query)
        if in_recovery:
            raise make_storage_error("read-only")
        is_safe = all(value in accepted for value, (_, accepted, _) in zip(found, POSTGRESQL_NEEDS, strict=True))
        if version < OLDEST_POSTGRESQL or has_unlogged or not is_safe:
            raise make_storage_error("unsafe")
        # Held for this session: a reload of the server's settings must not weaken it from now on.
        connection.connection.cursor().execute(f"SET synchronous_commit = {found[names.index('synchronous_commit')]}")

    def begin_write(self, connection: Connection) -> None:
        """Begin a transaction in this writer's turn, in one round trip.

        READ COMMITTED: each statement after the lock sees all that earlier writers committed. A commit is visible, and
        with synchronous standbys replicated, before its lock is released. The message in the log makes every commit
        wait for the standbys, even that of a repeated report, which writes nothing: its first commit may not have.
        """
        connection.begin()
        connection.connection.cursor().execute(
            f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock({WRITERS_TURN}); "
            "SELECT pg_logical_emit_message(true, 'report-abuse', '')"
        )

    def begin_write_beside(self, connection: Connection) -> None:
        """Begin a transaction without a turn, durable at its server: nothing in it has a receipt."""
        connection.begin()
        connection.connection.cursor().execute(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = local"
        )

    def check_unbroken(self, connection: Connection) -> None:
        """Raise RuntimeError if a statement failed, or the transaction has ended."""
        driver: Any = connection.connection.dbapi_connection
        if driver.pgconn.transaction_status != _IN_TRANSACTION:
            raise RuntimeError("The transaction failed in a block that did not pass on the error.")

    def begin_read(self, connection: Connection) -> None:
        """Begin a transaction; its first read fixes its snapshot."""
        connection.begin()
        connection.connection.cursor().execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def commit(self, connection: Connection) -> None:
        """Commit; raises RuntimeError where PostgreSQL would answer COMMIT with a silent rollback.

        Raises StorageUnavailableError (`missing`) where it commits with a warning: a wait for a standby was cancelled.
        https://www.postgresql.org/docs/15/warm-standby.html#SYNCHRONOUS-REPLICATION-HA
        """
        driver: Any = connection.connection.dbapi_connection
        if driver.pgconn.transaction_status == _IN_ERROR:
            raise RuntimeError("A statement of this transaction failed, and its error was not passed on.")
        driver.notices.clear()
        connection.commit()
        if "WARNING" in driver.notices:
            raise make_storage_error("missing")

    def lift_time_limit(self, connection: Connection) -> None:
        """Let the connection wait for each answer until it comes; it is not kept."""
        connection.detach()
        driver: Any = connection.connection.dbapi_connection
        driver.answer_seconds = None

    def has_damage(self, connection: Connection, *, is_deep: bool = False) -> bool:
        """Return whether the server has met a page with a wrong checksum in this database or its shared tables.

        A deep check reads every table and index too, with the extension amcheck where it is there.
        """
        if is_deep and self.reads_every_page(connection):
            try:
                if any(_fetch(connection, query)[0] for query in _AMCHECK):
                    return True
            except Exception as error:
                if find_driver_reason(error) != "broken":  # the check of an index fails at what it finds
                    raise
                return True
        query = (
            "SELECT coalesce(sum(checksum_failures), 0) FROM pg_stat_database "
            "WHERE datname = current_database() OR datname IS NULL"
        )
        return bool(_fetch(connection, query)[0])

    def reads_every_page(self, connection: Connection) -> bool:
        """Return whether amcheck is installed and this user may run it."""
        return bool(_fetch(connection, _HAS_AMCHECK)[0])


def _make_postgresql_engine(uri: str, *, lock_timeout_seconds: float, kept_connections: int) -> Engine:
    milliseconds = max(1, round(lock_timeout_seconds * 1000))
    session = (("lock_timeout", str(milliseconds)), *((name, value) for name, value, _reason in POSTGRESQL_SESSION))
    settings = {
        "application_name": "report-abuse-gateway",
        "client_encoding": "UTF8",
        "connect_timeout": str(max(2, round(lock_timeout_seconds))),
        "options": " ".join(f"-c {name}={value}" for name, value in session),
        "tcp_user_timeout": str(milliseconds),
    }

    if "," in unquote(uri):  # several hosts, before the path or in an option
        settings["target_session_attrs"] = "primary"

    def open_connection() -> Any:
        # autocommit: the driver begins no transactions itself; begin_write and begin_read do.
        connection = connection_class.connect(uri, autocommit=True, **settings)
        connection.answer_seconds = lock_timeout_seconds + ANSWER_SECONDS
        return connection

    # One that ended with its server is replaced before it is used.
    pool: dict[str, Any] = {"poolclass": NullPool}
    if kept_connections:
        pool = {"pool_size": kept_connections, "max_overflow": -1, "pool_use_lifo": True, "pool_pre_ping": True}
    try:
        connection_class = _make_connection_class()
        engine = create_engine("postgresql+psycopg://", creator=open_connection, hide_parameters=True, **pool)
    except ImportError:
        raise SettingsError(
            "database_uri needs the PostgreSQL driver: install report-abuse-gateway[postgresql].", reason="no-driver"
        ) from None
    return engine


def _make_connection_class() -> Any:
    """Return the driver's connection with a limit to each wait for an answer. Raises ImportError."""
    import psycopg

    class LimitedConnection(psycopg.Connection[Any]):
        """Closes itself when an answer is overdue; `notices` has the severity of each notice that came."""

        answer_seconds: float | None = None

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.notices = notices = set[str | None]()
            # Not a method of this object, which would then live until the next search for cycles.
            self.add_notice_handler(lambda notice: notices.add(notice.severity_nonlocalized))

        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            """Wait for the answer to one request: the driver waits here alone."""
            try:
                return super().wait(gen, interval, self.answer_seconds if timeout is None else timeout)
            except psycopg.OperationalError as error:
                if error.sqlstate is not None or self.closed:
                    raise
                # The answer may still come, so nothing else can be asked here.
                self.close()
                raise psycopg.errors.ConnectionTimeout("The server did not answer in time.") from None

    return LimitedConnection


def _fetch(connection: Connection, query: str) -> tuple[Any, ...]:
    cursor = connection.connection.cursor()
    try:
        cursor.execute(query)
        row: Any = cursor.fetchone()
    finally:
        cursor.close()
    return tuple(row)


Database = PostgresqlServer | SqliteFile


def make_database(path: Path, *, uri: str, lock_timeout_seconds: float, kept_connections: int = 0) -> Database:
    """Return the database of a state folder: the server at `uri`, or the file `path` if it is empty.

    Opens nothing yet. `kept_connections` to a server stay open after their use; none to a file, which may be replaced.
    Raises SettingsError if the server's driver is not installed.
    """
    if uri:
        return PostgresqlServer(uri, lock_timeout_seconds=lock_timeout_seconds, kept_connections=kept_connections)
    return SqliteFile(path, lock_timeout_seconds=lock_timeout_seconds)


def surviving_damage(connection: Connection) -> AbstractContextManager[Any]:
    """Let the transaction go on after a read in the block failed: PostgreSQL would refuse every later statement."""
    return connection.begin_nested() if connection.dialect.name == "postgresql" else nullcontext()


def stream_rows(
    connection: Connection, query: Select[Any], asked: Mapping[str, Any], *, batch: int
) -> Iterator[Sequence[tuple[Any, ...]]]:
    """Yield the rows of a query in batches, in the driver's own types and without holding them all.

    For millions of rows: those of SQLAlchemy cost twice as much. `batch` is the number of rows in each round trip.
    """
    result = connection.execute(query, asked, execution_options={"stream_results": True})
    cursor: Any = result.cursor
    first = result.fetchone()
    if first is not None:
        # SQLAlchemy has read this row ahead where it streams; the cursor goes on after it.
        yield [tuple(first)]
        while rows := cursor.fetchmany(batch):
            yield rows
    result.close()


def list_revisions(connection: Connection) -> list[str]:
    """Return the revisions that the database states; none if it has no tables yet."""
    known = inspect(connection).has_table("alembic_version")
    return list(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars()) if known else []


def translate_error(error: Exception) -> Exception:
    """Return the storage's own error for one of the driver, or the same error if a statement was wrong.

    Its text is then shortened to its first line: PostgreSQL's DETAIL repeats the values of the row.
    """
    driver_error = error.orig if isinstance(error, DBAPIError) else None
    reason = find_driver_reason(driver_error or error)
    if reason is not None:
        return make_storage_error(reason)
    for one in (error, driver_error):
        if one is not None and one.args and isinstance(one.args[0], str):
            one.args = (one.args[0].split("\n", 1)[0], *one.args[1:])
    return error


# A host of database_uri on this machine, with or without a port.
_LOOPBACK: Final = re.compile(r"(localhost|127(\.\d+){3}|\[::1\]|::1)(:\d+)?")
# The options of database_uri (https://www.postgresql.org/docs/15/libpq-connect.html): a closed list, because
# others would undo a check here, e.g. `ssl=true` undoes `sslmode=verify-full`, and `service` names another server.
DATABASE_OPTIONS: Final = frozenset(
    {
        *("host", "hostaddr", "port", "passfile"),
        *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir", "channel_binding"),
    }
)
SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_PASSWORDS: Final = frozenset({"password", "sslpassword"})


def check_database_uri(uri: str) -> None:
    """Raise `SettingsError` for an address with a password, or one over a network without proof of the server.

    The driver takes a password from its own file (https://www.postgresql.org/docs/15/libpq-pgpass.html). It reads an
    address by rules of its own, so forms that it and Python could read differently are refused (e.g. two `@`).
    """
    if not uri:
        return
    if not uri.startswith("postgresql://"):
        raise SettingsError("database_uri must begin with postgresql://, or be empty.", reason="bad-database")
    try:
        parts = urlsplit(uri)
    except ValueError:
        parts = None
    if parts is None or "#" in uri or " " in uri or not uri.isprintable() or parts.netloc.count("@") > 1:
        raise SettingsError(
            "database_uri must look like postgresql://gateway@db.example/reports?sslmode=verify-full.",
            reason="bad-database",
        )
    # Not parts.hostname: libpq takes several hosts, e.g. `postgresql://gateway@db-1,db-2:5433/reports`.
    user, _, hosts = parts.netloc.rpartition("@")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(pairs)
    if ":" in user or _PASSWORDS & options.keys():
        raise SettingsError("database_uri must hold no password: put it into a .pgpass file.", reason="bad-database")
    if len(pairs) != len(options) or not options.keys() <= DATABASE_OPTIONS:
        raise SettingsError(
            f"database_uri takes these options, each at most once: {', '.join(sorted(DATABASE_OPTIONS))}.",
            reason="bad-database",
        )
    if options.get("sslmode", SSL_MODES[0]) not in SSL_MODES:
        raise SettingsError(f"sslmode in database_uri must be one of {', '.join(SSL_MODES)}.", reason="bad-database")
    named = [*hosts.split(","), *options.get("host", "").split(","), *options.get("hostaddr", "").split(",")]
    is_local = all(not host or host.startswith("/") or _LOOPBACK.fullmatch(host) for host in named)
    if not is_local and options.get("sslmode") != "verify-full":
        raise SettingsError(
            "database_uri leads to another machine: it needs sslmode=verify-full.", reason="bad-database"
        )
