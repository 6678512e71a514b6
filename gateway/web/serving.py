"""Starts, watches and stops the server processes of a command; each listener is its own process group.

Leaves no process behind: stopping ends the whole group, and if this process is killed, the kernel kills the rest. What
it passes to them contains no secret and no personal data.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final

import msgspec

from gateway.web.logs import log_event

SPEC_VARIABLE: Final = "REPORT_ABUSE_SERVER_SPEC"
TRUSTED_PROXIES: Final = "TRUSTED_PROXIES"
"""Key in an app's config: the number of trusted proxies in front of it."""
DEFAULT_BODY_SECONDS: Final = 20.0
DEFAULT_WORKER_MIB: Final = 512  # an idle worker has about 100; bodies may take another 192
DEFAULT_LOOK_SECONDS: Final = 30


STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """A flag that a signal handler sets and threads wait for.

    Not a `threading.Event`: if the signal interrupts `Event.wait`, the handler's `set` waits for ever for the lock that
    the interrupted thread holds.
    """

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)

    def set(self) -> None:
        """Make the request; safe in a signal handler."""
        with suppress(BlockingIOError):  # the pipe is full of earlier requests
            os.write(self._writing, b"\0")

    def is_set(self) -> bool:
        """Return whether the request was made."""
        return self.wait(0)

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the request; return whether it was made."""
        poll = select.poll()  # one for each call: no two threads may wait with the same
        poll.register(self._reading, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def close(self) -> None:
        """Close both ends."""
        os.close(self._reading)
        os.close(self._writing)


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Yield a request that SIGTERM and SIGINT set. Main thread only."""
    request = StopRequest()

    def ask(_number: int, _frame: FrameType | None) -> None:
        request.set()

    former = {number: signal.signal(number, ask) for number in STOP_SIGNALS}
    try:
        yield request
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        request.close()


POLL_SECONDS: Final = 0.05
PORT_WAIT_SECONDS: Final = 3.0
# granian gives its workers 10 seconds to finish their requests.
STOP_TIMEOUT_SECONDS: Final = 12.0
RESTART_WINDOW_SECONDS: Final = 60.0
MAX_RESTARTS_IN_WINDOW: Final = 5


class ServingError(Exception):
    """A server cannot start, or does not stay up; the message is for the operator."""


class PortInUseError(ServingError):
    """Another process listens on the address."""


@dataclass(frozen=True, slots=True)
class Listener:
    """An address and the app factory (`module:function`) behind it. `environment` extends the process's own.

    A body must arrive within `body_seconds`.
    """

    name: str
    target: str
    host: str
    port: int
    workers: int = 1
    threads: int = 4
    body_seconds: float = DEFAULT_BODY_SECONDS
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The address as in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class ServerSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One listener, as JSON in the environment of its process."""

    listener: Listener
    parent_pid: int
    worker_memory_mib: int = DEFAULT_WORKER_MIB
    memory_look_seconds: int = DEFAULT_LOOK_SECONDS


class ServerProcess:
    """One running listener."""

    def __init__(self, listener: Listener, process: subprocess.Popen[bytes]) -> None:
        self.listener = listener
        self._process = process

    @property
    def pid(self) -> int:
        """The master's process id, which is also the id of its process group."""
        return self._process.pid

    def find_exit_code(self) -> int | None:
        """Return the master's exit code, or None while it runs."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """Ask the master to let its workers finish; `end` kills those that do not."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def end(self, *, deadline: float) -> None:
        """Wait for the master until `deadline` (monotonic), then kill the rest of its group."""
        try:
            self._process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log_event("server-killed", listener=self.listener.address)
        while _has_living_member(self.pid):
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            time.sleep(POLL_SECONDS / 5)
        self._process.wait()


def start_server(listener: Listener, *, port_patience_seconds: float = PORT_WAIT_SECONDS) -> ServerProcess:
    """Start one listener as a process group; raises `PortInUseError` if the address is in use.

    Call it from a thread that lives as long as the server: the server dies with it.
    """
    check_port_is_free(listener, patience_seconds=port_patience_seconds)
    spec = ServerSpec(listener=listener, parent_pid=os.getpid())
    environment = {
        **make_child_environment(),
        **listener.environment,
        SPEC_VARIABLE: msgspec.json.encode(spec).decode("utf-8"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway.web.server_process"],
        env=environment,
        stdin=subprocess.DEVNULL,
        process_group=0,
    )
    return ServerProcess(listener, process)


def make_child_environment() -> dict[str, str]:
    """Return this process's environment for a child, which imports the same code as we do, even if not installed."""
    folders = (str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))}


def check_port_is_free(listener: Listener, *, patience_seconds: float = PORT_WAIT_SECONDS) -> None:
    """Raise `PortInUseError` unless the address is free.

    granian's sockets share a port with other sockets of the same user (SO_REUSEPORT), so a second start would quietly
    join the first; a plain bind does not share. Waits briefly, for servers that are just being killed.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            _bind_alone(listener)
        except OSError as error:
            if time.monotonic() > deadline:
                raise PortInUseError(
                    f"Cannot listen on {listener.address}: {os.strerror(error.errno or 0)}. If a gateway or another "
                    "program uses the port, stop it or choose another port."
                ) from None
            time.sleep(POLL_SECONDS)
        else:
            return


class ServerGroup:
    """The listeners of one command, started and stopped together; restarts a listener that dies."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._servers: list[ServerProcess] = []
        self._claims: list[socket.socket] = []
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

    def start(self, *, port_patience_seconds: float = PORT_WAIT_SECONDS) -> None:
        """Start every listener and return when each answers; on failure stops all and raises `ServingError`."""
        try:
            for listener in self._listeners:
                self._claims.append(_claim(listener, patience_seconds=port_patience_seconds))
            for listener in self._listeners:
                self._servers.append(start_server(listener, port_patience_seconds=port_patience_seconds))
            for server in self._servers:
                _wait_until_ready(server)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop every listener; afterwards none of their processes exists. Safe to repeat."""
        for server in self._servers:
            server.ask_to_stop()
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        for server in self._servers:
            server.end(deadline=deadline)
        self._servers.clear()
        while self._claims:
            self._claims.pop().close()

    def check(self) -> None:
        """Restart every listener that has died; raises `ServingError` if that happens too often."""
        for position, server in enumerate(self._servers):
            code = server.find_exit_code()
            if code is None:
                continue
            log_event("server-died", listener=server.listener.address, exit_code=code)
            server.end(deadline=0.0)
            self._note_restart()
            self._servers[position] = start_server(server.listener)

    def run(self, *, on_ready: Callable[[], None] | None = None, on_check: Callable[[], None] = lambda: None) -> int:
        """Serve until SIGTERM or SIGINT, then stop all and return the exit code. Only for the main thread.

        `on_check` is called with each look at the listeners, for a process beside them.
        """
        with stop_on_signals() as stop:
            try:
                self.start()
                if on_ready is not None and not stop.is_set():
                    on_ready()
                while not stop.wait(POLL_SECONDS * 4):
                    self.check()
                    on_check()
            finally:
                self.stop()
        return 0

    def _note_restart(self) -> None:
        now = time.monotonic()
        self._restarts = [moment for moment in self._restarts if now - moment < RESTART_WINDOW_SECONDS]
        if len(self._restarts) >= MAX_RESTARTS_IN_WINDOW:
            raise ServingError(
                "A server kept crashing, so all servers were stopped. The log shows the location of the error."
            )
        self._restarts.append(now)


def _wait_until_ready(server: ServerProcess) -> None:
    """Wait as long as the server lives. On a busy machine, ending a slow start only begins the next slow one."""
    listener = server.listener
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.host, listener.host)  # noqa: S104 - compared, not bound
    while True:
        if server.find_exit_code() is not None:
            raise ServingError(
                f"The server on {listener.address} crashed at startup. The log shows the location of the error."
            )
        try:
            # A worker opens its socket only after its app is loaded, and no other process can hold it: see `_claim`.
            with socket.create_connection((host, listener.port), timeout=1):
                return
        except OSError:
            time.sleep(POLL_SECONDS)


def _claim(listener: Listener, *, patience_seconds: float) -> socket.socket:
    """Reserve the address for this command, so that two commands that start together do not share its port.

    Uses an abstract Unix socket: it has one holder in the port's network namespace, and disappears with the process.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            claim.bind(f"\0report-abuse-listener {listener.address}")
        except OSError:
            if time.monotonic() > deadline:
                claim.close()
                raise PortInUseError(
                    f"Another command already serves {listener.address}. Stop it or choose another port."
                ) from None
            time.sleep(POLL_SECONDS)
        else:
            return claim


def _bind_alone(listener: Listener) -> None:
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Old connections in TIME_WAIT do not count; a listening socket does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((listener.host, listener.port))
        probe.listen(1)


def _has_living_member(group: int) -> bool:
    """Return whether a process of this group still runs; zombies do not count."""
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
