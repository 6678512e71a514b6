"""A process for tests of the queue: `lock_process LOCK LETTER COUNT` notes its letter whenever it holds the lock."""

import sys
import time
from pathlib import Path

from gateway.store.connections import WriterLock

HOLD_SECONDS = 0.003


def main(lock_path: Path, letter: str, count: int) -> None:
    """Print `ready`, wait for the `.go` file, take the lock again and again. Count 0: take it once and for good."""
    lock = WriterLock(lock_path, timeout_seconds=60)
    notes = lock_path.with_suffix(".notes")
    with lock.hold():
        pass
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while count and not lock_path.with_suffix(".go").exists():
        time.sleep(0.001)
    for _ in range(count):
        with lock.hold(), notes.open("a") as handle:
            handle.write(letter)
            time.sleep(HOLD_SECONDS)
    if count == 0:
        with lock.hold():
            sys.stdout.write("held\n")
            sys.stdout.flush()
            time.sleep(600)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
