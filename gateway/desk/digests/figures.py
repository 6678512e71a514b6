"""Figures for the head of the desk: waits, replies, what left, open work and outcomes; and the trend of closed cases.

From times and codes of cases alone; nothing is opened. Never by person: a count of holders, without names. Exact, so
never for anyone outside the desk: a small number may point to one child. Partners get the digest instead.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, false, func, select

from gateway.desk.cases.actions.model import KIND_TITLES, TO_DESTINATIONS
from gateway.desk.cases.choices import AGE_BANDS, KINDS, OUTCOMES, WEAKNESSES, load_facts
from gateway.desk.cases.closing import CHILD_OUTCOMES
from gateway.desk.cases.model import NO_SAFE_CONTACT
from gateway.desk.digests.tables import NOT_STATED, list_outcomes_of_cases
from gateway.desk.keyring.key_set import Quarter, get_quarter_of
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.uk_times import format_uk_day, get_start_of, get_uk_day, get_uk_day_of
from gateway.desk.office.views.page import get_desk, parse_small_number, show_page, staff_rule
from gateway.desk.store.schema import CASE_ACTIONS, CASE_STEPS, CASES
from partner_sdk.console.uk_clock import UK
from partner_sdk.wire.canonical import format_time

# A time of fewer cases would be that of a person: it is not shown.
LEAST_CASES: Final = 5
_REACHED: Final = ("sent", "acknowledged", "answered", "withdrawn", "failed")
# The measures, each with its title.
MEASURES: Final = {
    "read": "First read",
    "assessed": "First assessment",
    "passed": "First passed on, as a package or by phone",
    "replied": "Reply, where one was owed",
}
# The results of promised replies, each with its title.
REPLIES: Final = {
    "in_time": "In time",
    "late": "Late",
    "overdue": "Overdue",
    "not_due_yet": "Not due yet",
    "no_safe_contact": "No safe way to reply",
    "no_day_named": "No day was named",
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
    replies: tuple[tuple[str, int], ...]  # each result of a promised reply with its cases


def make_waits(connection: Connection, *, since: datetime, today: date) -> CaseWaits:
    """Return the waits of real cases that were received since a time; `today` is the day in the UK."""
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
        *(CASES.c.reply_by, CASES.c.reply_code, CASES.c.reply_owed),
    )
    query = select(*columns, CASES.c.completeness).where(
        CASES.c.received_at >= format_time(since), CASES.c.synthetic == false(), CASES.c.joined_to.is_(None)
    )
    waits: defaultdict[tuple[str, bool], list[int]] = defaultdict(list)
    by_hour: list[list[int]] = [[] for _ in range(24)]
    arrived, complete, hours, replies = Counter[int](), list[int](), dict[str, int](), Counter[str]()
    for row in connection.execute(query):
        received, crisis, opened, first, told, sent, replied, promised, code, is_owed, share = row
        if is_owed:
            replies[_judge_reply(promised, code, replied, today=today)] += 1
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
        replies=tuple((title, replies[code]) for code, title in REPLIES.items()),
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


def find_quantile(waits: Sequence[int], share: float) -> int | None:
    """Return the value at a share of sorted values, e.g. the median at 0.5; None if there are none."""
    # Nearest rank: a waiting time that really occurred, not one between two.
    return waits[max(0, math.ceil(share * len(waits)) - 1)] if waits else None


def format_seconds(seconds: int) -> str:
    """Return a wait for people, e.g. `2 h 5 min`."""
    hours, rest = divmod(seconds, 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min"


def _judge_reply(promised: str | None, code: str | None, recorded_at: str | None, *, today: date) -> str:
    """Return the result of one promised reply, by the days of the UK."""
    if code == NO_SAFE_CONTACT:
        return "no_safe_contact"
    if promised is None:
        return "no_day_named"
    if recorded_at is not None:
        return "in_time" if get_uk_day_of(recorded_at).isoformat() <= promised else "late"
    return "overdue" if today.isoformat() > promised else "not_due_yet"


def _make_wait(title: str, seconds: Sequence[int]) -> Wait:
    ordered = sorted(seconds)
    is_shown = len(ordered) >= LEAST_CASES
    return Wait(
        title=title,
        count=len(ordered),
        median_seconds=find_quantile(ordered, 0.5) if is_shown else None,
        p90_seconds=find_quantile(ordered, 0.9) if is_shown else None,
    )


@dataclass(frozen=True, slots=True)
class ActionCounts:
    """The actions of one kind that were drafted in a span; an action counts in each state that it reached."""

    title: str
    drafted: int
    sent: int
    acknowledged: int
    answered: int
    withdrawn: int
    failed: int


def count_actions(connection: Connection, *, since: datetime) -> list[ActionCounts]:
    """Return the counts of every kind that was drafted since a time."""
    reached = [func.count(CASE_ACTIONS.c[f"{one}_at"]) for one in _REACHED]
    query = select(CASE_ACTIONS.c.kind, func.count(), *reached).where(CASE_ACTIONS.c.drafted_at >= format_time(since))
    found = {row[0]: row[1:] for row in connection.execute(query.group_by(CASE_ACTIONS.c.kind))}
    return [ActionCounts(title, *map(int, found[kind])) for kind, title in KIND_TITLES.items() if kind in found]


def count_child_outcomes(connection: Connection, *, since: datetime) -> list[tuple[str, int]]:
    """Return each outcome in words with the number of its cases, of those received since a time.

    A case may have several; one that was taken back does not count.
    """
    counts = Counter(code for one in list_outcomes_of_cases(connection, since=since) for code in one.codes)
    return [(title, counts[code]) for code, title in CHILD_OUTCOMES.items()]


# Title, labels, and the columns of a case that count for it.
_TABLES: Final = (
    ("Cases closed", (("all", "All"),), ()),
    ("Main kind of report", KINDS, ("kind",)),
    ("Weaknesses (a case may name two)", WEAKNESSES, ("weakness_1", "weakness_2")),
    ("Age of the child", AGE_BANDS, ("age_band",)),
    ("Outcome", OUTCOMES, ("outcome",)),
    *((fact.title, tuple(fact.answers.items()), (name,)) for name, fact in load_facts().items()),
)
_COLUMNS: Final = tuple(column for _, _, columns in _TABLES for column in columns)


@dataclass(frozen=True, slots=True)
class TrendRow:
    """The number of cases with one label in each quarter, the oldest first."""

    title: str
    counts: tuple[int, ...]

    @property
    def change(self) -> int:
        """The last quarter that is over less the one before: the newest one still runs, and is always behind."""
        return self.counts[-2] - self.counts[-3] if len(self.counts) > 2 else 0


@dataclass(frozen=True, slots=True)
class Trend:
    """One table of the trend. `quarters` are its columns, the oldest first."""

    title: str
    quarters: tuple[str, ...]
    rows: tuple[TrendRow, ...]


def make_trends(connection: Connection, *, last: Quarter, quarters: int) -> list[Trend]:
    """Return the trend over so many quarters, of which `last` is the newest and still runs."""
    spans = [last]
    while len(spans) < quarters:
        spans.insert(0, spans[0].previous())
    counted = [_count_quarter(connection, quarter) for quarter in spans]
    names = tuple(quarter.name for quarter in spans)
    return [Trend(title, names, tuple(_make_rows(labels, columns, counted))) for title, labels, columns in _TABLES]


def _make_rows(
    labels: Sequence[tuple[str, str]], columns: Sequence[str], counted: Sequence[Counter[tuple[str, str]]]
) -> list[TrendRow]:
    if not columns:
        return [TrendRow(title, tuple(one["all", code] for one in counted)) for code, title in labels]
    rows = [
        TrendRow(title, tuple(sum(one[column, code] for column in columns) for one in counted))
        for code, title in (*labels, (NOT_STATED, "Not stated"))
    ]
    return [row for row in rows if any(row.counts)]


def _count_quarter(connection: Connection, quarter: Quarter) -> Counter[tuple[str, str]]:
    """Return the number of closed cases by column and label, in one pass over the quarter."""
    answers = [CASES.c[column] for column in _COLUMNS]
    grouped = (
        select(*answers, func.count().label("cases"))
        .where(
            CASES.c.closed_at >= format_time(quarter.starts_at),
            CASES.c.closed_at < format_time(quarter.ends_at),
            CASES.c.synthetic == false(),
        )
        .group_by(*answers)
    )
    found: Counter[tuple[str, str]] = Counter()
    for row in connection.execute(grouped):
        found["all", "all"] += row.cases
        for column in _COLUMNS:
            code = row._mapping[column]
            if code or not column.startswith("weakness"):
                found[column, code or NOT_STATED] += row.cases
    return found


blueprint = Blueprint("figures", __name__)
SPANS: Final = (7, 28, 90)
QUARTERS: Final = 6


@blueprint.get("/figures")
@staff_rule(Permission.SEE_FIGURES)
def show_figures() -> ResponseReturnValue:
    """Show the figures of the cases received in the last so many days, `?days=`, or the trend, `?show=trends`."""
    desk = get_desk()
    if request.args.get("show") == "trends":
        with desk.store.read() as connection:
            trends = make_trends(connection, last=get_quarter_of(desk.clock()), quarters=QUARTERS)
        return show_page("trends.html", trends=trends, spans=SPANS)
    asked = parse_small_number(request.args.get("days", ""))
    days = asked if asked in SPANS else SPANS[-1]
    today = get_uk_day(desk.clock())
    first = today - timedelta(days=days - 1)
    with desk.store.read() as connection:
        waits = make_waits(connection, since=get_start_of(first), today=today)
        workload = count_workload(connection)
        leaving = count_actions(connection, since=get_start_of(first))
        child_outcomes = count_child_outcomes(connection, since=get_start_of(first))
    return show_page(
        "figures.html",
        child_outcomes=child_outcomes,
        leaving=leaving,
        as_of=format_time(desk.clock()),
        days=days,
        first_day=format_uk_day(first),
        format_seconds=format_seconds,
        least=LEAST_CASES,
        most_arrived=max(waits.arrived, default=0),
        spans=SPANS,
        waits=waits,
        workload=workload,
    )
