"""Routes of the cases: the queue, one case, reading its report, moving and linking it, and how much was read.

Content appears only in the response to the post that opened it, and is never stored.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from http import HTTPStatus

from flask import Blueprint, make_response, request
from flask.typing import ResponseReturnValue

from gateway.desk.actions.waiting import count_asked, count_unread
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
from gateway.desk.cases.forms import (
    ABOUT_FIELDS,
    ASSIGN_FIELDS,
    CASE_FAULTS,
    LINK_FIELDS,
    MOVE_FIELDS,
    make_case_fault,
    parse_score,
)
from gateway.desk.cases.holding import Assigned, assign_cases, list_workers
from gateway.desk.cases.linking import link_cases, unlink_cases
from gateway.desk.cases.model import CaseError, CaseRow
from gateway.desk.cases.queue import CRISIS, move_case
from gateway.desk.cases.queue_page import keep_view, make_queue_pane
from gateway.desk.cases.replying.replies import list_sampled_replies
from gateway.desk.collection.shelf import format_cause, format_sender, list_groups
from gateway.desk.outbox.alerts import find_unacknowledged
from gateway.desk.people.exposure import list_exposure
from gateway.desk.people.permissions import NotPermittedError, Permission, is_allowed
from gateway.desk.people.register import format_person
from gateway.desk.placements.register import count_button_requests
from gateway.desk.uk_times import get_day_start
from gateway.desk.vault import VaultError
from gateway.desk.views.page import (
    Fault,
    Typed,
    get_desk,
    get_name,
    get_signed_in,
    go_to,
    read_typed,
    show_page,
    staff_rule,
    turn_keys,
)
from gateway.desk.watch import describe_concern, format_advice, settle_alarms
from partner_sdk.errors import LocalStateError

blueprint = Blueprint("cases", __name__)
blueprint.app_url_defaults(keep_view)
MOST_GROUPS = 10
EXPOSURE_PERIOD = timedelta(days=7)
KEYS_BYTES = 4096
# The ids of a page of cases, and a reason.
ASSIGN_BYTES = 16_384


@blueprint.get("/")
@staff_rule(Permission.SEE_QUEUE)
def list_all() -> ResponseReturnValue:
    """Show the lanes and the list of one view. Late replies are highlighted but never change the order."""
    return _show_list()


@blueprint.post("/assign")
@staff_rule(Permission.ASSIGN_CASES, body_bytes=ASSIGN_BYTES)
def post_assign() -> ResponseReturnValue:
    """Assign the ticked cases to one person; the answer is the list, with each case that was not assigned and why."""
    typed, ticked = read_typed(), request.form.getlist("case")
    try:
        done = assign_cases(
            get_desk(), ticked, person=typed["assign_person"], reason=typed["assign_reason"], actor=get_name()
        )
    except CaseError as error:
        fault = make_case_fault(error, ASSIGN_FIELDS, otherwise="assign_person")
        return _show_list(faults=[fault], typed=typed, ticked=ticked)
    with get_desk().store.read() as connection:
        name = format_person(connection, typed["assign_person"])
    return _show_list(assigned=done, assigned_to=name)


def _show_list(
    *,
    faults: Sequence[Fault] = (),
    typed: Typed | None = None,
    ticked: Sequence[str] = (),
    assigned: Assigned | None = None,
    assigned_to: str = "",
) -> ResponseReturnValue:
    desk = get_desk()
    concerns, pane = settle_alarms(desk), make_queue_pane(desk)
    is_assigner = is_allowed(get_signed_in().roles, Permission.ASSIGN_CASES)
    with desk.store.read() as connection:
        workers = list_workers(connection) if is_assigner else []
        alarms = count_alarms(connection)
        alert = find_unacknowledged(connection)
        set_aside = list_groups(connection)
        asked, unread_entries = count_asked(connection), count_unread(connection)
        adoption_count = count_button_requests(connection)
    return show_page(
        "cases.html",
        pane=pane,
        concerns=[(describe_concern(one, now=desk.clock()), format_advice(one.code)) for one in concerns],
        alert=alert,
        set_aside=set_aside[:MOST_GROUPS],
        set_aside_count=len(set_aside),
        set_aside_total=sum(group.count for group in set_aside),
        format_cause=format_cause,
        format_sender=lambda partner: format_sender(partner, names=pane.names),
        set_aside_urgent=sum(group.urgent for group in set_aside),
        adoption_count=adoption_count,
        alarm_count=alarms,
        asked=asked,
        unread_entries=unread_entries,
        workers=[(person, f"{name}, has {count}") for person, name, count in workers if person != get_name()],
        faults=faults,
        typed=typed or Typed(),
        ticked=ticked,
        assigned=assigned,
        assigned_to=assigned_to,
    )


@blueprint.post("/keys")
@staff_rule(Permission.SEE_QUEUE, body_bytes=KEYS_BYTES)
def post_keys() -> ResponseReturnValue:
    """Turn the single keys off, or on again, until this person signs out."""
    turn_keys()
    return go_to("cases.list_all")


@blueprint.get("/exposure")
@staff_rule(Permission.SEE_EXPOSURE)
def show_exposure() -> ResponseReturnValue:
    """Show how much each person has opened today and in the last week, and the sample of replies to read."""
    desk = get_desk()
    now = desk.clock()
    with desk.store.read() as connection:
        week = list_exposure(connection, since=now - EXPOSURE_PERIOD)
        today = {one.person: one for one in list_exposure(connection, since=get_day_start(now))}
        names = {one.person: format_person(connection, one.person) for one in week}
    try:
        sample = list_sampled_replies(desk)
    except VaultError:
        sample = None
    rows = [(names[one.person], today.get(one.person), one) for one in week]
    return show_page("exposure.html", rows=rows, sample=sample)


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
        desk, lane, roles = get_desk(), typed["lane"], get_signed_in().roles
        move_case(desk, case.case_id, lane=lane, score=score, reason=reason, actor=get_name(), roles=roles)
    except (CaseError, LocalStateError) as error:
        return show_page_again(case, PageState([make_case_fault(error, MOVE_FIELDS, otherwise="move_reason")]))
    except NotPermittedError:
        is_lane = case.crisis and lane != CRISIS
        fault = Fault("lane" if is_lane else "score", CASE_FAULTS["lowered-by-other"])
        return make_response(show_page_again(case, PageState([fault])), HTTPStatus.FORBIDDEN)
    return go_to("cases.show_case", case_id=case.case_id, _anchor="risk-title")


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
    except (CaseError, LocalStateError) as error:
        return show_page_again(case, PageState([make_case_fault(error, ABOUT_FIELDS, otherwise="about")]))
    return go_to("cases.show_case", case_id=case.case_id, _anchor="about-title")


def _change_link(case: CaseRow, change: Callable[..., CaseRow]) -> ResponseReturnValue:
    typed = read_typed()
    try:
        change(get_desk(), case.case_id, typed["linked_case"], reason=typed["link_reason"], actor=get_name())
    except (CaseError, LocalStateError) as error:
        return show_page_again(case, PageState([make_case_fault(error, LINK_FIELDS, otherwise="linked_case")]))
    return go_to("cases.show_case", case_id=case.case_id, _anchor="links-title")
