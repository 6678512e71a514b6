"""The groups `report`, `spool` and `evidence`: submit reports with their files, and send what waits."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict, get_args

import click

from partner_sdk._commands.runtime import (
    EMERGENCY,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_NOT_DELIVERED,
    FEW_EXIT_CODES,
    Call,
    PartnerGroup,
    Run,
    pick,
    read_input,
    shared_options,
)
from partner_sdk.client._receipts import (
    Receipt,
    check_free,
    find_delivery,
    get_report_id,
    list_kept_receipts,
    write_sealed_file,
)
from partner_sdk.client._submissions import check_earlier_reference
from partner_sdk.errors import (
    FormatError,
    KeySetError,
    LocalStateError,
    RepeatedReportError,
    ReportAbuseError,
    SealingError,
)
from partner_sdk.report import MAX_REPORT_BYTES, IndustryReport, parse_report
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.submission import SET_ASIDE_REASONS, SIGNED_SUBMISSION, Priority, ReportKind

if TYPE_CHECKING:
    # Types only: these modules load the HTTP client, which a command that sends nothing does not need.
    from partner_sdk.client._evidence_handover import HandedOver, WaitingEvidence
    from partner_sdk.client._evidence_upload import Progress
    from partner_sdk.client.partner import Partner
    from partner_sdk.client.threads import KeptEntry

_PRIORITIES: Final[tuple[Priority, ...]] = get_args(Priority)
_KINDS: Final[tuple[ReportKind, ...]] = get_args(ReportKind)
_PAIR: Final = "FILE_ID=PATH"
_FLUSH: Final = "`spool flush` sends the rest; nothing has to be submitted again."
PROGRESS_SECONDS: Final = 2.0


class SentAs(TypedDict):
    """The clear fields of a report that its sender chooses."""

    priority: Priority
    kind: ReportKind
    earlier_reference: str | None


def _priority_option(**settings: Any) -> Callable[[Run], Run]:
    """Return the option `--priority`. It takes `p1` as `P1`: no urgent report may fail for its spelling."""
    return click.option(
        "--priority",
        metavar=f"[{'|'.join(_PRIORITIES)}]",
        type=click.Choice(_PRIORITIES, case_sensitive=False),
        help="P1: a child is at risk now.",
        **settings,
    )


def _kind_options(function: Run) -> Run:
    """Add the options that choose the kind of a report, and what it belongs to."""
    for option in (
        click.option("--answers", metavar="ID", help="The agency's question that this answers (see thread list)."),
        click.option("--kind", type=click.Choice(_KINDS), help="[default: initial, or response with --answers]"),
        click.option("--earlier-reference", metavar="REFERENCE", help="Your own report that this one belongs to."),
    ):
        function = option(function)
    return function


_again_option: Final = click.option(
    "--again", is_flag=True, help="Send it although the same report went within the last hour."
)


def parse_pair(text: str) -> tuple[str, Path]:
    """Read `FILE_ID=PATH`, or raise `click.BadParameter`."""
    file_id, sign, path = text.partition("=")
    if not (file_id and sign and path):
        raise click.BadParameter(f"{text!r} is not {_PAIR}.")
    return file_id, Path(path)


def _choose_kind(kind: ReportKind | None, *, answers: str | None) -> ReportKind:
    if answers is None:
        return kind or "initial"
    if kind not in {None, "response"}:
        raise click.UsageError("--answers makes a report of kind response: leave --kind out.")
    return "response"


def _read_report(file: str, *, sent_as: SentAs, answers: str | None) -> IndustryReport:
    check_earlier_reference(sent_as["earlier_reference"], kind=sent_as["kind"])
    raw = read_input(file, max_bytes=MAX_REPORT_BYTES)
    return parse_report(raw, priority=sent_as["priority"], kind=sent_as["kind"], answers=answers)


@click.group(cls=PartnerGroup)
def report() -> None:
    """Submit reports and follow them."""


@report.command(example="report.json --priority P2")
@click.argument("file")
@_priority_option(required=True)
@_kind_options
@_again_option
@click.option(
    "--evidence", "pairs", metavar=_PAIR, multiple=True, type=parse_pair, help="Hand over a file that the report lists."
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
    file: str,
    priority: Priority,
    kind: ReportKind | None,
    earlier_reference: str | None,
    answers: str | None,
    again: bool,
    pairs: tuple[tuple[str, Path], ...],
    to_file: Path | None,
) -> int:
    """Seal and send one report.

    FILE is the report as JSON; - reads standard input.
    """
    if pairs and to_file is not None:
        raise click.UsageError("--evidence sends a report through the gateway: not with --to-file.")
    sent_as: SentAs = {
        "priority": priority,
        "kind": _choose_kind(kind, answers=answers),
        "earlier_reference": earlier_reference,
    }
    if to_file is not None:
        check_free(to_file)
    checked = _read_report(file, sent_as=sent_as, answers=answers)
    if pairs:
        return _submit_with_evidence(call, checked, pairs=pairs, sent_as=sent_as, again=again)
    report_id: str | None = None

    def note_saved(saved: str) -> None:
        nonlocal report_id
        report_id = saved
        call.speaker.say_progress(f"Report {saved} is sealed and saved: whatever happens now, `spool flush` sends it.")

    try:
        sealed = call.partner.seal_report(checked, on_saved=note_saved, again=again, **sent_as)
        if to_file is not None:
            return _write_for_travel(call, sealed, to_file)
        receipt = call.partner.deliver(sealed)
    except ReportAbuseError as error:
        return _fail_to_submit(call, error, report_id=report_id)
    return call.answer({"delivered": True, **list_receipt_fields(call.partner, receipt)})


@report.command(example="report.json --priority P2", exit_codes=FEW_EXIT_CODES)
@click.argument("file")
@_priority_option(required=True)
@_kind_options
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
    from partner_sdk.report.reading import list_preview_fields, make_preview

    sent_as: SentAs = {
        "priority": priority,
        "kind": _choose_kind(kind, answers=answers),
        "earlier_reference": earlier_reference,
    }
    checked = _read_report(file, sent_as=sent_as, answers=answers)
    return call.answer(list_preview_fields(make_preview(checked, **sent_as)))


@report.command("list", example="")
@shared_options
def show_receipts(call: Call) -> int:
    """List receipts, and reports that wait for one."""
    partner = call.partner
    receipts = [*partner.receipts(), *list_kept_receipts(partner.state, by="desk")]
    fields = {
        "receipts": [list_receipt_fields(partner, one) for one in receipts],
        "undelivered": partner.state.list_undelivered(),
    }
    return call.answer(fields)


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
    meaning = None if reason is None else SET_ASIDE_REASONS[reason]
    fields = pick(progress, "outcome", "report_id", "set_aside_reason", "stage")
    return call.answer({**fields, "set_aside_meaning": meaning})


@report.command(example="01a211d3-7340-7ff3-b7d7-b412be473e63")
@click.argument("report_id", metavar="REPORT_ID")
@shared_options
def discard(call: Call, *, report_id: str) -> int:
    """Drop a sealed report that was never delivered."""
    call.partner.state.discard_submission(report_id)
    return call.answer({"discarded": report_id})


def _fail_to_submit(call: Call, error: ReportAbuseError, *, report_id: str | None) -> int:
    """Show why a report was not delivered, and whether it is saved; return the exit code."""
    call.warn_of(error)
    fields: dict[str, object] = {"delivered": False, "reason": error.reason, "report_id": report_id}
    if report_id is not None:
        call.speaker.warn(f"NOT DELIVERED. Report {report_id} is sealed and saved: `spool flush` sends it.")
    elif isinstance(error, (SealingError, KeySetError)):
        if isinstance(error, KeySetError):  # a SealingError has it in its own text
            call.speaker.warn("Nothing was sealed or saved.")
        call.speaker.warn(
            "Ask the agency for another way to report now. Once the gateway answers, `doctor` saves a key set."
        )
    elif isinstance(error, RepeatedReportError):
        call.speaker.warn("Nothing was sealed or sent this time. If it is to go once more, give --again.")
        fields["same_as"] = pick(error, "reference", "report_id")
    return call.answer(fields, code=EXIT_FAILED if report_id is None else EXIT_NOT_DELIVERED)


def list_receipt_fields(partner: "Partner", receipt: Receipt) -> dict[str, Any]:
    """Return a receipt for JSON."""
    clear = receipt.statement.clear
    return {
        **pick(clear, "earlier_reference", "kind", "priority"),
        "receipt_file": str(partner.state.get_receipt_path(receipt.report_id, by=receipt.signed_by)),
        "received_at": receipt.statement.received_at,
        **pick(receipt, "reference", "report_id"),
        "signed_by": receipt.signed_by,
    }


@click.group(cls=PartnerGroup)
def evidence() -> None:
    """Give up files that belong to reports."""


@evidence.command("discard", example="019ab3c5-...")
@click.argument("report_id", metavar="REPORT_ID")
@shared_options
def discard_evidence(call: Call, *, report_id: str) -> int:
    """Give up the files of a report; the agency is not informed."""
    from partner_sdk.client._evidence_upload import EvidenceJournal

    journal = EvidenceJournal(call.partner.state.folder)
    with journal.holding(report_id):
        is_named = call.partner.state.find_submission(report_id) is not None
        try:
            if journal.get(report_id).is_done:
                raise FormatError(
                    "All files of this report are handed over. If the agency must not use one, send a correction.",
                    reason="nothing-to-discard",
                )
        except LocalStateError:
            journal.discard(report_id)
            raise
        journal.discard(report_id)
    if is_named:
        call.speaker.warn("The report still names them: send a correction so that the agency does not wait for them.")
    return call.answer({"discarded": report_id, "named_by_report": is_named})


def _submit_with_evidence(
    call: Call, checked: IndustryReport, *, pairs: tuple[tuple[str, Path], ...], sent_as: SentAs, again: bool
) -> int:
    """Submit a report with its files, and show the outcome of both."""
    partner, files = call.partner, dict(pairs)
    if len(files) != len(pairs):
        error = FormatError("A file_id is given twice: each names one file.", reason="twice-named")
        return _fail_to_submit(call, error, report_id=None)
    waited_before = set(partner.state.list_undelivered())

    def note_receipt(receipt: Receipt) -> None:
        call.is_p1_waiting = False  # only its files wait
        call.speaker.say_progress(f"Delivered. Reference {receipt.reference}.")

    try:
        handed = partner.submit(
            checked,
            evidence=files,
            on_progress=_make_progress(call),
            on_receipt=note_receipt,
            again=again,
            **sent_as,
        )
    except ReportAbuseError as error:
        sealed = sorted(set(partner.state.list_undelivered()) - waited_before)
        return _fail_to_submit(call, error, report_id=sealed[0] if sealed else None)
    _warn_of_evidence(call, handed)
    fields = {"delivered": True, **_list_handed_fields(call, handed)}
    return call.answer(fields, code=EXIT_DONE if handed.is_complete else EXIT_NOT_DELIVERED)


def _make_progress(call: Call) -> "Callable[[Progress], None]":
    """Return a listener that writes a line every two seconds, on a terminal only."""
    said_at = time.monotonic()

    def show(progress: "Progress") -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= PROGRESS_SECONDS:
            said_at = time.monotonic()
            total = f"{progress.total_bytes / 1_000_000:,.0f} MB"
            call.speaker.say_progress(f"{progress.file_id} {progress.verb}: {progress.share:.0%} of {total}")

    return show


def _warn_of_evidence(call: Call, handed: "HandedOver") -> None:
    """Name the files that wait, and each that is no longer in its place: trying again alone would never end."""
    if handed.error is not None:
        call.warn_of(handed.error)
    if handed.is_complete:
        return
    names = ", ".join(file.file_id for file in handed.waiting) or "the fingerprints of its files"
    call.speaker.warn(f"EVIDENCE WAITS: {names} of report {handed.report_id}, which is delivered. {_FLUSH}")
    for file in handed.waiting:
        if not Path(file.path).exists():
            give_up = f"run `evidence discard {handed.report_id}`"
            call.speaker.warn(f"  {file.file_id}: put it back at {file.path}, or {give_up}.")


def _list_handed_fields(call: Call, handed: "HandedOver") -> dict[str, Any]:
    return {
        **list_receipt_fields(call.partner, handed.receipt),
        "evidence_reason": None if handed.error is None else handed.error.reason,
        "evidence_waiting": [file.file_id for file in handed.waiting],
        "supplement": None if handed.supplement is None else handed.supplement.reference,
    }


@click.group(cls=PartnerGroup)
def spool() -> None:
    """List and send everything that waits."""


@spool.command("status", example="")
@shared_options
def spool_status(call: Call) -> int:
    """List what waits, and its age (exit code 3 if anything does)."""
    from partner_sdk.client._evidence_handover import find_oldest, list_waiting, list_waiting_evidence

    now = call.runtime.clock()
    waiting, files = list_waiting(call.partner.state), list_waiting_evidence(call.partner.state)
    words = call.partner.threads.list_waiting()
    call.is_p1_waiting = any(one.priority == "P1" for one in waiting)
    for one in waiting:
        if one.error is not None:
            call.speaker.warn(f"{one.report_id} cannot be read, and counts as P1. {one.error}")
    oldest = find_oldest(waiting)
    fields = {
        "by_priority": {name: sum(one.priority == name for one in waiting) for name in _PRIORITIES},
        "evidence": [
            {
                **pick(one, "files", "report_id", "since", "size_bytes"),
                "advice": _advise(one),
                "error": None if one.error is None else one.error.reason,
                "report_is_sealed": one.is_sealed,
            }
            for one in files
        ],
        "oldest": oldest,
        "oldest_seconds": None if oldest is None else int((now - parse_time(oldest)).total_seconds()),
        "reports": [
            {
                **pick(one, "kind", "priority", "report_id", "since", "size_bytes"),
                "error": None if one.error is None else one.error.reason,
            }
            for one in waiting
        ],
        "size_bytes": sum(one.size_bytes for one in waiting),
        "waiting": len(waiting),
        "words": _list_word_fields(words),
    }
    return call.answer(fields, code=EXIT_NOT_DELIVERED if waiting or files or words else EXIT_DONE)


@spool.command(example="")
@shared_options
def flush(call: Call) -> int:
    """Send everything that waits, P1 first."""
    from partner_sdk.client._evidence_handover import flush as flush_reports
    from partner_sdk.client._evidence_handover import list_waiting, list_waiting_evidence

    partner = call.partner
    urgent = {one.report_id for one in list_waiting(partner.state) if one.priority == "P1"}
    call.is_p1_waiting = bool(urgent)
    attempts = []
    for attempt in flush_reports(
        partner.state,
        deliver=partner.deliver,
        on_start=lambda place, count, one: call.speaker.say_progress(
            f"{place} of {count}: {one.priority}, {one.size_bytes:,} bytes, report {one.report_id}"
        ),
    ):
        attempts.append(attempt)
        if attempt.receipt is not None:
            urgent.discard(attempt.report_id)
        call.is_p1_waiting = bool(urgent)
        if attempt.error is not None:
            call.speaker.warn(f"NOT DELIVERED: report {attempt.report_id}, {attempt.priority}")
            call.warn_of(attempt.error)
    failed = [attempt for attempt in attempts if attempt.error is not None]
    call.is_p1_waiting = any(attempt.priority == "P1" for attempt in failed)
    handed = partner.resume_evidence(on_progress=_make_progress(call))
    for one in handed:
        _warn_of_evidence(call, one)
    left = list_waiting_evidence(partner.state)
    for files in left:
        call.speaker.warn(f"INCOMPLETE: evidence of report {files.report_id}. {_advise(files)}")
    words = partner.threads.send_waiting()
    for said in words:
        if said.error is not None:
            call.speaker.warn(f"NOT SENT: your {said.entry.kind} about message {said.entry.about}")
            call.warn_of(said.error)
    unsent = [one.entry for one in words if one.error is not None]
    fields = {
        "delivered": [list_receipt_fields(partner, one.receipt) for one in attempts if one.receipt is not None],
        "evidence": [_list_handed_fields(call, one) for one in handed],
        "evidence_waiting": [one.report_id for one in left],
        "undelivered": [one.report_id for one in failed],
        "words_sent": _list_word_fields([one.entry for one in words if one.error is None]),
        "words_waiting": _list_word_fields(unsent),
    }
    return call.answer(fields, code=EXIT_NOT_DELIVERED if failed or left or unsent else EXIT_DONE)


def _advise(files: "WaitingEvidence") -> str:
    if files.error is not None:
        return str(files.error)
    if not files.is_sealed:
        return "Its report was not sealed yet: run the same `report submit` again."
    return _FLUSH


def _list_word_fields(words: "list[KeptEntry]") -> list[dict[str, Any]]:
    return [pick(one, "about", "by", "entry_id", "kind", "outcome", "report_id", "written_at") for one in words]


@spool.command("write", example="019ab3c5-... for-the-desk.json")
@click.argument("report_id", metavar="REPORT_ID")
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@shared_options
def write_waiting(call: Call, *, report_id: str, out: Path) -> int:
    """Write a waiting report to a file, to send another way."""
    return _write_for_travel(call, report_id, out)


def _write_for_travel(call: Call, report_id: str, path: Path) -> int:
    """Write a sealed report to a new file, and show whether it still waits.

    Readable on the way are the partner id, priority, kind, ids and time alone. Evidence follows through the gateway.
    """
    state = call.partner.state
    size = write_sealed_file(state, report_id, path, now=call.runtime.clock())
    saved = state.find_submission(report_id)
    clear = SIGNED_SUBMISSION.peek(saved[1].statement) if saved is not None else None
    receipt = find_delivery(state, report_id)
    if receipt is None and clear is not None and clear.priority == "P1":
        call.speaker.warn(f"NOT DELIVERED yet. {EMERGENCY}")
    fields = {
        "delivered": receipt is not None,
        "evidence_ids": [] if clear is None else list(clear.evidence_ids),
        "file": str(path),
        "reference": None if receipt is None else receipt.reference,
        "report_id": report_id,
        "size_bytes": size,
    }
    return call.answer(fields)
