"""Memory of the gateway while a partner hands over evidence, four parts at once: each is held once, never twice."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.demo.loop import Loop
from partner_sdk.wire.evidence import PART_BYTES, PARTS_IN_FLIGHT
from tests.whole.test_evidence_durability import Sender, new_evidence_of
from tests.whole.test_kill_and_restart import members_of_the_gateway

MAX_ADDED_BYTES = 64 * 1024 * 1024
ROUNDS = 8


def read_resident_bytes(pid: int) -> int:
    """Return the resident memory of a process (proc_pid_status(5))."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024


@contextmanager
def watch(pids: list[int]) -> Iterator[list[int]]:
    """Give a list to which the memory of all these processes together is added, again and again."""
    seen: list[int] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.append(sum(map(read_resident_bytes, pids)))
            time.sleep(0.005)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def test_four_parts_in_flight_add_at_most_64_mib_to_all_processes_together(loop: Loop) -> None:
    pids = members_of_the_gateway(loop)
    before = sum(map(read_resident_bytes, pids))
    part = os.urandom(PART_BYTES)
    sent: list[bool] = []

    def send() -> None:
        sender = Sender(loop)
        for _ in range(ROUNDS):
            sent.append(sender.put(new_evidence_of(part), 0))

    with watch(pids) as seen:
        threads = [threading.Thread(target=send) for _ in range(PARTS_IN_FLIGHT)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sent == [True] * ROUNDS * PARTS_IN_FLIGHT
    added = max(seen) - before
    assert added > PART_BYTES, "the watch saw nothing of it"
    assert added <= MAX_ADDED_BYTES, f"{added / 1024**2:.0f} MiB"
