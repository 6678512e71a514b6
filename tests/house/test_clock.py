"""No test depends on the day: the clock is read in few places, and its readers run on a leap day too."""

import ast
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from tests.house.sources import ROOT, files, parse, walk
from tests.other_days import CLOCK_MODULES, FAKED, find_leap_day, halve, make_command

NAMES: Final = {
    "datetime": {"now", "today", "utcnow"},
    "date": {"today"},
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "asctime"},
}
# Other readers of the clock, with the reason why the day does not matter there.
OTHERS: Final = {
    "gateway/limits.py": "counts the seconds of a window",
    "partner_sdk/reader/log_check.py": "shares no code with the modules that read the clock; a test passes its own",
    "partner_sdk/console/check/page_fetch.py": "leaves out cookies that have ended, as a browser on this machine does",
    "partner_sdk/console/drafts.py": "compares with the time that the file system gave a file",
    "gateway/desk/vault/holder.py": "compares with the time that the file system gave a file",
    "gateway/store/store.py": "forgets its probes after an hour",
    "tests/other_days.py": "moves the clock",
    "tests/bench/figures.py": "dates what was measured",
    "tests/bench/intake.py": "its own gateway has no other clock",
    "tests/bench/growth.py": "its own gateway has no other clock",
    "tests/bench/sdk.py": "its receipts lie in the past day, as those of a real partner",
    "tests/bench/report.py": "its own report has no other clock",
    "tests/bench/bare_app.py": "its own database has no other clock",
}
TWO_TESTS: Final = """
import pytest
from gateway.config import utc_now

@pytest.fixture(scope="module")
def shared():
    return utc_now()

def test_reads():
    utc_now()

@pytest.mark.parametrize("number", [1, 2])
def test_reads_as_well(number):
    assert utc_now().tzinfo

def test_does_not():
    pass
"""
SHARING: Final = (
    TWO_TESTS
    + """
def test_shares(shared):
    assert shared
"""
)


def test_clock_of_this_machine_is_read_in_three_modules_that_note_it() -> None:
    sources = files(".py", below=("gateway", "partner_sdk", "tests"))
    assert len(sources) >= 1
    readers = {str(path.relative_to(ROOT)) for path in sources if list_readings(parse(path))}
    noted = {f"{name.replace('.', '/')}.py" for name in CLOCK_MODULES}
    assert readers - set(OTHERS) == noted, "Call gateway.config.utc_now, and the test is run on a leap day too."
    assert set(OTHERS) - readers == set()


def list_readings(module: ast.Module) -> list[int]:
    """List the lines that read the clock: `datetime.now(…)`, `time.time()` and such, under their usual names."""
    return [
        node.lineno
        for node in walk(module)
        if (
            isinstance(node, ast.Attribute)
            and node.attr in NAMES.get(getattr(node.value, "attr", getattr(node.value, "id", "")), ())
        )
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "time"
            and {one.name for one in node.names} & NAMES["time"]
        )
    ]


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("datetime.now(UTC)", True),
        ("datetime.datetime.now(UTC)", True),
        ("clock = time.time", True),
        ("from time import time", True),
        ("date.today()", True),
        ("time.monotonic()", False),
        ("clock.now", False),
        ("from time import monotonic", False),
    ],
)
def test_reading_of_the_clock_is_found(text: str, is_found: bool) -> None:
    assert bool(list_readings(ast.parse(text))) is is_found


def test_run_notes_which_tests_read_the_clock(tmp_path: Path) -> None:
    for name, text in (("pytest.ini", "[pytest]"), ("test_plain.py", TWO_TESTS), ("test_sharing.py", SHARING)):
        (tmp_path / name).write_text(text, "utf-8")
    run = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-c", str(tmp_path / "pytest.ini"), "-n", "1"]
    noted = tmp_path / "noted.json"
    subprocess.run([*run, "--clock-readers", noted, tmp_path], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    alone = ["test_reads", "test_reads_as_well"]
    expected = [
        *(f"test_plain.py::{one}" for one in alone),
        "test_sharing.py",
        *(f"test_sharing.py::{one}" for one in alone),
    ]
    assert json.loads(noted.read_text("utf-8")) == expected


# Waits as a thread of Python waits for its turn: on a condition whose clock is the monotonic one, until a moment of it.
WAITING: Final = """
import ctypes, time
libc = ctypes.CDLL(None)
attribute, condition, mutex = (ctypes.create_string_buffer(64) for _ in range(3))
libc.pthread_condattr_init(attribute)
libc.pthread_condattr_setclock(attribute, time.CLOCK_MONOTONIC)
libc.pthread_cond_init(condition, attribute)
libc.pthread_mutex_lock(mutex)
end = time.monotonic_ns() + 100_000_000
until = (ctypes.c_int64 * 2)(*divmod(end, 1_000_000_000))
libc.pthread_cond_timedwait(condition, mutex, until)
assert time.monotonic_ns() >= end, "The wait ended early."
"""


def test_wait_of_a_thread_lasts_as_long_under_a_moved_clock() -> None:
    now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    *moved, _python, _m, _pytest = make_command([], now + timedelta(days=1), now=now)[:6]
    subprocess.run([*moved, sys.executable, "-c", WAITING], env={**os.environ, **FAKED}, check=True)


def test_leap_day_is_one_on_which_all_that_is_kept_for_a_year_has_ended() -> None:
    assert find_leap_day(datetime(2026, 11, 27, 12, tzinfo=UTC)) == datetime(2028, 2, 29, 23, 59, 50, tzinfo=UTC)
    for near in (datetime(2027, 1, 26, tzinfo=UTC), datetime(2028, 2, 28, tzinfo=UTC)):
        assert find_leap_day(near) == datetime(2032, 2, 29, 23, 59, 50, tzinfo=UTC)


def test_tests_of_a_file_stay_together() -> None:
    assert halve(["a.py::one", "b.py::one", "b.py::two", "b.py::three", "c.py"]) == (
        ["a.py::one", "b.py::one", "b.py::two", "b.py::three"],
        ["c.py"],
    )


def test_moved_clock_reaches_a_program_that_a_program_starts() -> None:
    now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    moment = datetime(2028, 2, 29, 12, tzinfo=UTC)
    *moved, _python, _m, _pytest = make_command([], moment, now=now)[:6]
    assert moved == ["faketime", "-f", "+39657600"]
    telling = "import time; print(time.time())"
    asking = f"import subprocess, sys; print(subprocess.check_output([sys.executable, '-c', {telling!r}], text=True))"
    plain = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "FAKETIME")}
    commands = [[*start, sys.executable, "-c", asking] for start in ([], moved)]
    seconds = [float(subprocess.check_output(command, env=plain)) for command in commands]
    assert abs(seconds[1] - seconds[0] - 39_657_600) < 60


def test_make_test_runs_everything_and_then_the_readers_on_other_days() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    recipe = text.partition("\ntest: tools lint")[2].partition("\n\n")[0]
    # With "=": as a word of its own, the file of an earlier run would be taken for the tests to run.
    assert "--clock-readers=.venv/clock-readers.json\n" in recipe
    assert recipe.rstrip().endswith("@.ci/in-memory $(VENV)/python -m tests.other_days .venv/clock-readers.json")
