"""`report-abuse-gateway demo` as a newcomer runs it: from an empty home and another folder; nothing is left behind."""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.demo.service.places import PLACES
from tests.house.sources import ROOT
from tests.whole.conftest import find_free_ports

RUN_SECONDS = 240  # a whole run takes 30 seconds of both cores, and other tests use them too
FIELDS: dict[str, type | tuple[type, ...]] = {
    "buttons_pass": int,
    "public_reference": str,
    "reply_read": bool,
    "industry_reference": str,
    "digest_id": str,
    "desk_opened": int,
    "receipt_verified": bool,
    "digest_opened": bool,
    "seconds": (int, float),
}
REFERENCE = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{5}-[0-9A-Z*~$=]")


@dataclass(frozen=True)
class Newcomer:
    """Somebody with an empty home, who stands in another folder than the code's."""

    home: Path
    here: Path
    state: Path
    port: int

    def command(self, *words: str) -> list[str]:
        program = Path(sys.executable).with_name("report-abuse-gateway")
        return [str(program), "demo", "--state", str(self.state), "--port", str(self.port), *words]

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        temporary = self.home.parent / "tmp"
        temporary.mkdir(exist_ok=True)
        return {**kept, "HOME": str(self.home), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            cwd=self.here,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )

    def list_written(self) -> set[Path]:
        """Return every file of home, the folder stood in, and the place for temporary files."""
        places = (self.home, self.here, self.home.parent / "tmp")
        return {path for place in places for path in place.rglob("*") if not path.is_relative_to(self.state)}

    def find_processes(self) -> list[str]:
        """Return the processes of this demonstration: each has its folder or its ports in its words or surroundings."""
        mark = re.compile(re.escape(str(self.state).encode()) + rb"|:%d\b" % self.port)
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                try:
                    text = (entry / "cmdline").read_bytes() + b"\0" + (entry / "environ").read_bytes()
                except OSError:
                    continue
                if mark.search(text):
                    found.append(entry.name)
        return found


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    folder = tmp_path_factory.mktemp("newcomer")
    for name in ("home", "here"):
        (folder / name).mkdir()
    return Newcomer(home=folder / "home", here=folder / "here", state=folder / "state" / "demo", port=find_free_ports())


@pytest.fixture(scope="module")
def first(newcomer: Newcomer) -> subprocess.CompletedProcess[str]:
    """The first run, with what it said."""
    return newcomer.run("--once", "--json")


def check_first(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return check_result(done.stdout)


def check_result(told: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(told)
    assert set(result) == set(FIELDS)
    assert {name for name, kind in FIELDS.items() if not isinstance(result[name], kind)} == set()
    return result


def test_json_names_what_the_loop_brought(first: subprocess.CompletedProcess[str]) -> None:
    result = check_first(first)
    assert REFERENCE.fullmatch(result["public_reference"])
    assert REFERENCE.fullmatch(result["industry_reference"])
    assert result["public_reference"] != result["industry_reference"]
    assert re.fullmatch(r"20\d\d-Q[1-4]\.example-chat", result["digest_id"])
    assert (type(result["desk_opened"]), result["desk_opened"]) == (int, 2)
    assert result["buttons_pass"] == len(PLACES) == 5
    assert result["receipt_verified"] is True
    assert result["reply_read"] is True
    assert result["digest_opened"] is True
    assert 0 < result["seconds"] < RUN_SECONDS


def test_standard_output_is_one_object_and_each_step_is_told_beside_it(
    first: subprocess.CompletedProcess[str],
) -> None:
    assert len(first.stdout.splitlines()) == 1
    steps = [line.split("  ")[0] for line in map(str.strip, first.stderr.splitlines()) if line]
    assert steps == [
        *("keys", "gateway", "publish", "desk", "enrol", "service", "button"),
        *("public report", "industry report", "receipt", "collect", "reply", "cases"),
        *("digest", "pull"),
    ]


def test_everything_is_written_under_its_folder(newcomer: Newcomer, first: subprocess.CompletedProcess[str]) -> None:
    assert first.returncode == 0, first.stderr
    assert newcomer.list_written() == set()
    assert (newcomer.state / "gateway" / "gateway.sqlite").is_file()


def test_no_process_is_left_and_the_ports_are_free(newcomer: Newcomer, first: subprocess.CompletedProcess[str]) -> None:
    assert first.returncode == 0, first.stderr
    assert newcomer.find_processes() == []
    for port in range(newcomer.port, newcomer.port + 4):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))


def test_foreign_folder_is_refused_and_not_touched(newcomer: Newcomer, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine", encoding="utf-8")
    other = Newcomer(home=newcomer.home, here=newcomer.here, state=tmp_path, port=newcomer.port)
    done = other.run("--once", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    assert (tmp_path / "letter.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("place", range(4))
def test_port_in_use_ends_with_1_and_names_step_and_port(newcomer: Newcomer, tmp_path: Path, place: int) -> None:
    port = find_free_ports()
    other = Newcomer(home=newcomer.home, here=newcomer.here, state=tmp_path / "demo", port=port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + place))
        taken.listen()
        done = other.run("--once", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "step 'keys'" in done.stderr
    assert f"Port {port + place} is in use" in done.stderr
    assert other.find_processes() == []


@contextmanager
def running(newcomer: Newcomer, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """A demonstration that goes on until it is stopped; killed at the end if it was not."""
    process = subprocess.Popen(
        newcomer.command(*words),
        cwd=newcomer.here,
        env=newcomer.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def check_it_runs_until(end: signal.Signals, newcomer: Newcomer, process: "subprocess.Popen[str]") -> list[str]:
    """Check that the addresses answer until the signal, and nothing is left then; return what was said before it."""
    assert process.stdout is not None
    said: list[str] = []
    deadline = time.monotonic() + RUN_SECONDS
    while not said or said[-1] != "Ctrl-C ends it.":
        line = process.stdout.readline()
        assert line, said
        assert time.monotonic() < deadline
        said.append(line.strip())
    addresses = re.findall(r"http://127\.0\.0\.1:(\d+)(/\S*)", "\n".join(said))
    assert [int(port) - newcomer.port for port, _ in addresses] == [0, 0, 1, 2, 3]
    for port, path in addresses:
        assert requests.get(f"http://127.0.0.1:{port}{path}", timeout=20).status_code == 200
    assert len(newcomer.find_processes()) > 4
    process.send_signal(end)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "stopping" in rest
    assert "Traceback" not in rest
    assert newcomer.find_processes() == []
    assert newcomer.list_written() == set()
    return said


def test_without_once_it_runs_until_it_is_ended_tells_addresses_and_leaves_no_process(
    newcomer: Newcomer, tmp_path: Path
) -> None:
    other = Newcomer(home=newcomer.home, here=newcomer.here, state=tmp_path / "demo", port=find_free_ports())
    with running(other) as process:
        check_it_runs_until(signal.SIGTERM, other, process)


def test_second_run_on_the_same_folder_works_with_json_until_ctrl_c(
    newcomer: Newcomer, first: subprocess.CompletedProcess[str]
) -> None:
    with running(newcomer, "--json") as process:
        said = check_it_runs_until(signal.SIGINT, newcomer, process)
    (told,) = [line for line in said if line.startswith("{")]
    second = check_result(told)
    assert second["public_reference"] != check_first(first)["public_reference"]


def test_command_of_the_readme_is_the_one_that_is_tested_here() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "report-abuse-gateway demo --state $(STATE) --port $(PORT)" in makefile


def test_second_demonstration_leaves_the_folder_of_a_running_one_alone(newcomer: Newcomer, tmp_path: Path) -> None:
    state = tmp_path / "demo"
    (state / "desk").mkdir(parents=True)
    other = Newcomer(home=newcomer.home, here=newcomer.here, state=state, port=find_free_ports())
    with (state / "THIS-IS-A-DEMONSTRATION").open("w") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        done = other.run("--once", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "A demonstration runs in" in done.stderr
    assert (state / "desk").is_dir()
