"""Routes for a reply: begin from a template, preview it, send it to the return code, or record another way.

A reply is written with the report open: safe contact is shown above it. The sent form must carry its preview's mark.
"""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from gateway.desk.cases.case_page import (
    FORM_BYTES,
    PageState,
    get_case_or_404,
    show_opened_page,
    show_page_again,
)
from gateway.desk.cases.forms import Preview, list_reply_faults, make_draft, make_mark, make_reply_fault
from gateway.desk.cases.holding import get_lead
from gateway.desk.cases.model import CaseRow
from gateway.desk.cases.replying.no_reply import check_was_read, describe_no_reply, find_no_reply
from gateway.desk.cases.replying.replies import GivenReply, ReplyDraft, check_draft, record_reply, write_reply
from gateway.desk.people.permissions import Permission
from gateway.desk.views.page import Fault, get_desk, get_name, go_to, read_typed, staff_rule
from gateway.desk.views.touch import FORM_BYTES as TOUCH_BYTES
from gateway.desk.views.touch import sign_on_page
from partner_sdk.errors import FormatError, ReportAbuseError
from partner_sdk.wire.canonical import check_report_id

blueprint = Blueprint("replies", __name__)


@blueprint.post("/cases/<case_id>/reply/start")
@staff_rule(Permission.REPLY, body_bytes=FORM_BYTES)
def post_start(case_id: str) -> ResponseReturnValue:
    """Add a template after the existing text; nothing is overwritten and nothing is sent."""
    return show_opened_page(get_case_or_404(case_id), PageState(template=request.form.get("template", "")))


@blueprint.post("/cases/<case_id>/reply/preview")
@staff_rule(Permission.REPLY, body_bytes=FORM_BYTES)
def post_preview(case_id: str) -> ResponseReturnValue:
    """Show a reply as the person will see it; nothing is sent."""
    case, typed = get_case_or_404(case_id), read_typed()
    faults = list_reply_faults(case, typed)
    if not faults:
        try:
            check_draft(get_desk(), case, make_draft(typed), actor=get_name())
        except ReportAbuseError as error:
            faults = [make_reply_fault(error, typed)]
    if faults:
        return show_opened_page(case, PageState(faults))
    return show_opened_page(case, PageState(preview=_make_preview(make_draft(typed))))


@blueprint.post("/cases/<case_id>/reply/send")
@staff_rule(Permission.REPLY, body_bytes=FORM_BYTES)
def post_send(case_id: str) -> ResponseReturnValue:
    """Seal a previewed reply; the next collection takes it to the gateway."""
    case, typed = get_case_or_404(case_id), read_typed()
    faults = list_reply_faults(case, typed)
    if faults:
        return show_opened_page(case, PageState(faults))
    if request.form.get("mark", "") != make_mark(make_draft(typed)):
        changed = Fault("preview", "The reply changed after you checked it. Check it again, then send it.")
        return show_opened_page(case, PageState([changed], preview=_make_preview(make_draft(typed))))
    try:
        write_reply(get_desk(), case.case_id, make_draft(typed), actor=get_name(), message_id=_find_message_id())
    except ReportAbuseError as error:
        return show_opened_page(case, PageState([make_reply_fault(error, typed)]))
    return _go_to_replies(case)


@blueprint.post("/cases/<case_id>/reply")
@staff_rule(Permission.REPLY, body_bytes=FORM_BYTES)
def post_record(case_id: str) -> ResponseReturnValue:
    """Record how the person reporting was answered."""
    case, typed = get_case_or_404(case_id), read_typed()
    if not typed["code"]:
        return show_page_again(case, PageState([Fault("code", "Choose how the person was answered.")]))
    try:
        given = GivenReply(
            code=typed["code"], reason=typed["reason"], day=typed["said_day"], clock=typed["said_clock"],
            spoke_to=typed["spoke_to"], said=typed["said"],
        )  # fmt: skip
        record_reply(get_desk(), case.case_id, given, actor=get_name())
    except ReportAbuseError as error:
        return show_page_again(case, PageState([make_reply_fault(error, typed)]))
    return _go_to_replies(case)


@blueprint.post("/cases/<case_id>/no-reply")
@staff_rule(Permission.ASSESS_CASES, body_bytes=TOUCH_BYTES)
def post_sign_no_reply(case_id: str) -> ResponseReturnValue:
    """Sign as a second person, after reading the reason, that no reply to this child is safe."""
    case = get_case_or_404(case_id)
    with get_desk().store.read() as connection:
        release, body = find_no_reply(connection, case), describe_no_reply(connection, case)
        lead = get_lead(connection, case.case_id)
    if release is None:
        return _go_to_replies(case)
    try:
        with get_desk().store.read() as connection:
            check_was_read(connection, lead, release, by=get_name())
        sign_on_page(release, body=body)
    except ReportAbuseError as error:
        return show_page_again(case, PageState([Fault("reply-title", str(error))]))
    return _go_to_replies(case)


def _go_to_replies(case: CaseRow) -> ResponseReturnValue:
    return go_to("cases.show_case", case_id=case.case_id, _anchor="reply-title")


def _make_preview(draft: ReplyDraft) -> Preview:
    return Preview(draft, mark=make_mark(draft), message_id=get_desk().make_id())


def _find_message_id() -> str | None:
    # From the preview, so that a second press of the button is the same reply; other values are not our ids.
    message_id = request.form.get("message_id", "")
    try:
        check_report_id(message_id)
    except FormatError:
        return None
    return message_id
