"""Figures of the digests of a quarter: all services in one run, from closed cases to finished digests.

    .venv/bin/python -m tests.bench.digests                  # 10^4, 10^5 and 10^6 cases
    .venv/bin/python -m tests.bench.digests --largest        # 10^7 too: ten minutes or more, and 10 GB of disk
    .venv/bin/python -m tests.bench.digests --cases 10000    # one size
    .venv/bin/python -m tests.bench.digests --cases 10000 --profile

Each size is a process of its own, so that its peak of memory is its own. Making the cases is not counted.
"""

import argparse
import cProfile
import json
import pstats
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.desk.digests.making import DigestOrder, make_all
from gateway.desk.keyring.key_set import Quarter
from gateway.desk.store import open_store
from tests.bench.figures import Figure, make_figure, print_figures

QUARTER: Final = Quarter(2026, 3)
NOW: Final = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
SIZES: Final = (10_000, 100_000, 1_000_000)
LARGEST: Final = 10_000_000
SERVICES: Final = 2000
MOST_CPU_SECONDS: Final = 60
MOST_BYTES: Final = 1_000_000_000
# A crash while filling costs nothing but the time.
FILLING: Final = {"journal_mode": "OFF", "synchronous": "OFF", "temp_store": "FILE", "cache_size": -200_000}
# The share of a service falls with its rank as rank ** (-2/3): the largest has some 8 %, the smallest 2 in 10,000.
# A random number of 32 bits for each case and question, e.g. `(n * 2654435761 + 1013904223) % 4294967296`.
FILL: Final = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {cases}),
     drawn AS (
        SELECT n,
               ((n * 2654435761 + 1013904223) % 4294967296) / 4294967296.0 AS service,
               ((n * 2246822519 + 374761393) % 4294967296) / 4294967296.0 AS kind,
               ((n * 3266489917 + 668265263) % 4294967296) / 4294967296.0 AS weakness
        FROM numbers
     )
INSERT INTO cases (case_id, environment, partner, about, report_id, reference, door, priority, received_at,
                   collected_at, closed_at, reply_owed, kind, age_band, outcome, weakness_1, weakness_2,
                   synthetic)
SELECT printf('01a211d3-7340-7100-bd26-%012x', n), 'live', 'public',
       printf('service-%04d', CAST({services} * service * service * service AS INTEGER)),
       printf('01a211d3-7340-7100-ad26-%012x', n), printf('GFS1-%08X', n), 'public', 'P3',
       '2026-08-01T08:00:00Z', '2026-08-01T09:00:00Z',
       printf('2026-08-%02dT%02d:%02d:%02dZ', 2 + n % 29, n % 24, n % 60, n / 24 % 60), 0,
       CASE WHEN kind < 0.34 THEN 'grooming' WHEN kind < 0.54 THEN 'sexual_talk' WHEN kind < 0.74
            THEN 'coercion_blackmail' WHEN kind < 0.86 THEN 'meet_offline' WHEN kind < 0.95
            THEN 'sexual_acts_live' ELSE 'risk_behaviour' END,
       CASE WHEN n % 4 = 0 THEN '12_or_under' WHEN n % 4 < 3 THEN '13_15' ELSE '16_17' END,
       CASE WHEN n % 3 = 0 THEN 'actioned' ELSE 'used' END,
       CASE WHEN weakness < 0.5 THEN 'open_direct_messages' WHEN weakness < 0.75 THEN 'weak_age_check' END,
       CASE WHEN weakness < 0.25 THEN 'off_platform_move' END,
       0
FROM drawn
"""
# Every twelfth case is about the incident of the case before it.
LINK: Final = """
INSERT INTO case_links (case_a, case_b, is_end, at, by)
SELECT printf('01a211d3-7340-7100-bd26-%012x', number - 1), printf('01a211d3-7340-7100-bd26-%012x', number), 0,
       '2026-08-01T09:00:00Z', 'Bench'
FROM (WITH RECURSIVE numbers(number) AS (
        SELECT 12 UNION ALL SELECT number + 12 FROM numbers WHERE number <= {cases} - 12
      ) SELECT number FROM numbers)
"""


def fill(folder: Path, *, cases: int) -> None:
    """Make a desk's database with so many closed cases of the quarter."""
    path = folder / "desk.sqlite"
    open_store(path, create=True).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        for name, value in FILLING.items():
            driver.execute(f"PRAGMA {name} = {value}")
        # Of the queue's own: they would take ten times as long to fill, and no digest reads them.
        for name in ("ix_cases_queue", "ix_cases_reference", "ix_cases_other_reference", "ix_cases_joined_to"):
            driver.execute(f"DROP INDEX {name}")
        # Made anew from all rows at once, which is faster than row by row.
        counted = driver.execute("SELECT sql FROM sqlite_master WHERE name = 'ix_cases_counted'").fetchone()[0]
        driver.execute("DROP INDEX ix_cases_counted")
        driver.execute(FILL.format(cases=cases, services=SERVICES))
        driver.execute(LINK.format(cases=cases))
        driver.execute(counted)


def measure(folder: Path, *, profile: bool) -> dict[str, float]:
    """Make the digests of a filled desk and return the cost: CPU-seconds and the peak of memory, in bytes."""
    store = open_store(folder / "desk.sqlite")
    profiler = cProfile.Profile(timer=time.process_time)
    began = time.process_time()
    # A threshold that every service reaches, so that each of them has a digest.
    order = DigestOrder(quarter=QUARTER, environment="live", made_by="Maker", threshold=-1_000_000)
    if profile:
        profiler.enable()
    made = make_all(store, order, clock=lambda: NOW)
    profiler.disable()
    spent = time.process_time() - began
    if Counter(one.state for one in made) != {"made": SERVICES}:
        raise SystemExit(f"Only some of {SERVICES} digests were made: {Counter(one.state for one in made)}")
    if profile:
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("cumulative").print_stats(45)
    return {"cpu_seconds": round(spent, 2), "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def bench(cases: int, *, profile: bool = False) -> dict[str, float]:
    """Fill a desk and measure it, in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        for step in ("fill", "measure"):
            command = [sys.executable, "-m", "tests.bench.digests", "--cases", str(cases), "--step", step]
            command += ["--folder", folder, *(["--profile"] if profile else [])]
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {"cases": cases, **json.loads(printed)}


def list_figures(results: list[dict[str, float]]) -> Iterator[Figure]:
    """Yield the figures of each size: its CPU-seconds and its memory."""
    for result in results:
        is_last = result["cases"] == LARGEST
        name = f"digests of {result['cases']:,.0f} cases over {SERVICES:,} services"
        yield make_figure(name, result["cpu_seconds"], unit="CPU-seconds", most=MOST_CPU_SECONDS if is_last else None)
        yield make_figure(
            f"{name}: peak of memory", result["peak_bytes"], unit="bytes", most=MOST_BYTES if is_last else None
        )


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each figure")
    parser.add_argument("--cases", type=int, action="append", metavar="N", help="a size, instead of all")
    parser.add_argument("--largest", action="store_true", help=f"measure {LARGEST:,} cases too, which takes long")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--step", choices=("fill", "measure"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.step == "fill":
        fill(words.folder, cases=words.cases[0])
        return 0
    if words.step == "measure":
        sys.stdout.write(json.dumps(measure(words.folder, profile=words.profile)) + "\n")
        return 0
    sizes = [*(words.cases or SIZES), *([LARGEST] if words.largest else [])]
    results = [bench(cases, profile=words.profile) for cases in sizes]
    if words.json:
        for result in results:
            figures = {one.unit: asdict(one) for one in list_figures([result])}
            sys.stdout.write(json.dumps(figures["CPU-seconds"] | result) + "\n" + json.dumps(figures["bytes"]) + "\n")
        return 0
    print_figures(list_figures(results), as_json=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
