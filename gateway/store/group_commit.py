"""Group commit: the waiting writers of one process share a transaction, and with it one wait for the disk.

A writer that finds the turn free begins a transaction. When its block ends and another thread of this process waits for
the turn, it hands over turn and transaction, and waits; the last one commits for all of them. So a writer alone waits
for no other, and no timer is needed.

Never lets a writer return before that commit is durable. A writer whose block fails loses its own savepoint only. A
commit that fails, or a transaction that takes no more writes, fails all of them, and each may retry
(docs/decisions/0008).
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from gateway.databases.database import Database, translate_error
from gateway.databases.failures import StorageUnavailableError, make_storage_error
from gateway.store.connections import Connections, KeptConnection, abandon
from gateway.store.high_water import HighWaterMark, Mark
from gateway.store.writer_lock import WriterLock
from gateway.web.logs import log_failure
from gateway.web.metrics import METER

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
