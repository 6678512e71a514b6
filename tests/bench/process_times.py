"""CPU time of process groups, read from the kernel."""

import os
from collections.abc import Iterator
from pathlib import Path

from gateway.web.serving import SPEC_VARIABLE

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds_of_group(group: int) -> float:
    """Return user and system seconds of every living member of a process group."""
    return sum(seconds for _, its_group, seconds in _list_processes() if its_group == group)


def cpu_seconds_of_children(parent: int) -> float:
    """Return user and system seconds of every living child of a process, e.g. of the sessions of PostgreSQL."""
    return sum(seconds for its_parent, _, seconds in _list_processes() if its_parent == parent)


def _list_processes() -> Iterator[tuple[int, int, float]]:
    """Yield parent, process group and seconds of CPU of each process (proc_pid_stat(5))."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text("latin-1").rpartition(")")[2].split()
        except OSError:
            continue
        # Behind the name: state(0) ppid(1) pgrp(2) ... utime(11) stime(12).
        yield int(fields[1]), int(fields[2]), (int(fields[11]) + int(fields[12])) / TICKS


def find_listener_group(port: int) -> int:
    """Return the process group of the server that one of our commands started for `port`."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            group = os.getpgid(int(entry.name))
        except OSError:
            continue
        spec = next((line for line in environment if line.startswith(SPEC_VARIABLE.encode() + b"=")), b"")
        if f'"port":{port},'.encode() in spec and group == int(entry.name):
            return group
    raise SystemExit(f"No server of ours listens on {port}.")
