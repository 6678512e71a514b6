"""How long people waited, by lane and by hour of arrival, how complete reports were, and how much work is open.

From times and codes of cases alone; nothing is opened. Never by person: a count of holders, without names.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, false, func, select

from gateway.desk.actions.model import TO_DESTINATIONS
from gateway.desk.figures.reading_times import find_quantile
from gateway.desk.store.schema import CASE_ACTIONS, CASE_STEPS, CASES
from partner_sdk.uk_clock import UK
from partner_sdk.wire.canonical import format_time

# A time of fewer cases would be that of a person: it is not shown.
LEAST_CASES: Final = 5
# The measures, each with its title.
MEASURES: Final = {
    "read": "First read",
    "assessed": "First assessment",
    "passed": "First passed on, as a package or by phone",
    "replied": "Reply, where one was owed",
}
LANES: Final = {True: "Crisis lane", False: "Other cases"}


@dataclass(frozen=True, slots=True)
class Wait:
    """How long `count` cases waited. The times are None for fewer than `LEAST_CASES`."""

    title: str
    count: int
    median_seconds: int | None
    p90_seconds: int | None


@dataclass(frozen=True, slots=True)
class Waits:
    """The waits of one measure by lane."""

    title: str
    lanes: tuple[Wait, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """The open cases now. `held` have a holder; `holders` counts those people, and `most` is the most that one has."""

    crisis: int
    others: int
    held: int
    holders: int
    most: int


@dataclass(frozen=True, slots=True)
class CaseWaits:
    """The figures of the cases received in a span. `hours` are the 24 hours of the UK's day: waits to assessment."""

    received: int
    measures: tuple[Waits, ...]
    hours: tuple[Wait, ...]
    arrived: tuple[int, ...]
    completeness: tuple[int, int | None]  # of partners' reports: their number, and the median in per cent


def make_waits(connection: Connection, *, since: datetime) -> CaseWaits:
    """Return the waits of real cases that were received since a time."""
    # By the index of each case's steps: the newest weeks of a desk of years need no look at the steps of the rest.
    first_assessed = (
        select(func.min(CASE_STEPS.c.at))
        .where(CASE_STEPS.c.case_id == CASES.c.case_id, CASE_STEPS.c.kind == "assess")
        .scalar_subquery()
    )
    first_told = (
        select(func.min(CASE_STEPS.c.at))
        .where(CASE_STEPS.c.case_id == CASES.c.case_id, CASE_STEPS.c.kind == "pass-on")
        .scalar_subquery()
    )
    first_sent = (
        select(func.min(CASE_ACTIONS.c.sent_at))
        .where(CASE_ACTIONS.c.case_id == CASES.c.case_id, CASE_ACTIONS.c.kind.in_(TO_DESTINATIONS))
        .scalar_subquery()
    )
    columns = (
        *(CASES.c.received_at, CASES.c.crisis, CASES.c.opened_at, first_assessed, first_told, first_sent),
        CASES.c.reply_recorded_at,
    )
    query = select(*columns, CASES.c.reply_owed, CASES.c.completeness).where(
        CASES.c.received_at >= format_time(since), CASES.c.synthetic == false(), CASES.c.joined_to.is_(None)
    )
    waits: defaultdict[tuple[str, bool], list[int]] = defaultdict(list)
    by_hour: list[list[int]] = [[] for _ in range(24)]
    arrived, complete, hours = Counter[int](), list[int](), dict[str, int]()
    for received, crisis, opened, first, told, sent, replied, is_owed, share in connection.execute(query):
        at = datetime.fromisoformat(received)
        # A time zone costs more than all else here: once for each hour that occurs.
        hour = hours.setdefault(received[:13], -1)
        if hour < 0:
            hour = hours[received[:13]] = at.astimezone(UK).hour
        arrived[hour] += 1
        for name, done in (
            *(("read", opened), ("assessed", first)),
            ("passed", min(filter(None, (told, sent)), default=None)),
            ("replied", replied if is_owed else None),
        ):
            if done is not None:
                passed = max(0, int((datetime.fromisoformat(done) - at).total_seconds()))
                waits[name, bool(crisis)].append(passed)
                if name == "assessed":
                    by_hour[hour].append(passed)
        if share is not None:
            complete.append(share)
    return CaseWaits(
        received=arrived.total(),
        measures=tuple(
            Waits(title, tuple(_make_wait(lane_title, waits[name, lane]) for lane, lane_title in LANES.items()))
            for name, title in MEASURES.items()
        ),
        hours=tuple(_make_wait(f"{hour:02}:00", found) for hour, found in enumerate(by_hour)),
        arrived=tuple(arrived[hour] for hour in range(24)),
        completeness=(len(complete), find_quantile(sorted(complete), 0.5) if len(complete) >= LEAST_CASES else None),
    )


def count_workload(connection: Connection) -> Workload:
    """Return the open cases now, by lane and by whether a person has them."""
    query = (
        select(CASES.c.crisis, CASES.c.holder, func.count())
        .where(CASES.c.closed_at.is_(None), CASES.c.joined_to.is_(None))  # a made-up case is closed
        .group_by(CASES.c.crisis, CASES.c.holder)
    )
    lanes, held = Counter[bool](), Counter[str]()
    for crisis, holder, count in connection.execute(query):
        lanes[bool(crisis)] += count
        if holder is not None:
            held[holder] += count
    return Workload(
        crisis=lanes[True],
        others=lanes[False],
        held=held.total(),
        holders=len(held),
        most=max(held.values(), default=0),
    )


def _make_wait(title: str, seconds: Sequence[int]) -> Wait:
    ordered = sorted(seconds)
    is_shown = len(ordered) >= LEAST_CASES
    return Wait(
        title=title,
        count=len(ordered),
        median_seconds=find_quantile(ordered, 0.5) if is_shown else None,
        p90_seconds=find_quantile(ordered, 0.9) if is_shown else None,
    )
