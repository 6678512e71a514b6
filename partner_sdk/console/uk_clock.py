"""The clock of the United Kingdom, for the desk and for the console of a partner."""

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

UK: Final = ZoneInfo("Europe/London")
# Not from the locale: the pages are in English, and a machine may have any locale.
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def list_moments(local: datetime) -> list[datetime]:
    """Return the moments in UTC at which the clocks of the UK showed a time, the earlier one first.

    None for 01:30 on 29 March 2026, when they went forward, and two for 01:30 on 25 October 2026, when they went back.
    """
    moments = {local.replace(tzinfo=UK, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return [one for one in sorted(moments) if one.astimezone(UK).replace(tzinfo=None) == local]


def is_shown_twice(moment: datetime) -> bool:
    """Return whether the clocks of the UK showed the time of a moment twice on that day."""
    local = moment.astimezone(UK)
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


def format_uk_time(moment: datetime) -> str:
    """Return a time for people, e.g. `25 Nov 2026, 08:30 GMT`."""
    local = moment.astimezone(UK)
    return f"{local.day} {MONTHS[local.month - 1]} {local.year}, {local:%H:%M %Z}"
