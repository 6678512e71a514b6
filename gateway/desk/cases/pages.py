"""Routes of the cases: the queue, one case, reading its report, closing.

Content appears only in the response to the post that opened it, and is never stored.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import get_args

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from gateway.desk.alarms import count_alarms
from gateway.desk.cases.about import set_about
from gateway.desk.cases.case_page import (
    FORM_BYTES,
    PageState,
    get_case_or_404,
    show_closed_page,
    show_opened_page,
    show_page_again,
)
from gateway.desk.cases.closing import close_case, list_refusals
from gateway.desk.cases.forms import (
    ABOUT_FIELDS,
    CLOSE_FIELDS,
    LINK_FIELDS,
    MOVE_FIELDS,
    list_faults,
    make_case_fault,
    make_closing,
    parse_score,
)
from gateway.desk.cases.linking import link_cases, unlink_cases
from gateway.desk.cases.model import (
    CaseError,
    CaseRow,
    count_days_late,
    find_promised_day,
    format_day,
    format_lateness,
    get_uk_day,
    is_waiting,
    list_firsts,
)
from gateway.desk.cases.opening import list_sources
from gateway.desk.cases.queue import (
    QueueState,
    count_queue,
    count_waiting,
    find_next,
    list_later,
    list_queue,
    move_case,
)
from gateway.desk.cases.reading.partner_case import format_open_questions
from gateway.desk.collection.shelf import format_cause, format_sender, list_groups
from gateway.desk.outbox.alerts import list_unacknowledged
from gateway.desk.partners.questions import list_unanswered
from gateway.desk.people.permissions import Permission
from gateway.desk.placements.register import count_button_requests, get_owner_names
from gateway.desk.views.page import get_desk, get_name, read_list_page, read_typed, show_page, staff_rule
from gateway.desk.watch import describe_concern, format_advice, settle_alarms
from gateway.guidance.risk import list_reasons

blueprint = Blueprint("cases", __name__)
MOST_GROUPS = 10
_STATES: tuple[QueueState, ...] = get_args(QueueState)


@blueprint.get("/")
@staff_rule(Permission.SEE_QUEUE)
def list_all() -> ResponseReturnValue:
    """Show the queue: crisis lane, score, waiting time. Late replies are highlighted but never change the order."""
    desk, wanted = get_desk(), request.args.get("state", "open")
    concerns = settle_alarms(desk)
    today = get_uk_day(desk.clock())
    state: QueueState = next((one for one in _STATES if one == wanted), "open")
    with desk.store.read() as connection:
        waiting = count_waiting(connection, today=today)
        found = waiting.open if state == "open" else count_queue(connection, state=state, today=today)
        listed_page = read_list_page(found=found)
        listed = list_queue(connection, state=state, today=today, rows=listed_page.rows)
        next_case = find_next(connection)
        alarms = count_alarms(connection)
        alerts = list_unacknowledged(connection)
        set_aside = list_groups(connection)
        names = get_owner_names(connection)
        adoption_count = count_button_requests(connection)
        firsts = list_firsts(connection, listed)
        later = list_later(connection, listed)
        sources = list_sources(connection, listed)
        clocks = format_open_questions(list_unanswered(connection), today=today)
    return show_page(
        "cases.html",
        concerns=[(describe_concern(one, now=desk.clock()), format_advice(one.code)) for one in concerns],
        alerts=alerts,
        set_aside=set_aside[:MOST_GROUPS],
        set_aside_count=len(set_aside),
        set_aside_total=sum(group.count for group in set_aside),
        names=names,
        format_cause=format_cause,
        format_sender=lambda partner: format_sender(partner, names=names),
        set_aside_urgent=sum(group.urgent for group in set_aside),
        adoption_count=adoption_count,
        cases=listed,
        promises={case.case_id: day for case in listed if (day := find_promised_day(case)) and is_waiting(case)},
        days_late={case.case_id: count_days_late(case, today=today) for case in listed},
        format_day=format_day,
        format_lateness=format_lateness,
        today=today,
        firsts=firsts,
        later=later,
        sources=sources,
        clocks=clocks,
        listed_page=listed_page,
        state=state,
        waiting=waiting,
        next_case=next_case,
        list_reasons=list_reasons,
        alarm_count=alarms,
    )


@blueprint.get("/cases/<case_id>")
@staff_rule(Permission.SEE_QUEUE)
def show_case(case_id: str) -> ResponseReturnValue:
    """Show the clear fields of a case without opening its report."""
    return show_closed_page(get_case_or_404(case_id), PageState())


@blueprint.post("/cases/<case_id>/read")
@staff_rule(Permission.READ_CASES, body_bytes=FORM_BYTES)
def post_read(case_id: str) -> ResponseReturnValue:
    """Open the report of a case and record the reader."""
    return show_opened_page(get_case_or_404(case_id), PageState())


@blueprint.post("/cases/<case_id>/move")
@staff_rule(Permission.RAISE_CASES, body_bytes=FORM_BYTES)
def post_move(case_id: str) -> ResponseReturnValue:
    """Move a case in the queue with a reason; faults come back at their fields, with every answer kept."""
    case, typed = get_case_or_404(case_id), read_typed()
    try:
        score, reason = parse_score(typed["score"]), typed["move_reason"]
        move_case(get_desk(), case.case_id, lane=typed["lane"], score=score, reason=reason, actor=get_name())
    except CaseError as error:
        return show_page_again(case, PageState([make_case_fault(error, MOVE_FIELDS, otherwise="move_reason")]))
    return redirect(url_for("cases.show_case", case_id=case.case_id, _anchor="risk-title"), HTTPStatus.SEE_OTHER)


@blueprint.post("/cases/<case_id>/link")
@staff_rule(Permission.LINK_CASES, body_bytes=FORM_BYTES)
def post_link(case_id: str) -> ResponseReturnValue:
    """Link a case to another about the same person or incident, with a reason."""
    return _change_link(get_case_or_404(case_id), link_cases)


@blueprint.post("/cases/<case_id>/unlink")
@staff_rule(Permission.LINK_CASES, body_bytes=FORM_BYTES)
def post_unlink(case_id: str) -> ResponseReturnValue:
    """End the link of a case to another, with a reason."""
    return _change_link(get_case_or_404(case_id), unlink_cases)


@blueprint.post("/cases/<case_id>/about")
@staff_rule(Permission.LINK_CASES, body_bytes=FORM_BYTES)
def post_about(case_id: str) -> ResponseReturnValue:
    """Record the service that a case is about, or that none is named, with a reason."""
    case, typed = get_case_or_404(case_id), read_typed()
    service, is_new = typed["about"] or None, typed["about_new"] == "yes"
    try:
        set_about(get_desk(), case.case_id, service, reason=typed["about_reason"], actor=get_name(), is_new=is_new)
    except CaseError as error:
        return show_page_again(case, PageState([make_case_fault(error, ABOUT_FIELDS, otherwise="about")]))
    return redirect(url_for("cases.show_case", case_id=case.case_id, _anchor="about-title"), HTTPStatus.SEE_OTHER)


def _change_link(case: CaseRow, change: Callable[..., CaseRow]) -> ResponseReturnValue:
    typed = read_typed()
    try:
        change(get_desk(), case.case_id, typed["linked_case"], reason=typed["link_reason"], actor=get_name())
    except CaseError as error:
        return show_page_again(case, PageState([make_case_fault(error, LINK_FIELDS, otherwise="linked_case")]))
    return redirect(url_for("cases.show_case", case_id=case.case_id, _anchor="links-title"), HTTPStatus.SEE_OTHER)


@blueprint.post("/cases/<case_id>/close")
@staff_rule(Permission.ASSESS_CASES, body_bytes=FORM_BYTES)
def post_close(case_id: str) -> ResponseReturnValue:
    """Close a case with its assessment; faults come back at their fields, with every answer kept."""
    case, typed, weaknesses = get_case_or_404(case_id), read_typed(), tuple(request.form.getlist("weakness"))
    # A form without the field, e.g. from a script, is signed by the signed-in person.
    typed.setdefault("assessor", get_name())
    desk, release = get_desk(), typed["release_outcome"] == "yes"
    with desk.store.read() as connection:
        refusals = list_refusals(connection, case, same_as=typed["cluster"] or None, release_outcome=release)
        faults = list_faults(typed, weaknesses, refusals)
    if not faults:
        try:
            closing = make_closing(typed, weaknesses)
            close_case(desk, case.case_id, closing, actor=get_name(), release_outcome=release)
        except CaseError as error:
            faults = [make_case_fault(error, CLOSE_FIELDS, otherwise="cluster")]
    if faults:
        return show_page_again(case, PageState(faults))
    return redirect(url_for("cases.show_case", case_id=case.case_id), HTTPStatus.SEE_OTHER)
