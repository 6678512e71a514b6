"""Looks at real processes for tests: living ones, their groups, limits, files and ports."""

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PATIENCE_SECONDS = 60.0  # for what comes true in the end; a busy machine starts a server in ten seconds


def wait_until(condition: Callable[[], bool], *, patience_seconds: float = PATIENCE_SECONDS) -> bool:
    """Wait for a condition and return whether it came true."""
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def find_living(**wanted: int) -> set[int]:
    """Return the processes that are no zombies and whose `parent`, `group` or `session` are as wanted."""
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            words = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        numbers = {"parent": int(words[1]), "group": int(words[2]), "session": int(words[3])}
        if words[0] not in "ZX" and all(numbers[name] == value for name, value in wanted.items()):
            found.add(int(entry.name))
    return found


def list_family(*roots: int) -> list[int]:
    """Return these processes and all their living descendants, parents first."""
    found: list[int] = []
    newest = list(roots)
    while newest:
        found += newest
        newest = [child for pid in newest for child in sorted(find_living(parent=pid)) if child not in found]
    return found


def read_command(pid: int) -> bytes:
    """Return the command line of a process; nothing where it has ended, or may not be looked at."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def read_environment(pid: int) -> bytes:
    """Return the environment that a process was started with; nothing where it has ended, or may not be looked at."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes()
    return b""


def is_listening(port: int) -> bool:
    """Return whether something takes connections on a port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def count_open(lines: list[socket.socket]) -> int:
    """Return how many connections the other side has not ended; reads nothing away."""
    number = 0
    for line in lines:
        line.setblocking(False)
        try:
            number += bool(line.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            number += 1
        except OSError:
            pass
    return number


def read_core_limit(pid: int) -> list[str]:
    """Return the soft and hard limit on the size of a core dump."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("Max core file size")]
    return line.split()[4:6]


def is_gone(pid: int) -> bool:
    """Return whether a process has ended, also one that ends while it is looked at."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (ProcessLookupError, FileNotFoundError):
        return True


def list_open_files(pid: int) -> set[str]:
    """Return the targets of a process's descriptors; without the ones closed meanwhile."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(os.readlink(entry))  # noqa: PTH115 - the target of a socket's entry is no path
    return found
