"""Sending of a sealed report, at once or with its files in a job, and the page to go on to."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from flask import Flask, current_app
from flask.typing import ResponseReturnValue

from partner_sdk.client._evidence_handover import HandedOver, ReportToSend, hand_over
from partner_sdk.client._evidence_upload import EvidenceJournal, JournalEntry
from partner_sdk.client._receipts import Receipt, find_delivery
from partner_sdk.client._submissions import SentAs, check_not_repeated, find_earlier_reference
from partner_sdk.client.exchange import DEFAULT_POLICY
from partner_sdk.console.draft_files import DraftFiles, sweep
from partner_sdk.console.drafts import Drafts, KeptDraft
from partner_sdk.console.jobs import EXTENSION, Job, Jobs
from partner_sdk.console.page import describe_error, get_console, get_person, get_state, go_to, note_act, open_partner
from partner_sdk.console.people import make_console_folder
from partner_sdk.errors import EvidenceError, ReportAbuseError
from partner_sdk.report import IndustryReport


def deliver(report_id: str) -> ResponseReturnValue:
    """Send one sealed report and show its receipt, or that it waits."""
    if find_waiting_files(report_id) is not None:
        resume_files(report_id)
        return go_to("files.get_sending", key=report_id)
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
        now = get_console().clock()
        check_not_repeated(get_state(), report, sent_as, now=now, notify=lambda _: None)
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
        session = partner.make_evidence_session()

        def seal(report: IndustryReport, **settled: Any) -> str:
            report_id = session.seal(report, **settled)
            if job.report_id is None:
                # From here on a second try finds this report, and makes no other.
                kept.change(report_id=report_id)
                job.report_id = report_id
            return report_id

        earlier = find_earlier_reference(partner.state, report, kind=settings.kind, given=settings.earlier_reference)
        sent = ReportToSend(
            report, priority=settings.priority, kind=settings.kind, earlier_reference=earlier, again=True
        )
        copies = files.list_copies(kept.read().root)
        try:
            handed = hand_over(
                replace(session, seal=seal),
                sent,
                files=copies,
                on_progress=job.show,
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
