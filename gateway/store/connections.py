"""The connections of one process to its database, and the mark that tells the database from an older copy of itself.

Connections stay open between transactions and are checked when opened: never one to a database file that was replaced,
whose write-ahead log was removed, or that is behind its high-water mark.

The mark is one line in a file beside the database: the newest committed report. A database behind its mark (e.g. a
deleted write-ahead log, an old copy restored) has lost reports whose senders hold receipts, and would issue their
numbers again, so the store refuses it (docs/decisions/0023). The epoch is a row, and changes after every restore.

Writers are serialised over all threads and processes, first come, first served, with a bounded wait. With SQLite's own
busy handler a latecomer is as likely to win as the first in line (99th percentile 55-540 ms under 8 writers); in this
queue it takes 4-20 ms. The lock only orders writers: the database's own lock (BEGIN IMMEDIATE, or PostgreSQL's advisory
lock) still guards the data if the lock file is removed. A dead process never holds it, because flock ends with the
process (docs/decisions/0008).

Group commit: the waiting writers of one process share a transaction, and with it one wait for the disk.

A writer that finds the turn free begins a transaction. When its block ends and another thread of this process waits for
the turn, it hands over turn and transaction, and waits; the last one commits for all of them. So a writer alone waits
for no other, and no timer is needed.

Never lets a writer return before that commit is durable. A writer whose block fails loses its own savepoint only. A
commit that fails, or a transaction that takes no more writes, fails all of them, and each may retry
(docs/decisions/0008).
"""

import contextlib
import fcntl
import logging
import os
import threading
import time
import weakref
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from sqlalchemy import Connection, bindparam, delete, insert, select, text
from sqlalchemy.exc import DBAPIError

from gateway.databases.columns import PreparedStatement
from gateway.databases.database import Database, Identity, translate_error
from gateway.databases.failures import (
    StorageUnavailableError,
    find_driver_reason,
    get_system_reason,
    is_overdue,
    make_storage_error,
)
from gateway.store.schema import USABLE_REVISIONS, instance, reports, to_epoch_seconds
from gateway.web.logs import METER, log_event, log_failure

_LINE: Final = "{:020d} {} {:08x}\n"
_LINE_BYTES: Final = len(_LINE.format(0, "0" * 64, 0))


class Mark(NamedTuple):
    """The newest committed report: its position, and the digest of its statement."""

    position: int
    intake_sha256: bytes


NOTHING_YET: Final = Mark(0, bytes(32))
_AT_MARK = PreparedStatement(select(reports.c.intake_sha256).where(reports.c.position == bindparam("position")))


def holds_report(connection: Connection, mark: Mark) -> bool:
    """Return whether the database holds the report of the mark; its row is never deleted."""
    if mark.position == 0:
        return True
    try:
        row = _AT_MARK.run(connection, {"position": mark.position}).fetchone()
    except connection.dialect.loaded_dbapi.Error as error:
        # A damaged page must not block the other reports.
        if find_driver_reason(error) == "broken":
            return True
        raise
    return row is not None and row[0] == mark.intake_sha256


def find_newest(connection: Connection) -> Mark | None:
    """Return the newest report."""
    row = connection.execute(
        select(reports.c.position, reports.c.intake_sha256).order_by(reports.c.position.desc()).limit(1)
    ).first()
    return None if row is None else Mark(row.position, row.intake_sha256)


class HighWaterMark:
    """The mark of one database. Only the holder of the writer lock may write it."""

    __slots__ = ("_file", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        # Kept open: opening it twice for each report would cost more than everything else here.
        self._file: int | None = None

    def find(self) -> Mark | None:
        """Return the mark, or None if it is missing or unreadable. Raises StorageUnavailableError."""
        try:
            file = self._file if self._file is not None else self._open()
            return _parse(os.pread(file, _LINE_BYTES, 0))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise make_storage_error(get_system_reason(error)) from error

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def put(self, mark: Mark) -> None:
        """Overwrite the mark. Raises `OSError`.

        One write within one sector, of constant length, without a sync: after a kill the system has the whole write or
        nothing. After a power failure the mark may be older, never ahead of the database, whose commit was synced
        earlier. An older mark detects less, and refuses no intact database. A sync would be a second wait for the disk
        at each report.
        """
        file = self._file if self._file is not None else self._open(flags=os.O_CREAT)
        if not self._is_in_place(file):
            # A mark in a removed or replaced file would be lost. Keep the number of the open file, because another
            # thread may be reading from it.
            other = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT, 0o600)
            os.dup2(other, file, inheritable=False)
            os.close(other)
        os.pwrite(file, _format(mark), 0)

    def _is_in_place(self, file: int) -> bool:
        own = os.fstat(file)
        try:
            found = os.stat(self._path)  # noqa: PTH116 - runs for every report, and is several times as fast as Path
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)

    def _open(self, *, flags: int = 0) -> int:
        file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
        if self._file is not None:
            os.close(file)  # another thread was faster
            return self._file
        self._file = file
        return file


def _format(mark: Mark) -> bytes:
    checksum = zlib.crc32(mark.intake_sha256, mark.position & 0xFFFFFFFF)
    return _LINE.format(mark.position, mark.intake_sha256.hex(), checksum).encode()


def _parse(raw: bytes) -> Mark | None:
    try:
        position, digest, _ = raw.decode("ascii").split()
        mark = Mark(int(position), bytes.fromhex(digest))
    except ValueError:
        return None
    return mark if _format(mark) == raw else None


@dataclass(frozen=True, slots=True)
class Instance:
    """The name of this gateway and the epoch of its chains, as in intake statements."""

    name: str
    epoch: str


_FIND = select(instance.c.name, instance.c.epoch)


def find_instance(connection: Connection) -> Instance | None:
    """Return the instance, or None if the database has none."""
    row = connection.execute(_FIND).first()
    return None if row is None else Instance(name=row.name, epoch=row.epoch)


def put_instance(connection: Connection, *, name: str, epoch: str, now: datetime) -> None:
    """Write the single row."""
    connection.execute(delete(instance))
    connection.execute(
        insert(instance), {"position": 1, "name": name, "epoch": epoch, "began_at": to_epoch_seconds(now)}
    )


_READ_REVISION = select(text("version_num")).select_from(text("alembic_version"))

# A connection with the database file and the write-ahead log that it has open; None without a log.
KeptConnection = tuple[Identity, Identity | None, Connection]
Result = TypeVar("Result")


class Connections:
    """Idle connections of writers and of readers. Without a `mark`, none is compared with it."""

    def __init__(self, database: Database, *, mark: HighWaterMark | None) -> None:
        self._database = database
        self._mark = mark
        self._process_id = os.getpid()
        self._left_open: list[Connection] = []
        self.is_log_gone = False
        # Core wraps the driver's errors; statements run by the driver itself (`look`, `prepared`) raise them unwrapped.
        self.driver_errors = (DBAPIError, database.engine.dialect.loaded_dbapi.Error)
        # append and pop are atomic, so reading needs no lock.
        self.writers: list[KeptConnection] = []
        self.readers: list[KeptConnection] = []
        # An unclosed store leaves no open file behind (Python 3.13 warns of each). Not at exit: the system closes them
        # then, and a forked child must not touch its parent's.
        weakref.finalize(self, close_all, self.writers, self.readers).atexit = False

    def start(
        self, idle: list[KeptConnection], action: Callable[[Connection], Result]
    ) -> tuple[KeptConnection, Result]:
        """Take a connection and run `action` on it, which begins a transaction or is one by itself.

        A kept connection may have ended with its server: then nothing was done yet, so another one is tried, and at
        last a new one, unless the server is silent. Closes a connection that failed. Raises StorageUnavailableError.
        """
        if os.getpid() != self._process_id:
            # https://www.sqlite.org/howtocorrupt.html §2.6: a connection must not be carried across a fork.
            raise RuntimeError("A store must be opened in the process that uses it.")
        while True:
            kept, is_new = self._take(idle)
            try:
                return kept, action(kept[2])
            except self.driver_errors as error:
                abandon(kept[2])
                failure = translate_error(error)
                if is_new or is_overdue(error) or getattr(failure, "reason", "") != "missing":
                    raise failure from error
            except BaseException:
                abandon(kept[2])
                raise

    def give_back(self, idle: list[KeptConnection], kept: KeptConnection) -> None:
        """Keep the connection for the next transaction, unless it was closed."""
        if not kept[2].closed:
            idle.append(kept)

    def _take(self, idle: list[KeptConnection]) -> tuple[KeptConnection, bool]:
        """Return a connection to the current database, and whether it is new; raises StorageUnavailableError."""
        if self.is_log_gone:
            raise make_storage_error("log-gone")
        file = self._database.identify()
        kept = _take_idle(idle, file=file)
        # A new connection would make a new log beside the one that the others still write to.
        in_use = kept or self._find_neighbour(file)
        if in_use is not None and in_use[1] is not None and in_use[1] != self._database.find_own_log():
            self._leave_log(in_use[2])
            raise make_storage_error("log-gone")
        if kept is not None:
            return kept, False
        connection = self._open()
        return (file, self._database.find_own_log(), connection), True

    def _find_neighbour(self, file: Identity) -> KeptConnection | None:
        for idle in (self.writers, self.readers):
            for kept in idle[-1:]:
                if kept[0] == file:
                    return kept
        return None

    def _leave_log(self, connection: Connection) -> None:
        """Save the content of a removed log, and use the database no more until this process ends.

        The log still exists without a name while we have it open, so moving it into the database now keeps its reports.
        Only if no other log has replaced it, because SQLite would mix the two. The connection stays open, because
        closing it would move the log in any case.
        """
        self.is_log_gone = True
        self._left_open.append(connection)
        log_event("storage-log-gone", level=logging.ERROR)
        if self._database.find_own_log() is None:
            with contextlib.suppress(*self.driver_errors):
                self._database.save_removed_log(connection)

    def _open(self) -> Connection:
        # Read the mark first: data read afterwards is never older than it.
        mark = None if self._mark is None else self._mark.find()
        try:
            connection = self._database.engine.connect()
        except DBAPIError as error:
            raise translate_error(error) from error
        try:
            self._database.check_safety(connection)
        except StorageUnavailableError:
            connection.close()
            raise
        except self.driver_errors as error:
            abandon(connection)
            raise translate_error(error) from error
        try:
            revision = connection.execute(_READ_REVISION).scalar_one_or_none()
            connection.rollback()
        except DBAPIError as error:
            connection.close()
            # A database without our tables fails with a plain "no such table".
            raise make_storage_error(find_driver_reason(error.orig) or "schema") from error
        if revision not in USABLE_REVISIONS:
            connection.close()
            raise make_storage_error("schema")
        if mark is not None and not _reaches(connection, mark):
            connection.close()
            raise make_storage_error("behind")
        return connection


def _reaches(connection: Connection, mark: Mark) -> bool:
    """Return whether the database contains the report of the mark. Its row is never deleted."""
    try:
        return holds_report(connection, mark)
    except connection.dialect.loaded_dbapi.Error as error:
        connection.close()
        raise translate_error(error) from error
    finally:
        if not connection.closed:
            connection.rollback()


def _take_idle(idle: list[KeptConnection], *, file: Identity) -> KeptConnection | None:
    """Return a kept connection to this file; closes those to a file that no longer exists."""
    while True:
        try:
            kept = idle.pop()
        except IndexError:
            return None
        if kept[0] == file:
            return kept
        kept[2].close()


def close_all(*lists: list[KeptConnection]) -> None:
    """Close the idle connections of each list."""
    for idle in lists:
        while idle:
            idle.pop()[2].close()


def abandon(connection: Connection) -> None:
    """Close a connection whose transaction failed."""
    # If the rollback fails too, keep the first error; closing the file ends the transaction anyway.
    connection.invalidate()
    connection.close()


FIRST_PAUSE_SECONDS = 0.0001  # a durable commit takes about 0.4 ms; poll sooner
LONGEST_PAUSE_SECONDS = 0.001


class ThreadQueue:
    """A lock for the threads of this process, strictly first come, first served."""

    __slots__ = ("_guard", "_is_held", "_waiting")

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._is_held = False
        self._waiting: deque[tuple[threading.Lock, bool]] = deque()

    def acquire(self, timeout_seconds: float, *, joins: bool = False) -> bool:
        """Wait for this thread's turn; returns False on a timeout. Only a thread that `joins` gets it by `pass_on`."""
        with self._guard:
            if not self._is_held:
                self._is_held = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append((turn, joins))
        if turn.acquire(timeout=timeout_seconds):
            return True
        with self._guard:
            if (turn, joins) in self._waiting:
                self._waiting.remove((turn, joins))
                return False
        return True  # handed over just after the wait ended

    def release(self) -> None:
        """Hand the lock to the thread that has waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft()[0].release()
            else:
                self._is_held = False

    def pass_on(self) -> bool:
        """Hand the lock to the thread that has waited longest, if it joins; returns whether that was done."""
        with self._guard:
            if not self._waiting or not self._waiting[0][1]:
                return False
            self._waiting.popleft()[0].release()
            return True


class WriterLock:
    """A queue of writers over `lock_path` (and `lock_path` + `.next`)."""

    def __init__(self, lock_path: Path, *, timeout_seconds: float) -> None:
        self.timeout_seconds = timeout_seconds
        self._paths = (lock_path, lock_path.with_name(lock_path.name + ".next"))
        self._threads = ThreadQueue()
        self._descriptors: tuple[int, int] | None = None
        self._locked: int | None = None  # the locked file; a thread that gets the lock by `pass_on` finds it so
        self._owner: int | None = None
        self._process_id = os.getpid()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock for the block; raises StorageUnavailableError on a timeout."""
        self.take()
        try:
            yield
        finally:
            self.release()

    def take(self, *, joins: bool = False) -> None:
        """Wait for the lock; raises StorageUnavailableError on a timeout.

        A thread that `joins` may get it by `pass_on`, from a thread that has left its work open.
        """
        deadline = time.monotonic() + self.timeout_seconds
        if self._owner == threading.get_ident():
            raise RuntimeError("A write inside a write would wait for itself: pass on the connection instead.")
        if os.getpid() != self._process_id:
            # A flock belongs to the open file, which a fork shares: parent and child would both hold it.
            raise RuntimeError("A store must be opened in the process that uses it.")
        if not self._threads.acquire(self.timeout_seconds, joins=joins):
            raise make_storage_error("locked")
        if self._locked is None:
            try:
                self._locked = self._lock_files(deadline)
            except BaseException:
                self._threads.release()
                raise
        self._owner = threading.get_ident()

    def pass_on(self) -> bool:
        """Hand the lock to the thread of this process that has waited longest, if it joins, else keep it."""
        self._owner = None
        if self._threads.pass_on():
            return True
        self._owner = threading.get_ident()
        return False

    def release(self) -> None:
        """Give the lock up, for any thread or process."""
        held, self._locked, self._owner = self._locked, None, None
        try:
            if held is not None:
                fcntl.flock(held, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def close(self) -> None:
        """Close the lock files; the next `hold` opens them again."""
        if not self._threads.acquire(self.timeout_seconds):
            raise make_storage_error("locked")
        try:
            descriptors, self._descriptors = self._descriptors, None
            for descriptor in descriptors or ():
                os.close(descriptor)
        finally:
            self._threads.release()

    def _lock_files(self, deadline: float) -> int:
        """Lock `.next` (the head of the queue), then the lock itself, then release `.next`.

        With one file only, a busy process would take the lock again before a waiting process wakes, and starve it.
        """
        try:
            if self._descriptors is None:
                self._descriptors = (_open_lock_file(self._paths[0]), _open_lock_file(self._paths[1]))
            lock, next_in_line = self._descriptors
            _lock_file(next_in_line, deadline)
            try:
                _lock_file(lock, deadline)
            finally:
                fcntl.flock(next_in_line, fcntl.LOCK_UN)
        except OSError as error:
            raise make_storage_error(get_system_reason(error)) from error
        return lock


def _open_lock_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lock_file(descriptor: int, deadline: float) -> None:
    # flock has no timeout, so the one waiter of each process polls with short pauses.
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise make_storage_error("locked") from None
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        else:
            return


# The first of them waits for the blocks of all others. PostgreSQL keeps up to 64 savepoints of a transaction in memory.
MAX_GROUP = 16
# Once damage has cost several writers their transaction, each commits alone for this long: more would meet it.
APART_SECONDS = 600
# Changes no row: proves that the transaction takes writes.
_WRITE_NOTHING = "DELETE FROM probes WHERE 1 = 0"


class Group:
    """One transaction, and the writers that share it."""

    __slots__ = ("connection", "failure", "is_settled", "kept", "mark", "size")

    def __init__(self, kept: KeptConnection) -> None:
        self.kept = kept
        self.connection: Connection = kept[2]
        self.size = 1
        self.mark: Mark | None = None  # of the newest report in it
        self.failure: BaseException | None = None
        self.is_settled = threading.Event()

    def wait(self) -> None:
        """Return once the last writer has committed; raises StorageUnavailableError if that failed."""
        self.is_settled.wait()
        if self.failure is not None:
            raise make_storage_error(getattr(self.failure, "reason", "broken")) from self.failure


class Writers:
    """The writers of one process: one at a time, in the order in which they came."""

    def __init__(self, lock: WriterLock, *, database: Database, connections: Connections, mark: HighWaterMark) -> None:
        self._lock = lock
        self._database = database
        self._connections = connections
        self._mark = mark
        self._group: Group | None = None  # the open transaction; its writer has the turn
        self._apart_until = 0.0

    @contextmanager
    def write(self, *, alone: bool) -> Iterator[Group]:
        """Give the block a transaction, and return once it is durable; `alone` shares it with no other writer.

        Raises StorageUnavailableError, and any error of the block, after which nothing of the block is kept.
        """
        self._lock.take(joins=not alone)
        group = self._enter()
        mark = group.mark
        try:
            yield group
            self._database.check_unbroken(group.connection)
        except BaseException as error:
            group.mark = mark
            failure = self._leave(group, error)
            if failure is error:
                raise
            raise failure from error
        if not alone and self._pass_on(group):
            group.wait()
        elif (refused := self._commit(group)) is not None:
            raise refused

    def advance_mark(self, mark: Mark) -> None:
        """Advance the mark once this writer's transaction is committed; raises StorageUnavailableError (`behind`)."""
        before = self._get_group().mark or self._mark.find()
        if before is not None and mark.position <= before.position:
            raise make_storage_error("behind")
        self.reset_mark(mark)

    def reset_mark(self, mark: Mark) -> None:
        """Set the mark once this writer's transaction is committed, in either direction."""
        self._get_group().mark = mark

    def _get_group(self) -> Group:
        if self._group is None:
            raise RuntimeError("A mark is set by a writer alone, in its transaction.")
        return self._group

    def _enter(self) -> Group:
        """Join the transaction of the writer before, or begin one."""
        group = self._group
        if group is None:
            try:
                kept, _ = self._connections.start(self._connections.writers, self._database.begin_write)
            except BaseException:
                self._lock.release()
                raise
            self._group = Group(kept)
            return self._group
        try:
            _run(group.connection, "SAVEPOINT writer")
        except BaseException as error:
            if (failure := self._drop(group, error)) is error:
                raise
            raise failure from error
        group.size += 1
        return group

    def _pass_on(self, group: Group) -> bool:
        """Hand turn and transaction to the next thread; False if none waits, or the group is full."""
        return group.size < MAX_GROUP and time.monotonic() >= self._apart_until and self._lock.pass_on()

    def _leave(self, group: Group, error: BaseException) -> BaseException:
        """Undo the writes of a block that failed, and no other's; returns its error for the caller."""
        failure = translate_error(error) if isinstance(error, self._connections.driver_errors) else error
        if group.size == 1:  # without a savepoint, and alone: nobody has joined yet
            return self._drop(group, error)
        try:
            _run(group.connection, "ROLLBACK TO SAVEPOINT writer")
            if isinstance(failure, StorageUnavailableError):
                # SQLite refuses every later write of a transaction that has met a damaged page, and its commit.
                _run(group.connection, _WRITE_NOTHING)
        except BaseException as second:  # noqa: BLE001 - e.g. SQLite has rolled all of it back by itself
            self._drop(group, error if failure is not error else second)
        else:
            if not self._pass_on(group):
                self._commit(group)
        return failure

    def _commit(self, group: Group) -> BaseException | None:
        """Commit for every writer of the group; returns the failure."""
        began = time.perf_counter()
        try:
            self._database.commit(group.connection)
            METER.observe("commit_seconds", time.perf_counter() - began)
        except BaseException as error:  # noqa: BLE001 - as above
            return self._drop(group, error)
        try:
            if group.mark is not None:
                self._mark.put(group.mark)
        except OSError as error:
            # The reports are stored and acknowledged; an older mark only detects less.
            log_failure(error, event="mark-not-written")
        finally:
            self._settle(group)
        return None

    def _drop(self, group: Group, error: BaseException) -> BaseException:
        """Roll everything back; returns the error as the store raises it."""
        drivers = self._connections.driver_errors
        group.failure = translate_error(error) if isinstance(error, drivers) else error
        if group.size > 1 and getattr(group.failure, "reason", "broken") == "broken":
            self._apart_until = time.monotonic() + APART_SECONDS
        try:
            if isinstance(error, drivers):
                abandon(group.connection)
            else:
                group.connection.rollback()
        except drivers:
            abandon(group.connection)
        finally:
            self._settle(group)
        return group.failure

    def _settle(self, group: Group) -> None:
        self._group = None
        self._connections.give_back(self._connections.writers, group.kept)
        self._lock.release()
        # After the turn is free: a thread that wakes takes the interpreter's lock.
        group.is_settled.set()


def _run(connection: Connection, statement: str) -> None:
    # Savepoints of one name lie inside each other, and the newest counts: none needs a release of its own.
    connection.connection.cursor().execute(statement)
