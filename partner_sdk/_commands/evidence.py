"""The group `evidence`: hand over files that belong to reports, list waiting ones, resume, give up."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from partner_sdk._commands.delivery import (
    EvidenceBar,
    SentAs,
    again_option,
    fail_to_submit,
    list_receipt_fields,
    priority_option,
    say_receipt,
    settle_repeat,
    warn_of_gone_files,
)
from partner_sdk._commands.runtime import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_NOT_DELIVERED,
    Call,
    PartnerGroup,
    read_input,
    shared_options,
)
from partner_sdk.client._evidence_upload import JournalEntry, JournalFile
from partner_sdk.client._receipts import Receipt, find_delivery
from partner_sdk.client.exchange import RetryPolicy
from partner_sdk.errors import FormatError, LocalStateError, RepeatedReportError, ReportAbuseError
from partner_sdk.report import MAX_REPORT_BYTES, IndustryReport, parse_report
from partner_sdk.wire.evidence import count_parts_of_plain
from partner_sdk.wire.submission import Priority

if TYPE_CHECKING:
    # Types only: these modules load the HTTP client, which the other commands of `report` do not need.
    from partner_sdk.client._evidence_handover import HandedOver
    from partner_sdk.client._evidence_upload import Line

PAIR = "FILE_ID=PATH"
GO_ON = "Run `evidence resume`; nothing has to be submitted again."


def parse_pair(text: str) -> tuple[str, Path]:
    """Read `FILE_ID=PATH`, or raise `click.BadParameter`."""
    file_id, sign, path = text.partition("=")
    if not (file_id and sign and path):
        raise click.BadParameter(f"{text!r} is not {PAIR}.")
    return file_id, Path(path)


@click.group(cls=PartnerGroup)
def evidence() -> None:
    """Hand over files that belong to reports."""


@evidence.command(example="supplement.json --earlier-reference K7QF-2M9TX-D file-1=clip.mp4")
@click.argument("file")
@click.argument("pairs", metavar=f"{PAIR}...", nargs=-1, required=True, type=parse_pair)
@click.option("--earlier-reference", metavar="REFERENCE", required=True, help="The report that was delivered.")
@priority_option(default="P3")
@again_option
@shared_options
def add(
    call: Call,
    *,
    file: str,
    pairs: tuple[tuple[str, Path], ...],
    earlier_reference: str,
    priority: Priority,
    again: bool,
) -> int:
    """Send a supplement with files to a delivered report.

    FILE is the supplement as JSON, which lists the files; - reads standard input.
    """
    sent_as: SentAs = {"priority": priority, "kind": "supplement", "earlier_reference": earlier_reference}
    try:
        raw = read_input(file, max_bytes=MAX_REPORT_BYTES)
        report, files = parse_report(raw, priority=priority, kind="supplement"), collect_files(pairs)
    except ReportAbuseError as error:
        return fail_to_submit(call, error, report_id=None)
    return submit_with_evidence(call, report, files=files, sent_as=sent_as, again=again)


@evidence.command(example="")
@shared_options
def status(call: Call) -> int:
    """List files that are not handed over (exit code 3 if any)."""
    session = call.partner.make_evidence_session()
    journal, gateway = session.journal, _AskedOnce(session.line)
    rows: list[dict[str, Any]] = []
    for report_id in journal.list_ids():
        try:
            entry = journal.find(report_id)
        except LocalStateError as error:
            call.warn_of(error)
            rows.append({"error": error.reason, "files": [], "report_id": report_id, "stage": "damaged"})
            continue
        if entry is not None and not entry.is_done:
            rows.append(_look_at(call, entry, gateway=gateway))
    lines = [] if rows else ["Nothing is waiting: all evidence is handed over."]
    return call.answer({"evidence": rows}, lines, code=EXIT_NOT_DELIVERED if rows else EXIT_DONE)


@evidence.command(example="")
@shared_options
def resume(call: Call) -> int:
    """Send the rest of the files that wait; no part is sent twice."""
    with EvidenceBar(call.speaker.label) as bar:
        results = call.partner.resume_evidence(on_progress=bar.show)
    for handed in results:
        _say_handed(call, handed)
    fields = {"evidence": [_list_fields(call, handed) for handed in results]}
    lines = [] if results else ["Nothing is waiting: every delivered report has its evidence."]
    is_whole = all(handed.is_complete for handed in results)
    return call.answer(fields, lines, code=EXIT_DONE if is_whole else EXIT_NOT_DELIVERED)


@evidence.command(example="019ab3c5-...")
@click.argument("report_id", metavar="REPORT_ID")
@shared_options
def discard(call: Call, *, report_id: str) -> int:
    """Give up the files of a report; the agency is not informed."""
    journal = call.partner.make_evidence_session().journal
    with journal.holding(report_id):
        is_named = call.partner.state.find_submission(report_id) is not None
        try:
            if journal.get(report_id).is_done:
                call.speaker.warn("Nothing to give up: all files of this report are handed over to the agency.")
                call.speaker.warn("If it must not use one, send a correction of the report.")
                return EXIT_FAILED
        except LocalStateError:
            journal.discard(report_id)
            raise
        journal.discard(report_id)
    call.speaker.say(f"The evidence of report {report_id} is no longer tracked here; your files are unchanged.")
    if is_named:
        call.speaker.say("The report still names it: send a correction so that the agency does not wait for it.")
    else:
        call.speaker.say("Its report was never sealed, so the agency waits for nothing.")
    return EXIT_DONE


def submit_with_evidence(
    call: Call, report: IndustryReport, *, files: dict[str, Path], sent_as: SentAs, again: bool
) -> int:
    """Submit a report with its files, and show the outcome of both."""
    partner = call.partner
    waited_before = set(partner.state.list_undelivered())
    with EvidenceBar(call.speaker.label) as bar:

        def note_receipt(receipt: Receipt) -> None:
            bar.end()
            call.is_p1_waiting = False  # only its files wait
            if not call.is_json:
                say_receipt(call, receipt)

        try:
            handed = partner.submit(
                report, evidence=files, on_progress=bar.show, on_receipt=note_receipt, again=again, **sent_as
            )
        except RepeatedReportError as error:
            bar.end()
            send = partial(submit_with_evidence, call, report, files=files, sent_as=sent_as, again=True)
            return settle_repeat(call, error, send_again=send)
        except ReportAbuseError as error:
            bar.end()
            sealed = sorted(set(partner.state.list_undelivered()) - waited_before)
            return fail_to_submit(call, error, report_id=sealed[0] if sealed else None, then=", then its files")
    _say_handed(call, handed)
    if call.is_json:
        call.speaker.say_json({"delivered": True, **_list_fields(call, handed)})
    return EXIT_DONE if handed.is_complete else EXIT_NOT_DELIVERED


def collect_files(pairs: tuple[tuple[str, Path], ...]) -> dict[str, Path]:
    """Return the files by their `file_id`; raises `FormatError` (`twice-named`) for one that is given twice."""
    files = dict(pairs)
    if len(files) != len(pairs):
        raise FormatError("A file_id is given twice: each names one file.", reason="twice-named")
    return files


def _say_handed(call: Call, handed: "HandedOver") -> None:
    speaker = call.speaker
    if handed.error is not None:
        call.warn_of(handed.error)
    if handed.waiting:
        names = ", ".join(file.file_id for file in handed.waiting)
        speaker.warn(f"EVIDENCE WAITS: {names} of report {handed.report_id}, which is delivered. {GO_ON}")
        warn_of_gone_files(call, handed)
    elif handed.error is not None:
        speaker.warn(f"The files of report {handed.report_id} are handed over; their fingerprints wait. {GO_ON}")
    elif not call.is_json:
        speaker.say(f"All files of report {handed.report_id} are handed over.")
        if handed.supplement is not None:
            said = "A supplement with the fingerprints of the sealed files followed"
            speaker.say(f"{said}: {handed.supplement.reference}. Quote {handed.reference}.")


def _list_fields(call: Call, handed: "HandedOver") -> dict[str, Any]:
    return {
        **list_receipt_fields(call.partner, handed.receipt),
        "evidence_reason": None if handed.error is None else handed.error.reason,
        "evidence_waiting": [file.file_id for file in handed.waiting],
        "supplement": None if handed.supplement is None else handed.supplement.reference,
    }


class _AskedOnce:
    """Asks the gateway without patience, and no more once it does not answer."""

    def __init__(self, line: "Line") -> None:
        self._line = replace(line, policy=RetryPolicy(tries=1))
        self._silence: str | None = None

    def count_parts_there(self, file: JournalFile) -> tuple[int | None, str | None]:
        """Return how many parts of a file the gateway holds, or why that is not known."""
        from partner_sdk.client._evidence_upload import find_state

        parts = count_parts_of_plain(file.size_bytes)
        if file.digest is not None:
            return parts, None
        if self._silence is not None:
            return None, self._silence
        try:
            held = find_state(self._line, file.evidence_id)
        except ReportAbuseError as error:
            self._silence = error.reason
            return None, error.reason
        if held is None:
            return 0, None
        return (parts if held.digest is not None else len(held.parts)), None


def _look_at(call: Call, entry: JournalEntry, *, gateway: _AskedOnce) -> dict[str, Any]:
    """Show how far one report's evidence is, and return that for JSON."""
    state = call.partner.state
    if find_delivery(state, entry.report_id) is not None:
        stage, words = "delivered", f"Report {entry.report_id} is delivered. {GO_ON}"
    elif state.find_submission(entry.report_id) is not None:
        stage, words = "report-waits", f"Report {entry.report_id} waits in the spool: `spool flush`."
    else:
        stage, words = "interrupted", "A report that was not sealed yet: submit it again, and no part is sent twice."
    if not call.is_json:
        call.speaker.say(words)
    files = [_look_at_file(call, file, gateway=gateway) for file in entry.files]
    return {"error": None, "files": files, "report_id": entry.report_id, "stage": stage}


def _format_silence(reason: str) -> str:
    return f"the gateway's share is unknown: it was not reached, or it refused ({reason})"


def _look_at_file(call: Call, file: JournalFile, *, gateway: _AskedOnce) -> dict[str, Any]:
    parts, (there, reason) = count_parts_of_plain(file.size_bytes), gateway.count_parts_there(file)
    if not call.is_json:
        known = f"{there} of {parts} parts are at the gateway" if reason is None else _format_silence(reason)
        call.speaker.say(f"  {file.file_id}  {file.size_bytes:,} bytes  {known}  {file.path}")
        if file.digest is None and not Path(file.path).exists():
            call.speaker.say(
                "    It is no longer there: put it back, or give up the report's files with `evidence discard`."
            )
    return {
        "error": reason,
        "file_id": file.file_id,
        "is_complete": file.digest is not None,
        "parts": parts,
        "parts_there": there,
        "path": file.path,
        "size_bytes": file.size_bytes,
    }
