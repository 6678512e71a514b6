"""Figures of one `Partner` against a real gateway on loopback: sequential reports a second, and large folders.

    .venv/bin/python -m tests.bench.sdk
    .venv/bin/python -m tests.bench.sdk --many 10000 --windows 3

Each report is read, checked, sealed, saved and sent, and its receipt verified and saved, before the next one begins,
over one kept connection. The gateway is the process that `serve` starts, with a higher rate limit of a partner.
For the folders, a copy of the partner's folder gets few or many further submissions and receipts: genuine ones, copied
to other ids. Windows in the two folders alternate.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.demo.loop import Loop
from partner_sdk.client._receipts import get_report_id
from partner_sdk.client.partner import Partner
from partner_sdk.wire.canonical import make_report_id
from tests.bench.evidence import start_loop
from tests.bench.figures import Figure, make_figure, make_parser, print_figures
from tests.bench.intake import raise_partner_limit
from tests.bench.process_times import cpu_seconds_of_group, find_listener_group
from tests.builders import EXAMPLE_REPORT

PRIORITY: Final = "P2"
MOST_GROWTH: Final = 1.25
DAY_SECONDS: Final = 86_400
MILLISECONDS: Final = 1000
KINDS: Final = ("submissions", "receipts")


@dataclass(frozen=True, slots=True)
class Window:
    """One window of reports, each number for one report."""

    seconds: float
    client_cpu_seconds: float
    server_cpu_seconds: float


def make_raw(number: int) -> bytes:
    """Return a report that differs from every other one."""
    raw = EXAMPLE_REPORT.read_bytes()
    changed = raw.replace(b'"priority_reason": "', f'"priority_reason": "Number {number}, measured. '.encode(), 1)
    assert changed != raw
    return changed


def send_window(partner: Partner, *, first: int, count: int, group: int) -> Window:
    """Submit reports one after the other."""
    reports = [make_raw(first + place) for place in range(count)]
    server, cpu, began = cpu_seconds_of_group(group), time.process_time(), time.perf_counter()
    for raw in reports:
        partner.submit(raw, priority=PRIORITY)
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    return Window(seconds / count, used / count, (cpu_seconds_of_group(group) - server) / count)


def fill(folder: Path, *, count: int) -> None:
    """Copy the genuine submissions and receipts of a folder to further ids of the last days."""
    genuine = sorted(path.name for path in (folder / "receipts").iterdir() if not path.name.startswith("."))
    raws = [[(folder / kind / name).read_bytes() for kind in KINDS] for name in genuine]
    began = time.time() - DAY_SECONDS
    for place in range(count):
        moment = datetime.fromtimestamp(began + place * DAY_SECONDS / 2 / count, tz=UTC)
        name = f"{make_report_id(moment, os.urandom(10))}.json"
        for kind, raw in zip(KINDS, raws[place % len(raws)], strict=True):
            (folder / kind / name).write_bytes(raw)


def time_cpu(work: Callable[[], object]) -> float:
    """Return the CPU-seconds of one run in this process."""
    began = time.process_time()
    work()
    return time.process_time() - began


def measure_folder(folder: Path, *, first: int, count: int, group: int) -> dict[str, float]:
    """Return the milliseconds of CPU of one report or receipt, for each of the things that a service does with them."""
    partner = Partner.open(folder)
    try:
        partner.submit(make_raw(first), priority=PRIORITY)  # the key set and the connection
        sent = send_window(partner, first=first + 1, count=count, group=group)
        kept: list[bytes] = []
        listing = time_cpu(lambda: kept.extend(one.raw for one in partner.receipts()))
        newest = partner.receipts()[-count:]
        finding = time_cpu(lambda: [get_report_id(partner.state, one.reference) for one in newest])
        verifying = time_cpu(lambda: [partner.check_receipt(one.raw) for one in newest])
        waiting = time_cpu(partner.state.list_undelivered)
    finally:
        partner.close()
    return {
        "submit": sent.client_cpu_seconds * MILLISECONDS,
        "list, each receipt": listing / len(kept) * MILLISECONDS,
        "find by reference": finding / len(newest) * MILLISECONDS,
        "verify": verifying / len(newest) * MILLISECONDS,
        "what waits, each receipt": waiting / len(kept) * MILLISECONDS,
    }


def run_rate(loop: Loop, *, windows: int, count: int) -> list[Figure]:
    """Measure one `Partner` that submits one report after the other."""
    group = find_listener_group(loop.ports.gateway)
    partner = Partner.open(loop.partner_state)
    try:
        done = [send_window(partner, first=place * count, count=count, group=group) for place in range(windows + 1)]
    finally:
        partner.close()
    counted = done[1:]  # the first one warms up
    client = [one.client_cpu_seconds * MILLISECONDS for one in counted]
    gateway = [one.server_cpu_seconds * MILLISECONDS for one in counted]
    return [
        make_figure("sequential reports", [1 / one.seconds for one in counted], unit="a second", least=60),
        make_figure("CPU of the client", client, unit="ms a report"),
        make_figure("CPU of the gateway", gateway, unit="ms a report"),
    ]


def run_folders(loop: Loop, *, windows: int, count: int, few: int, many: int) -> list[Figure]:
    """Measure the same work in a folder with few and with many receipts, by turns."""
    group = find_listener_group(loop.ports.gateway)
    folders = {}
    for name, size in (("few", few), ("many", many)):
        folders[name] = loop.folder / f"partner-{name}"
        shutil.copytree(loop.partner_state, folders[name])
        fill(folders[name], count=size)
    found: dict[str, list[dict[str, float]]] = {"few": [], "many": []}
    for turn in range(windows + 1):
        names = ("few", "many") if turn % 2 == 0 else ("many", "few")
        for place, name in enumerate(names):
            first = 10_000_000 + (2 * turn + place) * (count + 1)
            found[name].append(measure_folder(folders[name], first=first, count=count, group=group))
    figures = []
    for work in found["few"][0]:
        rows = {name: [one[work] for one in found[name][1:]] for name in found}  # the first ones warm up
        ratios = [much / little for much, little in zip(rows["many"], rows["few"], strict=True)]
        figures += [
            make_figure(f"{work}: with {many:,} receipts as a multiple of {few:,}", ratios, most=MOST_GROWTH),
            make_figure(f"{work}: with {many:,} receipts", statistics.median(rows["many"]), unit="ms of CPU"),
        ]
    return figures


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = make_parser(__doc__)
    parser.add_argument("--windows", type=int, default=5, help="counted windows (default: 5)")
    parser.add_argument("--count", type=int, default=200, help="reports in a window (default: 200)")
    parser.add_argument("--few", type=int, default=1000, help="receipts in the small folder (default: 1000)")
    parser.add_argument("--many", type=int, default=100_000, help="receipts in the large one (default: 100000)")
    parser.add_argument("--port", type=int, default=8860, help="first of the ports that are used (default: 8860)")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        loop = start_loop(Path(folder) / "loop", port=words.port, prepare=raise_partner_limit)
        try:
            figures = run_rate(loop, windows=words.windows, count=words.count)
            figures += run_folders(loop, windows=words.windows, count=words.count, few=words.few, many=words.many)
        finally:
            loop.stop()
    print_figures(figures, as_json=words.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
