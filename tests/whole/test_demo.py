"""`report-abuse-gateway demo` as a newcomer runs it: from an empty home and another folder; nothing is left behind.

One whole run with --json until SIGTERM, one on its folder that Ctrl-C ends in the third step, and one of a short step
with --once.
"""

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.demo.loop import ANSWERS, PEOPLE
from gateway.demo.service import PLACES
from gateway.demo.walks import DeskWalk, walk_to_thanks
from tests.builders.local_servers import find_free_ports
from tests.gateway.web.process_watch import find_living, list_family, read_command, read_environment, wait_until
from tests.whole.readme_addresses import SIGNS, ask_addresses, count_addresses, sign_in_twice

# A whole run takes 25 seconds of a core that other tests use too: only a run that never ends may reach this.
RUN_SECONDS = 600
FIELDS: dict[str, type | tuple[type, ...]] = {
    "buttons_pass": int,
    "public_reference": str,
    "reply_read": bool,
    "industry_reference": str,
    "package_acknowledged": bool,
    "request_answered": bool,
    "digest_id": str,
    "desk_opened": int,
    "receipt_verified": bool,
    "digest_opened": bool,
    "seconds": (int, float),
}
STEPS = [
    *("keys", "gateway", "desk", "publish", "police", "enrol", "service", "button"),
    *("public report", "industry report", "receipt", "collect", "assess", "reply", "package", "request", "answers"),
    *("close", "digest", "pull"),
]
# The program with one short step, which starts a process: what --once changes comes after the last one.
ONE_STEP = """
import sys
import gateway.demo.loop
from gateway.cli import main

def run_one_step(loop, print_line):
    loop.processes.start_program("watch", ["tail", "-f", str(loop.folder / gateway.demo.loop.MARK)])
    print_line("a process runs")
    return {"steps": 1}

gateway.demo.loop.run_steps = run_one_step
sys.exit(main())
"""
STEPS_ARE_DONE = ""  # the line between the steps and the addresses
REFERENCE = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{5}-[0-9A-Z*~$=]")


@dataclass(frozen=True)
class Newcomer:
    """A user with an empty home, in another folder than the code's."""

    home: Path
    here: Path
    state: Path
    port: int

    def command(self, *words: str) -> list[str]:
        return [str(Path(sys.executable).with_name("report-abuse-gateway")), *self.words(*words)]

    def words(self, *more: str) -> list[str]:
        return ["demo", "--state", str(self.state), "--port", str(self.port), *more]

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        temporary = self.home.parent / "tmp"
        temporary.mkdir(exist_ok=True)
        return {**kept, "HOME": str(self.home), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run_command(self.command(*words))

    def run_command(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        place = {"cwd": self.here, "env": self.environment}
        try:
            return subprocess.run(command, **place, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            self.kill_processes()
            raise

    def list_written(self) -> set[Path]:
        """Return every file of home, the folder stood in, and the place for temporary files."""
        places = (self.home, self.here, self.home.parent / "tmp")
        return {path for place in places for path in place.rglob("*") if not path.is_relative_to(self.state)}

    def find_processes(self) -> set[int]:
        """Return the processes of this demonstration: each has its folder or its ports in its words or surroundings."""
        mark = re.compile(re.escape(str(self.state).encode()) + rb"|:%d\b" % self.port)
        others = find_living() - {os.getpid()}
        return {pid for pid in others if mark.search(read_command(pid) + b"\0" + read_environment(pid))}

    def kill_processes(self) -> None:
        """Kill what a demonstration that did not end in order left: each of its programs has a group of its own."""
        for pid in list_family(*self.find_processes()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    folder = tmp_path_factory.mktemp("newcomer")
    for name in ("home", "here"):
        (folder / name).mkdir()
    ports = find_free_ports(4)
    return Newcomer(home=folder / "home", here=folder / "here", state=folder / "state" / "demo", port=ports)


@contextmanager
def running(newcomer: Newcomer, *words: str, out: Path | None = None) -> Iterator["subprocess.Popen[str]"]:
    """A demonstration that goes on until it is stopped. With `out` its standard output goes there, the rest is read."""
    with contextlib.ExitStack() as stack:
        process = subprocess.Popen(
            # What a shell starts in the background ignores Ctrl-C, and so would all that these tests start.
            ["env", "--default-signal=INT", *newcomer.command(*words)],
            cwd=newcomer.here,
            env=newcomer.environment,
            stdout=subprocess.PIPE if out is None else stack.enter_context(out.open("w")),
            stderr=subprocess.STDOUT if out is None else subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            newcomer.kill_processes()
            process.communicate()


def read_until(process: "subprocess.Popen[str]", *, is_last: Callable[[str], bool]) -> list[str]:
    """Return the lines up to the first one that `is_last` accepts."""
    stream = process.stdout or process.stderr
    assert stream is not None
    said: list[str] = []
    deadline = time.monotonic() + RUN_SECONDS
    while not said or not is_last(said[-1]):
        line = stream.readline()
        assert line, said
        assert time.monotonic() < deadline
        said.append(line.strip())
    return said


def end(process: "subprocess.Popen[str]", *, by: signal.Signals) -> str:
    """Send a signal, check that the process stops at it with a message, and return its remaining output."""
    process.send_signal(by)
    rest = "".join(part for part in process.communicate(timeout=60) if part)
    assert process.returncode == 0
    assert "stopping" in rest
    assert "Traceback" not in rest
    return rest


def list_steps(lines: Iterable[str]) -> list[str]:
    return [line.split("  ")[0] for line in map(str.strip, lines) if line]


def check_nothing_is_left(newcomer: Newcomer) -> None:
    # What was interrupted in a moment of its own start ends by itself, a moment later.
    assert wait_until(lambda: not newcomer.find_processes(), patience_seconds=30)
    for port in range(newcomer.port, newcomer.port + 4):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    assert newcomer.list_written() == set()


def check_it_runs_until(
    by: signal.Signals,
    newcomer: Newcomer,
    process: "subprocess.Popen[str]",
    *,
    use: Callable[[list[str]], None] = lambda _: None,
) -> list[str]:
    """Check that the addresses answer until the signal, and nothing is left then; return the output before it.

    `use` is called with that while everything runs.
    """
    said = read_until(process, is_last=lambda line: line == "Press Ctrl-C to stop.")
    addresses = re.findall(r"http://(127\.0\.0\.1|localhost):(\d+)(/\S*)", "\n".join(said))
    assert [int(port) - newcomer.port for _, port, _ in addresses] == [0, 0, 1, 3, *[2] * len(PEOPLE)]
    for host, port, path in addresses:
        assert requests.get(f"http://{host}:{port}{path}", timeout=20).status_code == 200
    assert len(newcomer.find_processes()) > 4
    use(said)
    end(process, by=by)
    check_nothing_is_left(newcomer)
    return said


@dataclass(frozen=True)
class Run:
    """The run's output, the seconds until it waited, and what its addresses and its sign-in link answered then."""

    told: str
    said: list[str]
    watched_seconds: float
    answers: dict[str, requests.Response]
    sign_ins: list[int]
    typed: dict[str, str]


@pytest.fixture(scope="module")
def whole(newcomer: Newcomer, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The whole run with --json, on a fresh folder, used and then ended with SIGTERM."""

    def is_a_case(reference: str) -> bool:
        # Not by the command, again and again: a process for each look is most of what this test costs.
        with contextlib.closing(sqlite3.connect(newcomer.state / "desk" / "desk.sqlite")) as desk:
            return desk.execute("SELECT 1 FROM cases WHERE reference = ?", (reference,)).fetchone() is not None

    answers: dict[str, requests.Response] = {}
    sign_ins: list[int] = []
    typed: dict[str, str] = {}

    def type_a_report(analyst: DeskWalk) -> None:
        typed["reference"] = walk_to_thanks(f"http://127.0.0.1:{newcomer.port}", ANSWERS).reference
        assert wait_until(lambda: is_a_case(typed["reference"]), patience_seconds=RUN_SECONDS)
        typed["queue"] = analyst.read("/")
        typed["all"] = analyst.read("/?lane=closed")
        (case_id,) = re.findall(rf"/cases/([0-9a-f-]{{36}})[^>]*>{re.escape(typed['reference'])}<", typed["queue"])
        typed["shown"] = analyst.show(f"/cases/{case_id}", f"/cases/{case_id}/read")

    def use_all(said: list[str]) -> None:
        answers.update(ask_addresses(newcomer.port))
        analyst, first, *others = re.findall(r"http://\S+/start/\S+", "\n".join(said))
        assert len(others) == len(PEOPLE) - 2
        with contextlib.closing(DeskWalk(analyst)) as person:
            type_a_report(person)
        sign_ins.extend(sign_in_twice(link)[0] for link in others)
        sign_ins.extend(sign_in_twice(first))

    out, started = tmp_path_factory.mktemp("whole") / "told", time.monotonic()
    with running(newcomer, "--json", out=out) as process:
        said = read_until(process, is_last=lambda line: line == STEPS_ARE_DONE)
        watched, told = time.monotonic() - started, out.read_text(encoding="utf-8")
        said += check_it_runs_until(signal.SIGTERM, newcomer, process, use=use_all)
    assert out.read_text(encoding="utf-8") == told
    return Run(told, said, watched, answers, sign_ins, typed)


def check_result(told: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(told)
    assert set(result) == set(FIELDS)
    assert {name for name, kind in FIELDS.items() if not isinstance(result[name], kind)} == set()
    return result


def test_it_prints_each_step_and_the_addresses_and_runs_until_it_is_ended(whole: Run) -> None:
    assert list_steps(whole.said[: len(STEPS)]) == STEPS
    assert whole.said[len(STEPS)] == STEPS_ARE_DONE
    assert whole.said[-1] == "Press Ctrl-C to stop."


def test_report_that_is_typed_after_the_start_reaches_the_desks_queue_and_stays_open(whole: Run) -> None:
    reference = whole.typed["reference"]
    assert REFERENCE.findall(read_rows(whole.typed["queue"])) == [reference]
    assert ANSWERS["story"][0] in whole.typed["shown"]
    result = check_result(whole.told)
    closed = REFERENCE.findall(read_rows(whole.typed["all"]))
    assert sorted(closed) == sorted([result["public_reference"], result["industry_reference"]])


def read_rows(page: str) -> str:
    """Return the rows of a list of cases."""
    return page.partition('<ol class="rows">')[2].partition("</ol>")[0]


def test_standard_output_is_one_json_object_of_the_results(whole: Run) -> None:
    assert len(whole.told.splitlines()) == 1
    result = check_result(whole.told)
    assert REFERENCE.fullmatch(result["public_reference"])
    assert REFERENCE.fullmatch(result["industry_reference"])
    assert result["public_reference"] != result["industry_reference"]
    assert re.fullmatch(r"20\d\d-Q[1-4]\.example-chat", result["digest_id"])
    assert (type(result["desk_opened"]), result["desk_opened"]) == (int, 2)
    assert result["buttons_pass"] == len(PLACES) == 5
    assert [name for name, kind in FIELDS.items() if kind is bool and result[name] is not True] == []
    said = REFERENCE.search("\n".join(line for line in whole.said if line.startswith("public report")))
    assert said is not None
    assert result["public_reference"] == said[0]


def test_seconds_are_those_of_the_steps(whole: Run) -> None:
    # Before the first step a process starts, and no more: that never takes as long as all the steps.
    assert whole.watched_seconds / 2 < check_result(whole.told)["seconds"] <= whole.watched_seconds


def test_each_address_of_the_readme_answers_as_its_table_states(whole: Run) -> None:
    assert list(whole.answers) == list(SIGNS)
    assert count_addresses() == len(SIGNS)
    for description, answer in whole.answers.items():
        # The desk opens for no one: without a sign-in its first page explains how to get one.
        assert answer.status_code == (401 if description.startswith("the desk") else 200), description
        assert SIGNS[description] in answer.text


def test_printed_links_sign_five_people_in_at_the_desk_once(whole: Run) -> None:
    *once, again = whole.sign_ins
    assert once == [200] * 5
    assert again in {400, 401}


def test_everything_is_written_under_its_folder_and_nothing_runs_on(newcomer: Newcomer, whole: Run) -> None:
    assert whole.told
    check_nothing_is_left(newcomer)
    assert (newcomer.state / "gateway" / "gateway.sqlite").is_file()


def test_on_a_used_folder_it_begins_anew_and_ctrl_c_during_a_step_leaves_no_process(
    newcomer: Newcomer, whole: Run
) -> None:
    assert whole.told
    assert (newcomer.state / "desk").is_dir()
    with running(newcomer) as process:
        said = read_until(process, is_last=lambda line: line.startswith("gateway  "))
        # The gateway serves, and the desk's command of the next step runs.
        assert len(newcomer.find_processes()) > 4
        with contextlib.closing(sqlite3.connect(newcomer.state / "gateway" / "gateway.sqlite")) as gateway:
            assert gateway.execute("SELECT count(*) FROM reports").fetchone() == (0,)
        rest = end(process, by=signal.SIGINT)
    assert list_steps(said) == ["keys", "gateway"]
    assert "Press Ctrl-C to stop." not in rest
    assert "{" not in rest
    check_nothing_is_left(newcomer)


def test_with_once_it_ends_by_itself_after_the_last_step_and_leaves_no_process(
    newcomer: Newcomer, tmp_path: Path
) -> None:
    other = Newcomer(home=newcomer.home, here=newcomer.here, state=tmp_path / "demo", port=find_free_ports(4))
    done = other.run_command([sys.executable, "-c", ONE_STEP, *other.words("--once")])
    assert (done.returncode, done.stdout, done.stderr) == (0, "a process runs\n", "")
    assert (other.state / "logs" / "watch.log").is_file()
    check_nothing_is_left(other)


def test_foreign_folder_is_refused_and_not_touched(newcomer: Newcomer, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine", encoding="utf-8")
    other = Newcomer(home=newcomer.home, here=newcomer.here, state=tmp_path, port=newcomer.port)
    done = other.run("--once", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    assert (tmp_path / "letter.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("place", [0, 3])
def test_port_in_use_ends_with_1_and_names_step_and_port(newcomer: Newcomer, tmp_path: Path, place: int) -> None:
    port = find_free_ports(4)
    other = Newcomer(home=newcomer.home, here=newcomer.here, state=tmp_path / "demo", port=port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + place))
        taken.listen()
        done = other.run("--once", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "step 'keys'" in done.stderr
    assert f"Port {port + place} is in use" in done.stderr
    assert not other.find_processes()


def test_second_demonstration_leaves_the_folder_of_a_running_one_alone(newcomer: Newcomer, tmp_path: Path) -> None:
    state = tmp_path / "demo"
    (state / "desk").mkdir(parents=True)
    other = Newcomer(home=newcomer.home, here=newcomer.here, state=state, port=find_free_ports(4))
    with (state / "THIS-IS-A-DEMONSTRATION").open("w") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        done = other.run("--once", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "A demonstration is running in" in done.stderr
    assert (state / "desk").is_dir()
