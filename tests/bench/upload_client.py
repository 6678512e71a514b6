"""Uploads one file, ours or plain, as a process of its own; prints seconds and the memory over idle as JSON.

`upload_client.py ours STATE FILE` or `upload_client.py plain PORT FILE`.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import requests

from partner_sdk.client.partner import Partner
from partner_sdk.report import IndustryReport, parse_report
from partner_sdk.wire.evidence import PART_BYTES, PARTS_IN_FLIGHT
from tests.bench.plain_upload_app import DIGEST_HEADER
from tests.bench.process_memory import begin_peaks, count_over

EXAMPLE = Path(__file__).parents[2] / "partner_sdk" / "examples" / "full-report.json"


def make_report() -> IndustryReport:
    """Return an example with one file to hand over, without a description of its content: files of any size go."""
    report = parse_report(EXAMPLE.read_bytes(), priority="P2")
    file = msgspec.structs.replace(report.files[0], size_bytes=None, hashes=())
    return msgspec.structs.replace(report, files=(file,), conversations=(), suspects=())


def prepare_ours(state: Path, file: Path) -> Callable[[], None]:
    """Open the partner, contact the gateway once, and return the call to measure: from file to verified receipt."""
    partner, report = Partner.open(state, notify=lambda text: sys.stderr.write(text + "\n")), make_report()
    partner.refresh_key_set()
    partner.status()

    def run() -> None:
        handed = partner.submit(report, priority="P2", again=True, evidence={report.files[0].file_id: file})
        if not handed.is_complete:
            raise SystemExit(f"The evidence did not get through: {handed.error}")

    return run


def prepare_plain(port: int, file: Path) -> Callable[[], None]:
    """Return the plain upload: parts of the same size, as many in flight, each read, hashed and sent once."""
    url, count = f"http://127.0.0.1:{port}/parts", -(-file.stat().st_size // PART_BYTES)
    sessions = [requests.Session() for _ in range(PARTS_IN_FLIGHT)]
    for session in sessions:
        session.trust_env = False
        session.put(url, data=b"x", headers={DIGEST_HEADER: hashlib.sha256(b"x").hexdigest()}).raise_for_status()

    def send(place: int) -> None:
        buffer = memoryview(bytearray(PART_BYTES))
        with file.open("rb") as handle:
            for number in range(place, count, PARTS_IN_FLIGHT):
                part = buffer[: os.preadv(handle.fileno(), [buffer], number * PART_BYTES)]
                headers = {DIGEST_HEADER: hashlib.sha256(part).hexdigest()}
                sessions[place].put(url, data=part, headers=headers).raise_for_status()

    def run() -> None:
        with ThreadPoolExecutor(PARTS_IN_FLIGHT) as pool:
            list(pool.map(send, range(PARTS_IN_FLIGHT)))

    return run


def main() -> int:
    """Prepare, measure, print."""
    kind, where, file = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    run = prepare_ours(Path(where), file) if kind == "ours" else prepare_plain(int(where), file)
    idle = begin_peaks([os.getpid()])
    start = time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    sys.stdout.write(json.dumps({"over_idle_bytes": count_over(idle), "seconds": seconds}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
