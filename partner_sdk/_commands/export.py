"""The command `report export`: a report in the format of another body, without sending anything."""

from pathlib import Path
from typing import Any, Final

import click
import msgspec

from partner_sdk._commands.delivery import KINDS, priority_option
from partner_sdk._commands.runtime import EXIT_DONE, FEW_EXIT_CODES, Call, PartnerCommand, read_input, shared_options
from partner_sdk.client._receipts import check_free
from partner_sdk.durable_files import write_new_durably
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


@click.command(
    cls=PartnerCommand,
    example="report.json --priority P2 --format ncmec-xml --out report.xml",
    exit_codes=FEW_EXIT_CODES,
)
@click.argument("file")
@priority_option(is_required=True)
@click.option("--kind", type=click.Choice(KINDS), default="initial", show_default=True)
@click.option(
    "--format",
    "form",
    type=click.Choice((NCMEC_REPORT, NCMEC_FILE, UK_CHECKLIST)),
    required=True,
    help="NCMEC's CyberTipline report or file details, or the list of SI 2026/268.",
)
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write to this new file instead of standard output; it must not exist yet.",
)
@click.option(
    "--suspect",
    metavar="NUMBER",
    type=int,
    default=1,
    show_default=True,
    help="The suspect to export: NCMEC has one in each report.",
)
@click.option("--incident-type", metavar="TYPE", help="One of NCMEC's kinds, in place of ours.")
@click.option("--file-id", metavar="ID", default="", help="With ncmec-file-xml: the file of the report.")
@click.option("--ncmec-report", metavar="NUMBER", default="", help="With ncmec-file-xml: NCMEC's report number.")
@click.option("--ncmec-file", metavar="ID", default="", help="With ncmec-file-xml: NCMEC's id of the uploaded file.")
@shared_options
def export(
    call: Call,
    *,
    file: str,
    priority: Priority,
    kind: ReportKind,
    form: str,
    out: Path | None,
    suspect: int,
    incident_type: str | None,
    file_id: str,
    ncmec_report: str,
    ncmec_file: str,
) -> int:
    """Write a report in another body's format, and list the losses.

    FILE is the report as JSON; - reads standard input.
    """
    if out is not None:
        check_free(out)
    report = parse_report(read_input(file, max_bytes=MAX_REPORT_BYTES), priority=priority, kind=kind)
    if form == UK_CHECKLIST:
        return _write_checklist(call, report, out=out)
    if form == NCMEC_FILE:
        made = make_ncmec_file(report, file_id=file_id, report_number=ncmec_report, ncmec_file_id=ncmec_file)
    else:
        made = make_ncmec_report(report, priority=priority, suspect=suspect - 1, incident_type=incident_type)
    if call.is_json:
        losses: Any = msgspec.to_builtins(made.losses)
        call.speaker.say_json({"document": made.xml.decode("ascii"), "losses": losses})
    elif out is None:
        call.speaker.say_document(made.xml.decode("ascii"))
    if out is not None:
        write_new_durably(out, made.xml)
        call.speaker.warn(f"Written to {out}.")
    if not call.is_json:
        _warn_of_losses(call, made)
    call.speaker.warn("Nothing was sent. Check it against https://report.cybertip.org/ispws/xsd before you send it.")
    return EXIT_DONE


def _warn_of_losses(call: Call, made: NcmecExport) -> None:
    free = [loss for loss in made.losses if loss.kind == "free-text"]
    for loss in made.losses:
        if loss.kind != "free-text":
            call.speaker.warn(f"{loss.kind}: {loss.pointer}: {loss.detail}")
    call.speaker.warn(f"{len(free)} values have no element there and become free text; --json names them.")


def _write_checklist(call: Call, report: IndustryReport, *, out: Path | None) -> int:
    checklist = make_uk_checklist(report)
    fields = list_checklist_fields(checklist)
    if out is None:
        return call.answer(fields, [format_checklist(checklist)])
    raw = msgspec.json.format(msgspec.json.encode(fields)) if call.is_json else format_checklist(checklist).encode()
    write_new_durably(out, raw + b"\n")
    call.speaker.warn(f"Written to {out}.")
    return EXIT_DONE
