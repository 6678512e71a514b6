"""Bounds the memory that judging one page may take: a page must not end the run, or the machine, by its size.

Counts address space, which is all that the system can bound; so it is what comes on top of what the run has already.
"""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_STATM: Final = Path("/proc/self/statm")


@contextmanager
def limit_growth(most_bytes: int) -> Iterator[None]:
    """Let what runs inside take so many bytes more; beyond them Python raises `MemoryError`. Linux alone knows how."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = _measure_size() + most_bytes
    if not _STATM.exists() or (soft != resource.RLIM_INFINITY and soft <= wanted):
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _measure_size() -> int:
    """Return the address space of this process (proc_pid_statm(5)), 0 where the system does not say."""
    try:
        pages = int(_STATM.read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * resource.getpagesize()
