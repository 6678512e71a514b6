"""The group `evidence`: hand files over, list waiting ones, go on, give up; used by `report submit --evidence` too."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from partner_sdk._commands.delivery import EvidenceBar, list_receipt_fields, say_fault, say_gone_files, say_receipt
from partner_sdk._commands.reports import read_report
from partner_sdk._commands.runtime import EXIT_DONE, EXIT_FAILED, EXIT_NOT_DELIVERED, CommandGroup, PartnerCall
from partner_sdk.client._evidence_files import JournalEntry, JournalFile
from partner_sdk.client._receipts import Receipt, find_delivery
from partner_sdk.client.exchange import RetryPolicy
from partner_sdk.errors import FormatError, LocalStateError, ReportAbuseError
from partner_sdk.report import IndustryReport
from partner_sdk.wire.evidence import count_parts_of_plain
from partner_sdk.wire.submission import Priority

if TYPE_CHECKING:
    from partner_sdk.client._evidence_handover import HandedOver
    from partner_sdk.client._evidence_upload import Line

# With them comes all that sends, which the other commands of `report` do not need: here for their names of types, and
# again where a command calls them.

PAIR = "FILE_ID=PATH"
GO_ON = "`evidence resume` goes on; nothing has to be submitted again."


def run_add(call: PartnerCall) -> int:
    """Send a supplement to a report that was delivered, with files that belong to it."""
    try:
        report, files = read_report(call.args), collect_files(call.args.evidence)
    except ReportAbuseError as error:
        return _say_not_sent(call, error)
    return submit_with_evidence(call, report, files=files)


def run_status(call: PartnerCall) -> int:
    """List the files that are not handed over yet; asks the gateway how much of each it holds."""
    journal, gateway = call.partner.make_evidence_room().journal, _AskedOnce(call.partner.make_evidence_room().line)
    rows: list[dict[str, Any]] = []
    for report_id in journal.list_ids():
        try:
            entry = journal.find(report_id)
        except LocalStateError as error:
            say_fault(call.speaker, error)
            rows.append({"error": error.reason, "files": [], "report_id": report_id, "stage": "damaged"})
            continue
        if entry is not None and not entry.is_done:
            rows.append(_look_at(call, entry, gateway=gateway))
    lines = [] if rows else ["Nothing waits: all evidence is handed over."]
    return call.answer({"evidence": rows}, lines, code=EXIT_NOT_DELIVERED if rows else EXIT_DONE)


def run_resume(call: PartnerCall) -> int:
    """Go on with everything that waits; parts that the gateway holds are not sent again."""
    bar = _make_bar(call)
    try:
        results = call.partner.resume_evidence(on_progress=bar.show)
    finally:
        bar.end()
    for handed in results:
        _say_handed(call, handed)
    fields = {"evidence": [_list_fields(call, handed) for handed in results]}
    lines = [] if results else ["Nothing waits for evidence whose report is delivered."]
    is_whole = all(handed.is_complete for handed in results)
    return call.answer(fields, lines, code=EXIT_DONE if is_whole else EXIT_NOT_DELIVERED)


def run_discard(call: PartnerCall) -> int:
    """Forget the evidence of one report: its secret goes, and the agency is told nothing."""
    journal, report_id = call.partner.make_evidence_room().journal, call.args.report_id
    with journal.holding(report_id):
        is_named = call.partner.state.find_submission(report_id) is not None
        try:
            if journal.get(report_id).is_done:
                call.speaker.warn("Nothing to give up: all files of this report are handed over to the agency.")
                call.speaker.warn("If it must not use one, say so in a correction of the report.")
                return EXIT_FAILED
        except LocalStateError:
            journal.discard(report_id)
            raise
        journal.discard(report_id)
    call.speaker.say(f"What report {report_id} hands over is forgotten here; your files are where they were.")
    if is_named:
        call.speaker.say("The report still names it: send a correction if the agency must not wait for it.")
    else:
        call.speaker.say("Its report was never sealed, so the agency waits for nothing.")
    return EXIT_DONE


def submit_with_evidence(call: PartnerCall, report: IndustryReport, *, files: dict[str, Path]) -> int:
    """Submit a report with its files, and show the outcome of both."""
    partner, args = call.partner, call.args
    waited_before, bar = set(partner.state.list_undelivered()), _make_bar(call)

    def note_receipt(receipt: Receipt) -> None:
        bar.end()
        call.urgency.is_p1_waiting = False  # only its files wait
        if not args.json:
            say_receipt(partner, call.speaker, receipt)

    try:
        handed = partner.submit(
            report,
            priority=args.priority,
            kind=args.kind,
            earlier_reference=args.earlier_reference,
            evidence=files,
            on_progress=bar.show,
            on_receipt=note_receipt,
        )
    except ReportAbuseError as error:
        bar.end()
        sealed = sorted(set(partner.state.list_undelivered()) - waited_before)
        return _say_not_sent(call, error, report_id=sealed[0] if sealed else None)
    bar.end()
    _say_handed(call, handed)
    if args.json:
        call.speaker.say_json({"delivered": True, **_list_fields(call, handed)})
    return EXIT_DONE if handed.is_complete else EXIT_NOT_DELIVERED


def parse_pair(text: str) -> tuple[str, Path]:
    """Read `FILE_ID=PATH`, for argparse."""
    file_id, sign, path = text.partition("=")
    if not (file_id and sign and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not {PAIR}")
    return file_id, Path(path)


def collect_files(pairs: list[tuple[str, Path]]) -> dict[str, Path]:
    """Return the files by their `file_id`; raises `FormatError` (`twice-named`) for one that is given twice."""
    files = dict(pairs)
    if len(files) != len(pairs):
        raise FormatError("A file_id is given twice: each names one file.", reason="twice-named")
    return files


def add_commands(top: CommandGroup) -> None:
    """Add the group `evidence`."""
    evidence = top.add_group("evidence")
    add = evidence.add(
        "add",
        run=run_add,
        summary="send a supplement with files to a report that was delivered",
        example="supplement.json --earlier-reference K7QF-2M9TX-D file-1=clip.mp4",
    )
    add.add_argument("file", metavar="FILE", help="the supplement as JSON, with the files listed (- for input)")
    add.add_argument("evidence", metavar=PAIR, nargs="+", type=parse_pair, help="a file that it lists")
    add.add_argument("--earlier-reference", metavar="REFERENCE", required=True, help="the report that was delivered")
    add.add_argument("--priority", choices=get_args(Priority), default="P3", help="P1: a child is at risk now")
    add.set_defaults(kind="supplement", answers=None)
    evidence.add(
        "status", run=run_status, summary="list files that are not handed over yet (exit code 3 if any)", example=""
    )
    evidence.add("resume", run=run_resume, summary="go on with files that are not handed over yet", example="")
    discard = evidence.add(
        "discard", run=run_discard, summary="give up the evidence of a report", example="019ab3c5-..."
    )
    discard.add_argument("report_id", metavar="REPORT_ID")


def _make_bar(call: PartnerCall) -> EvidenceBar:
    return EvidenceBar(sys.stderr, label=call.speaker.label)


def _say_not_sent(call: PartnerCall, error: ReportAbuseError, *, report_id: str | None = None) -> int:
    say_fault(call.speaker, error)
    if report_id is not None:
        call.speaker.warn(
            f"NOT DELIVERED. Report {report_id} is sealed and saved: spool flush sends it, then its files."
        )
    if call.args.json:
        call.speaker.say_json({"delivered": False, "reason": error.reason, "report_id": report_id})
    return EXIT_FAILED if report_id is None else EXIT_NOT_DELIVERED


def _say_handed(call: PartnerCall, handed: "HandedOver") -> None:
    speaker = call.speaker
    if handed.error is not None:
        say_fault(speaker, handed.error)
    if handed.waiting:
        names = ", ".join(file.file_id for file in handed.waiting)
        speaker.warn(f"EVIDENCE WAITS: {names} of report {handed.report_id}, which is delivered. {GO_ON}")
        say_gone_files(speaker, handed)
    elif handed.error is not None:
        speaker.warn(f"The files of report {handed.report_id} are handed over; their fingerprints wait. {GO_ON}")
    elif not call.args.json:
        speaker.say(f"All files of report {handed.report_id} are handed over.")
        if handed.supplement is not None:
            said = "A supplement with the fingerprints of the sealed files followed"
            speaker.say(f"{said}: {handed.supplement.reference}. To quote is {handed.reference}.")


def _list_fields(call: PartnerCall, handed: "HandedOver") -> dict[str, Any]:
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


def _look_at(call: PartnerCall, entry: JournalEntry, *, gateway: _AskedOnce) -> dict[str, Any]:
    """Show how far one report's evidence is, and return that for JSON."""
    state = call.partner.state
    if find_delivery(state, entry.report_id) is not None:
        stage, words = "delivered", f"Report {entry.report_id} is delivered. {GO_ON}"
    elif state.find_submission(entry.report_id) is not None:
        stage, words = "report-waits", f"Report {entry.report_id} waits in the spool: `spool flush`."
    else:
        stage, words = "interrupted", "A report that was not sealed yet: submit it again, and no part is sent twice."
    if not call.args.json:
        call.speaker.say(words)
    files = [_look_at_file(call, file, gateway=gateway) for file in entry.files]
    return {"error": None, "files": files, "report_id": entry.report_id, "stage": stage}


def _format_silence(reason: str) -> str:
    return f"how much of it is at the gateway is not known now: it was not reached, or refused ({reason})"


def _look_at_file(call: PartnerCall, file: JournalFile, *, gateway: _AskedOnce) -> dict[str, Any]:
    parts, (there, reason) = count_parts_of_plain(file.size_bytes), gateway.count_parts_there(file)
    if not call.args.json:
        known = f"{there} of {parts} parts are at the gateway" if reason is None else _format_silence(reason)
        call.speaker.say(f"  {file.file_id}  {file.size_bytes:,} bytes  {known}  {file.path}")
        if file.digest is None and not Path(file.path).exists():
            call.speaker.say(
                "    It is not there any more: put it back, or `evidence discard` gives the report's files up."
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
