"""Files as evidence: copied from the browser into the draft, and their way to the agency with its progress."""

from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final

from flask import Blueprint, Request, Response, abort, g, jsonify, make_response, request
from flask.typing import ResponseReturnValue

from partner_sdk.client._partner_state import PartnerState
from partner_sdk.console.draft_files import check_room, open_part
from partner_sdk.console.page import get_console, go_to, is_by_script, note_act, show_page
from partner_sdk.console.people import make_console_folder
from partner_sdk.console.report_drafts import Owner
from partner_sdk.console.sending import find_job, resume_files
from partner_sdk.console.session import takes_files
from partner_sdk.console.writing_pages import get_copies, get_draft
from partner_sdk.errors import EvidenceError, LocalStateError
from partner_sdk.report.outline import get_field

blueprint = Blueprint("files", __name__)
_PARTS: Final = "console_parts"


class ConsoleRequest(Request):
    """A request whose files are written straight into the console's own folder, and nowhere else."""

    def _get_file_stream(  # Werkzeug's own hook for this
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        del content_type, filename, content_length
        if not PartnerState.is_in(get_console().state):
            return BytesIO()  # an invitation: there is no folder yet, and its secret belongs on no disk
        folder = make_console_folder(get_console().state)
        check_room(folder, size_bytes=total_content_length or 0)
        part = open_part(folder)
        g.setdefault(_PARTS, []).append(part)
        return part


def remove_parts(_: BaseException | None) -> None:
    """Delete every upload of a request that was not taken into a draft."""
    for part in g.get(_PARTS, ()):
        part.close()
        Path(part.name).unlink(missing_ok=True)


@blueprint.get("/drafts/<draft_id>/files")
def get_upload(draft_id: str) -> Response:
    """Show the files of a draft, and the form that adds more."""
    return _show_upload(draft_id)


def _show_upload(draft_id: str, *, fault: str = "") -> Response:
    kept = get_draft(draft_id)
    root = kept.read().root
    return show_page(
        "files.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if fault else HTTPStatus.OK,
        draft=kept,
        rows=_list_rows(root, copies=get_copies(draft_id).list_copies(root)),
        fault=fault,
    )


def _list_rows(root: Owner, *, copies: dict[str, Path]) -> list[dict[str, Any]]:
    held, part = root.get("files"), get_field("#/files").part
    required = {one.name for one in part.fields if one.needed == "must"} if part is not None else set()
    return [
        {
            "path": f"files/{number}",
            "name": item.get("name") or item.get("file_id") or f"File {number + 1}",
            "size_bytes": item.get("size_bytes"),
            "goes": item.get("file_id") in copies,
            "is_ready": required <= set(item),
        }
        for number, item in enumerate(held if isinstance(held, list) else [])
        if isinstance(item, dict)
    ]


@blueprint.post("/drafts/<draft_id>/files")
@takes_files
def post_upload(draft_id: str) -> ResponseReturnValue:
    """Take the uploaded files into the draft."""
    kept = get_draft(draft_id)
    uploads = [one for one in request.files.getlist("file") if one.filename]
    if not uploads:
        return _answer_upload(draft_id, fault="Choose a file first.")
    for one in uploads:
        one.stream.flush()
    try:
        with kept.changing() as draft:
            for one in uploads:
                part = Path(str(getattr(one.stream, "name", "")))
                file_id = get_copies(draft_id).add(part, name=one.filename or "", root=draft.root)
                note_act("file-added", about=f"{draft_id}.{file_id}")
            place = f"files/{len(draft.root['files']) - 1}"
    except (EvidenceError, LocalStateError) as error:
        return _answer_upload(draft_id, fault=str(error))
    if len(uploads) == 1:
        notice = "The file is copied. Please answer the questions about it."
        return _answer(go_to("writing.get_section", draft_id=draft_id, path=place, notice=notice))
    notice = f"{len(uploads)} files are copied. Please answer the questions of each."
    return _answer(go_to(".get_upload", draft_id=draft_id, notice=notice))


def _answer_upload(draft_id: str, *, fault: str) -> ResponseReturnValue:
    if is_by_script():
        return _answer(go_to(".get_upload", draft_id=draft_id, warning=fault))
    return _show_upload(draft_id, fault=fault)


def _answer(redirect: ResponseReturnValue) -> ResponseReturnValue:
    """Send the browser on; the script that showed the progress gets the address, and the notice stays unread."""
    response = make_response(redirect)
    return jsonify({"location": response.location}) if is_by_script() else response


@blueprint.get("/sending/<key>")
def get_sending(key: str) -> ResponseReturnValue:
    """Show how far the files of a report are, or go on to its end."""
    job = find_job(key)
    if job is None:
        abort(HTTPStatus.NOT_FOUND)
    if not job.is_done:
        return show_page("sending.html", job=job, rows=job.list_rows())
    fault = None if job.error is None else " ".join((job.error.title, *job.error.lines))
    if job.report_id is None:
        return go_to("checking.get_check", draft_id=key, warning=f"It was not sent: {fault}")
    if fault:
        return go_to("sent.get_report", report_id=job.report_id, warning=f"Not finished: {fault}")
    return go_to("sent.get_report", report_id=job.report_id, notice="Everything is delivered.")


@blueprint.get("/sending/<key>.json")
def get_sending_json(key: str) -> ResponseReturnValue:
    """Return the same for the script of that page."""
    job = find_job(key)
    if job is None:
        abort(HTTPStatus.NOT_FOUND)
    return jsonify({"is_done": job.is_done, "files": job.list_rows(), "reference": job.reference})


@blueprint.post("/reports/<report_id>/files")
def post_resume(report_id: str) -> ResponseReturnValue:
    """Send the files of a report that still wait."""
    resume_files(report_id)
    return go_to(".get_sending", key=report_id)
