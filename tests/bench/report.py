"""Figures of the SDK alone: full reports that are read, checked, measured, sealed and signed, a second on one core.

    .venv/bin/python -m tests.bench.report

The report is partner_sdk/examples/full-report.json, which fills every part.
"""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from time import process_time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.report import encode_sealed_report, make_sealed_report, measure_completeness, parse_report
from partner_sdk.wire.canonical import encode, format_time, make_report_id, to_base64url
from partner_sdk.wire.keys import SealingKey
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.statements import parse_statement
from partner_sdk.wire.submission import ClearFields, ReportPost, SubmissionStatement, report_context, sign_submission
from tests.bench.figures import Figure, make_figure, make_parser, print_figures
from tests.builders import FULL_REPORT, Agency, Partner, make_clear_fields

PARTNER, PRIORITY = "example-chat", "P2"
RAW = FULL_REPORT.read_bytes()


def make_body(submission_key: Ed25519PrivateKey, key: SealingKey, now: datetime) -> bytes:
    """Do all that the client does with a report file before it sends it."""
    report = parse_report(RAW, priority=PRIORITY)
    clear = make_clear_fields(PARTNER, report_id=make_report_id(now, os.urandom(10)))
    plaintext = encode_sealed_report(make_sealed_report(report, clear=clear))
    envelope = seal(plaintext, key=key, context=report_context(clear))
    statement = SubmissionStatement(
        **{name: getattr(clear, name) for name in ClearFields.__struct_fields__},
        created_at=format_time(now),
        envelope_sha256=envelope.sha256().hex(),
    )
    signed = sign_submission(statement, submission_key=submission_key)
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
    bars = {"full reports, from the file to the body": 1500}
    return [
        make_figure(name, measure(work, rounds=rounds, count=count), unit="a CPU-second", least=bars.get(name))
        for name, work in works.items()
    ] + [make_figure("the file", len(RAW), unit="bytes"), make_figure("what is sealed", len(plaintext), unit="bytes")]


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
