"""Times in the database: whole seconds since 1970 in UTC, the resolution that the wire has too."""

from datetime import UTC, datetime


def to_epoch_seconds(moment: datetime) -> int:
    """Return the stored form of an aware time; raise ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("A stored time must carry its zone.")
    return int(moment.timestamp())


def from_epoch_seconds(seconds: int) -> datetime:
    """Return the aware UTC time of a stored one."""
    return datetime.fromtimestamp(seconds, UTC)
