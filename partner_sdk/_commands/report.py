"""The group `report`, and its command `submit`: one report, to the gateway or to a file, or all that wait."""

import argparse
from pathlib import Path
from typing import get_args

from partner_sdk._commands import export, new_report, reports
from partner_sdk._commands.delivery import list_receipt_fields, say_fault, say_receipt
from partner_sdk._commands.evidence import PAIR, collect_files, parse_pair, submit_with_evidence
from partner_sdk._commands.reports import add_what_is_sent, find_wrong_kind, read_report
from partner_sdk._commands.runtime import EXIT_DONE, EXIT_FAILED, EXIT_NOT_DELIVERED, CommandGroup, PartnerCall
from partner_sdk._commands.spool import run_flush, write_for_travel
from partner_sdk.client._receipts import check_free
from partner_sdk.errors import KeySetError, ReportAbuseError, SealingError
from partner_sdk.wire.submission import Priority


def run_submit(call: PartnerCall) -> int:
    """Submit one file, or with `--resume` everything that waits."""
    partner, speaker, args = call.partner, call.speaker, call.args
    if args.resume:
        return run_flush(call)
    report_id: str | None = None

    def note_saved(saved: str) -> None:
        nonlocal report_id
        report_id = saved
        speaker.say_progress(f"Report {saved} is sealed and saved: whatever happens now, `spool flush` sends it.")

    try:
        if args.to_file is not None:
            check_free(Path(args.to_file))
        report = read_report(args)
        if args.evidence:
            return submit_with_evidence(call, report, files=collect_files(args.evidence))
        sealed = partner.seal_report(
            report,
            priority=args.priority,
            kind=args.kind,
            earlier_reference=args.earlier_reference,
            on_saved=note_saved,
        )
        if args.to_file is not None:
            return write_for_travel(call, sealed, Path(args.to_file))
        receipt = partner.deliver(sealed)
    except ReportAbuseError as error:
        say_fault(speaker, error)
        if report_id is None:
            _say_not_sealed(call, error)
        else:
            speaker.warn(f"NOT DELIVERED. Report {report_id} is sealed and saved: spool flush sends it.")
        if args.json:
            speaker.say_json({"delivered": False, "reason": error.reason, "report_id": report_id})
        return EXIT_FAILED if report_id is None else EXIT_NOT_DELIVERED
    if args.json:
        speaker.say_json({"delivered": True, **list_receipt_fields(partner, receipt)})
    else:
        say_receipt(partner, speaker, receipt)
    return EXIT_DONE


def _find_misuse(args: argparse.Namespace) -> str | None:
    """Return why options do not go together, or None."""
    if not args.resume and (args.file is None or args.priority is None):
        return "report submit takes FILE and --priority, or --resume"
    if args.resume and args.to_file is not None:
        return "--resume sends to the gateway; `spool write` makes a file of a report that waits"
    if args.evidence and (args.resume or args.to_file is not None):
        return "--evidence goes through the gateway, with a report: not with --resume, not with --to-file"
    return find_wrong_kind(args)


def _add_submit(report: CommandGroup) -> None:
    submit = report.add(
        "submit",
        run=run_submit,
        summary="seal and send one report",
        example="report.json --priority P2",
        find_misuse=_find_misuse,
    )
    submit.add_argument("file", metavar="FILE", nargs="?", help="the report as JSON (- for standard input)")
    submit.add_argument("--priority", choices=get_args(Priority), help="P1: a child is at risk now")
    add_what_is_sent(submit)
    submit.add_argument("--resume", action="store_true", help="send again everything that has no receipt yet")
    submit.add_argument(
        "--evidence", metavar=PAIR, action="append", type=parse_pair, help="hand over a file that the report lists"
    )
    submit.add_argument(
        "--to-file",
        metavar="OUT",
        help="do not send: write the sealed report to a new file, which may travel by any way to the desk",
    )


def _say_not_sealed(call: PartnerCall, error: ReportAbuseError) -> None:
    if isinstance(error, KeySetError):  # a SealingError says so itself
        call.speaker.warn("Nothing was sealed or saved.")
    if isinstance(error, (SealingError, KeySetError)):
        call.speaker.warn("Ask the agency for another way now. Once the gateway answers, `doctor` saves a key set.")


def add_commands(top: CommandGroup) -> None:
    """Add the group `report`, with the commands of its files."""
    report = top.add_group("report")
    new_report.add_commands(report)
    _add_submit(report)
    reports.add_commands(report)
    export.add_commands(report)
