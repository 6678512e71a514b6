"""Calendar quarters and years in UTC: the fixed periods that a digest may cover.

Never takes a range of dates from a caller: a reader could subtract two overlapping periods from each other. A year is
four whole quarters, and its digest adds up their draws.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from partner_sdk.errors import ReportAbuseError

_SPELLING = re.compile(r"(20\d\d)-Q([1-4])")
_YEAR_SPELLING = re.compile(r"20\d\d")


class QuarterError(ReportAbuseError):
    """A quarter is malformed or has not ended yet."""


@dataclass(frozen=True, slots=True, order=True)
class Quarter:
    """One quarter of one year; sorts by time."""

    year: int
    number: int

    @property
    def name(self) -> str:
        """Its only spelling, e.g. `2026-Q3`."""
        return f"{self.year}-Q{self.number}"

    @property
    def starts_at(self) -> datetime:
        """The first moment of the quarter."""
        return datetime(self.year, 3 * self.number - 2, 1, tzinfo=UTC)

    @property
    def ends_at(self) -> datetime:
        """The first moment of the next quarter."""
        return self.next().starts_at

    @property
    def first_day(self) -> date:
        """The first day, for people."""
        return self.starts_at.date()

    @property
    def last_day(self) -> date:
        """The last day, for people."""
        return (self.ends_at - timedelta(days=1)).date()

    @property
    def span(self) -> Literal["quarter"]:
        """Its length in one word."""
        return "quarter"

    @property
    def quarters(self) -> "tuple[Quarter, ...]":
        """Itself, as a year lists its four."""
        return (self,)

    def has(self, moment: datetime) -> bool:
        """Return whether an aware time is in the quarter."""
        return self.starts_at <= moment < self.ends_at

    def next(self) -> "Quarter":
        """Return the quarter after this one."""
        return Quarter(self.year + 1, 1) if self.number == 4 else Quarter(self.year, self.number + 1)

    def previous(self) -> "Quarter":
        """Return the quarter before this one."""
        return Quarter(self.year - 1, 4) if self.number == 1 else Quarter(self.year, self.number - 1)


@dataclass(frozen=True, slots=True)
class Year:
    """One calendar year."""

    year: int

    @property
    def name(self) -> str:
        """Its only spelling, e.g. `2026`."""
        return f"{self.year}"

    @property
    def span(self) -> Literal["year"]:
        """Its length in one word."""
        return "year"

    @property
    def quarters(self) -> tuple[Quarter, ...]:
        """Its four quarters in order."""
        return tuple(Quarter(self.year, number) for number in range(1, 5))

    @property
    def ends_at(self) -> datetime:
        """The first moment after it."""
        return self.quarters[-1].ends_at

    @property
    def first_day(self) -> date:
        """The first day, for people."""
        return self.quarters[0].first_day

    @property
    def last_day(self) -> date:
        """The last day, for people."""
        return self.quarters[-1].last_day

    def previous(self) -> "Year":
        """Return the year before this one."""
        return Year(self.year - 1)


Period = Quarter | Year


def parse_period(text: str) -> Period:
    """Return the period of `2026-Q3` or `2026`, or raise `QuarterError`."""
    return Year(int(text)) if _YEAR_SPELLING.fullmatch(text) else parse_quarter(text)


def parse_quarter(text: str) -> Quarter:
    """Return the quarter of `2026-Q3`, or raise `QuarterError`."""
    match = _SPELLING.fullmatch(text)
    if match is None:
        raise QuarterError("Write the quarter like this: 2026-Q3.", reason="unknown-quarter")
    return Quarter(int(match[1]), int(match[2]))


def get_quarter_of(moment: datetime) -> Quarter:
    """Return the quarter of an aware time."""
    moment = moment.astimezone(UTC)
    return Quarter(moment.year, (moment.month + 2) // 3)


def get_last_closed_quarter(now: datetime) -> Quarter:
    """Return the newest quarter that a digest may cover."""
    return get_quarter_of(now).previous()


def check_closed(period: Period, *, now: datetime) -> None:
    """Raise `QuarterError` while the period still runs: its counts could change after publication."""
    if now < period.ends_at:
        raise QuarterError(
            (
                f"{period.name} runs until {period.last_day.isoformat()}. A digest covers only a "
                f"{period.span} that has ended."
            ),
            reason="quarter-not-closed",
        )
