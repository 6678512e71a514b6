"""Routes for the partner that sent a case: ask it one question, send it an outcome, take that back.

Never sends directly: the next collection takes it to the gateway.
"""

from http import HTTPStatus

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from gateway.desk.cases.case_page import (
    FORM_BYTES,
    PageState,
    get_case_or_404,
    show_page_again,
)
from gateway.desk.cases.forms import (
    PARTNER_FIELDS,
    list_question_faults,
    make_case_fault,
    make_question,
    parse_optional_day,
)
from gateway.desk.cases.model import CaseError, CaseRow
from gateway.desk.cases.partner_side import ask_partner, schedule_outcome, take_back
from gateway.desk.people.permissions import Permission
from gateway.desk.views.page import Fault, get_desk, get_name, read_typed, staff_rule
from partner_sdk.errors import ReportAbuseError

blueprint = Blueprint("partner_questions", __name__)


@blueprint.post("/cases/<case_id>/ask")
@staff_rule(Permission.ASK_SERVICES, body_bytes=FORM_BYTES)
def post_ask(case_id: str) -> ResponseReturnValue:
    """Write a question to the partner's mailbox; faults come back at their fields, with every answer kept."""
    case, typed = get_case_or_404(case_id), read_typed()
    if faults := list_question_faults(typed):
        return _show_again(case, *faults)
    try:
        ask_partner(get_desk(), case.case_id, make_question(typed), actor=get_name())
    except CaseError as error:
        return _show_again(case, _make_fault(error, day="due", otherwise="question"))
    except ReportAbuseError as error:
        return _show_again(case, Fault("question", str(error)))
    return _go_to(case, "question-title")


@blueprint.post("/cases/<case_id>/outcome")
@staff_rule(Permission.TELL_OUTCOMES, body_bytes=FORM_BYTES)
def post_outcome(case_id: str) -> ResponseReturnValue:
    """Record the outcome of the partner's own report, and the day from which it may be sent."""
    case, typed = get_case_or_404(case_id), read_typed()
    if not typed["told_outcome"]:
        return _show_again(case, Fault("told_outcome", "Choose the outcome to send to the partner."))
    try:
        schedule_outcome(
            get_desk(),
            case.case_id,
            outcome=typed["told_outcome"],
            hold_until=parse_optional_day(typed["hold_until"]),
            actor=get_name(),
        )
    except CaseError as error:
        return _show_again(case, _make_fault(error, day="hold_until", otherwise="told_outcome"))
    return _go_to(case, "told-title")


@blueprint.post("/cases/<case_id>/outcome/take-back")
@staff_rule(Permission.TELL_OUTCOMES, body_bytes=FORM_BYTES)
def post_take_back(case_id: str) -> ResponseReturnValue:
    """Take back an unreleased outcome."""
    case = get_case_or_404(case_id)
    try:
        take_back(get_desk(), case.case_id, actor=get_name())
    except CaseError as error:
        return _show_again(case, _make_fault(error, day="hold_until", otherwise="told_outcome"))
    return _go_to(case, "told-title")


def _make_fault(error: CaseError, *, day: str, otherwise: str) -> Fault:
    return make_case_fault(error, PARTNER_FIELDS | {"bad-day": day}, otherwise=otherwise)


def _show_again(case: CaseRow, *faults: Fault) -> ResponseReturnValue:
    return show_page_again(case, PageState(faults))


def _go_to(case: CaseRow, place: str) -> ResponseReturnValue:
    return redirect(url_for("cases.show_case", case_id=case.first_id, _anchor=place), HTTPStatus.SEE_OTHER)
