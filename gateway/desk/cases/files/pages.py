"""The routes that hand over one opened file of a partner's case: a still picture to look at, or any file to download.

A picture is drawn grey, blurred and small until a person asks for more; its page runs no script and loads nothing. Any
other file is sent as an attachment without a type, and no browser runs or caches it.
"""

import base64
import re
from typing import Final

from flask import Blueprint, Response, make_response
from flask.typing import ResponseReturnValue

from gateway.desk.cases.case_page import (
    FORM_BYTES,
    MOST_LOOK_BYTES,
    MOST_PAGE_BYTES,
    PageState,
    get_case_or_404,
    show_opened_page,
)
from gateway.desk.cases.files.case_files import CaseFile, CaseFileError
from gateway.desk.cases.files.saving import find_still_type, stream_file
from gateway.desk.cases.model import CaseError, CaseRow
from gateway.desk.people.permissions import Permission
from gateway.desk.views.page import SANDBOX, Fault, get_desk, get_name, show_page, staff_rule
from partner_sdk.errors import FormatError, LocalStateError, OpeningError

blueprint = Blueprint("evidence", __name__)
LOOK_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9-]+")
_MOST_OF_A_NAME: Final = 40


@blueprint.post("/cases/<case_id>/files/<evidence_id>")
@staff_rule(Permission.OPEN_FILES, body_bytes=FORM_BYTES, needs_touch=True)
def post_open_file(case_id: str, evidence_id: str) -> ResponseReturnValue:
    """Send one opened and verified file; the reader is recorded. If it stays closed, the page shows the reason."""
    case = get_case_or_404(case_id)
    try:
        found, pieces = stream_file(get_desk(), case.case_id, evidence_id, actor=get_name(), most_bytes=MOST_PAGE_BYTES)
    except (CaseError, CaseFileError, OpeningError, FormatError, LocalStateError) as error:
        fault = Fault("files", f"Could not open the file. {error}")
        return show_opened_page(case, PageState([fault]))
    answer = Response(pieces, content_type="application/octet-stream")
    answer.headers["Content-Disposition"] = f'attachment; filename="{_name_file(case, found)}"'
    answer.headers["Content-Security-Policy"] = SANDBOX
    if found.reference is not None:
        answer.content_length = found.reference.size_bytes
    return answer


@blueprint.post("/cases/<case_id>/files/<evidence_id>/look")
@staff_rule(Permission.OPEN_FILES, body_bytes=FORM_BYTES, needs_touch=True)
def post_look(case_id: str, evidence_id: str) -> ResponseReturnValue:
    """Show one opened and verified picture, grey and blurred; the reader is recorded."""
    case, desk = get_case_or_404(case_id), get_desk()
    try:
        found, pieces = stream_file(
            desk, case.case_id, evidence_id, actor=get_name(), most_bytes=MOST_LOOK_BYTES, way="look"
        )
    except (CaseError, CaseFileError, OpeningError, FormatError, LocalStateError) as error:
        return show_opened_page(case, PageState([Fault("files", f"Could not open the file. {error}")]))
    raw = b"".join(pieces)
    media_type = find_still_type(raw)
    if media_type is None:
        fault = Fault("files", "This file is no still picture of a kind that a page shows. Download it instead.")
        return show_opened_page(case, PageState([fault]))
    address = f"data:{media_type};base64,{base64.b64encode(raw).decode('ascii')}"
    answer = make_response(show_page("evidence_look.html", case=case, file=found, address=address))
    answer.headers["Content-Security-Policy"] = LOOK_POLICY
    return answer


def _name_file(case: CaseRow, found: CaseFile) -> str:
    # Never the sender's own name for it, nor its extension: browsers and desktops choose programs by them.
    file_id = _NOT_IN_A_NAME.sub("-", found.file_id)[:_MOST_OF_A_NAME].strip("-") or "file"
    return f"{case.reference}-{file_id}.bin"
