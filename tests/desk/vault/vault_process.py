"""A vault as a real process, and what can be seen of it from outside."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.desk.vault.client import VaultClient
from gateway.desk.wiring import Desk
from tests.house.sources import ROOT


@contextmanager
def run_vault(desk: Desk) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the vault of a desk, and kill it at the end if it still runs."""
    process = start_vault(desk)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def start_vault(desk: Desk, *, before: bytes = b"") -> "subprocess.Popen[bytes]":
    """Start the vault of a desk, and return when it listens; before that its log may have a line `before`."""
    command = [sys.executable, "-m", "gateway.desk.cli", "vault", "--state", str(desk.paths.state)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    assert process.stderr is not None
    line = process.stderr.readline()
    while b"vault-not-unlocked" in line or (before and before in line):
        line = process.stderr.readline()
    assert b"vault-started" in line, line + process.stderr.read()
    return process


def stop_vault(process: "subprocess.Popen[bytes]") -> bytes:
    """Stop a vault as a service manager does; return the rest of its log."""
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=30)
    assert process.returncode == 0, log
    return log


def find_in_memory(pid: int, needles: dict[str, bytes]) -> set[str]:
    """Return the names of the byte strings that a process has in its readable, private memory. Needs root."""
    found, overlap = set[str](), max(len(one) for one in needles.values())
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text("ascii", "replace").splitlines():
            span, flags, *_ = line.split()
            if not flags.startswith("r") or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            start, end = (int(one, 16) for one in span.split("-"))
            for offset in range(start, end, 1 << 24):
                try:
                    memory.seek(offset)
                    raw = memory.read(min((1 << 24) + overlap, end - offset))
                except (OSError, ValueError):
                    break  # a page that is gone, or a device
                found |= {name for name, needle in needles.items() if needle in raw}
    return found


def list_open_files(pid: int) -> set[str]:
    """Return the targets of a process's descriptors."""
    return {str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir() if one.is_symlink()}


def list_children(pid: int) -> set[int]:
    """Return the processes below one, to any depth."""
    children: dict[int, set[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = int((entry / "stat").read_text("latin-1").rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, set()).add(int(entry.name))
    found, waiting = set[int](), [pid]
    while waiting:
        new = children.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def connect(desk: Desk) -> VaultClient:
    """Return a client of this desk's vault."""
    return VaultClient(desk.paths.vault)
