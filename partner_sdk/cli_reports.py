"""The commands `report ...` and `receipt ...`."""

import argparse
import sys
from pathlib import Path

from partner_sdk.cli_advice import describe
from partner_sdk.cli_output import EXIT_ALARM, EXIT_DONE, EXIT_FAILED, EXIT_NOT_DELIVERED, Speaker
from partner_sdk.client import Attempt, Partner, check_earlier_reference
from partner_sdk.errors import FormatError, LocalStateError, ProblemError, ReportAbuseError, ReportError, StatementError
from partner_sdk.intake import peek_intake
from partner_sdk.receipt_check import Receipt
from partner_sdk.report import MAX_REPORT_BYTES, IndustryReport, parse_report
from partner_sdk.report.preview import list_preview_fields, make_preview, spell_preview

# Said whenever a P1 does not get through, by cli.py: a sealed report in an outbox protects nobody.
EMERGENCY = "If a child is in danger now, call 999. Do not wait for this command."
MAX_RECEIPT_BYTES = 64 * 1024


def run_submit(partner: Partner, speaker: Speaker, args: argparse.Namespace) -> int:
    """Submit one file, or with `--resume` everything that waits."""
    if args.resume:
        return _resume(partner, speaker, as_json=args.json)
    report_id = None
    try:
        report = _read_report(args)
        report_id = partner.seal_report(
            report, priority=args.priority, kind=args.kind, earlier_reference=args.earlier_reference
        )
        receipt = partner.deliver(report_id)
    except ReportAbuseError as error:
        _say_fault(speaker, error)
        if report_id is not None:
            speaker.warn(f"NOT DELIVERED. Report {report_id} is sealed and saved: report submit --resume sends it.")
        if args.json:
            speaker.say_json({"delivered": False, "reason": error.reason, "report_id": report_id})
        return EXIT_FAILED if report_id is None else EXIT_NOT_DELIVERED
    if args.json:
        speaker.say_json({"delivered": True, **_fields(partner, receipt)})
    else:
        _say_receipt(partner, speaker, receipt)
    return EXIT_DONE


def run_preview(speaker: Speaker, args: argparse.Namespace) -> int:
    """Show what would be sealed; needs neither a folder nor a network."""
    try:
        report = _read_report(args)
    except ReportAbuseError as error:
        _say_fault(speaker, error)
        if args.json:
            faults = error.faults if isinstance(error, ReportError) else ()
            speaker.say_json({"faults": {one.pointer: one.detail for one in faults}, "reason": error.reason})
        return EXIT_FAILED
    preview = make_preview(report, priority=args.priority, kind=args.kind, earlier_reference=args.earlier_reference)
    if args.json:
        speaker.say_json(list_preview_fields(preview))
    else:
        speaker.say(spell_preview(preview))
    return EXIT_DONE


def run_list(partner: Partner, speaker: Speaker, args: argparse.Namespace) -> int:
    """List the receipts, and what waits for one."""
    receipts, waiting = partner.receipts(), partner.state.list_undelivered()
    if args.json:
        speaker.say_json({"receipts": [_fields(partner, one) for one in receipts], "undelivered": waiting})
        return EXIT_DONE
    for one in receipts:
        clear = one.statement.clear
        speaker.say(f"{one.reference}  {clear.priority}  {one.statement.received_at}  {one.report_id}")
    for report_id in waiting:
        speaker.say(f"NOT DELIVERED  {report_id}")
    if not receipts and not waiting:
        speaker.say("Nothing was submitted from this folder yet.")
    return EXIT_DONE


def run_status(partner: Partner, speaker: Speaker, args: argparse.Namespace) -> int:
    """Ask how far a report is."""
    progress = partner.get_progress(args.report_id)
    if args.json:
        speaker.say_json({"outcome": progress.outcome, "report_id": progress.report_id, "stage": progress.stage})
    else:
        speaker.say(f"{progress.report_id}: {progress.stage}; outcome: {progress.outcome or 'not released yet'}")
    return EXIT_DONE


def run_discard(partner: Partner, speaker: Speaker, args: argparse.Namespace) -> int:
    """Drop a sealed report that the gateway refuses for good."""
    partner.state.discard_submission(args.report_id)
    speaker.say(f"Report {args.report_id} was never delivered and is gone from this folder.")
    return EXIT_DONE


def run_verify(partner: Partner, speaker: Speaker, args: argparse.Namespace) -> int:
    """Verify a receipt file offline."""
    raw = read_input(args.file, max_bytes=MAX_RECEIPT_BYTES).rstrip(b"\n")
    try:
        peek_intake(raw)
    except FormatError:
        speaker.warn("This is not a receipt file (not-a-receipt)")
        if args.json:
            speaker.say_json({"reason": "not-a-receipt", "verified": False})
        return EXIT_FAILED
    try:
        receipt = partner.check_receipt(raw)
    except (FormatError, StatementError) as error:
        speaker.warn(f"The receipt does NOT hold: {error} ({error.reason})")
        if args.json:
            speaker.say_json({"reason": error.reason, "verified": False})
        return EXIT_ALARM
    if args.json:
        speaker.say_json({"verified": True, **_fields(partner, receipt)})
    else:
        speaker.say(f"The receipt holds: {receipt.reference}, received {receipt.statement.received_at}.")
        speaker.say(f"It is the gateway's word for your report {receipt.report_id}.")
    return EXIT_DONE


def read_input(name: str, *, max_bytes: int) -> bytes:
    """Return what a file holds (`-` is standard input), or raise `LocalStateError` (`no-such-file`)."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(max_bytes + 1)
        with Path(name).open("rb") as handle:
            return handle.read(max_bytes + 1)
    except OSError as error:
        raise LocalStateError(f"{name} can not be read: {error.strerror}.", reason="no-such-file") from None


def _read_report(args: argparse.Namespace) -> IndustryReport:
    check_earlier_reference(args.earlier_reference, kind=args.kind)
    return parse_report(read_input(args.file, max_bytes=MAX_REPORT_BYTES), priority=args.priority, kind=args.kind)


def _resume(partner: Partner, speaker: Speaker, *, as_json: bool) -> int:
    attempts = partner.resume()
    for attempt in attempts:
        _say_attempt(partner, speaker, attempt, as_json=as_json)
    failed = [attempt for attempt in attempts if attempt.error is not None]
    if any(attempt.priority == "P1" for attempt in failed):
        speaker.warn(EMERGENCY)
    if as_json:
        delivered = [_fields(partner, one.receipt) for one in attempts if one.receipt is not None]
        speaker.say_json({"delivered": delivered, "undelivered": [one.report_id for one in failed]})
    elif not attempts:
        speaker.say("Nothing waits: every sealed report has its receipt.")
    return EXIT_NOT_DELIVERED if failed else EXIT_DONE


def _say_attempt(partner: Partner, speaker: Speaker, attempt: Attempt, *, as_json: bool) -> None:
    if attempt.error is not None:
        speaker.warn(f"NOT DELIVERED: report {attempt.report_id}, {attempt.priority}")
        _say_fault(speaker, attempt.error)
    elif attempt.receipt is not None and not as_json:
        _say_receipt(partner, speaker, attempt.receipt)


def _say_receipt(partner: Partner, speaker: Speaker, receipt: Receipt) -> None:
    speaker.say(f"Delivered. Reference {receipt.reference}, received {receipt.statement.received_at}.")
    speaker.say(f"Report {receipt.report_id}; receipt in {_receipt_file(partner, receipt)}")


def _say_fault(speaker: Speaker, error: ReportAbuseError) -> None:
    speaker.warn(describe(error))
    for fault in error.faults if isinstance(error, (ReportError, ProblemError)) else ():
        speaker.warn(f"  {fault.pointer}: {fault.detail}")
    if isinstance(error, ProblemError) and error.request_id:
        speaker.warn(f"  request id {error.request_id}")


def _fields(partner: Partner, receipt: Receipt) -> dict[str, str]:
    return {
        "priority": receipt.statement.clear.priority,
        "receipt_file": str(_receipt_file(partner, receipt)),
        "received_at": receipt.statement.received_at,
        "reference": receipt.reference,
        "report_id": receipt.report_id,
    }


def _receipt_file(partner: Partner, receipt: Receipt) -> Path:
    return partner.state.folder / "receipts" / f"{receipt.report_id}.json"
