"""The queue of one gateway's writers.

Writers are serialised over all threads and processes, first come, first served, with a bounded wait. With SQLite's own
busy handler a latecomer is as likely to win as the first in line (99th percentile 55-540 ms under 8 writers); in this
queue it takes 4-20 ms. The lock only orders writers: the database's own lock (BEGIN IMMEDIATE, or PostgreSQL's advisory
lock) still guards the data if the lock file is removed. A dead process never holds it, because flock ends with the
process (docs/decisions/0008).
"""

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.databases.failures import get_system_reason, make_storage_error

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
