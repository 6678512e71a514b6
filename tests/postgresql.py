"""One throw-away PostgreSQL server for a run of the tests, and an empty database of a gateway for each test that asks.

The server is the real one, with fsync on. All workers of a run share it: the first starts it, and the last stops it.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.store.store import migrate_store

MISSING = "The tests need PostgreSQL 15 or newer. Run: sudo apt-get install postgresql"
PATIENT_SECONDS = 60
PAGE_BYTES = 8192
# Small and without work of its own, so that the tests' own statements are the load.
SETTINGS = {
    "autovacuum": "off",
    "jit": "off",
    "listen_addresses": "",
    "shared_buffers": "16MB",
}
_END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
# As a replica applies them: past the triggers of the desk's append-only tables, and past foreign keys.
_WIPE = """
SET session_replication_role = replica;
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        EXECUTE format('DELETE FROM %I', name);
    END LOOP;
    -- An attack on the tables may have switched their triggers off.
    FOR name IN SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgenabled = 'D' LOOP
        EXECUTE format('ALTER TABLE %s ENABLE TRIGGER ALL', name);
    END LOOP;
    PERFORM setval(format('%I', sequencename)::regclass, 1, false) FROM pg_sequences WHERE schemaname = 'public';
END $$
"""
MakeTables = Callable[[str], object]


def find_program(name: str) -> str:
    """Return the path of a program of the newest server here; fails with the line that installs it."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    found = next((path for folder in folders if (path := folder / name).exists()), None) or shutil.which(name)
    assert found is not None, MISSING
    return str(found)


def make_gateway_tables(uri: str) -> None:
    """Make the tables of a gateway in an empty database."""
    with tempfile.TemporaryDirectory() as folder:
        migrate_store(Path(folder) / "gateway.sqlite", lock_path=Path(folder) / "lock", uri=uri)


def connect(uri: str) -> Any:
    """Connect past our code, as an operator or an intruder would; each statement is a transaction."""
    # The only import of the driver in the tests: most of them run without it.
    import psycopg

    return psycopg.connect(uri, autocommit=True)


class Server:
    """A server whose data is in `folder`, reached by a socket there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._data = folder / "data"
        self._free: dict[MakeTables, list[str]] = {}
        # PostgreSQL refuses to run as root.
        self._owner: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if _is_root() else {}

    @classmethod
    @contextmanager
    def make_for_one_test(cls) -> "Iterator[Server]":
        """Run a server for one test alone, which may stop it."""
        server = cls(Path(tempfile.mkdtemp(prefix="postgresql-")))
        server.start()
        try:
            yield server
        finally:
            if server.is_running():  # a test that failed may have left it stopped
                server.stop("immediate")
            shutil.rmtree(server.folder)

    def uri(self, database: str = "postgres") -> str:
        """Return the address of one of its databases."""
        return f"postgresql://gateway@/{database}?host={self.folder}"

    def start(self, **settings: str) -> None:
        """Start the server, and make its data first if there is none."""
        if not self._data.exists():
            self._make_folder()
            options = ("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--username=gateway", "-k")
            self._run("initdb", "-D", str(self._data), *options, "--no-instructions")
        options = " ".join(f"-c {name}={value!r}" for name, value in {**SETTINGS, **settings}.items())
        self._control("start", "-o", f"-k {self.folder} {options}", "-l", str(self.folder / "log"))

    def own(self, *names: str) -> None:
        """Give these folders below its own to the user of the server."""
        for name in names:
            for path in (self.folder / name, *(self.folder / name).rglob("*")):
                if self._owner:
                    shutil.chown(path, self._owner["user"], self._owner["group"])

    def restore(self, name: str, **settings: str) -> None:
        """Start it on the data of another folder, as after the loss of its disk, and return when it is writable."""
        self.serve_from(name)
        self._data.chmod(0o700)
        self.own(name)
        self.start(**settings)
        with connect(self.uri()) as connection:
            while connection.execute("SELECT pg_is_in_recovery()").fetchone() != (False,):
                time.sleep(0.02)

    def serve_from(self, name: str) -> None:
        """Use the data of this folder at the next start."""
        self._data = self.folder / name

    @contextmanager
    def with_standby(self) -> "Iterator[Server]":
        """Run a copy that replays this server's log, and whose disk this server's commits wait for."""
        standby = Server(Path(tempfile.mkdtemp(prefix="postgresql-")))
        standby._make_folder()
        copied = ("-D", str(standby._data), "-d", self.uri(), "-R", "-X", "stream", "-c", "fast", "--no-sync")
        standby._run("pg_basebackup", *copied)
        try:
            standby.start()
            with connect(self.uri()) as operator:
                _set_standby(operator, "'*'")
            yield standby
        finally:
            if standby.is_running():
                standby.stop("immediate")
            shutil.rmtree(standby.folder)
            if not self.is_running():  # after a fail-over
                self.start()
            with connect(self.uri()) as operator:
                _set_standby(operator, "''")

    def promote(self) -> None:
        """Make a primary of a running standby."""
        self._control("promote")

    def is_running(self) -> bool:
        """Return whether it takes connections."""
        return (self._data / "postmaster.pid").exists() and self._control("status", is_checked=False) == 0

    def stop(self, mode: str = "fast") -> None:
        """Stop it: in order, or with `immediate` at once, as a power failure would."""
        self._control("stop", "-m", mode)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the server's processes where they are: connections stay open, and nothing answers."""
        with connect(self.uri()) as connection:
            found = connection.execute("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()").fetchall()
        processes = [self.pid, *(row[0] for row in found)]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    @contextmanager
    def without_standby(self) -> Iterator[Any]:
        """Let it wait for a synchronous standby that does not exist; gives an operator's connection."""
        with connect(self.uri()) as operator:
            try:
                _set_standby(operator, "'missing'")
                yield operator
            finally:
                _set_standby(operator, "''")

    def damage(self, file: str, *, page: int) -> None:
        """Change bytes in a page of a stopped server's file, as a bad disk does."""
        with (self._data / file).open("r+b") as raw:
            raw.seek(page * PAGE_BYTES + PAGE_BYTES // 2)
            raw.write(b"\xa5" * 64)

    def make_replica(self) -> None:
        """Let the next start be that of a standby, which replays a log and takes no writes."""
        self._signal_file.touch()
        if self._owner:
            shutil.chown(self._signal_file, self._owner["user"], self._owner["group"])

    def make_primary(self) -> None:
        """Let the next start be an ordinary one."""
        self._signal_file.unlink()

    @property
    def pid(self) -> int:
        """The id of the running server's first process, the parent of all others."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    @property
    def _signal_file(self) -> Path:
        return self._data / "standby.signal"

    @contextmanager
    def lend_database(self, make_tables: MakeTables | None = None) -> Iterator[str]:
        """Give the address of a database with tables and no row; it is wiped and given again afterwards.

        The tables are those of a gateway, unless `make_tables` makes others at an address.
        """
        make_tables = make_tables or make_gateway_tables
        free = self._free.setdefault(make_tables, [])
        if free:
            name = free.pop()
        else:
            name = self.make_database()
            make_tables(self.uri(name))
        yield self.uri(name)
        with connect(self.uri(name)) as connection:
            connection.execute(_END_OTHERS)
            connection.execute(_WIPE)
        free.append(name)

    def make_database(self) -> str:
        """Make an empty database and return its name."""
        name = f"made_{os.getpid()}_{time.monotonic_ns()}"
        with connect(self.uri()) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def _make_folder(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o755)
        if self._owner:
            shutil.chown(self.folder, self._owner["user"], self._owner["group"])

    def _control(self, *command: str, is_checked: bool = True) -> int:
        wait = ("-t", str(PATIENT_SECONDS), "-w")
        return self._run("pg_ctl", *command, "-D", str(self._data), *wait, is_checked=is_checked)

    def _run(self, program: str, *arguments: str, is_checked: bool = True) -> int:
        # No faketime: this server keeps the time of this machine.
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        command = [find_program(program), *arguments]
        with (self.folder / "output").open("ab") as output:  # not a pipe, which the server would hold open
            finished = subprocess.run(
                command, stdout=output, stderr=output, env=environment, cwd=self.folder, check=False, **self._owner
            )
        assert finished.returncode == 0 or not is_checked, (self.folder / "output").read_text()
        return finished.returncode


@contextmanager
def running_server(locks: Path) -> Iterator[Server]:
    """Run the server of this run of the tests; `locks` is a folder that its workers share."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))[:12]
    server = Server(Path(tempfile.gettempdir()) / f"postgresql-{run}")
    with (locks / "postgresql.users").open("w") as users, (locks / "postgresql.turn").open("w") as turn:
        with _locked(turn):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not server.is_running():
                server.start()
        yield server
        with _locked(turn), contextlib.suppress(BlockingIOError):  # another worker still uses it
            fcntl.flock(users, fcntl.LOCK_UN)
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            server.stop()
            shutil.rmtree(server.folder)


@contextmanager
def _locked(file: Any) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _set_standby(operator: Any, name: str) -> None:
    operator.execute(f"ALTER SYSTEM SET synchronous_standby_names = {name}")
    operator.execute("SELECT pg_reload_conf()")
    while operator.execute("SHOW synchronous_standby_names").fetchone() != (name.strip("'"),):
        time.sleep(0.01)
    operator.execute("CHECKPOINT")  # by the process that sets it for all, which reads the settings first


def _is_root() -> bool:
    return os.getuid() == 0
