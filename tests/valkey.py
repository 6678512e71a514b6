"""A throw-away Valkey server, the real one, for tests of several gateways; Redis 7 where Valkey is not packaged."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

MISSING = "The tests need Valkey. Run: sudo apt-get install valkey-server (or redis-server)"
PATIENT_SECONDS = 30


class Valkey:
    """A server with its data and its socket in `folder`; `settings` are lines of its valkey.conf."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self._settings = {"port": "0", "save": "", "appendonly": "no", **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """The address of its socket."""
        return f"valkey+unix://{self.folder}/socket"

    def start(self) -> None:
        """Start it and return when it listens."""
        program = shutil.which("valkey-server") or shutil.which("redis-server")
        assert program is not None, MISSING
        settings = {**self._settings, "unixsocket": f"{self.folder}/socket", "dir": str(self.folder)}
        command = [program, *(word for name, value in settings.items() for word in (f"--{name}", value))]
        # No faketime: this server keeps the time of this machine.
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENT_SECONDS
        while not self.answers():
            is_starting = self._process.poll() is None and time.monotonic() < deadline
            assert is_starting, (self.folder / "log").read_text()
            time.sleep(0.01)

    def answers(self) -> bool:
        """Return whether it has read what it kept, and takes commands (or asks for a password first)."""
        import valkey

        try:
            with valkey.Valkey(unix_socket_path=f"{self.folder}/socket", socket_timeout=1) as client:
                return bool(client.ping())
        except valkey.AuthenticationError:
            return True
        except valkey.ValkeyError:
            return False

    def read_all(self) -> str:
        """Return every key with its value as text."""
        import valkey

        with valkey.Valkey(unix_socket_path=f"{self.folder}/socket", decode_responses=True) as client:
            return "\n".join(f"{key}={client.get(key)}" for key in sorted(client.keys()))

    def kill(self) -> None:
        """Kill it at once, as a power failure would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop it where it is: connections stay open, and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


@contextmanager
def running_valkey(**settings: str) -> Iterator[Valkey]:
    """Run a server until the block ends; `_` in the name of a setting stands for `-`."""
    with tempfile.TemporaryDirectory(prefix="valkey-") as name:
        server = Valkey(Path(name), {key.replace("_", "-"): value for key, value in settings.items()})
        server.start()
        try:
            yield server
        finally:
            server.kill()
