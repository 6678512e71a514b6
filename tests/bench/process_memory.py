"""Resident memory of processes and process groups, read from the kernel (proc_pid_status(5))."""

import os
import re
from pathlib import Path

_KIB = 1024
_RESET_PEAK = "5"  # proc_pid_clear_refs(5)


def list_group(group: int) -> list[int]:
    """Return the living members of a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if os.getpgid(int(entry.name)) == group:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def begin_peaks(pids: list[int]) -> dict[int, int]:
    """Reset each process's peak; return the memory in use now, in bytes."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    return {pid: _read(pid, "VmRSS") for pid in pids}


def count_over(idle: dict[int, int]) -> int:
    """Return by how many bytes the peaks since then exceeded the starting values, together."""
    return sum(max(0, _read(pid, "VmHWM") - before) for pid, before in idle.items())


def _read(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text("ascii"), re.MULTILINE)
    if found is None:
        raise SystemExit(f"The kernel does not tell {name} of {pid}.")
    return int(found[1]) * _KIB
