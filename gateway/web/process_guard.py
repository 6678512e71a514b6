"""What each server process does to itself first: die with its parent, keep its memory to itself, open files enough.

Linux only.
"""

import atexit
import ctypes
import os
import resource
import signal
import socket
import stat
from contextlib import suppress

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
# Sockets that listen are opened at the start, and a new file has the lowest free number (open(2)).
_LOW_NUMBERS = 1024


class OrphanedError(Exception):
    """The parent ended before this process could tie itself to it."""


def protect_memory() -> None:
    """Keep memory, which holds words of reports, from core dumps and from other processes of the same user.

    The core size is inherited. Whether a process is dumpable is not: each program begins as one that is, so call this
    in every process. Then only root reads `/proc/PID/mem` or attaches a debugger (ptrace(2), proc_pid_mem(5)).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _call_prctl("PR_SET_DUMPABLE", _PR_SET_DUMPABLE, 0)


def allow_open_files(count: int) -> None:
    """Raise the soft limit of open files to `count`, or as far as the hard limit lets us; inherited by children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def stop_accepting() -> None:
    """Take no new connection any more, and keep those that are there; siblings with the same sockets go on.

    Each listening socket of this process is replaced by one that nobody can reach, under the same number: the event
    loop that watches it finds nothing there. Closing it instead would cut connections that are taken and not read yet.
    """
    with socket.socket(socket.AF_UNIX) as unreachable:
        unreachable.setblocking(False)
        unreachable.bind("")  # unix(7): an abstract name that the kernel picks
        unreachable.listen(1)
        for number in range(_LOW_NUMBERS):
            if number != unreachable.fileno() and _is_listening(number):
                os.dup2(unreachable.fileno(), number, inheritable=False)


def _is_listening(number: int) -> bool:
    with suppress(OSError):
        if not stat.S_ISSOCK(os.fstat(number).st_mode):
            return False
        found = socket.socket(fileno=number)
        try:
            return found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        finally:
            found.detach()
    return False


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
    _call_prctl("PR_SET_PDEATHSIG", _PR_SET_PDEATHSIG, signal.SIGKILL)
    # Between fork and prctl the parent may have died: then no signal would ever come.
    if os.getppid() != parent_pid:
        raise OrphanedError("The parent process is gone.")


def _call_prctl(name: str, option: int, value: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({name}) failed")
