"""The page of figures for the head of the desk: waits by lane and hour, completeness, open work. Nothing is opened."""

from datetime import timedelta
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from gateway.desk.figures.reading_times import DAYS, format_seconds
from gateway.desk.figures.results import count_actions, count_child_outcomes
from gateway.desk.figures.waits import LEAST_CASES, count_workload, make_waits
from gateway.desk.people.permissions import Permission
from gateway.desk.uk_times import format_uk_day, get_start_of, get_uk_day
from gateway.desk.views.page import get_desk, parse_small_number, show_page, staff_rule
from partner_sdk.wire.canonical import format_time

blueprint = Blueprint("figures", __name__)
SPANS: Final = (7, 28, DAYS)


@blueprint.get("/figures")
@staff_rule(Permission.SEE_FIGURES)
def show_figures() -> ResponseReturnValue:
    """Show the figures of the cases received in the last so many days, `?days=`."""
    desk = get_desk()
    asked = parse_small_number(request.args.get("days", ""))
    days = asked if asked in SPANS else DAYS
    today = get_uk_day(desk.clock())
    first = today - timedelta(days=days - 1)
    with desk.store.read() as connection:
        waits = make_waits(connection, since=get_start_of(first))
        workload = count_workload(connection)
        leaving = count_actions(connection, since=get_start_of(first))
        child_outcomes = count_child_outcomes(connection, since=get_start_of(first))
    return show_page(
        "figures.html",
        child_outcomes=child_outcomes,
        leaving=leaving,
        as_of=format_time(desk.clock()),
        days=days,
        first_day=format_uk_day(first),
        format_seconds=format_seconds,
        least=LEAST_CASES,
        most_arrived=max(waits.arrived, default=0),
        spans=SPANS,
        waits=waits,
        workload=workload,
    )
