"""What each server process does to itself first: die with its parent, no core dump, open files enough. Linux only."""

import atexit
import ctypes
import os
import resource
import signal

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class OrphanedError(Exception):
    """The parent ended before this process could tie itself to it."""


def forbid_core_dumps() -> None:
    """Set the core size to 0, for this process and its children: memory holds words of reports."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def allow_open_files(count: int) -> None:
    """Raise the soft limit of open files to `count`, or as far as the hard limit lets us; inherited by children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def end_without_teardown() -> None:
    """Have this process end at once where Python would take itself apart.

    The server's own threads still call into Python then, and that aborts the process (seen with granian 2.8.7).
    """
    atexit.register(os._exit, 0)


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel send SIGKILL to this process when its parent ends, however that happens.

    The signal goes out when the *thread* that started this process ends (prctl(2)). Raises `OrphanedError` when the
    parent is gone already.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    # Between fork and prctl the parent may have died: then no signal would ever come.
    if os.getppid() != parent_pid:
        raise OrphanedError("The parent process is gone.")
