"""`report-abuse-desk figures`: how fast reports are read, and whether replies keep their promised day (R8)."""

from dataclasses import asdict
from datetime import timedelta

import click

from gateway.desk.cases.model import list_cases
from gateway.desk.figures.reading_times import DAYS, ReadingFigures, format_seconds, make_figures
from gateway.desk.people.permissions import Permission
from gateway.desk.terminal import Call, desk_command, print_result
from gateway.desk.uk_times import get_uk_day, get_uk_day_of
from gateway.desk.wiring import open_desk


@desk_command(Permission.SEE_FIGURES, example="--days 30 --json")
@click.option("--days", type=click.IntRange(1, 36_500), default=DAYS, show_default=True, metavar="N", help="Days back.")
def figures(call: Call, days: int) -> int:
    """Print how fast reports are read and answered.

    The figures are counts and times; nothing is opened.
    """
    desk = open_desk(call.state)
    today = get_uk_day(desk.clock())
    since = today - timedelta(days=days - 1)
    with desk.store.read() as connection:
        cases = [case for case in list_cases(connection, state="all") if get_uk_day_of(case.received_at) >= since]
    found = make_figures(cases, today=today)
    doors = ", ".join(f"{count} {door}" for door, count in found.by_door.items()) or "none"
    channels = ", ".join(f"{count} {channel}" for channel, count in found.by_channel.items()) or "none"
    replies = found.replies
    return print_result(
        call,
        {"figures": asdict(found), "since": since.isoformat(), "until": today.isoformat()},
        f"Received from {since} to {today}: {found.cases} ({doors}; {channels}).",
        _format_reading("Reports of the public", found.public_reading),
        _format_reading("Reports of partners", found.industry_reading),
        f"Replies promised: {replies.owed}. In time {replies.in_time}, late {replies.late}, overdue {replies.overdue}, "
        f"not due yet {replies.not_due_yet}, no safe way {replies.no_safe_contact}, "
        f"no day named {replies.no_day_named}.",
    )


def _format_reading(words: str, reading: ReadingFigures) -> str:
    if not reading.read:
        return f"{words}: none read, {reading.unread} unread."
    return (
        f"{words}: {reading.read} read, {reading.unread} unread. "
        f"First read after {format_seconds(reading.median_seconds)} (median), "
        f"{format_seconds(reading.p90_seconds)} (nine of ten). Read the same day: {reading.same_day}."
    )
