"""Figures of the desk on one core: the vault alone, and collecting with verification and commit.

    .venv/bin/python -m tests.bench.desk

HTTP is not counted: collecting verifies, opens, compares, files and commits pages of the feed.
"""

import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import insert

from gateway.desk.collection.collect import Collected, take_rows
from gateway.desk.collection.standing import load_trusted_keys
from gateway.desk.store.schema import CASES
from gateway.feed.items import describe_report
from gateway.store.collection import read_waiting
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.envelope import Envelope, SealContext
from partner_sdk.wire.sealing import seal
from tests.bench.figures import make_figure, make_parser, print_figures
from tests.builders import make_key, sealing_key_of
from tests.builders.vault import make_vault
from tests.desk.desk_loop import ACTOR, make_loop
from tests.desk.identifier_builders import make_open_case
from tests.desk.view_builders import Browser, Clock, make_test_desk

ROUNDS, COLLECT_ROUNDS, BOXES, REPORTS, PAGE = 5, 3, 400, 400, 200


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


def bench_collect(*, door: str) -> float:
    """Return how many rows a CPU-second are verified, opened, weighed and committed; the feed's HTTP is not counted.

    `joined`: every second report of a partner adds to the one before.
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
        with loop.gateway.store.read() as connection:
            waiting, *_ = read_waiting(connection, limit=REPORTS, max_bytes=sys.maxsize)
        rows = [encode(describe_report(report)) for report in waiting]
        trusted, collected = load_trusted_keys(loop.desk, actor=ACTOR), Collected()
        began = time.process_time()
        for first in range(0, REPORTS, PAGE):
            page = rows[first : first + PAGE]
            take_rows(loop.desk, page, trusted=trusted, actor=ACTOR, collected=collected)
        spent = time.process_time() - began
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


def main() -> int:
    """Print the figures."""
    words = make_parser(__doc__).parse_args()
    industry = [bench_collect(door="industry") for _ in range(COLLECT_ROUNDS)]
    public = [bench_collect(door="public") for _ in range(COLLECT_ROUNDS)]
    vault = bench_vault(sender="example-chat", size=2000)
    vault_public = bench_vault(sender="public", size=2000)
    joined = [bench_collect(door="joined") for _ in range(COLLECT_ROUNDS)]
    unit = "envelopes a CPU-second"
    figures = [
        make_figure("first page of 100,000 open cases", bench_queue(count=100_000), unit="ms", most=200),
        make_figure("first page of 1,000 open cases", bench_queue(count=1_000), unit="ms"),
        make_figure("last page of 100,000 open cases", bench_queue(count=100_000, path="/?page=1000"), unit="ms"),
        make_figure("collect with commit, each second report added to one", joined, unit=unit, least=700),
        make_figure("collect with commit, industry reports", industry, unit=unit, least=1500),
        make_figure("collect with commit, public reports (64 KiB each)", public, unit=unit, least=1000),
        make_figure("vault alone, industry reports", vault, unit=unit, least=6000),
        make_figure("vault alone, public reports (64 KiB each)", vault_public, unit=unit, least=6000),
    ]
    print_figures(figures, as_json=words.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
