"""Routes of the work on a case: have it, hand it over, assess it, close it, reopen it.

Each form has its own button; a fault comes back at its field with everything that was typed.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from gateway.desk.cases.assessing import advise, assess_case
from gateway.desk.cases.assessment_forms import (
    ASSESS_FIELDS,
    CLOSE_FORM,
    HAND_FIELDS,
    HOLD_FIELDS,
    PASS_FIELDS,
    VIEW_FIELDS,
    list_assessment_faults,
    list_closing_faults,
    list_urgency_faults,
    make_assessment,
    make_closing,
    make_view,
    make_work_fault,
    read_seen,
    spread_urgency,
)
from gateway.desk.cases.case_page import FORM_BYTES, PageState, get_case_or_404, show_page_again
from gateway.desk.cases.child_outcome import record_child_outcome, take_back_child_outcome
from gateway.desk.cases.closing import (
    Closing,
    ClosingRefusedError,
    check_may_close,
    close_case,
    exempt_case,
    list_refusals,
    reopen_case,
)
from gateway.desk.cases.holding import claim_case, get_lead, hand_over, make_scope, release_case, take_over
from gateway.desk.cases.model import CaseError, CaseRow
from gateway.desk.cases.passing_on import pass_on
from gateway.desk.people.permissions import Permission
from gateway.desk.views.page import (
    Fault,
    Typed,
    get_desk,
    get_name,
    get_signed_in,
    go_to,
    is_permitted,
    read_typed,
    staff_rule,
)
from partner_sdk.errors import LocalStateError

blueprint = Blueprint("case_work", __name__)


@blueprint.post("/cases/<case_id>/claim")
@staff_rule(Permission.TAKE_CASES, body_bytes=FORM_BYTES)
def post_claim(case_id: str) -> ResponseReturnValue:
    """Take an unclaimed case."""
    return _do(case_id, lambda case: claim_case(get_desk(), case.case_id, actor=get_name()), HOLD_FIELDS)


@blueprint.post("/cases/<case_id>/take-over")
@staff_rule(Permission.TAKE_CASES, body_bytes=FORM_BYTES)
def post_take_over(case_id: str) -> ResponseReturnValue:
    """Take a case from its holder, with a reason."""
    typed = read_typed()
    settings = {"from_person": typed["over_from"], "reason": typed["over_reason"]}
    return _do(case_id, lambda case: take_over(get_desk(), case.case_id, **settings, actor=get_name()), HOLD_FIELDS)


@blueprint.post("/cases/<case_id>/release")
@staff_rule(Permission.TAKE_CASES, body_bytes=FORM_BYTES)
def post_release(case_id: str) -> ResponseReturnValue:
    """Give a case back, unclaimed."""
    return _do(case_id, lambda case: release_case(get_desk(), case.case_id, actor=get_name()), HOLD_FIELDS)


@blueprint.post("/cases/<case_id>/hand-over")
@staff_rule(Permission.TAKE_CASES, body_bytes=FORM_BYTES)
def post_hand_over(case_id: str) -> ResponseReturnValue:
    """Hand a case to a person or a faculty, with a reason and a note."""
    typed = read_typed()

    def act(case: CaseRow) -> CaseRow:
        return hand_over(
            get_desk(),
            case.case_id,
            reason=typed["hand_reason"],
            note=typed["hand_note"],
            person=typed["hand_person"] or None,
            faculty=typed["hand_faculty"] or None,
            actor=get_name(),
        )

    return _do(case_id, act, HAND_FIELDS)


@blueprint.post("/cases/<case_id>/assess")
@staff_rule(Permission.ASSESS_CASES, body_bytes=FORM_BYTES)
def post_assess(case_id: str) -> ResponseReturnValue:
    """Record an assessment; the second button of its form closes the case with it."""
    case, given = get_case_or_404(case_id), read_typed()
    typed, is_to_close = spread_urgency(given), given["then"] == "close"
    faults = list_urgency_faults(given) + list_assessment_faults(typed, case)
    if is_to_close:
        _check_may_close(case)
        faults += list_closing_faults(typed, _list_weaknesses(), ())
    if faults:
        return show_page_again(case, PageState(faults))

    def act(case: CaseRow) -> CaseRow:
        made, seen = make_assessment(typed, case), read_seen(typed)
        return assess_case(get_desk(), case.case_id, made, actor=get_name(), seen=seen, hands_over=not is_to_close)

    answer = _do(case_id, act, ASSESS_FIELDS, note="assess_reasons", place="assessment-title")
    is_recorded = isinstance(answer, Response) and answer.status_code == HTTPStatus.SEE_OTHER
    if not (is_to_close and is_recorded):
        return answer
    # If the case may not close yet, the assessment stands: its form starts again from what was recorded.
    left = Typed({name: text for name, text in typed.items() if name in CLOSE_FORM})
    return _close(case_id, PageState(typed=left, heading="The assessment is recorded. The case stays open"))


@blueprint.post("/cases/<case_id>/advise")
@staff_rule(Permission.ADVISE, body_bytes=FORM_BYTES)
def post_advise(case_id: str) -> ResponseReturnValue:
    """Record a safeguarding adviser's view."""
    typed = read_typed()
    return _do(
        case_id,
        lambda case: advise(get_desk(), case.case_id, make_view(typed), actor=get_name()),
        VIEW_FIELDS,
        note="view_reasons",
        place="assessment-title",
    )


@blueprint.post("/cases/<case_id>/close")
@staff_rule(Permission.ASSESS_CASES, body_bytes=FORM_BYTES)
def post_close(case_id: str) -> ResponseReturnValue:
    """Close a case with its outcome."""
    case, typed = get_case_or_404(case_id), read_typed()
    _check_may_close(case)
    if not list_closing_faults(typed, _list_weaknesses(), ()):
        return _close(case_id, PageState())
    with get_desk().store.read() as connection:
        refusals = list_refusals(
            get_desk(), connection, get_lead(connection, case.case_id), _read_closing(), actor=get_name()
        )
        faults = list_closing_faults(typed, _list_weaknesses(), refusals)
    return show_page_again(case, PageState(faults))


def _close(case_id: str, state: PageState) -> ResponseReturnValue:
    """Close a case by a form without faults, or show its page in this state with every reason against it."""
    case = get_case_or_404(case_id)
    try:
        closed = close_case(get_desk(), case.case_id, _read_closing(), actor=get_name())
    except CaseError as error:
        refusals = error.refusals if isinstance(error, ClosingRefusedError) else [error]
        faults = list_closing_faults(read_typed(), _list_weaknesses(), refusals)
    except LocalStateError as error:
        faults = [Fault("close-title", str(error))]
    else:
        return _go_to(closed, "close-title")
    return show_page_again(case, replace(state, faults=faults))


def _check_may_close(case: CaseRow) -> None:
    with get_desk().store.read() as connection:
        scope = make_scope(connection, case, person=get_name())
    check_may_close(get_signed_in().roles, _read_closing(), case=scope)


def _read_closing() -> Closing:
    return make_closing(read_typed(), _list_weaknesses())


def _list_weaknesses() -> tuple[str, ...]:
    return tuple(request.form.getlist("weakness"))


@blueprint.post("/cases/<case_id>/pass-on")
@staff_rule(Permission.SEND_ON, body_bytes=FORM_BYTES)
def post_pass_on(case_id: str) -> ResponseReturnValue:
    """Record which body took the case, and its officer."""
    typed = read_typed()
    settings = {"destination": typed["pass_to"], "means": typed["pass_means"]}
    settings |= {"taken_by": typed["pass_taken_by"], "reason": typed["pass_reason"]}
    return _do(
        case_id,
        lambda case: pass_on(get_desk(), case.case_id, **settings, actor=get_name()),
        PASS_FIELDS,
        note="pass_taken_by",
        otherwise="who-title",
        place="who-title",
    )


@blueprint.post("/cases/<case_id>/child-outcome")
@staff_rule(Permission.SEND_ON, body_bytes=FORM_BYTES)
def post_child_outcome(case_id: str) -> ResponseReturnValue:
    """Record the outcome for the child, or take one back that was recorded in error."""
    typed = read_typed()

    def act(case: CaseRow) -> CaseRow:
        desk, outcome, text = get_desk(), typed["child_outcome"], typed["child_told_by"]
        if typed["child_in_error"] == "yes":
            return take_back_child_outcome(desk, case.case_id, outcome=outcome, reason=text, actor=get_name())
        return record_child_outcome(desk, case.case_id, outcome=outcome, told_by=text, actor=get_name())

    return _do(case_id, act, {}, note="child_told_by", otherwise="child_outcome", place="child-outcome-title")


@blueprint.post("/cases/<case_id>/exempt")
@staff_rule(Permission.EXEMPT_CASES, body_bytes=FORM_BYTES)
def post_exempt(case_id: str) -> ResponseReturnValue:
    """Record why a case may close without an acknowledged package."""
    reason = read_typed()["exempt_reason"]
    return _do(
        case_id,
        lambda case: exempt_case(get_desk(), case.case_id, reason=reason, actor=get_name()),
        {"not-assessed": "assessment-title"},
        otherwise="exempt_reason",
        place="close-title",
    )


@blueprint.post("/cases/<case_id>/reopen")
@staff_rule(Permission.ASSESS_CASES, body_bytes=FORM_BYTES)
def post_reopen(case_id: str) -> ResponseReturnValue:
    """Open a closed case again, with a reason."""
    reason = read_typed()["reopen_reason"]
    return _do(
        case_id,
        lambda case: reopen_case(get_desk(), case.case_id, reason=reason, actor=get_name()),
        {},
        otherwise="reopen_reason",
        place="close-title",
    )


def _do(
    case_id: str,
    act: Callable[[CaseRow], CaseRow],
    fields: Mapping[str, str],
    *,
    note: str = "",
    otherwise: str = "holder-title",
    place: str = "holder-title",
) -> ResponseReturnValue:
    """Do one thing to a case, and go to its place on the page, or show the page again with the fault."""
    case = get_case_or_404(case_id)
    try:
        done = act(case)
    except CaseError as error:
        return show_page_again(case, PageState([make_work_fault(error, fields, note=note, otherwise=otherwise)]))
    except LocalStateError as error:
        return show_page_again(case, PageState([Fault(otherwise, str(error))]))
    return _go_to(done, place)


def _go_to(case: CaseRow, place: str) -> ResponseReturnValue:
    with get_desk().store.read() as connection:
        scope = make_scope(connection, case, person=get_name())
    if not is_permitted(Permission.READ_CASES, case=scope):
        # Handed over or given back, it is no longer a case of this person's faculty.
        return go_to("cases.list_all")
    return go_to("cases.show_case", case_id=case.case_id, _anchor=place)
