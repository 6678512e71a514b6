"""The commands and servers of the demonstration: each server in its own group, waited for, and stopped at the end."""

import contextlib
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pwd import getpwnam
from typing import IO

import requests

from partner_sdk.lazy_group import INTERRUPTED

GATEWAY = "gateway.cli"
START_SECONDS = 60
STOP_SECONDS = 15
COMMAND_SECONDS = 180


class DemoError(Exception):
    """A step failed; the message names the step and the error."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Four consecutive ports."""

    first: int

    @property
    def gateway(self) -> int:
        """The public and industry doors."""
        return self.first

    @property
    def feed(self) -> int:
        """The feed."""
        return self.first + 1

    @property
    def desk(self) -> int:
        """The desk's pages."""
        return self.first + 2

    @property
    def service(self) -> int:
        """The example service."""
        return self.first + 3


class Processes:
    """Runs our commands, and our servers with their output kept in the demonstration's folder."""

    def __init__(self, log_folder: Path) -> None:
        self._log_folder = log_folder
        self._running: list[subprocess.Popen[bytes]] = []
        self.named: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: list[IO[bytes]] = []
        self._stop_signals: dict[int, signal.Signals] = {}

    def run(self, module: str, *arguments: str) -> str:
        """Run a command of ours in this process and return its output; raises `DemoError` with its error output.

        A process for each would take half a second of a core.
        """
        said, complaint = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complaint):
            code = import_module(module).main(arguments)
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code != 0:
            raise DemoError(
                f"{module} {' '.join(arguments[:2])} ended with {code}: {_last_lines(complaint.getvalue())}"
            )
        return said.getvalue()

    def start(self, name: str, module: str, *arguments: str) -> None:
        """Start a long-running command of ours; its output goes to NAME.log."""
        self.start_program(name, [sys.executable, "-m", module, *arguments])

    def start_program(
        self,
        name: str,
        command: Sequence[str],
        *,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Start a long-running program, as another user if one is named; its output goes to NAME.log.

        `stop` ends it with `stop_signal`.
        """
        self._log_folder.mkdir(parents=True, exist_ok=True)
        log = (self._log_folder / f"{name}.log").open("ab")
        self._logs.append(log)
        # Its own group: Ctrl-C reaches only this process, which then stops the children in order.
        self.named[name] = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            user=user,
            group=None if user is None else getpwnam(user).pw_gid,
            extra_groups=None if user is None else [],
        )
        self._running.append(self.named[name])
        self._stop_signals[self.named[name].pid] = stop_signal

    def wait_for(self, address: str) -> None:
        """Wait until an address answers with any status (a gateway without keys answers 503), or raise `DemoError`."""

        def has_answered() -> bool:
            with contextlib.suppress(requests.RequestException):
                requests.get(address, timeout=2, allow_redirects=False)
                return True
            return False

        self.wait_until(has_answered, name=address)

    def wait_until(self, has_answered: Callable[[], bool], *, name: str) -> None:
        """Wait until a server answers; raise `DemoError` if it does not, or if any process ends meanwhile."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for process in self._running:
                if process.poll() is not None:
                    raise DemoError(
                        f"A process ended early with code {process.returncode}; see the logs in {self._log_folder}."
                    )
            if has_answered():
                return
            time.sleep(0.1)
        raise DemoError(f"{name} did not answer within {START_SECONDS} seconds; see the logs in {self._log_folder}.")

    def forget(self, name: str) -> None:
        """Wait for the end of a process that was killed elsewhere, so that it can be started again."""
        gone = self.named.pop(name)
        gone.wait(STOP_SECONDS)
        self._running.remove(gone)

    def stop(self) -> None:
        """Stop every process, newest first, with its own signal; then kill its group."""
        for process in reversed(self._running):
            if process.poll() is None:
                process.send_signal(self._stop_signals[process.pid])
        for process in reversed(self._running):
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for log in self._logs:
            log.close()
        self._running.clear()
        self._logs.clear()


def run_program(name: str, command: Sequence[str], *, user: str | None = None, **environment: str) -> str:
    """Run a program to its end and return its output; raises `DemoError` with its error output if it fails."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
            text=True,
            user=user,
            group=None if user is None else getpwnam(user).pw_gid,
            extra_groups=None if user is None else [],
            env={**os.environ, **environment},
        )
    except subprocess.TimeoutExpired:
        raise DemoError(f"{name} took longer than {COMMAND_SECONDS} seconds.") from None
    if done.returncode != 0:
        raise DemoError(f"{name} ended with {done.returncode}: {_last_lines(done.stderr)}")
    return done.stdout


def get_program(*names: str, package: str, folders: Sequence[str] = ("/usr/sbin",)) -> str:
    """Return the path of the first program that is here; raises `DemoError` with the line that installs it."""
    for name in names:
        for path in (*folders, None):
            if found := shutil.which(name, path=path):
                return found
    raise DemoError(f"There is no {names[0]} on this machine. Run: sudo apt-get install {package}")


def check_ports_are_free(ports: Sequence[int]) -> None:
    """Raise `DemoError` naming the first port of this machine that is in use."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise DemoError(
                    f"Port {port} is in use. Stop the program that uses it, or choose another --port."
                ) from None


def _last_lines(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return " ".join(lines[-3:]) if lines else "it printed nothing"
