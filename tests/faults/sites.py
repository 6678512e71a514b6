"""The sites of faults: one gateway on SQLite, or a cluster with a synchronous standby, each behind a proxy."""

import contextlib
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pwd import getpwnam
from typing import Any

from gateway.demo.loop import Loop, OneMachine
from gateway.demo.processes import GATEWAY, Cluster, Ports, Processes
from gateway.desk.cli import main as run_desk
from tests.builders.local_servers import find_free_port
from tests.faults.connections import Proxy
from tests.gateway.web.process_watch import find_living, list_family, read_command, wait_until
from tests.postgresql import connect, find_program

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
def full_disk(pids: Sequence[int], *, user: str | None = None) -> Iterator[None]:
    """Let no file of these processes of a user grow, as on a full disk (getrlimit(2), RLIMIT_FSIZE)."""
    _limit_files(pids, f"{SMALL_FILE_BYTES}:unlimited", user=user)
    try:
        yield
    finally:
        _limit_files(pids, "unlimited", user=user)


def _limit_files(pids: Sequence[int], size: str, *, user: str | None) -> None:
    program = shutil.which("prlimit")
    assert program, "No prlimit here. Run: sudo apt-get install util-linux"
    group = None if user is None else getpwnam(user).pw_gid  # the kernel asks for both
    for pid in pids:
        command = [program, "--pid", str(pid), f"--fsize={size}"]
        done = subprocess.run(command, user=user, group=group, check=False, capture_output=True, cwd="/")
        assert done.returncode == 0 or pid not in find_living(), done.stderr


def start_ahead(processes: Processes, *, name: str, state: Path, by: str) -> None:
    """Start a gateway whose clock is ahead, e.g. by `20m`; waits are as long as ever."""
    program = shutil.which("faketime")
    assert program, "No faketime here. Run: .ci/test-tools"
    clock = [program, "--exclude-monotonic", "-f", f"+{by}"]
    processes.start_program(name, [*clock, sys.executable, "-m", GATEWAY, "serve", "--state", str(state)])


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


class FaultyCluster(Cluster):
    """A cluster whose gateways reach a primary and a synchronous standby through proxies."""

    def __init__(self, ports: Ports) -> None:
        super().__init__(ports)
        self.nodes = {"postgresql": self.database_port, "standby": find_free_port()}
        self.primary = "postgresql"
        self.server_passwords = self.folder / "pgpass-of-the-server"
        self._ways = {name: find_free_port() for name in self.nodes}
        self.proxies = {name: Proxy(port=self._ways[name], target=port) for name, port in self.nodes.items()}

    @property
    def database_uri(self) -> str:
        """Both servers, as for a fail-over."""
        return self._name_both("gateway", database="reports")

    def list_desk_options(self) -> tuple[str, ...]:
        """Return the desk's database on both servers."""
        return ("--database-uri", self._name_both("desk", database="desk"))

    def _name_both(self, role: str, *, database: str) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ways.values())
        return f"postgresql://{role}@{hosts}/{database}?passfile={self.passwords}"

    def start_servers(self, processes: Processes) -> str:
        """Start the servers, and a synchronous standby."""
        described = super().start_servers(processes)
        shutil.copy(self.passwords, self.server_passwords)
        if self.server_user is not None:
            shutil.chown(self.server_passwords, self.server_user)
        self.make_standby(processes)
        return described

    @property
    def standby(self) -> str:
        """The name of the server that is not written to."""
        return next(name for name in self.nodes if name != self.primary)

    def connect(self, name: str = "", *, database: str = "postgres") -> Any:
        """Connect as the administrator, past the proxies."""
        port = self.nodes[name or self.primary]
        return connect(f"postgresql://postgres@127.0.0.1:{port}/{database}?passfile={self.passwords}")

    def start_node(self, processes: Processes, name: str) -> None:
        """Start one server on its data, and wait until it answers."""
        places = (
            f"port={self.nodes[name]}",
            f"unix_socket_directories={self.folder / name}",
            "listen_addresses=127.0.0.1",
        )
        given = [word for setting in (*places, "shared_buffers=32MB", "jit=off") for word in ("-c", setting)]
        command = [find_program("postgres"), "-D", str(self.folder / name), *given]
        processes.start_program(name, command, user=self.server_user)
        processes.wait_until(lambda: self._answers(name), name=name)

    def _answers(self, name: str) -> bool:
        with contextlib.suppress(Exception), self.connect(name):
            return True
        return False

    def make_standby(self, processes: Processes) -> None:
        """Copy the primary into a standby that confirms each of its commits from now on."""
        data, name = self.folder / self.standby, self.standby
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        if self.server_user is not None:
            shutil.chown(data, self.server_user)
        source = f"host=127.0.0.1 port={self.nodes[self.primary]} user=postgres application_name=standby"
        subprocess.run(
            [find_program("pg_basebackup"), "-d", source, "-D", str(data), "-R", "--checkpoint=fast"],
            env={"PGPASSFILE": str(self.server_passwords), "PATH": os.environ["PATH"]},
            user=self.server_user,
            check=True,
            cwd="/",
        )
        self.start_node(processes, name)
        with self.connect() as primary:
            primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            primary.execute("SELECT pg_reload_conf()")
            confirmed = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
            assert wait_until(lambda: primary.execute(confirmed).fetchone() == (1,))

    def fail_over(self, processes: Processes) -> None:
        """Let the standby take over from a primary that is gone, and make the lost one its standby."""
        lost, self.primary = self.primary, self.standby
        with self.connect() as chosen:
            chosen.execute("SELECT pg_promote()")
            chosen.execute("ALTER SYSTEM RESET synchronous_standby_names")
            chosen.execute("SELECT pg_reload_conf()")
        assert lost not in processes.named
        self.make_standby(processes)

    def kill_node(self, processes: Processes, name: str) -> None:
        """Kill one server with all its processes."""
        kill(list_family(processes.named[name].pid))
        processes.forget(name)

    def stop_node(self, processes: Processes, name: str) -> None:
        """Stop one server in order: its next start replays no log, which would heal a damaged page."""
        processes.named[name].send_signal(signal.SIGINT)
        processes.forget(name)

    def close(self) -> None:
        """End the proxies, and remove the servers' data."""
        for proxy in self.proxies.values():
            proxy.close()
        super().close()


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
    if isinstance(loop.site, FaultyCluster):
        with loop.site.connect(database="reports") as connection:
            return list(connection.execute(question).fetchall())
    with contextlib.closing(sqlite3.connect(loop.gateway_state / "gateway.sqlite")) as database:
        return database.execute(question).fetchall()
