"""The group `report`: submit one report, to the gateway or to a file, and follow those of this folder."""

from functools import partial
from pathlib import Path

import click

from partner_sdk._commands.delivery import (
    SentAs,
    again_option,
    answering_options,
    choose_kind,
    fail_to_submit,
    kind_option,
    list_receipt_fields,
    priority_option,
    say_receipt,
    settle_repeat,
)
from partner_sdk._commands.evidence import PAIR, collect_files, parse_pair, submit_with_evidence
from partner_sdk._commands.runtime import (
    EXIT_DONE,
    FEW_EXIT_CODES,
    Call,
    PartnerGroup,
    Run,
    pick,
    read_input,
    shared_options,
)
from partner_sdk._commands.spool import flush_all, write_for_travel
from partner_sdk.client._receipts import DeskReceipt, Receipt, check_free, get_report_id, list_desk_receipts
from partner_sdk.client._submissions import check_earlier_reference
from partner_sdk.errors import RepeatedReportError, ReportAbuseError
from partner_sdk.report import MAX_REPORT_BYTES, IndustryReport, parse_report
from partner_sdk.report.reading import format_preview, list_preview_fields, make_preview
from partner_sdk.wire.mailbox import format_outcome
from partner_sdk.wire.submission import SET_ASIDE_REASONS, Priority, ReportKind


@click.group(cls=PartnerGroup)
def report() -> None:
    """Submit reports and follow them."""


def _earlier_option(function: Run) -> Run:
    return click.option("--earlier-reference", metavar="REFERENCE", help="Your own report that this one belongs to.")(
        function
    )


def _read_report(
    file: str, *, priority: Priority, kind: ReportKind, earlier_reference: str | None, answers: str | None = None
) -> IndustryReport:
    check_earlier_reference(earlier_reference, kind=kind)
    return parse_report(read_input(file, max_bytes=MAX_REPORT_BYTES), priority=priority, kind=kind, answers=answers)


@report.command(example="report.json --priority P2")
@click.argument("file", required=False)
@priority_option()
@_earlier_option
@kind_option
@again_option
@click.option("--resume", is_flag=True, help="Send again everything that has no receipt yet.")
@click.option(
    "--evidence", "pairs", metavar=PAIR, multiple=True, type=parse_pair, help="Hand over a file that the report lists."
)
@click.option(
    "--to-file",
    metavar="OUT",
    type=click.Path(path_type=Path),
    help="Do not send: write the sealed report to a new file, to reach the desk any other way.",
)
@shared_options
def submit(
    call: Call,
    *,
    file: str | None,
    priority: Priority | None,
    kind: ReportKind | None,
    earlier_reference: str | None,
    again: bool,
    resume: bool,
    pairs: tuple[tuple[str, Path], ...],
    to_file: Path | None,
) -> int:
    """Seal and send one report.

    FILE is the report as JSON; - reads standard input.
    """
    _check_usage(file, priority=priority, is_resuming=resume, pairs=pairs, to_file=to_file)
    if resume or file is None or priority is None:
        return flush_all(call)
    sent_as: SentAs = {"priority": priority, "kind": kind or "initial", "earlier_reference": earlier_reference}
    if to_file is not None:
        check_free(to_file)
    report = _read_report(file, **sent_as)
    return submit_report(call, report, pairs=pairs, sent_as=sent_as, again=again, to_file=to_file)


def submit_report(
    call: Call,
    report: IndustryReport,
    *,
    pairs: tuple[tuple[str, Path], ...],
    sent_as: SentAs,
    again: bool = False,
    to_file: Path | None = None,
) -> int:
    """Seal and send one checked report with its files, or write it to a file; show how it went."""
    if pairs:
        return submit_with_evidence(call, report, files=collect_files(pairs), sent_as=sent_as, again=again)
    report_id: str | None = None

    def note_saved(saved: str) -> None:
        nonlocal report_id
        report_id = saved
        call.speaker.say_progress(f"Report {saved} is sealed and saved: whatever happens now, `spool flush` sends it.")

    try:
        partner = call.partner
        sealed = partner.seal_report(report, on_saved=note_saved, again=again, **sent_as)
        if to_file is not None:
            return write_for_travel(call, sealed, to_file)
        receipt = partner.deliver(sealed)
    except RepeatedReportError as error:
        send = partial(submit_report, call, report, pairs=pairs, sent_as=sent_as, again=True, to_file=to_file)
        return settle_repeat(call, error, send_again=send)
    except ReportAbuseError as error:
        return fail_to_submit(call, error, report_id=report_id)
    if call.is_json:
        call.speaker.say_json({"delivered": True, **list_receipt_fields(partner, receipt)})
    else:
        say_receipt(call, receipt)
    return EXIT_DONE


def _check_usage(
    file: str | None,
    *,
    priority: Priority | None,
    is_resuming: bool,
    pairs: tuple[tuple[str, Path], ...],
    to_file: Path | None,
) -> None:
    if pairs and (is_resuming or to_file is not None):
        raise click.UsageError("--evidence sends a report through the gateway: not with --resume, not with --to-file.")
    if is_resuming and to_file is not None:
        raise click.UsageError("--resume sends to the gateway; `spool write` makes a file of a waiting report.")
    if not is_resuming and (file is None or priority is None):
        raise click.UsageError("report submit takes FILE and --priority, or --resume.")


@report.command(example="report.json --priority P2", exit_codes=FEW_EXIT_CODES)
@click.argument("file")
@priority_option(is_required=True)
@_earlier_option
@answering_options
@shared_options
def preview(
    call: Call,
    *,
    file: str,
    priority: Priority,
    kind: ReportKind | None,
    earlier_reference: str | None,
    answers: str | None,
) -> int:
    """Show a report as it would be sealed, and its missing fields.

    FILE is the report as JSON; - reads standard input.
    """
    sent_as: SentAs = {
        "priority": priority,
        "kind": choose_kind(kind, answers=answers),
        "earlier_reference": earlier_reference,
    }
    shown = make_preview(_read_report(file, answers=answers, **sent_as), **sent_as)
    return call.answer(list_preview_fields(shown), [format_preview(shown)])


@report.command("list", example="")
@shared_options
def show_receipts(call: Call) -> int:
    """List receipts, and reports that wait for one."""
    partner = call.partner
    receipts: list[Receipt | DeskReceipt] = [*partner.receipts(), *list_desk_receipts(partner.state)]
    waiting = partner.state.list_undelivered()
    fields = {"receipts": [list_receipt_fields(partner, one) for one in receipts], "undelivered": waiting}
    lines = [*map(_format_receipt, receipts), *(f"NOT DELIVERED  {report_id}" for report_id in waiting)]
    return call.answer(fields, lines or ["Nothing has been submitted from this folder yet."])


def _format_receipt(receipt: Receipt | DeskReceipt) -> str:
    clear = receipt.statement.clear
    by_desk = "  (receipt of the desk)" if isinstance(receipt, DeskReceipt) else ""
    row = f"{clear.kind:10}  {clear.priority}  {receipt.statement.received_at}  {receipt.report_id}"
    belongs = f"  to {clear.earlier_reference}" if clear.earlier_reference is not None else ""
    return f"{receipt.reference}  {row}{belongs}{by_desk}"


@report.command(example="K7QF-2M9TX-D")
@click.argument("report_id", metavar="REPORT")
@shared_options
def status(call: Call, *, report_id: str) -> int:
    """Ask for a report's progress.

    REPORT is its reference or its id.
    """
    partner = call.partner
    progress = partner.get_progress(get_report_id(partner.state, report_id))
    reason = progress.set_aside_reason
    if reason is None:
        outcome = "not released yet" if progress.outcome is None else format_outcome(progress.outcome)
        lines = [f"{progress.report_id}: {progress.stage}; outcome: {outcome}"]
    else:
        lines = [f"{progress.report_id}: {progress.stage} ({reason})", SET_ASIDE_REASONS[reason]]
    return call.answer(pick(progress, "outcome", "report_id", "set_aside_reason", "stage"), lines)


@report.command(example="01a211d3-7340-7ff3-b7d7-b412be473e63")
@click.argument("report_id", metavar="REPORT_ID")
@shared_options
def discard(call: Call, *, report_id: str) -> int:
    """Drop a sealed report that was never delivered."""
    call.partner.state.discard_submission(report_id)
    call.speaker.say(f"Report {report_id} was never delivered and has been removed from this folder.")
    return EXIT_DONE
