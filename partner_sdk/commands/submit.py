"""The command `report submit`: one report, or everything that waits for a receipt."""

from typing import get_args

from partner_sdk.client.partner import Attempt, Partner
from partner_sdk.commands.delivery_words import list_receipt_fields, say_fault, say_receipt
from partner_sdk.commands.frame import EMERGENCY, CommandGroup, PartnerCall
from partner_sdk.commands.output import EXIT_DONE, EXIT_FAILED, EXIT_NOT_DELIVERED, Speaker
from partner_sdk.commands.reports import read_report
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.submission import Priority, ReportKind


def run_submit(call: PartnerCall) -> int:
    """Submit one file, or with `--resume` everything that waits."""
    partner, speaker, args = call.partner, call.speaker, call.args
    if args.resume:
        return _resume(partner, speaker, as_json=args.json)
    report_id = None
    try:
        report = read_report(args)
        report_id = partner.seal_report(
            report, priority=args.priority, kind=args.kind, earlier_reference=args.earlier_reference
        )
        receipt = partner.deliver(report_id)
    except ReportAbuseError as error:
        say_fault(speaker, error)
        if report_id is not None:
            speaker.warn(f"NOT DELIVERED. Report {report_id} is sealed and saved: report submit --resume sends it.")
        if args.json:
            speaker.say_json({"delivered": False, "reason": error.reason, "report_id": report_id})
        return EXIT_FAILED if report_id is None else EXIT_NOT_DELIVERED
    if args.json:
        speaker.say_json({"delivered": True, **list_receipt_fields(partner, receipt)})
    else:
        say_receipt(partner, speaker, receipt)
    return EXIT_DONE


def add_commands(report: CommandGroup) -> None:
    """Add this file's command to the group `report`."""
    submit = report.add(
        "submit", run=run_submit, summary="seal and send one report", example="report.json --priority P2"
    )
    submit.add_argument("file", metavar="FILE", nargs="?", help="the report as JSON (- for standard input)")
    submit.add_argument("--priority", choices=get_args(Priority), help="P1: a child is at risk now")
    submit.add_argument("--kind", choices=get_args(ReportKind), default="initial")
    submit.add_argument("--earlier-reference", metavar="REFERENCE", help="your own report that this one belongs to")
    submit.add_argument("--resume", action="store_true", help="send again everything that has no receipt yet")


def _resume(partner: Partner, speaker: Speaker, *, as_json: bool) -> int:
    attempts = partner.resume()
    for attempt in attempts:
        _say_attempt(partner, speaker, attempt, as_json=as_json)
    failed = [attempt for attempt in attempts if attempt.error is not None]
    if any(attempt.priority == "P1" for attempt in failed):
        speaker.warn(EMERGENCY)
    if as_json:
        delivered = [list_receipt_fields(partner, one.receipt) for one in attempts if one.receipt is not None]
        speaker.say_json({"delivered": delivered, "undelivered": [one.report_id for one in failed]})
    elif not attempts:
        speaker.say("Nothing waits: every sealed report has its receipt.")
    return EXIT_NOT_DELIVERED if failed else EXIT_DONE


def _say_attempt(partner: Partner, speaker: Speaker, attempt: Attempt, *, as_json: bool) -> None:
    if attempt.error is not None:
        speaker.warn(f"NOT DELIVERED: report {attempt.report_id}, {attempt.priority}")
        say_fault(speaker, attempt.error)
    elif attempt.receipt is not None and not as_json:
        say_receipt(partner, speaker, attempt.receipt)
