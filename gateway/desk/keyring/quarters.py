"""Calendar quarters in UTC: the fixed periods that a digest may cover; they never overlap.

Never takes a range of dates from a caller: a reader could subtract two overlapping periods from each other.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from partner_sdk.errors import ReportAbuseError

_SPELLING = re.compile(r"(20\d\d)-Q([1-4])")


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

    def has(self, moment: datetime) -> bool:
        """Return whether an aware time is in the quarter."""
        return self.starts_at <= moment < self.ends_at

    def next(self) -> "Quarter":
        """Return the quarter after this one."""
        return Quarter(self.year + 1, 1) if self.number == 4 else Quarter(self.year, self.number + 1)

    def previous(self) -> "Quarter":
        """Return the quarter before this one."""
        return Quarter(self.year - 1, 4) if self.number == 1 else Quarter(self.year, self.number - 1)


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


def check_closed(quarter: Quarter, *, now: datetime) -> None:
    """Raise `QuarterError` while the quarter still runs: its counts could change after publication."""
    if now < quarter.ends_at:
        raise QuarterError(
            (
                f"{quarter.name} runs until {quarter.last_day.isoformat()}. A digest covers only a "
                "quarter that has ended."
            ),
            reason="quarter-not-closed",
        )
