"""The command `report export`: a report in the words of another body, without sending anything."""

from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from partner_sdk._commands.delivery import end_with_fault
from partner_sdk._commands.runtime import EXIT_DONE, Call, CommandGroup, read_input
from partner_sdk.client._receipts import check_free
from partner_sdk.durable_files import write_new_durably
from partner_sdk.errors import ReportAbuseError
from partner_sdk.export import (
    NcmecExport,
    format_checklist,
    list_checklist_fields,
    make_ncmec_file,
    make_ncmec_report,
    make_uk_checklist,
)
from partner_sdk.report import MAX_REPORT_BYTES, IndustryReport, parse_report
from partner_sdk.wire.submission import Priority, ReportKind

NCMEC_REPORT: Final = "ncmec-xml"
NCMEC_FILE: Final = "ncmec-file-xml"
UK_CHECKLIST: Final = "uk-checklist"


def run_export(call: Call) -> int:
    """Write the document; list its losses on standard error."""
    speaker, args = call.speaker, call.args
    try:
        if args.out is not None:
            check_free(args.out)
        report = parse_report(read_input(args.file, max_bytes=MAX_REPORT_BYTES), priority=args.priority, kind=args.kind)
        if args.format == UK_CHECKLIST:
            return _write_checklist(call, report)
        made = _make_document(call, report)
    except ReportAbuseError as error:
        return end_with_fault(call, error)
    losses: Any = msgspec.to_builtins(made.losses)
    if args.json:
        speaker.say_json({"document": made.xml.decode("ascii"), "losses": losses})
    elif args.out is None:
        speaker.say_document(made.xml.decode("ascii"))
    if args.out is not None:
        write_new_durably(args.out, made.xml)
        speaker.warn(f"Written to {args.out}.")
    if not args.json:
        _say_losses(call, made)
    speaker.warn("Nothing was sent. Check it against https://report.cybertip.org/ispws/xsd before you send it.")
    return EXIT_DONE


def _say_losses(call: Call, made: NcmecExport) -> None:
    free = [loss for loss in made.losses if loss.kind == "free-text"]
    for loss in made.losses:
        if loss.kind != "free-text":
            call.speaker.warn(f"{loss.kind}: {loss.pointer}: {loss.detail}")
    call.speaker.warn(f"{len(free)} values have no element there and are said as free text; --json names them.")


def _make_document(call: Call, report: IndustryReport) -> NcmecExport:
    args = call.args
    if args.format == NCMEC_FILE:
        return make_ncmec_file(
            report,
            file_id=args.file_id or "",
            report_number=args.ncmec_report or "",
            ncmec_file_id=args.ncmec_file or "",
        )
    return make_ncmec_report(report, priority=args.priority, suspect=args.suspect - 1, incident_type=args.incident_type)


def _write_checklist(call: Call, report: IndustryReport) -> int:
    speaker, args = call.speaker, call.args
    checklist = make_uk_checklist(report)
    fields = list_checklist_fields(checklist)
    if args.out is not None:
        raw = msgspec.json.format(msgspec.json.encode(fields)) if args.json else format_checklist(checklist).encode()
        write_new_durably(args.out, raw + b"\n")
        speaker.warn(f"Written to {args.out}.")
    elif args.json:
        speaker.say_json(fields)
    else:
        speaker.say(format_checklist(checklist))
    return EXIT_DONE


def add_commands(report: CommandGroup) -> None:
    """Add this file's command to the group `report`."""
    export = report.add_alone(
        "export",
        run=run_export,
        summary="write a report in another body's format, and list the losses",
        example="report.json --priority P2 --format ncmec-xml --out report.xml",
    )
    export.add_argument("file", metavar="FILE", help="the report as JSON (- for standard input)")
    export.add_argument("--priority", choices=get_args(Priority), required=True, help="P1: a child is at risk now")
    export.add_argument("--kind", choices=get_args(ReportKind), default="initial")
    export.add_argument(
        "--format",
        choices=(NCMEC_REPORT, NCMEC_FILE, UK_CHECKLIST),
        required=True,
        help="NCMEC's CyberTipline report or file details, or the list of SI 2026/268",
    )
    export.add_argument(
        "--out", metavar="FILE", type=Path, help="write to this new file instead of standard output; never over another"
    )
    export.add_argument(
        "--suspect", metavar="NUMBER", type=int, default=1, help="which suspect: NCMEC has one in each report"
    )
    export.add_argument("--incident-type", metavar="TYPE", help="one of NCMEC's kinds, in place of ours")
    export.add_argument("--file-id", metavar="ID", help="with ncmec-file-xml: which file of the report")
    export.add_argument("--ncmec-report", metavar="NUMBER", help="with ncmec-file-xml: NCMEC's report number")
    export.add_argument("--ncmec-file", metavar="ID", help="with ncmec-file-xml: NCMEC's id of the uploaded file")
