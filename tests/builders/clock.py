"""The one moment of the tests, and a clock that stands still at it."""

from datetime import UTC, datetime, timedelta

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
DAY = timedelta(days=1)


class StillClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **step: float) -> None:
        """Move the clock, as `timedelta` names its steps."""
        self.now += timedelta(**step)
