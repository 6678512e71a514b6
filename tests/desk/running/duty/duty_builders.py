"""A night at the desk: an escalation, a duty officer, and the link of the newest notice."""

from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from gateway.desk.office.escalation import Escalation
from gateway.exchange.desk_statements import SIGNED_ALERT
from tests.builders import NOW
from tests.desk.desk_loop import Loop
from tests.desk.mail_server import Posts
from tests.desk.outbox_builders import make_level, send_alerts
from tests.desk.view_builders import ORIGIN

NIGHT_OFFICER = "n-night"
# The substitute of Boxing Day, a Monday, at ten past two; the desk opens on the next day.
HOLIDAY_NIGHT = datetime(2026, 12, 28, 2, 10, tzinfo=UTC)
OPENING = datetime(2026, 12, 29, 9, 0, tzinfo=UTC)


def make_night_escalation(first: Posts, second: Posts) -> Escalation:
    """Return an escalation of two levels, with five minutes for each."""
    levels = (make_level("First duty officer", first.url), make_level("Supervisor", second.url))
    return Escalation(checked_on=NOW.date(), source="a test's", level=levels)


def set_night(loop: Loop, first: Posts, second: Posts, *, now: datetime = HOLIDAY_NIGHT) -> None:
    """Give the loop's desk its address, its clock and an escalation of two levels."""
    config = msgspec.structs.replace(loop.desk.config, pages_origin=ORIGIN)
    loop.desk = replace(loop.desk, config=config, escalation=make_night_escalation(first, second))
    loop.clock.now = now


def get_path(posts: Posts, *, origin: str = ORIGIN) -> str:
    """Return the path of the link in the newest notice that a level took."""
    link = SIGNED_ALERT.peek(posts.taken[-1][1]).link
    assert link is not None
    return link.removeprefix(origin)


def send_and_get_path(loop: Loop, posts: Posts) -> str:
    """Send the open alert, and return the path of the link in its notice to a level."""
    assert send_alerts(loop.desk).sent == 1
    return get_path(posts)
