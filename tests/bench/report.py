"""Figures of the SDK alone: full reports a second on one core, and how soon a submitted report is safe on disk.

    .venv/bin/python -m tests.bench.report

The report is partner_sdk/examples/full-report.json, which fills every part: it is read, checked, measured, sealed and
signed. The gateway of the first second accepts a connection and never answers; the program that submits is then killed.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, process_time, sleep

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.report import encode_sealed_report, make_sealed_report, measure_completeness, parse_report
from partner_sdk.wire.canonical import encode, format_time, make_report_id, to_base64url
from partner_sdk.wire.sealing import SealingKey, seal
from partner_sdk.wire.signing import parse_statement
from partner_sdk.wire.submission import (
    SIGNED_SUBMISSION,
    ReportPost,
    StatedFields,
    SubmissionStatement,
    report_context,
)
from tests.bench.figures import Figure, make_figure, make_parser, print_figures
from tests.builders import FULL_REPORT, NOW, Agency, Partner, make_clear_fields
from tests.sdk.client.test_client import KEYS
from tests.sdk.client.test_saved_first import silent_gateway
from tests.sdk.sdk_builders import make_state

PARTNER, PRIORITY = "example-chat", "P2"
RAW = FULL_REPORT.read_bytes()
LOOK_SECONDS, MOST_SECONDS = 0.002, 60
SUBMIT = """
import json, sys, time
from datetime import datetime
from pathlib import Path
from partner_sdk import Partner

now = datetime.fromisoformat(sys.argv[3])
partner = Partner.open(Path(sys.argv[1]), clock=lambda: now)
report = json.loads(Path(sys.argv[2]).read_bytes())
report["priority_reason"] += " Measured."  # an example as it was is never sent
raw = json.dumps(report).encode()
print(time.monotonic(), flush=True)
partner.submit(raw, priority="P1")
"""


def make_body(submission_key: Ed25519PrivateKey, key: SealingKey, now: datetime) -> bytes:
    """Do all that the client does with a report file before it sends it."""
    report = parse_report(RAW, priority=PRIORITY)
    clear = make_clear_fields(PARTNER, report_id=make_report_id(now, os.urandom(10)))
    plaintext = encode_sealed_report(make_sealed_report(report, clear=clear))
    envelope = seal(plaintext, key=key, context=report_context(clear))
    statement = SubmissionStatement(
        **{name: getattr(clear, name) for name in StatedFields.__struct_fields__},
        created_at=format_time(now),
        envelope_sha256=envelope.sha256().hex(),
    )
    signed = SIGNED_SUBMISSION.sign(statement, submission_key)
    return encode(ReportPost(envelope=to_base64url(envelope.to_bytes()), statement=parse_statement(signed)))


def measure(work: Callable[[], object], *, rounds: int, count: int) -> list[float]:
    """Return how often a second of this core does the work, in each of some rounds."""
    rates = []
    for _ in range(rounds):
        began = process_time()
        for _ in range(count):
            work()
        rates.append(count / (process_time() - began))
    return rates


def time_until_saved() -> tuple[float, float]:
    """Return the milliseconds until a P1 is whole on disk: from the call of `submit`, and from the program's start."""
    with tempfile.TemporaryDirectory() as folder, silent_gateway() as (origin, asked):
        state = Path(folder) / "partner"
        make_state(state, origin=origin).accept_key_set(KEYS[2], now=NOW)
        began = monotonic()
        with subprocess.Popen(
            [sys.executable, "-c", SUBMIT, str(state), str(FULL_REPORT), NOW.isoformat()],
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                while not any((state / "submissions").glob("[!.]*.json")):
                    if process.poll() is not None or monotonic() - began > MOST_SECONDS:
                        raise SystemExit("The report was never saved.")
                    sleep(LOOK_SECONDS)
                saved = monotonic()
                if process.stdout is None or not asked.wait(MOST_SECONDS):
                    raise SystemExit("The gateway that never answers was never asked.")
                called = float(process.stdout.readline())
            finally:
                process.kill()
    return (saved - called) * 1000, (saved - began) * 1000


def run(*, rounds: int, count: int) -> list[Figure]:
    """Measure the whole and its parts."""
    submission_key, key, now = Partner().submission_key, Agency().sealing_key, datetime.now(UTC)
    report = parse_report(RAW, priority=PRIORITY)
    clear = make_clear_fields(PARTNER)
    plaintext = encode_sealed_report(make_sealed_report(report, clear=clear))
    context = report_context(clear)
    make_body(submission_key, key, now)  # what is made once and kept is made here
    works: dict[str, Callable[[], object]] = {
        "full reports, from the file to the body": lambda: make_body(submission_key, key, now),
        "reading and checking alone": lambda: parse_report(RAW, priority=PRIORITY),
        "completeness alone": lambda: measure_completeness(report),
        "sealing alone": lambda: seal(plaintext, key=key, context=context),
    }
    saved = [time_until_saved() for _ in range(rounds)]
    bars = {"full reports, from the file to the body": 1500}
    return [
        make_figure(name, measure(work, rounds=rounds, count=count), unit="a CPU-second", least=bars.get(name))
        for name, work in works.items()
    ] + [
        make_figure("the file", len(RAW), unit="bytes"),
        make_figure("what is sealed", len(plaintext), unit="bytes"),
        make_figure("from the call of submit to a report on disk", [call for call, _ in saved], unit="ms", most=1000),
        make_figure("the same, from the start of the program", [start for _, start in saved], unit="ms"),
    ]


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = make_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="the median of so many (default: 5)")
    parser.add_argument("--count", type=int, default=1000, help="reports in a round (default: 1000)")
    words = parser.parse_args()
    print_figures(run(rounds=words.rounds, count=words.count), as_json=words.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
