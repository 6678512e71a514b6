"""What a person of the public was told: by when their report is read, and the day by which they hear from us.

The day is one of the United Kingdom: it was printed on a page there, and it ends at midnight there.
"""

from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from gateway.desk.cases.model import CaseError, CaseRow
from gateway.guidance.agency import Agency
from gateway.guidance.risk import combine
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.submission import PUBLIC_SENDER

UK: Final = ZoneInfo("Europe/London")
# Not from the locale: the desk reads English, and a server's locale may be any.
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def get_uk_day(moment: datetime) -> date:
    """Return the day that it is in the United Kingdom."""
    return moment.astimezone(UK).date()


def get_uk_day_of(text: str) -> date:
    """Return the day in the United Kingdom of a time as the desk stores it."""
    return get_uk_day(parse_time(text))


def parse_day(text: str) -> date:
    """Return a day that a person wrote like 2026-12-24. Raises `CaseError` (`bad-day`)."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CaseError("A day is written like 2026-12-24.", reason="bad-day") from None


def is_waiting(case: CaseRow) -> bool:
    """Return whether a reply is owed and none is recorded."""
    return case.reply_owed and case.reply_code is None and case.closed_at is None


def find_promised_day(case: CaseRow) -> date | None:
    """Return the day that the person was told, or None where no day was named."""
    return None if case.reply_by is None else date.fromisoformat(case.reply_by)


def find_read_by(case: CaseRow, agency: Agency) -> datetime | None:
    """Return when a report of the public is to be read by, or None for any other.

    It is worked out as the form does, with the hours of this desk. One that was raised later is to be read as soon as a
    crisis from then on, and never later than was promised first.
    """
    if case.partner != PUBLIC_SENDER or case.synthetic:
        return None
    is_crisis = combine(case.factors).crisis
    is_raised = case.crisis_since is not None and (case.crisis_since != case.collected_at or not is_crisis)
    read_by = agency.make_promise(parse_time(case.received_at), is_crisis=is_crisis and not is_raised).read_by
    if case.crisis_since is None or not is_raised:
        return read_by
    return min(read_by, agency.make_promise(parse_time(case.crisis_since), is_crisis=True).read_by)


def spell_read_by(case: CaseRow, agency: Agency, *, now: datetime) -> str:
    """Return it in words, e.g. `18:05 on Friday 27 November, which has passed`; empty where nothing was promised."""
    read_by = find_read_by(case, agency)
    if read_by is None:
        return ""
    is_past = case.opened_at is None and case.closed_at is None and now > read_by
    local = read_by.astimezone(agency.zone)
    return f"{local:%H:%M} on {spell_day(local.date())}{', which has passed' if is_past else ''}"


def count_days_late(case: CaseRow, *, today: date) -> int:
    """Return by how many days a reply that is still owed is late; 0 when it is not."""
    promised = find_promised_day(case)
    return 0 if promised is None or not is_waiting(case) else max(0, (today - promised).days)


def spell_day(day: date) -> str:
    """Return a day as the page for the person spells it, such as Friday 27 November."""
    return f"{_WEEKDAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]}"


def spell_lateness(days: int) -> str:
    """Return in words how late a reply is."""
    return "1 day late" if days == 1 else f"{days} days late"
