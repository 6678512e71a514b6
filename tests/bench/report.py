"""Figures of the SDK alone: full reports that are read, checked, measured, sealed and signed, a second on one core.

Run this file; `--json` for one object. The report is partner_sdk/examples/full-report.json, which fills every part.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # tests/ is a folder of this checkout, not a package

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.report import encode_sealed_report, make_sealed_report, measure_completeness, parse_report
from partner_sdk.wire.canonical import encode, format_time, make_report_id, to_base64url
from partner_sdk.wire.keys import SealingKey
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.statements import parse_statement
from partner_sdk.wire.submission import ClearFields, ReportPost, SubmissionStatement, report_context, sign_submission
from tests.builders import FULL_REPORT, Agency, Partner, make_clear_fields

TARGET_PER_SECOND = 1500
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


def measure(work: Callable[[], object], *, rounds: int, count: int) -> float:
    """Return the median, over some rounds, of how often a second of this core does the work."""
    rates = []
    for _ in range(rounds):
        began = process_time()
        for _ in range(count):
            work()
        rates.append(count / (process_time() - began))
    return statistics.median(rates)


def run(*, rounds: int, count: int) -> dict[str, float | int | bool]:
    """Measure the whole and its parts."""
    submission_key, key, now = Partner().submission_key, Agency().sealing_key, datetime.now(UTC)
    report = parse_report(RAW, priority=PRIORITY)
    clear = make_clear_fields(PARTNER)
    plaintext = encode_sealed_report(make_sealed_report(report, clear=clear))
    context = report_context(clear)
    make_body(submission_key, key, now)  # what is made once and kept is made here
    works: dict[str, Callable[[], object]] = {
        "full_reports_per_second": lambda: make_body(submission_key, key, now),
        "read_and_check_per_second": lambda: parse_report(RAW, priority=PRIORITY),
        "completeness_per_second": lambda: measure_completeness(report),
        "seal_per_second": lambda: seal(plaintext, key=key, context=context),
    }
    figures: dict[str, float | int | bool] = {
        name: round(measure(work, rounds=rounds, count=count), 1) for name, work in works.items()
    }
    figures |= {"file_bytes": len(RAW), "sealed_bytes": len(plaintext)}
    return {**figures, "meets": figures["full_reports_per_second"] >= TARGET_PER_SECOND}


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=5, help="the median of so many (default: 5)")
    parser.add_argument("--count", type=int, default=1000, help="reports in a round (default: 1000)")
    words = parser.parse_args()
    result = run(rounds=words.rounds, count=words.count)
    if words.json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        for name, value in result.items():
            sys.stdout.write(f"{name:>28}  {value}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
