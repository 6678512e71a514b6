"""Figures of the desk on one core: the vault alone, and collecting with verification and commit.

    python -m tests.bench.desk --json

Bars (performance.md): 6,000 and 1,000 envelopes a CPU-second. Not a test.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # tests/ is a folder of this checkout, not a package

from gateway.desk.collection.collect import Collected, load_believed, take_rows
from gateway.desk.vault import Vault
from gateway.feed.get_reports import describe_report
from gateway.store.collection import read_waiting
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.envelope import Envelope, SealContext
from partner_sdk.wire.sealing import seal
from tests.builders import make_key, sealing_key_of
from tests.desk.desk_loop import ACTOR, make_loop

ROUNDS, BOXES, REPORTS, PAGE = 5, 400, 400, 200


def bench_vault(*, sender: str, size: int) -> float:
    """Return how many envelopes a CPU-second the vault opens, the median of the rounds."""
    key_file = make_key(KeyRole.SEALING, name="bench")
    vault = Vault([key_file])
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
    return sorted(rates)[ROUNDS // 2]


def bench_collect(*, door: str) -> float:
    """Return how many rows a CPU-second are verified, opened and committed; the feed's HTTP is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        loop = make_loop(Path(folder))
        loop.enrol()
        for _ in range(REPORTS):
            loop.send_public() if door == "public" else loop.send_industry()
        with loop.gateway.store.read() as connection:
            waiting, *_ = read_waiting(connection, limit=REPORTS, max_bytes=sys.maxsize)
        rows = [encode(describe_report(report)) for report in waiting]
        believed, collected = load_believed(loop.desk), Collected()
        began = time.process_time()
        for first in range(0, REPORTS, PAGE):
            page = rows[first : first + PAGE]
            take_rows(loop.desk, page, believed=believed, actor=ACTOR, collected=collected)
        spent = time.process_time() - began
    if collected.filed != REPORTS:
        raise SystemExit(f"Only {collected.filed} of {REPORTS} reports were filed: {collected.refused}")
    return REPORTS / spent


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    figures = {
        "collect_industry_per_cpu_second": round(bench_collect(door="industry")),
        "collect_public_per_cpu_second": round(bench_collect(door="public")),
        "vault_industry_per_cpu_second": round(bench_vault(sender="example-chat", size=2000)),
        "vault_public_per_cpu_second": round(bench_vault(sender="public", size=2000)),
    }
    if as_json:
        sys.stdout.write(json.dumps(figures, sort_keys=True) + "\n")
    else:
        sys.stdout.write("".join(f"{name:36} {value:7,}\n" for name, value in figures.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
