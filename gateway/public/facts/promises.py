"""Reads what the thank-you page may promise from `promises.toml`, and turns it into a day that a child can read."""

import tomllib
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

PROMISES_FILE = Path(__file__).with_name("promises.toml")


class Promises(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a report is read, and when a child hears from us."""

    read_within: Literal["today", "soon"]
    child_reply_days: int
    decided_by: str
    checked_on: date
    accessibility_checked_on: date

    def get_reply_day(self, sent_at: datetime) -> date:
        """Return the last day on which an answer is due."""
        return sent_at.date() + timedelta(days=self.child_reply_days)


def load_promises(path: Path = PROMISES_FILE) -> Promises:
    """Load the promises; an unknown key or a missing date is an error at the start, not on a child's page."""
    return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Promises)
