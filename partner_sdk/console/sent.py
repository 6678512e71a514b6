"""Sealed reports: those that wait in the spool, receipts, how far each report is, and sending.

Files are sent by a job in a thread of its own. Everything that a job does is on disk before it is sent, so a console
that ends in the middle loses nothing.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Flask, Response, abort, current_app, request
from flask.typing import ResponseReturnValue

from partner_sdk.client._evidence_handover import HandedOver, Waiting, hand_over, list_waiting
from partner_sdk.client._evidence_upload import EvidenceJournal, JournalEntry, Progress
from partner_sdk.client._receipts import Receipt, check_kept_receipt, find_delivery, keep_receipt, read_sealed
from partner_sdk.client._submissions import ReportToSend, SentAs, check_not_repeated, find_earlier_reference
from partner_sdk.client.exchange import DEFAULT_POLICY
from partner_sdk.console.drafts import DraftFiles, Drafts, KeptDraft, sweep
from partner_sdk.console.mailbox import format_outcome
from partner_sdk.console.page import (
    ErrorLines,
    NavItem,
    describe_error,
    get_console,
    get_person,
    get_state,
    go_to,
    locate_fault,
    note_act,
    offer_file,
    open_partner,
    show_page,
)
from partner_sdk.console.people import make_console_folder
from partner_sdk.errors import EvidenceError, FormatError, ReportAbuseError, StatementError
from partner_sdk.report import IndustryReport
from partner_sdk.wire.canonical import check_report_id
from partner_sdk.wire.submission import SET_ASIDE_REASONS, ReportProgress

blueprint = Blueprint("sent", __name__)

_LOGGER: Final = logging.getLogger(__name__)
EXTENSION: Final = "report_abuse_jobs"


@dataclass
class Job:
    """One run of work: how far each file is, and its end. `report_id` is known once the report is sealed."""

    key: str
    report_id: str | None = None
    reference: str | None = None
    error: ErrorLines | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    files: dict[str, Progress] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether it has ended, well or not."""
        return self.ended.is_set()

    def show(self, progress: Progress) -> None:
        """Take the progress of a file."""
        self.files[progress.file_id] = progress

    def list_rows(self) -> list[dict[str, object]]:
        """Return the files for a page, or for the script of a page."""
        return [
            {"file_id": one.file_id, "words": one.verb, "percent": int(100 * one.share)}
            for one in list(self.files.values())
        ]


class Jobs:
    """The jobs of one console, by the id of a draft or a report."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def start(self, key: str, work: Callable[[Job], None]) -> Job:
        """Start work in a thread, or return the job of this key that still runs."""
        with self._lock:
            running = self._jobs.get(key)
            if running is not None and not running.is_done:
                return running
            job = self._jobs[key] = Job(key)
        threading.Thread(target=_run, args=(job, work), daemon=True).start()
        return job

    def find(self, key: str) -> Job | None:
        """Return the last job of a key, or None."""
        return self._jobs.get(key)

    @property
    def is_busy(self) -> bool:
        """Whether a job runs: then the console is in use, also without a click."""
        return any(not job.is_done for job in list(self._jobs.values()))


def _run(job: Job, work: Callable[[Job], None]) -> None:
    try:
        work(job)
    except ReportAbuseError as error:
        job.error = describe_error(error)
    except Exception as error:  # noqa: BLE001 - a thread has nobody above it, and its traceback may quote an answer
        job.error = ErrorLines("This program failed. Nothing that was sealed is lost.", ())
        _LOGGER.error("A job failed: %s", locate_fault(error))  # noqa: TRY400 - for the same reason
    finally:
        job.ended.set()


def deliver(report_id: str) -> ResponseReturnValue:
    """Send one sealed report and show its receipt, or that it waits."""
    if find_waiting_files(report_id) is not None:
        resume_files(report_id)
        return go_to("writing.get_sending", key=report_id)
    try:
        with open_partner() as partner:
            partner.deliver(report_id)
    except ReportAbuseError as error:
        return go_to("sent.get_report", report_id=report_id, warning=f"Not delivered: {describe_error(error).title}")
    note_act("report-delivered", about=report_id)
    return go_to("sent.get_report", report_id=report_id, notice="Delivered. The agency has it.")


def find_waiting_files(report_id: str) -> JournalEntry | None:
    """Return the journal of a report's files that are not handed over, or None."""
    entry = EvidenceJournal(get_state().folder).find(report_id)
    return None if entry is None or entry.is_done else entry


def get_jobs() -> Jobs:
    """Return the jobs of this console."""
    jobs: Jobs = current_app.extensions[EXTENSION]
    return jobs


def find_job(key: str) -> Job | None:
    """Return the last job of a draft or a report, or None."""
    return get_jobs().find(key)


def end_draft(kept: KeptDraft, *, drafts: Drafts, report_id: str, by: str) -> None:
    """Delete the readable words of a report that is sealed on this disk."""
    note_act("report-sealed", about=report_id, by=by)
    drafts.remember_reporter(kept.read().root)
    kept.delete()


def send_with_files(kept: KeptDraft, report: IndustryReport, files: DraftFiles, *, again: bool) -> None:
    """Start the job that seals a draft, sends it and hands its files over."""
    settings = kept.settings
    if not again:  # while the person still looks
        sent_as = SentAs(settings.priority, settings.kind, settings.earlier_reference)
        with open_partner() as partner:
            check_not_repeated(partner.session, report, sent_as)
    work = partial(_send_with_files, kept=kept, report=report, files=files, by=get_person())
    get_jobs().start(kept.draft_id, _within_app(work))


def resume_files(report_id: str) -> None:
    """Start the job that sends a report that waits, and the rest of its files."""
    get_jobs().start(report_id, _within_app(partial(_resume, report_id=report_id, by=get_person())))


def _within_app(work: Callable[[Job], None]) -> Callable[[Job], None]:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # a thread has no request to ask

    def run(job: Job) -> None:
        with app.app_context():
            work(job)

    return run


def _send_with_files(job: Job, *, kept: KeptDraft, report: IndustryReport, files: DraftFiles, by: str) -> None:
    settings = kept.settings
    drafts = Drafts(make_console_folder(get_console().state))
    with open_partner(policy=DEFAULT_POLICY) as partner:

        def note_saved(report_id: str) -> None:
            if job.report_id is None:
                # From here on a second try finds this report, and makes no other.
                kept.change(report_id=report_id)
                job.report_id = report_id

        earlier = find_earlier_reference(partner.state, report, kind=settings.kind, given=settings.earlier_reference)
        sent = ReportToSend(
            report, priority=settings.priority, kind=settings.kind, earlier_reference=earlier, again=True
        )
        copies = files.list_copies(kept.read().root)
        try:
            handed = hand_over(
                partner.session,
                sent,
                files=copies,
                on_progress=job.show,
                on_saved=note_saved,
                on_receipt=partial(_note_receipt, job, by=by),
            )
        except EvidenceError:
            job.report_id = None  # nothing was sent, and the sealed report is gone again
            raise
        finally:
            if job.report_id is not None:
                end_draft(kept, drafts=drafts, report_id=job.report_id, by=by)
        _end_files(job, handed, drafts=drafts, by=by)


def _resume(job: Job, *, report_id: str, by: str) -> None:
    job.report_id = report_id
    drafts = Drafts(make_console_folder(get_console().state))
    with open_partner(policy=DEFAULT_POLICY) as partner:
        if find_delivery(partner.state, report_id) is None:
            _note_receipt(job, partner.deliver(report_id), by=by)
        for handed in partner.resume_evidence(on_progress=job.show):
            if handed.report_id == report_id:
                _end_files(job, handed, drafts=drafts, by=by)


def _note_receipt(job: Job, receipt: Receipt, *, by: str) -> None:
    job.reference = receipt.reference
    note_act("report-delivered", about=receipt.report_id, by=by)


def _end_files(job: Job, handed: HandedOver, *, drafts: Drafts, by: str) -> None:
    if handed.error is not None:
        job.error = describe_error(handed.error)
    if handed.is_complete:
        note_act("files-delivered", about=handed.report_id, by=by)
        folder = make_console_folder(get_console().state)
        sweep(folder, state=get_state(), drafts=drafts.list_ids())


NAV: Final = NavItem("Reports", "sent.get_list")
STAGES: Final = {
    "received": "The agency's gateway has it; its desk has not collected it yet.",
    "collected": "The agency's desk has it; nobody has opened it yet.",
    "opened": "A person at the agency has opened it.",
    "set_aside": "The agency could not use it as it is.",
}
PAGE_ROWS: Final = 50
MAX_RECEIPT_BYTES: Final = 64 * 1024
_GIVEN_UP: Final = "The files are given up. Send a correction, because the report names them."
_VALID: Final = "The receipt is valid: the agency signed it for this report."


@dataclass(frozen=True, slots=True)
class Row:
    """One delivered report in a list."""

    report_id: str
    reference: str
    received_at: str
    priority: str
    kind: str
    belongs_to: str | None


def list_rows(*, start: int = 0, most: int) -> list[Row]:
    """Return delivered reports, the newest first by their ids; reads no more receipts than it returns."""
    state = get_state()
    report_ids = sorted(state.list_delivered(), reverse=True)[start : start + most]
    return [_read_row(one) for one in report_ids]


def _read_row(report_id: str) -> Row:
    try:
        receipt = find_delivery(get_state(), report_id)
    except ReportAbuseError:
        receipt = None  # one damaged file must not close the list
    if receipt is None:
        return Row(report_id, "Damaged receipt", "", "", "", None)
    clear = receipt.statement.clear
    return Row(
        report_id=report_id,
        reference=receipt.reference,
        received_at=receipt.statement.received_at,
        priority=clear.priority,
        kind=clear.kind,
        belongs_to=clear.earlier_reference,
    )


def list_spool() -> list[Waiting]:
    """Return the sealed reports without a receipt, P1 first."""
    return list_waiting(get_state())


@blueprint.get("/reports")
def get_list() -> Response:
    """List reports that wait and reports that were delivered."""
    page = request.args.get("page", default=1, type=int)
    count = len(get_state().list_delivered())
    pages = max(1, -(-count // PAGE_ROWS))
    page = min(max(1, page), pages)
    rows = list_rows(start=(page - 1) * PAGE_ROWS, most=PAGE_ROWS)
    return show_page("reports.html", rows=rows, waiting=list_spool(), page=page, pages=pages, count=count)


@blueprint.get("/reports/<report_id>")
def get_report(report_id: str) -> Response:
    """Show one sealed report: its receipt, or that it waits."""
    return _show_report(report_id)


def _show_report(report_id: str, *, progress: ReportProgress | None = None, fault: str = "") -> Response:
    _check_id(report_id)
    state = get_state()
    receipt = find_delivery(state, report_id)
    waiting = next((one for one in list_spool() if one.report_id == report_id), None)
    if receipt is None and waiting is None:
        abort(HTTPStatus.NOT_FOUND)
    reason = None if progress is None else progress.set_aside_reason
    return show_page(
        "report.html",
        report_id=report_id,
        receipt=receipt,
        is_of_the_desk=receipt is not None and receipt.signed_by == "desk",
        waiting=waiting,
        progress=progress,
        stages=STAGES,
        outcome=None if progress is None or progress.outcome is None else format_outcome(progress.outcome),
        set_aside=None if reason is None else SET_ASIDE_REASONS[reason],
        files=find_waiting_files(report_id),
        fault=fault,
    )


def _check_id(report_id: str) -> None:
    try:
        check_report_id(report_id)  # a file name is never built from anything else
    except FormatError:
        abort(HTTPStatus.NOT_FOUND)


@blueprint.post("/reports/<report_id>/send")
def post_send(report_id: str) -> ResponseReturnValue:
    """Send one report that waits."""
    _check_id(report_id)
    return deliver(report_id)


@blueprint.post("/reports/send")
def post_send_all() -> ResponseReturnValue:
    """Send every report that waits, P1 first."""
    with open_partner() as partner:
        attempts = partner.resume()
    for one in attempts:
        if one.receipt is not None:
            note_act("report-delivered", about=one.report_id)
    failed = [one for one in attempts if one.error is not None]
    if failed and failed[0].error is not None:
        why = describe_error(failed[0].error).title
        return go_to(".get_list", warning=f"{len(failed)} of {len(attempts)} not delivered: {why}")
    return go_to(".get_list", notice="Everything is delivered.")


@blueprint.post("/reports/<report_id>/progress")
def post_progress(report_id: str) -> Response:
    """Ask the gateway how far a report is."""
    _check_id(report_id)
    try:
        with open_partner() as partner:
            progress = partner.get_progress(report_id)
    except ReportAbuseError as error:
        return _show_report(report_id, fault=describe_error(error).title)
    return _show_report(report_id, progress=progress)


@blueprint.post("/reports/<report_id>/verify")
def post_verify(report_id: str) -> ResponseReturnValue:
    """Verify the kept receipt against the submission on this disk and the agency's keys."""
    _check_id(report_id)
    receipt = find_delivery(get_state(), report_id)
    if receipt is None:
        abort(HTTPStatus.NOT_FOUND)
    try:
        with open_partner() as partner:
            check_kept_receipt(partner.state, receipt.raw, now=get_console().clock(), by=receipt.signed_by)
    except ReportAbuseError as error:
        return _show_report(report_id, fault=f"ALARM: the receipt is not valid. {describe_error(error).title}")
    note_act("receipt-verified", about=report_id)
    return go_to(".get_report", report_id=report_id, notice=_VALID)


@blueprint.post("/reports/<report_id>/discard")
def post_discard(report_id: str) -> ResponseReturnValue:
    """Drop a sealed report that was never delivered."""
    _check_id(report_id)
    get_state().discard_submission(report_id)
    note_act("report-discarded", about=report_id)
    return go_to(".get_list", notice="The report was never delivered and is removed.")


@blueprint.post("/reports/<report_id>/give-up-files")
def post_give_up_files(report_id: str) -> ResponseReturnValue:
    """Give up the files of a report that still wait."""
    _check_id(report_id)
    journal = EvidenceJournal(get_state().folder)
    with journal.holding(report_id):
        if find_waiting_files(report_id) is not None:
            journal.discard(report_id)
    note_act("files-given-up", about=report_id)
    return go_to(".get_report", report_id=report_id, notice=_GIVEN_UP)


@blueprint.get("/reports/<report_id>/receipt.json")
def get_receipt(report_id: str) -> Response:
    """Return the receipt as its file, to keep elsewhere."""
    _check_id(report_id)
    receipt = find_delivery(get_state(), report_id)
    if receipt is None:
        abort(HTTPStatus.NOT_FOUND)
    return offer_file(receipt.raw, name=f"receipt-{receipt.reference}.json")


@blueprint.get("/reports/<report_id>/sealed.json")
def get_sealed(report_id: str) -> Response:
    """Return a report that waits as its sealed file, to send another way."""
    _check_id(report_id)
    raw = read_sealed(get_state(), report_id, now=get_console().clock())
    note_act("report-written", about=report_id)
    return offer_file(raw, name=f"sealed-{report_id}.json")


@blueprint.post("/reports/<report_id>/receipt")
def post_receipt(report_id: str) -> ResponseReturnValue:
    """Keep the receipt that the agency's desk gave for a report that came as a file."""
    _check_id(report_id)
    given = request.files.get("receipt")
    raw = b"" if given is None else given.stream.read(MAX_RECEIPT_BYTES + 1).rstrip(b"\n")
    try:
        with open_partner() as partner:
            try:
                found = check_kept_receipt(partner.state, raw, now=get_console().clock(), by="desk")
            except StatementError as error:
                if error.reason != "unknown-key":
                    raise
                partner.refresh_key_set()  # the saved one may be older than the receipt's key
                found = check_kept_receipt(partner.state, raw, now=get_console().clock(), by="desk")
            keep_receipt(partner.state, found)
    except ReportAbuseError as error:
        return _show_report(report_id, fault=f"This is not the desk's receipt. {describe_error(error).title}")
    note_act("report-delivered", about=found.report_id)
    return go_to(".get_report", report_id=found.report_id, notice="The receipt is valid and kept. The agency has it.")
