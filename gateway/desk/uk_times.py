"""Times for people at the desk: United Kingdom time with its zone, and the time that has passed.

The zone is always named, because the clocks change twice a year and reports come from every country.
"""

from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from partner_sdk.wire.canonical import parse_time

UK: Final = ZoneInfo("Europe/London")
# Not from the locale: the desk is in English, and a server may have any locale.
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
# Up to here the finer unit is the clearer one: "47 h" says more about a promise of two days than "1 d".
_HOURS_UNTIL: Final = timedelta(hours=48)


def get_day_start(now: datetime) -> datetime:
    """Return the beginning of the current day in the United Kingdom."""
    return datetime.combine(now.astimezone(UK).date(), time(), tzinfo=UK).astimezone(UTC)


def format_uk_time(text: str) -> str:
    """Return a stored time as UK time, e.g. `25 Nov 2026, 08:30 GMT`."""
    local = parse_time(text).astimezone(UK)
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}, {local:%H:%M %Z}"


def format_short_time(text: str, *, now: datetime) -> str:
    """Return a stored time without its year if that is this year, e.g. `25 Nov, 08:30 GMT`."""
    local = parse_time(text).astimezone(UK)
    year = "" if local.year == now.astimezone(UK).year else f" {local.year}"
    return f"{local.day} {_MONTHS[local.month - 1]}{year}, {local:%H:%M %Z}"


def format_passed(text: str, *, now: datetime) -> str:
    """Return the time since a stored time, e.g. `under a minute`, `12 min`, `47 h`, `3 days`."""
    passed = now - parse_time(text)
    if passed < _MINUTE:
        return "under a minute"
    if passed < _HOUR:
        return f"{passed // _MINUTE} min"
    if passed < _HOURS_UNTIL:
        return f"{passed // _HOUR} h"
    return f"{passed // _DAY} days"
