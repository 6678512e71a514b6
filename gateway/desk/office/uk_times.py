"""Times for people at the desk: United Kingdom time with its zone, and the time that has passed.

The zone is always named, because the clocks change twice a year and reports come from every country.
"""

import calendar
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal

from partner_sdk.console.uk_clock import MONTHS, UK, is_shown_twice, list_moments
from partner_sdk.console.uk_clock import format_uk_time as format_moment
from partner_sdk.errors import RefusalError
from partner_sdk.wire.canonical import parse_time

_MONTHS_A_YEAR: Final = len(MONTHS)
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
# Up to here the finer unit is the clearer one: "47 h" says more about a promise of two days than "1 d".
_HOURS_UNTIL: Final = timedelta(hours=48)
# A clock time as people type it: 14:05, 14.05, 9:05, 0105 BST.
_CLOCK: Final = re.compile(r"([01]?\d|2[0-3])[:.]?([0-5]\d)(?: (GMT|BST))?", re.IGNORECASE | re.ASCII)


UkTimeReason = Literal["bad-day", "bad-time", "no-such-time", "time-twice"]


class UkTimeError(RefusalError[UkTimeReason]):
    """A typed day or time is not one of the United Kingdom; the message says how to write it."""


def get_uk_day(moment: datetime) -> date:
    """Return the current day in the United Kingdom."""
    return moment.astimezone(UK).date()


def get_uk_day_of(text: str) -> date:
    """Return the day in the United Kingdom of a stored time."""
    return get_uk_day(parse_time(text))


def parse_uk_time(day: str, clock: str) -> datetime:
    """Return a typed UK day and time, e.g. `2026-10-25` and `01:30 BST`, in UTC.

    Raises `UkTimeError`: `bad-day`, `bad-time`, `no-such-time` (the clocks go forward) and `time-twice` (back).
    """
    try:
        typed_day = date.fromisoformat(day)
    except ValueError:
        raise UkTimeError("Write the day like this: 2026-12-24.", reason="bad-day") from None
    found = _CLOCK.fullmatch(clock.strip())
    if found is None:
        raise UkTimeError("Write the time like this: 14:05.", reason="bad-time")
    local = datetime.combine(typed_day, time(int(found[1]), int(found[2])))
    zone = (found[3] or "").upper()
    fits = [one for one in list_moments(local) if zone in ("", one.astimezone(UK).tzname())]
    if not fits:
        raise UkTimeError("The clocks of the UK did not show this time on that day.", reason="no-such-time")
    if len(fits) > 1:
        raise UkTimeError(
            "The clocks showed this time twice: add BST for the first, GMT for the second.", reason="time-twice"
        )
    return fits[0]


def format_typed_time(moment: datetime) -> tuple[str, str]:
    """Return the UK day and time of a moment as `parse_uk_time` takes them; the zone where the time came twice."""
    local = moment.astimezone(UK)
    return f"{local:%Y-%m-%d}", f"{local:%H:%M %Z}" if is_shown_twice(moment) else f"{local:%H:%M}"


def get_day_start(now: datetime) -> datetime:
    """Return the beginning of the current day in the United Kingdom."""
    return get_start_of(now.astimezone(UK).date())


def get_start_of(day: date) -> datetime:
    """Return the beginning of a day in the United Kingdom, in UTC."""
    return datetime.combine(day, time(), tzinfo=UK).astimezone(UTC)


def add_months(day: date, months: int) -> date:
    """Return the day so many months later; the last day of a shorter month, e.g. 29 February to 28 February."""
    year, month = divmod(day.year * _MONTHS_A_YEAR + day.month - 1 + months, _MONTHS_A_YEAR)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def format_uk_day(day: date | str) -> str:
    """Return a day, also one stored as text, e.g. `1 February 2027`."""
    return f"{date.fromisoformat(day) if isinstance(day, str) else day:%-d %B %Y}"


def format_uk_day_of(text: str) -> str:
    """Return the UK day of a stored time, e.g. `1 July 2026` for `2026-06-30T23:30:00Z`."""
    return format_uk_day(parse_time(text).astimezone(UK).date())


def format_uk_time(text: str) -> str:
    """Return a stored time as UK time, e.g. `25 Nov 2026, 08:30 GMT`."""
    return format_moment(parse_time(text))


def format_short_time(text: str, *, now: datetime) -> str:
    """Return a stored time without its year if that is this year, e.g. `25 Nov, 08:30 GMT`."""
    local = parse_time(text).astimezone(UK)
    year = "" if local.year == now.astimezone(UK).year else f" {local.year}"
    return f"{local.day} {MONTHS[local.month - 1]}{year}, {local:%H:%M %Z}"


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
