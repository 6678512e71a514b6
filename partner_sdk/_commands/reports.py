"""The commands about reports of this folder: preview, list, status, discard."""

import argparse
from typing import Any, get_args

from partner_sdk._commands.delivery import end_with_fault, list_receipt_fields
from partner_sdk._commands.runtime import EXIT_DONE, Call, CommandGroup, PartnerCall, pick, read_input
from partner_sdk.client._earlier_reports import check_earlier_reference
from partner_sdk.client._receipts import DeskReceipt, Receipt, get_report_id, list_desk_receipts
from partner_sdk.errors import ReportAbuseError
from partner_sdk.report import MAX_REPORT_BYTES, IndustryReport, parse_report
from partner_sdk.report.preview import format_preview, list_preview_fields, make_preview
from partner_sdk.wire.mailbox_message import SET_ASIDE_REASONS, format_outcome
from partner_sdk.wire.submission import Priority, ReportKind


def run_preview(call: Call) -> int:
    """Show the text that would be sealed; needs neither a folder nor a network."""
    args = call.args
    try:
        report = read_report(args)
    except ReportAbuseError as error:
        return end_with_fault(call, error)
    preview = make_preview(report, priority=args.priority, kind=args.kind, earlier_reference=args.earlier_reference)
    return call.answer(list_preview_fields(preview), [format_preview(preview)])


def run_list(call: PartnerCall) -> int:
    """List the receipts, and the reports that wait for one."""
    partner = call.partner
    receipts: list[Receipt | DeskReceipt] = [*partner.receipts(), *list_desk_receipts(partner.state)]
    waiting = partner.state.list_undelivered()
    fields = {"receipts": [list_receipt_fields(partner, one) for one in receipts], "undelivered": waiting}
    lines = [*map(_format_receipt, receipts), *(f"NOT DELIVERED  {report_id}" for report_id in waiting)]
    return call.answer(fields, lines or ["Nothing was submitted from this folder yet."])


def _format_receipt(receipt: Receipt | DeskReceipt) -> str:
    clear = receipt.statement.clear
    by_desk = "  (receipt of the desk)" if isinstance(receipt, DeskReceipt) else ""
    what = f"{clear.kind:10}  {clear.priority}  {receipt.statement.received_at}  {receipt.report_id}"
    belongs = f"  to {clear.earlier_reference}" if clear.earlier_reference is not None else ""
    return f"{receipt.reference}  {what}{belongs}{by_desk}"


def run_status(call: PartnerCall) -> int:
    """Ask how far a report is."""
    partner = call.partner
    progress = partner.get_progress(get_report_id(partner.state, call.args.report_id))
    reason = progress.set_aside_reason
    if reason is None:
        outcome = "not released yet" if progress.outcome is None else format_outcome(progress.outcome)
        lines = [f"{progress.report_id}: {progress.stage}; outcome: {outcome}"]
    else:
        lines = [f"{progress.report_id}: {progress.stage} ({reason})", SET_ASIDE_REASONS[reason]]
    return call.answer(pick(progress, "outcome", "report_id", "set_aside_reason", "stage"), lines)


def run_discard(call: PartnerCall) -> int:
    """Drop a sealed report that the gateway refuses for good."""
    partner, speaker, args = call.partner, call.speaker, call.args
    partner.state.discard_submission(args.report_id)
    speaker.say(f"Report {args.report_id} was never delivered and is gone from this folder.")
    return EXIT_DONE


def read_report(args: argparse.Namespace) -> IndustryReport:
    """Read the report that the arguments name, and check its clear fields; raises `ReportAbuseError`."""
    check_earlier_reference(args.earlier_reference, kind=args.kind)
    raw = read_input(args.file, max_bytes=MAX_REPORT_BYTES)
    return parse_report(raw, priority=args.priority, kind=args.kind, answers=args.answers)


class _Answer(argparse.Action):
    """Takes `--answers ID`: the report is then a response."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, _: str | None = None
    ) -> None:
        namespace.answers, namespace.kind = values, "response"


def add_what_is_sent(command: argparse.ArgumentParser) -> None:
    """Add the options for the kind of a report, and for the report that it belongs to."""
    command.add_argument("--kind", choices=get_args(ReportKind), default="initial")
    command.add_argument("--earlier-reference", metavar="REFERENCE", help="your own report that this one belongs to")
    command.add_argument(
        "--answers", metavar="ID", action=_Answer, help="the question that this answers (`requests` lists them)"
    )


def find_wrong_kind(args: argparse.Namespace) -> str | None:
    """Return why a kind does not go with `--answers`, or None."""
    if args.answers is not None and args.kind != "response":
        return "--answers makes a report of kind response: leave --kind out"
    return None


def add_commands(report: CommandGroup) -> None:
    """Add this file's commands to the group `report`."""
    preview = report.add_alone(
        "preview",
        run=run_preview,
        summary="show the report as it would be sealed, and its missing fields",
        example="report.json --priority P2",
        find_misuse=find_wrong_kind,
    )
    preview.add_argument("file", metavar="FILE", help="the report as JSON (- for standard input)")
    preview.add_argument("--priority", choices=get_args(Priority), required=True, help="P1: a child is at risk now")
    add_what_is_sent(preview)
    report.add("list", run=run_list, summary="list receipts, and reports that wait for one", example="")
    status = report.add("status", run=run_status, summary="ask how far a report is", example="K7QF-2M9TX-D")
    status.add_argument("report_id", metavar="REPORT", help="its reference, or its report id")
    discard = report.add(
        "discard",
        run=run_discard,
        summary="drop a sealed report that was never delivered",
        example="01a211d3-7340-7ff3-b7d7-b412be473e63",
    )
    discard.add_argument("report_id", metavar="REPORT_ID")
