"""Figures of the public door: whole journeys through the short form, with its real pages, redirects, cookies and Send.

Run `python tests/bench/journey.py` (`--json` for one object). What counts is server CPU: the walker's own is left out,
so rates by the clock say little.
"""

import argparse
import json
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # tests/ is a folder of this checkout, not a package

from gateway.demo.form_walk import walk_form
from gateway.demo.loop import ANSWERS, Loop
from tests.bench.process_times import cpu_seconds_of_group, find_listener_group

WALKERS = 4
TARGET_JOURNEYS, TARGET_REQUESTS = 25, 500


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


def run_window(loop: Loop, *, group: int, journeys: int) -> dict[str, float]:
    """Walk `journeys` journeys, a few at once; returns journeys and requests per server-CPU-second."""
    before = cpu_seconds_of_group(group)
    with ThreadPoolExecutor(WALKERS) as pool:
        sent = sum(pool.map(walk_once, [loop.origin] * journeys))
    used = cpu_seconds_of_group(group) - before
    return {"journeys": journeys / used, "requests": sent / used, "requests_per_journey": sent / journeys}


def run(folder: Path, *, port: int, windows: int, journeys: int) -> dict[str, Any]:
    """Set up a real gateway under `folder`, run the windows, return medians and whether the bars are met."""
    loop = Loop(folder, port=port)
    try:
        loop.make_keys()
        loop.start_gateway()
        loop.publish()
        group = find_listener_group(loop.ports.gateway)
        run_window(loop, group=group, journeys=WALKERS)  # warms up
        figures = [run_window(loop, group=group, journeys=journeys) for _ in range(windows)]
    finally:
        loop.stop()
    by_journey = sorted(figure["journeys"] for figure in figures)
    result: dict[str, Any] = {
        "journeys_per_cpu_second": round(statistics.median(by_journey), 1),
        "journeys_interval": [round(by_journey[0], 1), round(by_journey[-1], 1)],
        "requests_per_cpu_second": round(statistics.median(figure["requests"] for figure in figures), 1),
        "requests_per_journey": figures[0]["requests_per_journey"],
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
