"""Routes for the people on duty: the crisis cases at a glance, an alert's link, and the hand-over of the night.

Sized for a phone, and complete without a script. Never acknowledges anything by a link alone.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from gateway.desk.actions.model import KIND_TITLES, TO_DESTINATIONS, list_actions_of, name_recipients
from gateway.desk.cases.closing import list_open_outside
from gateway.desk.cases.model import CaseError
from gateway.desk.cases.queue import CRISIS
from gateway.desk.cases.queue_page import make_queue_pane
from gateway.desk.duty.night import hand_over_night, make_night, take_night_over
from gateway.desk.outbox.alerts import (
    AlertCall,
    AlertError,
    AlertRow,
    acknowledge_alert,
    count_danger_today,
    find_call_by_link,
    find_unacknowledged,
)
from gateway.desk.people.permissions import CaseScope, Permission
from gateway.desk.views.page import (
    Fault,
    get_desk,
    get_name,
    get_signed_in,
    go_to,
    is_permitted,
    read_typed,
    show_page,
    staff_rule,
)
from gateway.desk.watch import describe_concern, list_concerns
from gateway.web.problem_pages import not_found

blueprint = Blueprint("duty", __name__)
FORM_BYTES = 4096
# Notes for twenty cases, each of 4,000 characters of four bytes, percent-encoded.
HAND_OVER_BYTES = 1_048_576
_NOTE: Final = "note-"


@blueprint.get("/duty")
@staff_rule(Permission.TAKE_ALERTS)
def show_all() -> ResponseReturnValue:
    """Show the crisis cases, each with its waiting time, its holder and the state of its packages."""
    desk = get_desk()
    pane = make_queue_pane(desk, lane=CRISIS)
    with desk.store.read() as connection:
        listed = list_actions_of(connection, [row.case.case_id for row in pane.rows])
        matters = list_open_outside(desk, connection, [row.case for row in pane.rows])
        packages = [one for one in listed if one.kind in TO_DESTINATIONS]
        recipients = name_recipients(desk, connection, packages)
        alert = find_unacknowledged(connection)
        concerns = [describe_concern(one, now=desk.clock()) for one in list_concerns(connection, desk=desk)]
    return show_page(
        "duty.html",
        pane=pane,
        alert=alert,
        concerns=concerns,
        packages=packages,
        matters={case_id: [str(one) for one in found] for case_id, found in matters.items()},
        recipients=recipients,
        action_kinds=KIND_TITLES,
    )


@blueprint.get("/duty/alerts/<secret>")
@staff_rule(Permission.TAKE_ALERTS)
def show_alert(secret: str) -> ResponseReturnValue:
    """Show the alert of a notice and the button that acknowledges it; following the link changes nothing."""
    alert, call = _get_call(secret)
    with get_desk().store.read() as connection:
        danger_today = count_danger_today(connection, since=alert.first_at)
    return show_page("duty_alert.html", alert=alert, call=call, secret=secret, danger_today=danger_today)


@blueprint.post("/duty/alerts/<secret>")
@staff_rule(Permission.TAKE_ALERTS, body_bytes=FORM_BYTES)
def post_alert(secret: str) -> ResponseReturnValue:
    """Acknowledge the cases of this notice by the signed-in person's name, once."""
    desk, (alert, call) = get_desk(), _get_call(secret)
    try:
        with desk.store.write() as connection:
            acknowledge_alert(connection, alert.id, actor=get_name(), now=desk.clock(), seen=call.count)
    except AlertError:
        return show_page("duty_alert.html", status=HTTPStatus.CONFLICT, alert=_get_call(secret)[0], call=call)
    return go_to("duty.show_all")


def _get_call(secret: str) -> tuple[AlertRow, AlertCall]:
    with get_desk().store.read() as connection:
        found = find_call_by_link(connection, secret)
    if found is None:
        not_found()
    return found


@blueprint.get("/duty/hand-over")
@staff_rule(Permission.TAKE_CASES)
def show_hand_over() -> ResponseReturnValue:
    """Show the night's cases: the open duties of each, the note for the day team, and the acts."""
    return _show_hand_over()


@blueprint.post("/duty/hand-over")
@staff_rule(Permission.TAKE_CASES, body_bytes=HAND_OVER_BYTES)
def post_hand_over() -> ResponseReturnValue:
    """Write the notes for the signed-in person's cases of the night."""
    typed, desk = read_typed(), get_desk()
    notes = {name.removeprefix(_NOTE): text for name, text in typed.items() if name.startswith(_NOTE)}
    refused = hand_over_night(desk, notes, actor=get_name())
    if refused:
        return _show_hand_over([_make_fault(case_id, error) for case_id, error in refused.items()])
    return go_to("duty.show_hand_over")


@blueprint.post("/duty/hand-over/take")
@staff_rule(Permission.TAKE_CASES, body_bytes=HAND_OVER_BYTES)
def post_take() -> ResponseReturnValue:
    """Take the shown cases of the night over, by the signed-in person's name."""
    take_night_over(get_desk(), request.form.getlist("case"), actor=get_name(), roles=get_signed_in().roles)
    return go_to("duty.show_hand_over")


def _make_fault(case_id: str, error: CaseError) -> Fault:
    is_empty = error.reason == "note-missing"
    return Fault(f"{_NOTE}{case_id}", "Write the note for the day team first." if is_empty else str(error))


def _show_hand_over(faults: Sequence[Fault] = ()) -> ResponseReturnValue:
    may_take = is_permitted(Permission.TAKE_CASES, case=CaseScope(is_crisis=False, is_held=True))
    night = make_night(get_desk(), person=get_name())
    return show_page("hand_over.html", night=night, faults=faults, typed=read_typed(), may_take=may_take)
