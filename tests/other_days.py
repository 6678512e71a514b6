"""Runs the tests that read the clock of this machine again on other days: `python -m tests.other_days FILE`.

The day matters only to tests that read the clock, and a change of the clocks only to those that ask a time zone too, or
start a process that may. Each run of all tests notes which ones do (tests/conftest.py), so that a new one is taken
without being named. Debian's faketime moves the clock. Whole loops, faults and browsers are not run again: Chromium
crawls under faketime, and the processes behind it compute with days as the tests of each room do.
"""

import json
import os
import subprocess
import sys
import time
from calendar import isleap
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
# The folders whose files take longest.
LONG: Final = frozenset({"faults", "whole", "widget"})
LEAP_DAY: Final = "a leap day in more than a year, into March"
# What these start is timed, or is no program of ours, and crawls under faketime as Chromium does.
TIMED: Final = frozenset({"test_nginx.py", "test_slow_callers.py", "test_checker.py"})
# The functions that read the clock for all others are in these modules; tests/house/test_clock.py finds any other.
CLOCK_MODULES: Final = ("gateway.clock", "gateway.desk.wiring", "partner_sdk.client.http")
# The zones of our modules; tests/house/test_clock.py finds any other.
ZONES: Final = {
    "partner_sdk.uk_clock": "UK",
    "gateway.guidance.agency": "ZoneInfo",
    "gateway.desk.uk_times": "UK",
    "gateway.desk.notices.service_requests": "UK",
    "gateway.desk.figures": "UK",
    "partner_sdk.console.questions": "UK",
}
# Files and waits keep the time of this machine. By default faketime ends a wait on the monotonic clock at once while
# that clock is not moved: each thread of Python that waits for its turn asks for it without a rest (12,790 calls of the
# kernel in a second, else 319), and whatever has threads takes three times as long.
FAKED: Final = {
    "NO_FAKE_STAT": "1",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    "FAKETIME_FORCE_MONOTONIC_FIX": "0",
}
_CLOCK: Final = "reads the clock"
_ZONE: Final = "asks a time zone"
_PLACE: Final = "evidence_place"


class ClockReaders:
    """Tests that read the clock of this machine, and those that ask a time zone, noted while they run."""

    def __init__(self) -> None:
        self._names: dict[str, set[str]] = {_CLOCK: set(), _ZONE: set()}
        self._item: pytest.Item | None = None
        self._is_shared = False
        self._is_patched = False

    def begin(self, item: pytest.Item) -> None:
        """Note for this test from now on."""
        # Its folders within the project: the project itself may lie in a folder of any name.
        folders = _get_file(item.nodeid).split("/")
        can_run = (LONG | TIMED).isdisjoint(folders) and not _needs_object_store(item)
        self._item = item if can_run else None
        if not self._is_patched:
            self._patch()

    @contextmanager
    def watching(self, *, is_shared: bool) -> Iterator[None]:
        """While a fixture is made, note for every test that shares it."""
        before, self._is_shared = self._is_shared, self._is_shared or is_shared
        try:
            yield
        finally:
            self._is_shared = before

    def note(self, what: str) -> None:
        """Note that the clock was read, or a time zone asked."""
        if self._item is not None:
            end = "::" if self._is_shared else "["
            # With evidence in a folder it runs on other days, with the same in a bucket it does not.
            is_one_of_places = end == "[" and _PLACE in _get_parameters(self._item)
            name = self._item.nodeid if is_one_of_places else self._item.nodeid.partition(end)[0]
            if (what, name) not in self._item.user_properties:
                self._item.user_properties.append((what, name))

    def take(self, report: pytest.TestReport) -> None:
        """Take the names from the report of a test, which may come from another process."""
        for what, name in report.user_properties:
            if what in self._names:
                self._names[what].add(str(name))

    def list_tests(self) -> dict[str, list[str]]:
        """List the tests that read the clock, and those of them that ask a time zone too."""
        clock, zone = self._names[_CLOCK], self._names[_ZONE]
        both = {name for name in zone if {name, _get_file(name)} & clock}
        both |= {name for name in clock if _get_file(name) in zone}
        return {_CLOCK: sorted(clock), _ZONE: sorted(both)}

    def _patch(self) -> None:
        self._is_patched = True
        for name in CLOCK_MODULES:
            import_module(name).datetime = _make_noting_clock(self.note)  # type: ignore[attr-defined]  # in its place
        noting = _make_noting_zone(self.note)
        for name, zone in ZONES.items():
            module = import_module(name)
            setattr(module, zone, noting if zone == "ZoneInfo" else noting(getattr(module, zone).key))
        start = subprocess.Popen.__init__

        def note_and_start(*arguments: Any, **named: Any) -> None:
            self.note(_ZONE)  # which zones another process asks is not seen
            start(*arguments, **named)

        subprocess.Popen.__init__ = note_and_start  # type: ignore[method-assign]  # in its place


def _get_parameters(item: pytest.Item) -> dict[str, object]:
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec is not None else {}


def _needs_object_store(item: pytest.Item) -> bool:
    """Return whether a test uses a bucket: SeaweedFS keeps the time of this machine and refuses what another signs."""
    is_in_bucket = _get_parameters(item).get(_PLACE) == "bucket"
    return is_in_bucket or "seaweedfs" in getattr(item, "fixturenames", ())


def _get_file(name: str) -> str:
    return name.partition("::")[0]


def _make_noting_clock(note: Callable[[str], None]) -> type[datetime]:
    class NotingClock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]  # what it gives is no clock itself
            note(_CLOCK)
            return datetime.now(tz)

    return NotingClock


def _make_noting_zone(note: Callable[[str], None]) -> type[ZoneInfo]:
    class NotingZone(ZoneInfo):
        def utcoffset(self, dt: datetime | None, /) -> timedelta | None:
            note(_ZONE)
            return super().utcoffset(dt)

        def fromutc(self, dt: datetime, /) -> datetime:
            note(_ZONE)
            return super().fromutc(dt)

    return NotingZone


clock_readers: Final = ClockReaders()


def list_days(now: datetime) -> dict[str, datetime]:
    """List the moments to try, on which calendars go wrong.

    Keys and data that expire within a year have expired on the leap day, and any of them is another day than today.
    """
    year = now.year + 1
    far = now + timedelta(days=400)
    leap_days = (datetime(one, 2, 29, 23, 59, 50, tzinfo=UTC) for one in range(far.year, far.year + 9) if isleap(one))
    return {
        LEAP_DAY: next(day for day in leap_days if day > far),
        "the change to summer time": _find_last_sunday(year, 3) + timedelta(minutes=59, seconds=50),
        "the change from summer time": _find_last_sunday(year, 10) + timedelta(minutes=59, seconds=50),
    }


def list_runs(tests: Mapping[str, list[str]], now: datetime) -> list[tuple[str, list[str], datetime]]:
    """List day, tests and moment of each process: all tests on the leap day, in two halves, as it has most by far.

    When the clocks change, only those with a time zone run.
    """
    runs = []
    for name, moment in list_days(now).items():
        if name == LEAP_DAY:
            middle = _find_file_border(tests[_CLOCK])
            runs += [(name, half, moment) for half in (tests[_CLOCK][:middle], tests[_CLOCK][middle:])]
        else:
            runs.append((name, tests[_ZONE], moment))
    return runs


def _find_file_border(tests: list[str]) -> int:
    """Return the place about the middle where a file begins: its tests share costly fixtures."""
    middle = len(tests) // 2
    while 0 < middle < len(tests) and _get_file(tests[middle]) == _get_file(tests[middle - 1]):
        middle += 1
    return middle


def _find_last_sunday(year: int, month: int) -> datetime:
    last = datetime(year, month, 31, tzinfo=UTC)
    return last - timedelta(days=(last.weekday() + 1) % 7)


def make_command(tests: list[str], moment: datetime, *, now: datetime) -> list[str]:
    """Return the command that runs tests from a moment on. A difference of seconds is the same for all processes."""
    seconds = round((moment - now).total_seconds())
    return [
        "faketime",
        "-f",
        f"{seconds:+d}",
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--no-header",
        "-p",
        "no:cacheprovider",
        *tests,
    ]


def run_day(tests: list[str], moment: datetime) -> subprocess.CompletedProcess[str]:
    """Run tests from a moment on, on a machine in London."""
    environment = {**os.environ, **FAKED, "TZ": "Europe/London"}
    command = make_command(tests, moment, now=datetime.now(UTC))
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def main() -> int:
    """Run every day, print the failures."""
    runs = list_runs(json.loads(Path(sys.argv[1]).read_text("utf-8")), datetime.now(UTC))
    if not all(tests for _name, tests, _moment in runs):
        raise SystemExit("No test read the clock of this machine or asked a time zone: were all of them run?")
    began = time.monotonic()
    # A run in one process imports the tests once; all at once keep two cores busy while some tests wait.
    with ThreadPoolExecutor((os.cpu_count() or 1) + 2) as pool:
        ended = list(pool.map(lambda run: run_day(*run[1:]), runs))
    for (name, _tests, moment), run in zip(runs, ended, strict=True):
        if run.returncode:
            sys.stdout.write(run.stdout)
        sys.stdout.write(f"{name} ({moment:%Y-%m-%d %H:%M} UTC): {run.stdout.splitlines()[-1]}\n")
    sys.stdout.write(f"tests that read the clock ran on other days in {time.monotonic() - began:.0f} s\n")
    return 1 if any(run.returncode for run in ended) else 0


if __name__ == "__main__":
    sys.exit(main())
