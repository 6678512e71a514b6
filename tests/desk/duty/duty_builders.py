"""A night at the desk: a ladder, a duty officer, and the link of the newest notice."""

from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from tests.desk.desk_loop import Loop
from tests.desk.mail_server import Posts
from tests.desk.outbox_builders import make_rung, open_with_key_set, send_alerts, set_ladder
from tests.desk.view_builders import ORIGIN

NIGHT_OFFICER = "n-night"
# The substitute of Boxing Day, a Monday, at ten past two.
HOLIDAY_NIGHT = datetime(2026, 12, 28, 2, 10, tzinfo=UTC)


def set_night(loop: Loop, first: Posts, second: Posts, *, now: datetime = HOLIDAY_NIGHT) -> None:
    """Give the loop's desk its address, its clock and a ladder of two."""
    loop.desk = replace(loop.desk, config=msgspec.structs.replace(loop.desk.config, pages_origin=ORIGIN))
    rungs = (make_rung("First duty officer", first.url), make_rung("Supervisor", second.url))
    set_ladder(loop, *rungs, now=now)


def send_and_get_path(loop: Loop, posts: Posts) -> str:
    """Send the open alert, and return the path of the link in the newest notice to a rung."""
    assert send_alerts(loop.desk).sent == 1
    link = open_with_key_set(loop, posts.taken[-1][1]).link
    assert link is not None
    return link.removeprefix(ORIGIN)
