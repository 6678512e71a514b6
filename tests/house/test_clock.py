"""No test depends on the day: the clock is read in few places, and its readers run on other days too."""

import ast
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from tests.house.sources import ROOT, files, imports_of, module_of, parse, walk
from tests.other_days import CLOCK_MODULES, FAKED, ZONES, list_days, list_runs, make_command

NAMES: Final = {
    "datetime": {"now", "today", "utcnow"},
    "date": {"today"},
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "asctime"},
}
# Other readers of the clock, with the reason why the day does not matter there.
OTHERS: Final = {
    "gateway/limits.py": "counts the seconds of a window",
    "partner_sdk/log_check.py": "shares no code with the modules that read the clock; a test passes its own",
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
UK_ZONES: Final = {f"{module}.{name}" for module, name in ZONES.items() if name != "ZoneInfo"}
TWO_TESTS: Final = """
from datetime import UTC, datetime
import subprocess
import pytest
from gateway.clock import utc_now
from gateway.desk.uk_times import get_uk_day

@pytest.fixture(scope="module")
def shared():
    return utc_now()

def test_reads():
    utc_now()

@pytest.mark.parametrize("number", [1, 2])
def test_reads_as_well(number):
    assert utc_now().tzinfo

def test_reads_and_asks_a_zone():
    get_uk_day(utc_now())

def test_asks_a_zone_for_a_day_of_its_own():
    get_uk_day(datetime(2026, 11, 28, tzinfo=UTC))

def test_reads_and_starts_a_process():
    subprocess.run(["true", str(utc_now())], check=True)

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
    assert readers - set(OTHERS) == noted, "Call gateway.clock.utc_now, and the test is run on other days too."
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


def test_time_zones_are_asked_in_modules_that_note_it() -> None:
    sources = files(".py", below=("gateway", "partner_sdk"))
    users = {module_of(path) for path in sources if {"zoneinfo.ZoneInfo", *UK_ZONES} & set(imports_of(path))}
    assert users == set(ZONES), "A zone that nothing notes: its tests would not run when the clocks change."
    names = [name for path in sources for name in imports_of(path) if name.startswith(("zoneinfo", "dateutil"))]
    assert set(names) == {"zoneinfo", "zoneinfo.ZoneInfo"}, "import ZoneInfo itself"


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


def test_run_notes_which_tests_read_the_clock_and_ask_a_time_zone(tmp_path: Path) -> None:
    for name, text in (("pytest.ini", "[pytest]"), ("test_plain.py", TWO_TESTS), ("test_sharing.py", SHARING)):
        (tmp_path / name).write_text(text, "utf-8")
    run = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-c", str(tmp_path / "pytest.ini"), "-n", "1"]
    noted = tmp_path / "noted.json"
    subprocess.run([*run, "--clock-readers", noted, tmp_path], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert json.loads(noted.read_text("utf-8")) == {
        "reads the clock": [
            "test_plain.py::test_reads",
            "test_plain.py::test_reads_and_asks_a_zone",
            "test_plain.py::test_reads_and_starts_a_process",
            "test_plain.py::test_reads_as_well",
            "test_sharing.py",
            "test_sharing.py::test_reads",
            "test_sharing.py::test_reads_and_asks_a_zone",
            "test_sharing.py::test_reads_and_starts_a_process",
            "test_sharing.py::test_reads_as_well",
        ],
        # In a file whose tests share what was read, any of them may ask about that.
        "asks a time zone": [
            "test_plain.py::test_reads_and_asks_a_zone",
            "test_plain.py::test_reads_and_starts_a_process",
            "test_sharing.py::test_asks_a_zone_for_a_day_of_its_own",
            "test_sharing.py::test_reads_and_asks_a_zone",
            "test_sharing.py::test_reads_and_starts_a_process",
        ],
    }


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


def test_days_are_those_on_which_calendars_go_wrong() -> None:
    days = list_days(datetime(2026, 11, 27, 12, tzinfo=UTC))
    assert [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in days.values()] == [
        "2028-02-29 23:59:50",
        "2027-03-28 00:59:50",
        "2027-10-31 00:59:50",
    ]
    # Never one that is near: what is kept for a year has to have ended.
    for near in (datetime(2027, 1, 26, tzinfo=UTC), datetime(2028, 2, 28, tzinfo=UTC)):
        assert next(iter(list_days(near).values())) == datetime(2032, 2, 29, 23, 59, 50, tzinfo=UTC)


def test_all_readers_run_on_the_leap_day_and_those_with_a_zone_when_the_clocks_change() -> None:
    clock = ["a.py::one", "b.py::one", "b.py::two", "b.py::three", "c.py"]
    tests = {"reads the clock": clock, "asks a time zone": ["c.py"]}
    runs = [one for _name, one, _moment in list_runs(tests, datetime(2026, 11, 27, 12, tzinfo=UTC))]
    assert runs == [clock[:4], clock[4:], ["c.py"], ["c.py"]]


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
