"""Figures of the desk on one core: the vault alone, collecting, and the pages of desks of three sizes.

    .venv/bin/python -m tests.bench.desk

HTTP is not counted: collecting verifies, opens, indexes, compares, files and commits pages of the feed. The lines of
`--json` about one size also name it (`cases`) and repeat the figure under its own name, e.g. `search_ms_p95`.
"""

import hashlib
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import Connection, insert
from werkzeug.test import TestResponse

from gateway.desk.collection.chain import load_trusted_keys
from gateway.desk.collection.collect import Collected, take_rows
from gateway.desk.store.schema import CASE_IDENTIFIERS, CASES
from gateway.desk.vault.doors import Signer
from gateway.feed import describe_report
from gateway.store.reports import read_waiting
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.sealing import Envelope, SealContext, seal
from tests.bench.figures import Figure, make_figure, make_parser, print_figures
from tests.builders import make_key, sealing_key_of
from tests.builders.vault import make_vault
from tests.desk.desk_loop import ACTOR, Loop, make_loop
from tests.desk.identifier_builders import make_open_case
from tests.desk.industry_builders import make_full_report
from tests.desk.vault.vault_process import run_vault
from tests.desk.view_builders import Browser, Clock, make_test_desk
from tests.public_report_builders import make_known_person

ROUNDS, COLLECT_ROUNDS, BOXES, REPORTS, PAGE = 5, 3, 400, 400, 200
SIZES, ASKED, BATCH = (1_000, 10_000, 100_000), 40, 10_000
# Of so many cases one is open: 20,000 of 100,000.
OPEN_SHARE = 5
# The bars of a page and of filing with factors and links, at every size.
MOST_QUEUE_MS, MOST_CASE_MS, MOST_SEARCH_MS, LEAST_FILED = 200, 150, 100, 700


def bench_vault(*, sender: str, size: int) -> list[float]:
    """Return how many envelopes a CPU-second the vault opens, in each round."""
    key_file = make_key(KeyRole.SEALING, name="bench")
    vault = make_vault(key_file)
    context = SealContext(
        environment="live",
        purpose="report",
        sender=sender,
        recipient="agency",
        id="01a211d3-7340-7100-bd26-c4bfe4e0f4c1",
        kind="initial",
        priority="P3",
        schema_version="1",
    )
    boxes: list[Envelope] = [seal(bytes(size), key=sealing_key_of(key_file), context=context) for _ in range(BOXES)]
    rates = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for box in boxes:
            vault.open_report(box, context=context)
        rates.append(BOXES / (time.process_time() - began))
    return rates


def bench_collect(*, door: str, is_apart: bool = False) -> float:
    """Return how many rows a CPU-second are verified, opened, weighed and committed; the feed's HTTP is not counted.

    `joined`: every second report of a partner adds to the one before. `is_apart`: the keys are in a vault of its own
    process, whose CPU time counts too.
    """
    with tempfile.TemporaryDirectory() as folder:
        loop = make_loop(Path(folder))
        loop.enrol()
        earlier = None
        for number in range(REPORTS):
            if door == "public":
                loop.send_public()
            elif door == "joined" and number % 2:
                loop.send_industry(kind="supplement", earlier_reference=earlier)
            else:
                earlier = loop.send_industry().reference
        if not is_apart:
            return time_filing(loop, get_seconds=time.process_time)
        with run_vault(loop.desk) as vault:
            return time_filing(loop, get_seconds=lambda: time.process_time() + read_cpu_seconds(vault.pid))


def read_cpu_seconds(pid: int) -> float:
    """Return the CPU time that another process has used, to the hundredth (proc_pid_stat(5): utime and stime)."""
    _, _, fields = Path(f"/proc/{pid}/stat").read_text("latin-1").rpartition(")")
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def time_filing(loop: Loop, *, get_seconds: Callable[[], float] = time.process_time) -> float:
    """File the waiting reports and return how many a CPU-second."""
    with loop.gateway.store.read() as connection:
        waiting, *_ = read_waiting(connection, limit=REPORTS, max_bytes=sys.maxsize)
    rows = [encode(describe_report(report)) for report in waiting]
    trusted, collected = load_trusted_keys(loop.desk, actor=ACTOR), Collected()
    began = get_seconds()
    for first in range(0, REPORTS, PAGE):
        page = rows[first : first + PAGE]
        take_rows(loop.desk, page, trusted=trusted, actor=ACTOR, collected=collected)
    spent = get_seconds() - began
    if collected.filed != REPORTS:
        raise SystemExit(f"Only {collected.filed} of {REPORTS} reports were filed: {collected.refused}")
    return REPORTS / spent


def bench_queue(*, count: int, path: str = "/") -> float:
    """Return how many milliseconds the queue's page takes with so many open cases, the median of the rounds."""
    with tempfile.TemporaryDirectory() as folder:
        desk = make_test_desk(Path(folder) / "desk", Clock())
        with desk.store.write() as connection:
            connection.execute(insert(CASES), [make_open_case(number) for number in range(count)])
        browser = Browser(desk).sign_in()
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            page = browser.get(path)
            times.append((time.perf_counter() - began) * 1000)
            if page.status_code != 200:
                raise SystemExit(f"The page answered {page.status_code}.")
    return sorted(times)[ROUNDS // 2]


def bench_size(count: int) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of a desk with so many cases: a 95th percentile of each page, and the rate of filing."""
    with tempfile.TemporaryDirectory() as folder:
        loop = make_loop(Path(folder))
        loop.enrol()
        with loop.desk.store.write() as connection:
            fill(connection, count, loop.desk.load_signer())
        for number in range(REPORTS):
            if number % 2:
                loop.send_industry(report=make_full_report() if number % 4 == 1 else None)
            else:
                loop.send_public(person=make_known_person(app="Other Chat", handle=f"owl{number % 50}"))
        name = "filing with factors and links, {} cases"
        yield (
            "filed_per_cpu_second",
            make_figure(name.format(f"{count:,}"), time_filing(loop), unit="envelopes a CPU-second", least=LEAST_FILED),
        )
        browser = Browser(loop.desk).sign_in()
        with loop.desk.store.read() as connection:
            new = (
                connection.exec_driver_sql("SELECT case_id FROM cases WHERE case_id NOT LIKE 'case-%'").scalars().all()
            )
        pages: dict[str, tuple[str, int, Callable[[int], TestResponse]]] = {
            "queue_ms_p95": ("queue", MOST_QUEUE_MS, lambda _: browser.get("/")),
            "case_ms_p95": ("opened case", MOST_CASE_MS, lambda asked: browser.post(f"/cases/{new[asked]}/read")),
            "search_ms_p95": ("search", MOST_SEARCH_MS, lambda asked: browser.post("/search", wanted=WANTED[asked])),
        }
        for field, (title, most, ask) in pages.items():
            times = sorted(time_page(ask, asked) for asked in range(ASKED))
            name = f"{title}, 95th percentile, {count:,} cases"
            yield field, make_figure(name, times[ASKED * 95 // 100 - 1], unit="ms", most=most)


# In turn: an account of a few cases, one that is nowhere, a link of 500 cases, a hash of every tenth case, a reference.
WANTED = tuple(
    itertools.islice(
        itertools.cycle(("owl7 on Other Chat", "nobody", "https://other.example/u/1", "a" * 32, "K7QF-2M9TX-D")), ASKED
    )
)


def fill(connection: Connection, count: int, signer: Signer) -> None:
    """Add cases with five identifiers each: three of their own, a link of 500 cases, a hash of every tenth case."""
    link, content = signer.hash_identifiers([("link", "other.example/u/1"), ("content", f"md5:{'a' * 32}")])
    for start in range(0, count, BATCH):
        numbers = range(start, min(count, start + BATCH))
        closed = {True: "2026-11-25T10:00:00Z", False: None}
        cases = [make_open_case(one) | {"closed_at": closed[one % OPEN_SHARE > 0]} for one in numbers]
        connection.execute(insert(CASES), cases)
        rows = []
        for one in numbers:
            own = [make_digest(one, place) for place in range(3)]
            shared = [*([link] if one % max(1, count // 500) == 0 else []), *([content] if one % 10 == 0 else [])]
            rows += [
                {"digest": digest, "case_id": f"case-{one:07d}", "kind": "account", "place": "suspect", "strength": 3}
                for digest in (*own, *shared)
            ]
        connection.execute(insert(CASE_IDENTIFIERS), rows)


def make_digest(number: int, place: int) -> bytes:
    """Return 16 bytes that no other case has, spread like those of a keyed hash."""
    return hashlib.sha256(f"{number} {place}".encode()).digest()[:16]


def time_page(ask: Callable[[int], TestResponse], asked: int) -> float:
    """Return how many milliseconds a page takes."""
    began = time.perf_counter()
    page = ask(asked)
    spent = (time.perf_counter() - began) * 1000
    if page.status_code != 200:
        raise SystemExit(f"The page answered {page.status_code}.")
    return spent


def main() -> int:
    """Print the figures."""
    words = make_parser(__doc__).parse_args()
    industry = [bench_collect(door="industry") for _ in range(COLLECT_ROUNDS)]
    public = [bench_collect(door="public") for _ in range(COLLECT_ROUNDS)]
    vault = bench_vault(sender="example-chat", size=2000)
    vault_public = bench_vault(sender="public", size=2000)
    industry_apart = [bench_collect(door="industry", is_apart=True) for _ in range(COLLECT_ROUNDS)]
    public_apart = [bench_collect(door="public", is_apart=True) for _ in range(COLLECT_ROUNDS)]
    joined = [bench_collect(door="joined") for _ in range(COLLECT_ROUNDS)]
    unit = "envelopes a CPU-second"
    figures = [
        make_figure("first page of 100,000 open cases", bench_queue(count=100_000), unit="ms", most=200),
        make_figure("first page of 1,000 open cases", bench_queue(count=1_000), unit="ms"),
        make_figure("last page of 100,000 open cases", bench_queue(count=100_000, path="/?page=1000"), unit="ms"),
        make_figure("collect with commit, each second report added to one", joined, unit=unit, least=700),
        make_figure("collect with commit, industry reports", industry, unit=unit, least=700),
        make_figure("collect with commit, public reports (64 KiB each)", public, unit=unit, least=700),
        make_figure("the same through a vault of its own process, industry reports", industry_apart, unit=unit),
        make_figure("the same through a vault of its own process, public reports", public_apart, unit=unit),
        make_figure("vault alone, industry reports", vault, unit=unit, least=6000),
        make_figure("vault alone, public reports (64 KiB each)", vault_public, unit=unit, least=6000),
    ]
    print_figures(figures, as_json=words.json)
    for size in SIZES:
        for field, figure in bench_size(size):
            if words.json:
                sys.stdout.write(json.dumps(asdict(figure) | {"cases": size, field: figure.value}) + "\n")
            else:
                print_figures([figure], as_json=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
