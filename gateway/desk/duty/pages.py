"""Routes for the people on duty: the crisis cases at a glance, and the page behind the link of an alert's notice.

Sized for a phone, and complete without a script. Never acknowledges anything by a link alone.
"""

from http import HTTPStatus

from flask import Blueprint
from flask.typing import ResponseReturnValue

from gateway.desk.cases.queue import CRISIS
from gateway.desk.cases.queue_page import make_queue_pane
from gateway.desk.outbox.alerts import (
    AlertCall,
    AlertError,
    AlertRow,
    acknowledge_alert,
    find_call_by_link,
    find_unacknowledged,
)
from gateway.desk.people.permissions import Permission
from gateway.desk.views.page import get_desk, get_name, go_to, show_page, staff_rule
from gateway.desk.watch import describe_concern, list_concerns
from gateway.web.problem_pages import not_found

blueprint = Blueprint("duty", __name__)
FORM_BYTES = 4096


@blueprint.get("/duty")
@staff_rule(Permission.TAKE_ALERTS)
def show_all() -> ResponseReturnValue:
    """Show the crisis cases, each with its waiting time and holder."""
    desk = get_desk()
    with desk.store.read() as connection:
        alert = find_unacknowledged(connection)
        concerns = [describe_concern(one, now=desk.clock()) for one in list_concerns(connection, desk=desk)]
    return show_page("duty.html", pane=make_queue_pane(desk, lane=CRISIS), alert=alert, concerns=concerns)


@blueprint.get("/duty/alerts/<secret>")
@staff_rule(Permission.TAKE_ALERTS)
def show_alert(secret: str) -> ResponseReturnValue:
    """Show the alert of a notice and the button that acknowledges it; following the link changes nothing."""
    alert, call = _get_call(secret)
    return show_page("duty_alert.html", alert=alert, call=call, secret=secret)


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
