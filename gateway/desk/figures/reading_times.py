"""Reading and reply times: counts and durations of the cases, never their content (R8).

Made-up cases are left out. Completeness of the reports is not here: the answers stay in their envelopes, and their
number is not stored.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from gateway.desk.cases.model import KEYED_IN, NO_SAFE_CONTACT, CaseRow, find_promised_day
from gateway.desk.cases.queue import ONLINE_CODE
from gateway.desk.uk_times import get_uk_day_of
from partner_sdk.wire.canonical import parse_time

DAYS: Final = 90  # back, unless another span is asked for


@dataclass(frozen=True, slots=True)
class ReadingFigures:
    """From received to first read. Times are None if nothing was read; `same_day` counts days of the UK."""

    read: int
    unread: int
    median_seconds: int | None
    p90_seconds: int | None
    same_day: int


@dataclass(frozen=True, slots=True)
class ReplyFigures:
    """Results of the promised replies; the parts add up to `owed`."""

    owed: int
    in_time: int
    late: int
    no_day_named: int
    no_safe_contact: int
    overdue: int
    not_due_yet: int


@dataclass(frozen=True, slots=True)
class DeskFigures:
    """The figures of the cases received in a span of time."""

    cases: int
    by_door: dict[str, int]
    by_channel: dict[str, int]
    by_priority: dict[str, int]
    public_reading: ReadingFigures
    industry_reading: ReadingFigures
    replies: ReplyFigures


def make_figures(cases: Sequence[CaseRow], *, today: date) -> DeskFigures:
    """Return the figures of real cases; `today` is the day in the UK."""
    real = [case for case in cases if not case.synthetic]
    return DeskFigures(
        cases=len(real),
        by_door=dict(sorted(Counter(case.door for case in real).items())),
        by_channel=dict(sorted(Counter(get_channel_group(case) for case in real).items())),
        by_priority=dict(sorted(Counter(case.priority for case in real).items())),
        public_reading=_count_reading([case for case in real if case.door == "public"]),
        industry_reading=_count_reading([case for case in real if case.door == "industry"]),
        replies=_count_replies([case for case in real if case.reply_owed], today=today),
    )


def get_channel_group(case: CaseRow) -> str:
    """Return how a report came: `online`, or by a person's hand as `phone`, `letter` or `visit`."""
    return case.channel if case.channel in KEYED_IN else ONLINE_CODE


def _count_reading(cases: Sequence[CaseRow]) -> ReadingFigures:
    read = [(case.received_at, case.opened_at) for case in cases if case.opened_at is not None]
    waits = sorted(int((parse_time(opened) - parse_time(received)).total_seconds()) for received, opened in read)
    return ReadingFigures(
        read=len(read),
        unread=len(cases) - len(read),
        median_seconds=find_quantile(waits, 0.5),
        p90_seconds=find_quantile(waits, 0.9),
        same_day=sum(get_uk_day_of(received) == get_uk_day_of(opened) for received, opened in read),
    )


def find_quantile(waits: Sequence[int], share: float) -> int | None:
    """Return the value at a share of sorted values, e.g. the median at 0.5; None if there are none."""
    # Nearest rank: a waiting time that really occurred, not one between two.
    return waits[max(0, math.ceil(share * len(waits)) - 1)] if waits else None


def _count_replies(cases: Sequence[CaseRow], *, today: date) -> ReplyFigures:
    kept = Counter(_judge_reply(case, today=today) for case in cases)
    return ReplyFigures(
        owed=len(cases),
        in_time=kept["in_time"],
        late=kept["late"],
        no_day_named=kept["no_day_named"],
        no_safe_contact=kept["no_safe_contact"],
        overdue=kept["overdue"],
        not_due_yet=kept["not_due_yet"],
    )


def _judge_reply(case: CaseRow, *, today: date) -> str:
    promised = find_promised_day(case)
    if case.reply_code == NO_SAFE_CONTACT:
        return "no_safe_contact"
    if promised is None:
        return "no_day_named"
    if case.reply_recorded_at is not None:
        return "in_time" if get_uk_day_of(case.reply_recorded_at) <= promised else "late"
    return "overdue" if today > promised else "not_due_yet"


def format_seconds(seconds: int | None) -> str:
    """Return a wait for people, e.g. `2 h 5 min`."""
    if seconds is None:
        return "no time"
    hours, rest = divmod(seconds, 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min"
