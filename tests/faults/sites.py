"""A gateway on SQLite behind a proxy, and each kind of fault as a function that makes it once while it runs."""

import contextlib
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from gateway.demo.loop import Loop, OneMachine
from gateway.demo.processes import GATEWAY, Ports, Processes
from gateway.desk.running.cli import main as run_desk
from partner_sdk.wire.canonical import encode
from tests.builders import make_industry_report
from tests.builders.local_servers import find_free_port
from tests.faults.connections import Proxy
from tests.gateway.web.process_watch import find_living, list_family, read_command
from tests.sdk.evidence_builders import make_report

SMALL_FILE_BYTES = 4096  # no page of a database fits behind it


def find_gateway(state: Path) -> list[int]:
    """Return every process of the gateway whose state is in this folder."""
    words = str(state).encode()
    return list_family(*sorted(pid for pid in find_living() if words in read_command(pid).split(b"\0")))


def kill(pids: Sequence[int]) -> None:
    """Kill processes as a power failure would."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def paused(pids: Sequence[int]) -> Iterator[None]:
    """Stop processes where they are: connections stay open, and nothing answers."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def full_disk(pids: Sequence[int]) -> Iterator[None]:
    """Let no file of these processes grow, as on a full disk (getrlimit(2), RLIMIT_FSIZE)."""
    _limit_files(pids, f"{SMALL_FILE_BYTES}:unlimited")
    try:
        yield
    finally:
        _limit_files(pids, "unlimited")


def _limit_files(pids: Sequence[int], size: str) -> None:
    program = shutil.which("prlimit")
    assert program, "No prlimit here. Run: sudo apt-get install util-linux"
    for pid in pids:
        done = subprocess.run([program, "--pid", str(pid), f"--fsize={size}"], check=False, capture_output=True)
        assert done.returncode == 0 or pid not in find_living(), done.stderr


def start_ahead(processes: Processes, *, state: Path, by: str) -> None:
    """Start a gateway whose clock is ahead, e.g. by `20m`; waits are as long as ever."""
    program = shutil.which("faketime")
    assert program, "No faketime here. Run: .ci/test-tools"
    clock = [program, "--exclude-monotonic", "-f", f"+{by}"]
    processes.start_program("gateway", [*clock, sys.executable, "-m", GATEWAY, "serve", "--state", str(state)])


class FaultyMachine(OneMachine):
    """One gateway on SQLite, with a proxy between it and its callers."""

    def __init__(self, ports: Ports) -> None:
        super().__init__(ports)
        self.port = find_free_port()
        self.proxy = Proxy(port=ports.gateway, target=self.port)

    def list_ports(self) -> list[int]:
        """Return the port of the feed; the proxy listens on that of the doors already."""
        return [self._ports.feed]

    def list_init_options(self) -> tuple[str, ...]:
        """Return the port behind the proxy."""
        return ("--port", str(self.port), "--feed-port", str(self._ports.feed))

    def close(self) -> None:
        """End the proxy."""
        self.proxy.close()


def collect(loop: Loop, *more: str) -> dict[str, Any]:
    """Collect at the desk; its exit code is 1 where it has an alarm, e.g. of a clock that was ahead."""
    return ask_desk(loop, "collect", *more)


def ask_desk(loop: Loop, *words: str) -> dict[str, Any]:
    """Run a command of the desk in this process and return its output."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        run_desk([*words, "--json", "--state", str(loop.desk_state)])
    found: dict[str, Any] = json.loads(said.getvalue())
    return found


def ask_database(loop: Loop, question: str) -> list[Any]:
    """Return the rows of the gateway's database."""
    with contextlib.closing(sqlite3.connect(loop.gateway_state / "gateway.sqlite")) as database:
        return database.execute(question).fetchall()


FAULT_SECONDS = 1.0
DELAY_SECONDS = 0.2
CLOCK_AHEAD = "20m"  # more than a signature may be old
Fault = Callable[[Loop], None]
_WITH_FILM: Final = ("--priority", "P2", "--again", "--evidence")
# The part of the newest evidence that is complete: that of the callers never is.
_NEWEST_FILM: Final = (
    "SELECT evidence_id, blob FROM evidence JOIN evidence_parts USING (position) WHERE digest IS NOT NULL "
    "ORDER BY position DESC LIMIT 1"
)


def flip_bytes_of_evidence(loop: Loop) -> None:
    """Change a byte of a kept part on the store's side, let the desk find it, and bring the right bytes back.

    The desk names the file, and takes neither it nor its acknowledgement; once the part is right it takes it whole.
    """
    film, report = loop.folder / "film", loop.folder / "report.json"
    film.write_bytes(b"a film")
    report.write_bytes(encode(make_industry_report(files=make_report("file-1").files)))
    loop.run_partner("report", "submit", str(report), *_WITH_FILM, f"file-1={film}")
    ((evidence_id, blob),) = ask_database(loop, _NEWEST_FILM)
    flip_part(loop, blob)
    found = collect(loop)["evidence"]
    assert (found["collected"], found["spoiled"]) == (0, 1), found
    alarms = {(one["kind"], one["subject"]) for one in ask_desk(loop, "alarms")["alarms"]}
    assert any(kind == "evidence-spoiled" and evidence_id in subject for kind, subject in alarms)
    flip_part(loop, blob)
    found = collect(loop)["evidence"]
    assert (found["collected"], found["spoiled"]) == (1, 0), found


def flip_part(loop: Loop, blob: str) -> None:
    """Change the last byte of a kept part, past the gateway; twice is never."""
    path = loop.gateway_state / "evidence" / blob
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))


def _kill_the_gateway(loop: Loop) -> None:
    """Kill it, start it with a clock that is ahead, and set the clock right with a second kill."""
    _kill_and_forget(loop)
    start_ahead(loop.processes, state=loop.gateway_state, by=CLOCK_AHEAD)
    loop.processes.wait_for(f"{loop.origin}/health")
    time.sleep(FAULT_SECONDS)
    _kill_and_forget(loop)
    loop.start_gateway()


def _kill_and_forget(loop: Loop) -> None:
    kill(find_gateway(loop.gateway_state))
    loop.processes.forget("gateway")


def _pause_the_gateway(loop: Loop) -> None:
    with paused(find_gateway(loop.gateway_state)):
        time.sleep(FAULT_SECONDS)


def _fill_the_disk(loop: Loop) -> None:
    with full_disk(find_gateway(loop.gateway_state)):
        time.sleep(FAULT_SECONDS)


def _delay_callers(loop: Loop) -> None:
    assert isinstance(loop.site, FaultyMachine)
    with loop.site.proxy.delayed(DELAY_SECONDS):
        time.sleep(FAULT_SECONDS)


def _cut_callers(loop: Loop) -> None:
    assert isinstance(loop.site, FaultyMachine)
    with loop.site.proxy.cut():
        time.sleep(FAULT_SECONDS)


FAULTS: Final[dict[str, Fault]] = {
    "gateway killed, its clock ahead, killed": _kill_the_gateway,
    "gateway paused": _pause_the_gateway,
    "disk full": _fill_the_disk,
    "connections delayed": _delay_callers,
    "connections cut": _cut_callers,
    "bytes of evidence flipped": flip_bytes_of_evidence,
}
