"""The pages of the cases: the queue, one case, reading its report, recording a reply, closing.

Content is shown only in the answer to the post that opened it, folded, and never stored.
"""

from collections.abc import Sequence
from http import HTTPStatus

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from gateway.desk.cases import CaseError, CaseRow, CaseState, close_case, get_case, list_cases, open_case, record_reply
from gateway.desk.store.schema import ALARMS
from gateway.desk.views import words
from gateway.desk.views.case_form import (
    Answers,
    Fault,
    find_faults,
    find_reply_faults,
    make_closing,
    read_answers,
)
from gateway.desk.views.content import Section, make_sections
from gateway.desk.views.context import get_desk, get_name, show_page
from gateway.web.problem_pages import not_found
from gateway.web.rules import NO_LIMIT, CsrfRule, Login, rule
from partner_sdk.errors import FormatError, LocalStateError, OpeningError, ReportAbuseError

blueprint = Blueprint("cases", __name__, template_folder="templates")
FORM_BYTES = 16_384
MOST_LISTED = 500
_STATES: dict[str, CaseState] = {"open": "open", "closed": "closed", "all": "all"}


@blueprint.get("/")
@rule(login=Login.STAFF, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def list_all() -> ResponseReturnValue:
    """Show the queue: by risk, then by clock."""
    state = _STATES.get(request.args.get("state", "open"), "open")
    with get_desk().store.read() as connection:
        found = list_cases(connection, state=state)
        waiting = found if state == "open" else list_cases(connection, state="open")
        alarms = connection.execute(
            select(func.count()).select_from(ALARMS).where(ALARMS.c.cleared_at.is_(None))
        ).scalar_one()
    return show_page(
        "cases.html",
        cases=found[:MOST_LISTED],
        hidden=max(0, len(found) - MOST_LISTED),
        state=state,
        open_count=len(waiting),
        danger_count=sum(case.danger for case in waiting),
        owed_count=sum(case.reply_owed and case.reply_code is None for case in waiting),
        alarm_count=alarms,
    )


@blueprint.get("/cases/<case_id>")
@rule(login=Login.STAFF, limit=NO_LIMIT, csrf=CsrfRule.NO_POST, body_bytes=0)
def show_case(case_id: str) -> ResponseReturnValue:
    """Show what is known of a case without opening its report."""
    return _show(_get(case_id), read_answers(request.form, person=get_name()))


@blueprint.post("/cases/<case_id>/read")
@rule(login=Login.STAFF, limit=NO_LIMIT, csrf=CsrfRule.TOKEN, body_bytes=FORM_BYTES)
def post_read(case_id: str) -> ResponseReturnValue:
    """Open the report of a case; who read it is noted."""
    case = _get(case_id)
    answers = read_answers(request.form, person=get_name())
    try:
        opened = open_case(get_desk(), case.case_id, actor=get_name())
    except CaseError as error:
        return _show(case, answers, faults=[_fault_of(error)], status=HTTPStatus.CONFLICT)
    except (OpeningError, FormatError, LocalStateError) as error:
        return _show(case, answers, faults=[Fault("report", str(error))], status=HTTPStatus.CONFLICT)
    return _show(opened.case, answers, sections=make_sections(opened.content))


@blueprint.post("/cases/<case_id>/reply")
@rule(login=Login.STAFF, limit=NO_LIMIT, csrf=CsrfRule.TOKEN, body_bytes=FORM_BYTES)
def post_reply(case_id: str) -> ResponseReturnValue:
    """Record how the person who reported was answered."""
    case = _get(case_id)
    code, reason = request.form.get("code", ""), request.form.get("reason", "")
    faults = list(find_reply_faults(code, reason))
    if not faults:
        try:
            record_reply(get_desk(), case.case_id, code=code, reason=reason, actor=get_name())
        except CaseError as error:
            faults = [_fault_of(error)]
    if faults:
        return _show(case, read_answers(request.form, person=get_name()), faults=faults, status=HTTPStatus.CONFLICT)
    return redirect(url_for("cases.show_case", case_id=case.case_id), HTTPStatus.SEE_OTHER)


@blueprint.post("/cases/<case_id>/close")
@rule(login=Login.STAFF, limit=NO_LIMIT, csrf=CsrfRule.TOKEN, body_bytes=FORM_BYTES)
def post_close(case_id: str) -> ResponseReturnValue:
    """Close a case with its assessment; what is missing comes back in words, with every answer kept."""
    case = _get(case_id)
    answers = read_answers(request.form, person=get_name())
    faults = find_faults(answers)
    if not faults:
        try:
            close_case(
                get_desk(),
                case.case_id,
                make_closing(answers),
                actor=get_name(),
                release_outcome=answers.single["release_outcome"] == "yes",
            )
        except CaseError as error:
            faults = [_fault_of(error)]
    if faults:
        return _show(case, answers, faults=faults, status=HTTPStatus.CONFLICT)
    return redirect(url_for("cases.show_case", case_id=case.case_id), HTTPStatus.SEE_OTHER)


def _get(case_id: str) -> CaseRow:
    with get_desk().store.read() as connection:
        try:
            return get_case(connection, case_id)
        except CaseError:
            not_found()


def _fault_of(error: ReportAbuseError) -> Fault:
    field = "code" if error.reason in {"reply-owed", "reason-missing"} else "cluster"
    return Fault("report" if error.reason == "not-opened" else field, words.CASE_FAULTS.get(error.reason, str(error)))


def _show(
    case: CaseRow,
    answers: Answers,
    *,
    sections: Sequence[Section] = (),
    faults: Sequence[Fault] = (),
    status: int = HTTPStatus.OK,
) -> ResponseReturnValue:
    return show_page(
        "case.html",
        status=status,
        case=case,
        sections=sections,
        faults=faults,
        faulty={fault.field for fault in faults},
        answers=answers.single,
        chosen_weaknesses=answers.weaknesses,
        reply={"code": request.form.get("code", ""), "reason": request.form.get("reason", "")},
        words=words,
    )
