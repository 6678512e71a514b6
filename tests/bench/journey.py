"""Figures of the public door: whole journeys through the short form, with its real pages, redirects, cookies and Send.

Run `python tests/bench/journey.py` (`--json` for one object). What counts is server CPU: the walker's own is left out,
so rates by the clock say little. Each window of whole journeys has one beside it that stops before Send, and the key
of a return code is stretched here as often: together they say where the time goes.
"""

import argparse
import json
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # tests/ is a folder of this checkout, not a package

from gateway.demo.form_walk import walk_form
from gateway.demo.loop import ANSWERS, Loop
from gateway.public.returning.return_code import derive_seed, draw_code, load_return_words
from gateway.public.wording import load_wording
from tests.bench.process_times import cpu_seconds_of_group, find_listener_group

WALKERS = 4
CHECK_HEADING = load_wording("en").screen("check")["title"]
TARGET_JOURNEYS, TARGET_REQUESTS = 25, 500


@dataclass(frozen=True, slots=True)
class Window:
    """What one journey of a window took."""

    cpu_seconds: float
    requests: float


class CountingSession(requests.Session):
    """Counts the requests of one walk, redirects included."""

    requests_sent = 0

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        """Count one request and send it."""
        self.requests_sent += 1
        return super().send(request, **settings)


def walk_once(origin: str) -> int:
    """Walk one journey to its reference and return how many requests it took."""
    session = CountingSession()
    if not walk_form(origin, ANSWERS, session=session):
        raise SystemExit("A walk ended without a reference.")
    return session.requests_sent


class BeforeSendError(Exception):
    """The walk has come to the page with the Send button."""


def walk_to_check(origin: str) -> int:
    """Walk one journey up to the check page and return how many requests it took."""
    session = CountingSession()

    def stop_at_check(heading: str) -> None:
        if heading == CHECK_HEADING:
            raise BeforeSendError

    with suppress(BeforeSendError):
        walk_form(origin, ANSWERS, session=session, tell=stop_at_check)
        raise SystemExit("A walk never came to the check page.")
    return session.requests_sent


def run_window(walk: Callable[[str], int], loop: Loop, *, group: int, journeys: int) -> Window:
    """Walk `journeys` journeys, a few at once; returns server-CPU-seconds and requests for one journey."""
    before = cpu_seconds_of_group(group)
    with ThreadPoolExecutor(WALKERS) as pool:
        sent = sum(pool.map(walk, [loop.origin] * journeys))
    return Window((cpu_seconds_of_group(group) - before) / journeys, sent / journeys)


def measure_stretching(times: int = 20) -> float:
    """Return the CPU-seconds that one key of a return code takes on this machine, now."""
    code = draw_code(load_return_words(), random=secrets.token_bytes)
    start = time.process_time()
    for _ in range(times):
        derive_seed(code, reference="K7QF-2M9TX-D")
    return (time.process_time() - start) / times


def run(folder: Path, *, port: int, windows: int, journeys: int) -> dict[str, Any]:
    """Set up a real gateway under `folder`, run the windows, return medians and whether the bars are met."""
    loop = Loop(folder, port=port)
    try:
        loop.make_keys()
        loop.start_gateway()
        loop.publish()
        group = find_listener_group(loop.ports.gateway)
        run_window(walk_once, loop, group=group, journeys=WALKERS)  # warms up
        whole, before_send, stretching = [], [], []
        for _ in range(windows):
            whole.append(run_window(walk_once, loop, group=group, journeys=journeys))
            before_send.append(run_window(walk_to_check, loop, group=group, journeys=journeys))
            stretching.append(measure_stretching())
    finally:
        loop.stop()
    rates = sorted(1 / window.cpu_seconds for window in whole)
    pages = statistics.median(window.cpu_seconds for window in before_send)
    all_of_it = statistics.median(window.cpu_seconds for window in whole)
    code = statistics.median(stretching)
    result: dict[str, Any] = {
        "journeys_per_cpu_second": round(statistics.median(rates), 1),
        "journeys_interval": [round(rates[0], 1), round(rates[-1], 1)],
        "requests_per_cpu_second": round(whole[0].requests / all_of_it, 1),
        "requests_per_journey": whole[0].requests,
        "milliseconds_of_cpu": {
            "a whole journey": round(1000 * all_of_it, 1),
            "its pages before Send": round(1000 * pages, 1),
            "the key of the return code (Argon2id, 16 MiB, one pass)": round(1000 * code, 1),
            "Send without that key, and the thank-you page": round(1000 * (all_of_it - pages - code), 1),
        },
        "requests_per_cpu_second_before_send": round(before_send[0].requests / pages, 1),
        "journeys_per_cpu_second_but_for_the_key": round(1 / (all_of_it - code), 1),
        "windows": windows,
    }
    result["meets"] = {
        "journeys": result["journeys_per_cpu_second"] >= TARGET_JOURNEYS,
        "requests": result["requests_per_cpu_second"] >= TARGET_REQUESTS,
    }
    return result


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--windows", type=int, default=5, help="counted windows (default: 5)")
    parser.add_argument("--journeys", type=int, default=60, help="journeys in a window (default: 60)")
    parser.add_argument("--port", type=int, default=8780, help="first of the ports that are used (default: 8780)")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder) / "loop", port=words.port, windows=words.windows, journeys=words.journeys)
    if words.json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        for name, value in result.items():
            sys.stdout.write(f"{name:>28}  {value}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
