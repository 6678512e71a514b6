"""Starts, watches and stops the server processes of a command: each listener is a process group of its own.

Leaves no process behind: stopping ends the whole group, and if this process is killed, the kernel kills the rest.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final

import msgspec

from gateway.web.listener import SPEC_VARIABLE, Listener
from gateway.web.logs import log_event

POLL_SECONDS: Final = 0.05
PORT_WAIT_SECONDS: Final = 3.0
READY_TIMEOUT_SECONDS: Final = 30.0
# granian gives its workers 10 seconds for the requests that they are answering.
STOP_TIMEOUT_SECONDS: Final = 12.0
RESTART_WINDOW_SECONDS: Final = 60.0
MAX_RESTARTS_IN_WINDOW: Final = 5
BACKLOG: Final = 1024


class ServingError(Exception):
    """A server cannot be started, or does not stay up; the message is for the person at the command line."""


class PortInUseError(ServingError):
    """Another process listens on the address."""


class ServerProcess:
    """One running listener."""

    def __init__(self, listener: Listener, *, listening: socket.socket) -> None:
        """Start it as a process group that serves a socket which listens already.

        Call it from a thread that lives as long as the server shall: its end is the end of the server.
        """
        self.listener = listener
        ready, told = os.pipe()
        self._ready = os.fdopen(ready, "rb", buffering=0)
        passed = (listening.fileno(), told)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gateway.web.server_process", str(os.getpid()), *map(str, passed)],
            env={**os.environ, **listener.environment, SPEC_VARIABLE: msgspec.json.encode(listener).decode("utf-8")},
            stdin=subprocess.DEVNULL,
            pass_fds=passed,
            process_group=0,
        )
        os.close(told)

    @property
    def pid(self) -> int:
        """The master's process id, which is also the id of its process group."""
        return self._process.pid

    def wait_until_ready(self, *, timeout_seconds: float) -> None:
        """Wait until a worker has loaded its app; raises `ServingError`."""
        address, hearing = self.listener.address, select.poll()
        hearing.register(self._ready, select.POLLIN)
        if not hearing.poll(timeout_seconds * 1000):
            raise ServingError(f"The server on {address} did not start in {timeout_seconds:.0f} seconds.")
        if not self._ready.read(1):
            raise ServingError(f"The server on {address} ended while it started. The log says where.")

    def find_exit_code(self) -> int | None:
        """Return how the master ended, or None while it runs."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """Ask the master to let its workers finish; what does not is killed by `end`."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def end(self, *, deadline: float) -> None:
        """Wait for the master until `deadline` (monotonic), then kill what is left of its group."""
        try:
            self._process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log_event("server-killed", listener=self.listener.address)
        while _has_living_member(self.pid):
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            time.sleep(POLL_SECONDS / 5)
        self._process.wait()
        self._ready.close()


def open_port(listener: Listener, *, patience_seconds: float = PORT_WAIT_SECONDS) -> socket.socket:
    """Return a socket that listens on the address and shares it with no other; raises `PortInUseError`.

    Waits a moment, for servers that are just being killed.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        listening = socket.socket(socket.AF_INET6 if ":" in listener.host else socket.AF_INET)
        try:
            # Past connections in TIME_WAIT do not count; a socket that listens still does.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((listener.host, listener.port))
            listening.listen(BACKLOG)
        except OSError as error:
            listening.close()
            if time.monotonic() > deadline:
                raise PortInUseError(
                    f"Cannot listen on {listener.address}: {os.strerror(error.errno or 0)}. Is a gateway or another "
                    "program running there? Stop it, or choose another port."
                ) from None
            time.sleep(POLL_SECONDS)
        else:
            return listening


class ServerGroup:
    """The listeners of one command, started and stopped together; a listener that dies is started again."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._servers: list[ServerProcess] = []
        self._listening: list[socket.socket] = []  # kept: while a server starts again, callers wait in the queue
        self._restarts: list[float] = []

    def __enter__(self) -> "ServerGroup":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pids(self) -> tuple[int, ...]:
        """The masters' process ids, in the order of the listeners."""
        return tuple(server.pid for server in self._servers)

    def start(
        self,
        *,
        ready_timeout_seconds: float = READY_TIMEOUT_SECONDS,
        port_patience_seconds: float = PORT_WAIT_SECONDS,
    ) -> None:
        """Start every listener and return when each answers; on failure stop all and raise `ServingError`."""
        try:
            for listener in self._listeners:
                self._listening.append(open_port(listener, patience_seconds=port_patience_seconds))
            for listener, listening in zip(self._listeners, self._listening, strict=True):
                self._servers.append(ServerProcess(listener, listening=listening))
            for server in self._servers:
                server.wait_until_ready(timeout_seconds=ready_timeout_seconds)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop every listener; afterwards no process of them exists. Safe to repeat."""
        while self._listening:
            self._listening.pop().close()
        for server in self._servers:
            server.ask_to_stop()
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        for server in self._servers:
            server.end(deadline=deadline)
        self._servers.clear()

    def check(self) -> None:
        """Start again whatever has died; raises `ServingError` when that happens too often."""
        for position, server in enumerate(self._servers):
            code = server.find_exit_code()
            if code is None:
                continue
            log_event("server-died", listener=server.listener.address, exit_code=code)
            server.end(deadline=0.0)
            self._note_restart()
            self._servers[position] = ServerProcess(server.listener, listening=self._listening[position])

    def run(self, *, on_ready: Callable[[], None] | None = None) -> int:
        """Serve until SIGTERM or SIGINT, then stop all and return the exit code. Only for the main thread."""
        with _stop_signals() as is_asked_to_stop:
            try:
                self.start()
                if on_ready is not None and not is_asked_to_stop.is_set():
                    on_ready()
                while not is_asked_to_stop.wait(POLL_SECONDS * 4):
                    self.check()
            finally:
                self.stop()
        return 0

    def _note_restart(self) -> None:
        now = time.monotonic()
        self._restarts = [moment for moment in self._restarts if now - moment < RESTART_WINDOW_SECONDS]
        if len(self._restarts) >= MAX_RESTARTS_IN_WINDOW:
            raise ServingError("A server died again and again; everything is stopped. The log says where.")
        self._restarts.append(now)


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    event = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        event.set()

    former = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield event
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _has_living_member(group: int) -> bool:
    """Return whether a process of this group still runs; a dead one that nobody has collected does not count."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            # proc_pid_stat(5): after the name in brackets come state, parent, process group.
            state, _parent, process_group = (entry / "stat").read_text("latin-1").rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(process_group) == group and state not in {"Z", "X"}:
            return True
    return False
