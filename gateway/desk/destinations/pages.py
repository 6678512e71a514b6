"""The page of the register: every body by group, what it takes and where it serves, and what was not agreed yet."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from gateway.desk.destinations.register import (
    CHANNEL_TITLES,
    GROUP_TITLES,
    TAKES_TITLES,
    list_gaps,
    load_register,
    make_public_ways,
)
from gateway.desk.people.permissions import Permission
from gateway.desk.views.page import get_desk, show_page, staff_rule
from gateway.guidance.signposts import load_countries, load_signposts

blueprint = Blueprint("destinations", __name__)


@blueprint.get("/destinations")
@staff_rule(Permission.SEE_QUEUE)
def list_all() -> ResponseReturnValue:
    """List every destination; the browser's own search finds a place on it, so that no address ever names one."""
    desk = get_desk()
    today = desk.agency.get_day(desk.clock())
    register, signposts = load_register(desk.paths.destinations), load_signposts()
    return show_page(
        "destinations.html",
        groups=[
            (code, title, [(key, one) for key, one in register.items() if one.group == code])
            for code, title in GROUP_TITLES.items()
        ],
        ways=make_public_ways(register),
        not_urgent=signposts["police_not_urgent"],
        emergency=signposts["emergency"],
        gaps=dict(list_gaps(register, today=today)),
        today=today,
        countries=load_countries(),
        takes=TAKES_TITLES,
        channels=CHANNEL_TITLES,
    )
