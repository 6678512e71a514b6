"""The command that says how fast reports are read and whether replies came by the day that was promised (R8)."""

import argparse
from dataclasses import asdict
from datetime import timedelta
from typing import Final

from gateway.desk.cases.figures import ReadingFigures, make_figures
from gateway.desk.cases.model import get_uk_day, get_uk_day_of, list_cases
from gateway.desk.terminal import Commands, add_command, print_result
from gateway.desk.wiring import open_desk

DAYS: Final = 90


def run_figures(parsed: argparse.Namespace) -> int:
    """Run `figures`, and return its exit code."""
    desk = open_desk(parsed.state)
    today = get_uk_day(desk.clock())
    since = today - timedelta(days=parsed.days - 1)
    with desk.store.read() as connection:
        cases = [case for case in list_cases(connection, state="all") if get_uk_day_of(case.received_at) >= since]
    figures = make_figures(cases, today=today)
    doors = ", ".join(f"{count} {door}" for door, count in figures.by_door.items()) or "none"
    replies = figures.replies
    return print_result(
        parsed,
        {"figures": asdict(figures), "since": since.isoformat(), "until": today.isoformat()},
        f"Received from {since} to {today}: {figures.cases} ({doors}).",
        _format_reading("Reports of the public", figures.public_reading),
        _format_reading("Reports of partners", figures.industry_reading),
        f"Replies promised: {replies.owed}. In time {replies.in_time}, late {replies.late}, overdue {replies.overdue}, "
        f"not due yet {replies.not_due_yet}, no safe way {replies.no_safe_contact}, "
        f"no day named {replies.no_day_named}.",
    )


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's command."""
    figures = add_command(commands, "figures", run=run_figures, example="--days 30 --json")
    figures.add_argument("--days", type=_parse_days, default=DAYS, metavar="N", help="how many days back (default 90)")


def _parse_days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 36_500:
        raise argparse.ArgumentTypeError("between 1 and 36,500 days")
    return days


def _format_reading(words: str, reading: ReadingFigures) -> str:
    if not reading.read:
        return f"{words}: none read, {reading.unread} unread."
    return (
        f"{words}: {reading.read} read, {reading.unread} unread. "
        f"First read after {_format_seconds(reading.median_seconds)} (median), "
        f"{_format_seconds(reading.p90_seconds)} (nine of ten). On the day they came: {reading.same_day}."
    )


def _format_seconds(seconds: int | None) -> str:
    if seconds is None:
        return "no time"
    hours, rest = divmod(seconds, 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min"
