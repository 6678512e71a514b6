"""A vault as a real process, as it can be seen from outside."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.desk.office.wiring import Desk
from gateway.desk.vault.process import VaultClient
from tests.house.sources import ROOT

# linux/capability.h
CAP_SETUID, CAP_SYS_PTRACE = 7, 19
# A vault whose memory and open files its user may read, without the capability to read those of any process.
DUMPABLE = """
import sys
import gateway.desk.running.cli
gateway.desk.running.cli.protect_memory = lambda: None
sys.exit(gateway.desk.running.cli.main())
"""
START_SECONDS = 60


def has_capability(number: int) -> bool:
    """Return whether this process has a capability (capabilities(7))."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    (value,) = (line.split()[1] for line in lines if line.startswith("CapEff:"))
    return bool(int(value, 16) >> number & 1)


def may_read_others() -> bool:
    """Return whether this process may read the memory and descriptors of a process that is not dumpable (ptrace(2))."""
    return has_capability(CAP_SYS_PTRACE)


def give_up_reading_others() -> list[str]:
    """Return the words before a command that run it without the capability to read others."""
    if not may_read_others():
        return []
    return ["setpriv", *(f"--{kind}=-sys_ptrace" for kind in ("inh-caps", "ambient-caps", "bounding-set"))]


@contextmanager
def run_vault(desk: Desk, *, before: bytes = b"", is_dumpable: bool = False) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the vault of a desk, which listens in the block, and kill it at the end if it still runs.

    Its log may have lines with `before` first. It lacks the capability to read others: a process that lacks it too
    would be refused for that alone (capabilities(7), ptrace(2)).
    """
    program = ["-c", DUMPABLE] if is_dumpable else ["-m", "gateway.desk.running.cli"]
    words = ["vault", "--state", str(desk.paths.state), "--parent", str(os.getpid())]
    command = [*give_up_reading_others(), sys.executable, *program, *words]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        wait_for_start(process, before=before)
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def wait_for_start(process: "subprocess.Popen[bytes]", *, before: bytes) -> None:
    """Read the log of a vault until it listens, or raise with all that it wrote."""
    assert process.stderr is not None
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    try:
        line = process.stderr.readline()
        while b"vault-not-unlocked" in line or (before and before in line):
            line = process.stderr.readline()
    finally:
        watchdog.cancel()
    if b"vault-started" not in line:
        process.kill()
        raise AssertionError((line + process.stderr.read()).decode())


def stop_vault(process: "subprocess.Popen[bytes]") -> bytes:
    """Stop a vault as a service manager does; return the rest of its log."""
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=30)
    assert process.returncode == 0, log
    return log


def find_in_memory(pid: int, needles: dict[str, bytes], *, is_own: bool = False) -> set[str]:
    """Return the names of the byte strings that a process has in its readable memory.

    `is_own` leaves out mappings of files that it may only read, e.g. libraries.
    """
    found, overlap = set[str](), max(len(one) for one in needles.values())
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text("ascii", "replace").splitlines():
            span, flags, *_ = line.split()
            if not flags.startswith("rw" if is_own else "r") or line.endswith(
                ("[vvar]", "[vsyscall]", "[vvar_vclock]")
            ):
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


def connect(desk: Desk) -> VaultClient:
    """Return a client of this desk's vault."""
    return VaultClient(desk.paths.vault)
