"""Runs the tests that read the clock of this machine again on another day: `python -m tests.other_days FILE`.

It is a leap day in more than a year. Each run of all tests notes which ones read the clock (tests/conftest.py), so that
a new one is taken without being named. Debian's faketime moves the clock. Whole loops, faults and browsers are not run
again: Chromium crawls under faketime, and the processes behind it compute with days as the tests of each room do. The
changes to and from summer time have tests of their own, with the days in them.
"""

import json
import os
import subprocess
import sys
import time
from calendar import isleap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
# The folders whose files take longest.
LONG: Final = frozenset({"faults", "whole", "widget"})
# What these start is timed, or is no program of ours, and crawls under faketime as Chromium does.
TIMED: Final = frozenset({"test_nginx.py", "test_slow_callers.py", "test_checker.py"})
# The functions that read the clock for all others are in these modules; tests/house/test_clock.py finds any other.
CLOCK_MODULES: Final = ("gateway.config", "gateway.desk.office.wiring", "partner_sdk.client.http")
# Files and waits keep the time of this machine. By default faketime ends a wait on the monotonic clock at once while
# that clock is not moved: each thread of Python that waits for its turn asks for it without a rest (12,790 calls of the
# kernel in a second, else 319), and whatever has threads takes three times as long.
FAKED: Final = {
    "NO_FAKE_STAT": "1",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    "FAKETIME_FORCE_MONOTONIC_FIX": "0",
}
_PLACE: Final = "evidence_place"
_PROPERTY: Final = "reads the clock"


class ClockReaders:
    """Tests that read the clock of this machine, noted while they run."""

    def __init__(self) -> None:
        self._names: set[str] = set()
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
            self._is_patched = True
            for name in CLOCK_MODULES:
                import_module(name).datetime = _make_noting_clock(self.note)  # type: ignore[attr-defined]  # in its place

    @contextmanager
    def watching(self, *, is_shared: bool) -> Iterator[None]:
        """While a fixture is made, note for every test that shares it."""
        before, self._is_shared = self._is_shared, self._is_shared or is_shared
        try:
            yield
        finally:
            self._is_shared = before

    def note(self) -> None:
        """Note that the clock was read."""
        if self._item is not None:
            end = "::" if self._is_shared else "["
            # With evidence in a folder it runs on the other day, with the same in a bucket it does not.
            is_one_of_places = end == "[" and _PLACE in _get_parameters(self._item)
            name = self._item.nodeid if is_one_of_places else self._item.nodeid.partition(end)[0]
            if (_PROPERTY, name) not in self._item.user_properties:
                self._item.user_properties.append((_PROPERTY, name))

    def take(self, report: pytest.TestReport) -> None:
        """Take the names from the report of a test, which may come from another process."""
        self._names |= {str(name) for what, name in report.user_properties if what == _PROPERTY}

    def list_tests(self) -> list[str]:
        """List the tests that read the clock, or their files where they share what was read."""
        return sorted(self._names)


def _get_parameters(item: pytest.Item) -> dict[str, object]:
    callspec = getattr(item, "callspec", None)
    return callspec.params if callspec is not None else {}


def _needs_object_store(item: pytest.Item) -> bool:
    """Return whether a test uses a bucket: SeaweedFS keeps the time of this machine and refuses what another signs."""
    is_in_bucket = _get_parameters(item).get(_PLACE) == "bucket"
    return is_in_bucket or "seaweedfs" in getattr(item, "fixturenames", ())


def _get_file(name: str) -> str:
    return name.partition("::")[0]


def _make_noting_clock(note: Callable[[], None]) -> type[datetime]:
    class NotingClock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]  # what it gives is no clock itself
            note()
            return datetime.now(tz)

    return NotingClock


clock_readers: Final = ClockReaders()


def find_leap_day(now: datetime) -> datetime:
    """Return the end of the first leap day after which all that is kept for a year has expired."""
    far = now + timedelta(days=400)
    leap_days = (datetime(one, 2, 29, 23, 59, 50, tzinfo=UTC) for one in range(far.year, far.year + 9) if isleap(one))
    return next(day for day in leap_days if day > far)


def halve(tests: list[str]) -> tuple[list[str], list[str]]:
    """Halve the tests between two files: the tests of a file share costly fixtures."""
    middle = len(tests) // 2
    while 0 < middle < len(tests) and _get_file(tests[middle]) == _get_file(tests[middle - 1]):
        middle += 1
    return tests[:middle], tests[middle:]


def make_command(tests: list[str], moment: datetime, *, now: datetime) -> list[str]:
    """Return the command that runs tests from a moment on. A difference of seconds is the same for all processes."""
    seconds = round((moment - now).total_seconds())
    run = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *tests]
    return ["faketime", "-f", f"{seconds:+d}", *run]


def main() -> int:
    """Run the tests in two processes, on a machine in London; print the failures."""
    tests, began = json.loads(Path(sys.argv[1]).read_text("utf-8")), time.monotonic()
    if not tests:
        raise SystemExit("No test read the clock of this machine: were all of them run?")
    moment = find_leap_day(datetime.now(UTC))

    def run(some: list[str]) -> subprocess.CompletedProcess[str]:
        command = make_command(some, moment, now=datetime.now(UTC))
        environment = {**os.environ, **FAKED, "TZ": "Europe/London"}
        return subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(run, filter(None, halve(tests))))
    for one in ended:
        sys.stdout.write(one.stdout if one.returncode else one.stdout.splitlines()[-1] + "\n")
    sys.stdout.write(f"{moment:%Y-%m-%d %H:%M} UTC: {time.monotonic() - began:.0f} s\n")
    return 1 if any(one.returncode for one in ended) else 0


if __name__ == "__main__":
    sys.exit(main())
