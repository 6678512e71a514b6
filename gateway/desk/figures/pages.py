"""The page of figures for the head of the desk: waits, replies, what left, outcomes; and the trend of closed cases.

Counts of codes and times alone; nothing is opened.
"""

from datetime import timedelta
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from gateway.desk.figures.counts import (
    LEAST_CASES,
    count_actions,
    count_child_outcomes,
    count_workload,
    format_seconds,
    make_trends,
    make_waits,
)
from gateway.desk.keyring.key_set import get_quarter_of
from gateway.desk.people.permissions import Permission
from gateway.desk.uk_times import format_uk_day, get_start_of, get_uk_day
from gateway.desk.views.page import get_desk, parse_small_number, show_page, staff_rule
from partner_sdk.wire.canonical import format_time

blueprint = Blueprint("figures", __name__)
SPANS: Final = (7, 28, 90)
QUARTERS: Final = 6


@blueprint.get("/figures")
@staff_rule(Permission.SEE_FIGURES)
def show_figures() -> ResponseReturnValue:
    """Show the figures of the cases received in the last so many days, `?days=`, or the trend, `?show=trends`."""
    desk = get_desk()
    if request.args.get("show") == "trends":
        with desk.store.read() as connection:
            trends = make_trends(connection, last=get_quarter_of(desk.clock()), quarters=QUARTERS)
        return show_page("trends.html", trends=trends, spans=SPANS)
    asked = parse_small_number(request.args.get("days", ""))
    days = asked if asked in SPANS else SPANS[-1]
    today = get_uk_day(desk.clock())
    first = today - timedelta(days=days - 1)
    with desk.store.read() as connection:
        waits = make_waits(connection, since=get_start_of(first), today=today)
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
