"""Counts without a trace: how often a campaign's link was followed, and how the form was to fill in.

Never keeps who, when or from where: a word, a week and a number. Never counts in practice, where nothing is kept.
Never keeps a page waiting for a busy disk.
"""

from datetime import datetime

from gateway.public.door import PublicDoor
from gateway.public.navigation import Opinion
from gateway.store import StorageUnavailableError
from gateway.store.counts import add_count
from gateway.web.logs import log_failure


def count_campaign(door: PublicDoor, word: str) -> None:
    """Count a link that carries one of the agency's own words (R31); any other word is dropped, never stored.

    A network over its limit is not counted any more: each count is a write, and writers stand in one line with Send.
    """
    if word in door.campaigns and not door.is_practice and not door.limits.limit_state("public-campaign").is_over:
        _count(door, f"campaign:{word}")


def count_opinion(door: PublicDoor, opinion: Opinion) -> None:
    """Count one answer to 'Was this OK to fill in?' (R34)."""
    _count(door, f"form-was-ok:{opinion}")


def say_week(now: datetime) -> str:
    """Return the ISO 8601 week of a moment, like `2026-W48`."""
    year, week, _ = now.isocalendar()
    return f"{year}-W{week:02}"


def _count(door: PublicDoor, name: str) -> None:
    if door.is_practice:
        return
    try:
        with door.store.write() as connection:
            add_count(connection, name=name, week=say_week(door.clock()))
    except StorageUnavailableError as error:
        # A number that is one too small is no reason to show a child an error.
        log_failure(error, event="count-lost")
