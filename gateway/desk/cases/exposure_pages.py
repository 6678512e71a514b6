"""The supervisor's page of how much each person has opened, today and in the last week."""

from datetime import timedelta
from typing import Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from gateway.desk.people.exposure import list_exposure
from gateway.desk.people.permissions import Permission
from gateway.desk.people.register import format_person
from gateway.desk.uk_times import get_day_start
from gateway.desk.views.page import get_desk, show_page, staff_rule

blueprint = Blueprint("exposure", __name__)
_WEEK: Final = timedelta(days=7)


@blueprint.get("/exposure")
@staff_rule(Permission.SEE_EXPOSURE)
def show_all() -> ResponseReturnValue:
    """Show each person's count, the highest of the week first."""
    desk = get_desk()
    now = desk.clock()
    with desk.store.read() as connection:
        week = list_exposure(connection, since=now - _WEEK)
        today = {one.person: one for one in list_exposure(connection, since=get_day_start(now))}
        names = {one.person: format_person(connection, one.person) for one in week}
    return show_page("exposure.html", rows=[(names[one.person], today.get(one.person), one) for one in week])
