"""The desk's hours, in UK time with bank holidays, and who is on duty at a moment (R21)."""

from datetime import date, datetime, time
from functools import cache
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from gateway.web.settings import read_settings
from partner_sdk.wire.page_notice import PageTarget

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Nation = Literal["england-and-wales", "scotland", "northern-ireland"]

_HOURS_FILE: Final = Path(__file__).with_name("hours.toml")
_WEEKDAYS: Final[tuple[Weekday, ...]] = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)


class DeskHours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the desk itself is there."""

    checked_on: date
    source: str
    zone: str
    days: tuple[Weekday, ...]
    opens: time
    closes: time
    bank_holidays: Nation


class OutOfHours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who answers at other times."""

    checked_on: date
    source: str
    name: str


class BankHolidays(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """The days by nation, known until a day."""

    checked_on: date = msgspec.field(name="checked_on")
    source: str
    known_until: date = msgspec.field(name="known_until")
    england_and_wales: frozenset[date]
    scotland: frozenset[date]
    northern_ireland: frozenset[date]

    def of(self, nation: Nation) -> frozenset[date]:
        """Return the days of one nation."""
        days: frozenset[date] = getattr(self, nation.replace("-", "_"))
        return days


class Hours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`hours.toml`."""

    desk: DeskHours
    out_of_hours: OutOfHours
    bank_holidays: BankHolidays


@cache
def load_hours() -> Hours:
    """Return the hours of this release. Raises `SettingsError`."""
    return read_settings(_HOURS_FILE, kind=Hours)


def is_in_hours(now: datetime, *, hours: Hours | None = None) -> bool:
    """Return whether the desk is there: from the minute it opens until before the minute it closes."""
    hours = hours or load_hours()
    desk = hours.desk
    local = now.astimezone(ZoneInfo(desk.zone))
    return (
        _WEEKDAYS[local.weekday()] in desk.days
        and local.date() not in hours.bank_holidays.of(desk.bank_holidays)
        and desk.opens <= local.time() < desk.closes
    )


def get_target_on_duty(now: datetime) -> PageTarget:
    """Return who is paged at this moment."""
    return "desk" if is_in_hours(now) else "out_of_hours"
