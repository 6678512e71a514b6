"""Sealed reports: those that wait in the spool, receipts, and how far each report is."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue

from partner_sdk.client._evidence_upload import EvidenceJournal
from partner_sdk.client._receipts import DeskReceipt, check_answer, find_delivery, keep_receipt, read_sealed
from partner_sdk.client._spool import Waiting, list_waiting
from partner_sdk.console.page import (
    NavItem,
    describe_error,
    get_console,
    get_state,
    go_to,
    note_act,
    offer_file,
    open_partner,
    show_page,
)
from partner_sdk.console.sending import deliver, find_waiting_files
from partner_sdk.errors import FormatError, ReportAbuseError, StatementError
from partner_sdk.wire.canonical import check_report_id
from partner_sdk.wire.mailbox import format_outcome
from partner_sdk.wire.submission import SET_ASIDE_REASONS, ReportProgress

blueprint = Blueprint("sent", __name__)
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
        is_of_the_desk=isinstance(receipt, DeskReceipt),
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
            if isinstance(receipt, DeskReceipt):
                check_answer(partner.state, receipt.raw, now=get_console().clock())
            else:
                partner.check_receipt(receipt.raw)
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
                found = check_answer(partner.state, raw, now=get_console().clock())
            except StatementError as error:
                if error.reason != "unknown-key":
                    raise
                partner.refresh_key_set()  # the saved one may be older than the receipt's key
                found = check_answer(partner.state, raw, now=get_console().clock())
            keep_receipt(partner.state, found)
    except ReportAbuseError as error:
        return _show_report(report_id, fault=f"This is not the desk's receipt. {describe_error(error).title}")
    note_act("report-delivered", about=found.report_id)
    return go_to(".get_report", report_id=found.report_id, notice="The receipt is valid and kept. The agency has it.")
