"""The queue of writers: one at a time, first come first served, bounded, and never held by the dead."""

import itertools
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.store import StorageUnavailableError
from gateway.store.connections import ThreadQueue, WriterLock
from tests.gateway.store_builders import finish_process, start_process


@pytest.fixture
def lock_path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.lock"


def test_two_threads_never_hold_the_lock_together(lock_path: Path) -> None:
    lock = WriterLock(lock_path, timeout_seconds=30)
    inside: list[int] = []
    seen: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            with lock.hold():
                inside.append(number)
                time.sleep(0.0002)
                seen.append(len(inside))
                inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert seen == [1] * 160


def test_two_locks_on_one_file_exclude_each_other_as_processes_do(lock_path: Path) -> None:
    one, other = WriterLock(lock_path, timeout_seconds=5), WriterLock(lock_path, timeout_seconds=0.05)
    with one.hold(), pytest.raises(StorageUnavailableError) as refused, other.hold():
        pass
    assert refused.value.reason == "locked"
    with other.hold():
        pass


def test_threads_are_served_in_the_order_in_which_they_came() -> None:
    queue = ThreadQueue()
    served: list[int] = []
    assert queue.acquire(1)

    def wait(number: int) -> None:
        assert queue.acquire(30)
        served.append(number)
        queue.release()

    threads = [threading.Thread(target=wait, args=(number,)) for number in range(12)]
    for number, thread in enumerate(threads):
        thread.start()
        while len(queue._waiting) <= number:  # the next one comes only when this one stands in the queue
            time.sleep(0.0005)
    queue.release()
    for thread in threads:
        thread.join()
    assert served == list(range(12))


def test_a_thread_that_gives_up_leaves_the_queue_for_the_others() -> None:
    queue = ThreadQueue()
    assert queue.acquire(1)
    assert not queue.acquire(0.01)
    queue.release()
    assert queue.acquire(1)
    queue.release()


def test_the_wait_for_another_process_ends_at_the_timeout(lock_path: Path) -> None:
    holder = start_process("lock_process", str(lock_path), "H", "0")
    try:
        assert holder.stdout is not None
        assert [holder.stdout.readline().strip() for _ in range(2)] == ["ready", "held"]
        lock = WriterLock(lock_path, timeout_seconds=0.3)
        began = time.monotonic()
        with pytest.raises(StorageUnavailableError) as refused, lock.hold():
            pass
        waited = time.monotonic() - began
    finally:
        holder.kill()
        holder.communicate()
    assert refused.value.reason == "locked"
    assert 0.3 <= waited < 3
    # The holder was killed: nobody has to tidy up after it.
    with WriterLock(lock_path, timeout_seconds=5).hold():
        pass


def test_the_wait_for_another_thread_ends_at_the_timeout(lock_path: Path) -> None:
    lock = WriterLock(lock_path, timeout_seconds=0.1)
    outcome: list[str] = []

    def wait() -> None:
        try:
            with lock.hold():
                outcome.append("held")
        except StorageUnavailableError as error:
            outcome.append(error.reason)

    with lock.hold():
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(10)
    assert outcome == ["locked"]


def test_a_busy_process_does_not_starve_another_one(lock_path: Path) -> None:
    """With one lock file a process takes the lock again before the other wakes: the other got 0 to 3 % of the turns."""
    processes = [start_process("lock_process", str(lock_path), letter, "60") for letter in "AB"]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    lock_path.with_suffix(".go").touch()
    for process in processes:
        finish_process(process)
    notes = lock_path.with_suffix(".notes").read_text()
    assert sorted(notes) == ["A"] * 60 + ["B"] * 60
    changes = sum(one != two for one, two in itertools.pairwise(notes))
    assert changes >= 30, notes


def test_a_write_inside_a_write_is_refused_at_once(lock_path: Path) -> None:
    lock = WriterLock(lock_path, timeout_seconds=30)
    with lock.hold(), pytest.raises(RuntimeError, match="inside a write"), lock.hold():
        pass
    with lock.hold():
        pass


def test_a_lock_is_free_again_after_a_failure_in_the_block(lock_path: Path) -> None:
    lock = WriterLock(lock_path, timeout_seconds=0.2)
    with pytest.raises(ValueError, match="ours"), lock.hold():
        raise ValueError("ours")
    with lock.hold(), pytest.raises(StorageUnavailableError), WriterLock(lock_path, timeout_seconds=0.01).hold():
        pass


def test_a_lock_opened_before_a_fork_is_refused_in_the_child(lock_path: Path) -> None:
    """Parent and child would share the open file, and with it the flock: both would hold it."""
    lock = WriterLock(lock_path, timeout_seconds=1)
    lock._process_id = os.getpid() + 1
    with pytest.raises(RuntimeError, match="in the process"), lock.hold():
        pass


def test_a_lock_file_that_cannot_be_made_is_a_storage_failure(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "nowhere" / "gateway.lock", timeout_seconds=1)
    with pytest.raises(StorageUnavailableError) as refused, lock.hold():
        pass
    assert refused.value.reason == "missing"


def test_a_closed_lock_opens_its_files_again(lock_path: Path) -> None:
    lock = WriterLock(lock_path, timeout_seconds=1)
    with lock.hold():
        pass
    lock.close()
    with lock.hold():
        pass
    assert {path.name for path in lock_path.parent.iterdir()} == {"gateway.lock", "gateway.lock.next"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in lock_path.parent.iterdir())
