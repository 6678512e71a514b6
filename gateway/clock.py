"""The default clock: this machine's."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the current time in aware UTC."""
    return datetime.now(UTC)
