"""Guards that each server process sets up first: die with its parent, protect its memory, open enough files.

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
from pathlib import Path

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
# asm-generic/mman.h, linux/capability.h
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_CAP_IPC_LOCK = 14
# Listening sockets are opened at the start, and a new file gets the lowest free number (open(2)).
_LOW_NUMBERS = 1024


class OrphanedError(Exception):
    """The parent ended before this process could tie itself to it."""


def protect_memory() -> None:
    """Keep memory, which contains text of reports, from core dumps and from other processes of the same user.

    The core size limit is inherited, but not the dumpable flag, so call this in every process. Then only root can read
    `/proc/PID/mem` or attach a debugger (ptrace(2), proc_pid_mem(5)).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _call_prctl("PR_SET_DUMPABLE", _PR_SET_DUMPABLE, 0)


def lock_memory() -> bool:
    """Keep this process's memory out of swap; return whether the system allows it.

    Pages are locked as they are used. Under a limit, a later allocation would fail, so then nothing is locked
    (mlockall(2), RLIMIT_MEMLOCK; CAP_IPC_LOCK stands above the limit).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if hard != resource.RLIM_INFINITY and not _has_capability(_CAP_IPC_LOCK):
        return False
    if hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    result: int = ctypes.CDLL(None, use_errno=True).mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)
    return result == 0


def _has_capability(number: int) -> bool:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return bool(int(value, 16) >> number & 1)
    return False


def allow_open_files(count: int) -> None:
    """Raise the soft limit of open files to `count`, or to the hard limit; inherited by children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def stop_accepting() -> None:
    """Accept no new connections, and keep the open ones; siblings that share the sockets continue.

    Replaces each listening socket of this process with an unreachable one under the same number, so that the event loop
    finds nothing there. Closing it would cut connections that are accepted and not yet read.
    """
    with socket.socket(socket.AF_UNIX) as unreachable:
        unreachable.setblocking(False)
        unreachable.bind("")  # unix(7): the kernel picks an abstract name
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
    """End this process immediately, without Python's teardown.

    The server's own threads would still call into Python during teardown, and abort the process (seen with granian
    2.8.7).
    """
    atexit.register(os._exit, 0)


def die_with_parent(parent_pid: int) -> None:
    """Make the kernel send SIGKILL to this process when its parent ends.

    The signal is sent when the *thread* that started this process ends (prctl(2)). Raises `OrphanedError` when the
    parent is already gone.
    """
    _call_prctl("PR_SET_PDEATHSIG", _PR_SET_PDEATHSIG, signal.SIGKILL)
    # If the parent died between fork and prctl, the signal would never come.
    if os.getppid() != parent_pid:
        raise OrphanedError("The parent process has ended.")


def _call_prctl(name: str, option: int, value: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({name}) failed")
