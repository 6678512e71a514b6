"""Routes for the partner that sent a case: send it an outcome, take that back.

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
    OUTCOME_FIELDS,
    make_case_fault,
    parse_optional_day,
)
from gateway.desk.cases.model import CaseError, CaseRow
from gateway.desk.cases.partner_side import schedule_outcome, take_back
from gateway.desk.people.permissions import Permission
from gateway.desk.views.page import Fault, get_desk, get_name, read_typed, staff_rule

blueprint = Blueprint("outcomes", __name__)


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
        return _show_again(case, _make_fault(error))
    return _go_to(case)


@blueprint.post("/cases/<case_id>/outcome/take-back")
@staff_rule(Permission.TELL_OUTCOMES, body_bytes=FORM_BYTES)
def post_take_back(case_id: str) -> ResponseReturnValue:
    """Take back an unreleased outcome."""
    case = get_case_or_404(case_id)
    try:
        take_back(get_desk(), case.case_id, actor=get_name())
    except CaseError as error:
        return _show_again(case, _make_fault(error))
    return _go_to(case)


def _make_fault(error: CaseError) -> Fault:
    return make_case_fault(error, OUTCOME_FIELDS, otherwise="told_outcome")


def _show_again(case: CaseRow, *faults: Fault) -> ResponseReturnValue:
    return show_page_again(case, PageState(faults))


def _go_to(case: CaseRow) -> ResponseReturnValue:
    return redirect(url_for("cases.show_case", case_id=case.first_id, _anchor="told-title"), HTTPStatus.SEE_OTHER)
