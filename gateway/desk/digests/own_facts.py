"""A partner's own facts in its digest: its reports and their completeness, our questions, the checks of its button.

Exact and free of privacy cost: the partner sent, received or shows each of these itself. Never counts anything of
another partner, or of a report that a person made, and never reads an assessor's answer: that may come from another
sender's report of the same incident.

Eligibility for a digest: agreed places of the button, or a significant number of incidents.

A partner is eligible if it adopted the button, or has a significant number of incidents (R43). The second test reads
the noisy total only, so testing a small partner reveals no more than the tables do.

The total is the sum of the draws of all kinds with what is below zero: cut off first, it would lift a partner without
incidents. Eight draws of epsilon 0.55 have a standard error of 7.2 together, so with a
threshold of 60 a partner with 40 incidents is eligible in 0.5 % of quarters, one with 80 in 99.6 %, and one without any
never (5 in 10^10); with 60 it is about every second one.

Counted places are those agreed in the register, never those found in cases. A label is the link id, its title the
surface and the position: both were agreed with the service itself. Nothing else of the register is in a digest, not an
address, a state, a reason or the result of a check.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, func, select

from gateway.desk.digests.tables import NOT_STATED
from gateway.desk.keyring.key_set import Period, Quarter, get_quarter_of
from gateway.desk.office.config import SIGNIFICANT_INCIDENTS
from gateway.desk.partners.placement_checks import BY_RUNNER
from gateway.desk.partners.placement_register import PlacementRow, format_place, list_placements, to_placement
from gateway.desk.store.agency_tables import ENROLMENTS, OUTCOME_SIGNALS, PARTNERS, PLACEMENT_CHECKS, PLACEMENTS
from gateway.desk.store.schema import CASE_ACTIONS, CASES, QUARANTINE
from partner_sdk.report.outline import get_field
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.digest import DigestCell, DigestTable
from partner_sdk.wire.signing import Environment

_HOUR: Final = 3600
# The quarter of a digest and those before it. Fixed labels, so that digests can stand beside each other.
_QUARTER_LABELS: Final = ("completeness", "one_quarter_before", "two_quarters_before", "three_quarters_before")
_MOST_FIELDS: Final = 5
_CHECK_TITLES: Final = {
    "passes": "Checks that found the button as agreed",
    "faults": "Checks that found a fault",
    "unreachable": "Checks that could not load the page",
}


@dataclass(frozen=True, slots=True)
class OwnFacts:
    """The exact tables of a partner's digest, and its own reports by the kind stated in each."""

    tables: list[DigestTable]
    stated_kinds: dict[str, int]


def read_own_facts(connection: Connection, *, partner: str, environment: Environment, period: Period) -> OwnFacts:
    """Return a partner's own facts in a period; a table without any figure is left out, but never its reports."""
    own = _read_reports(connection, partner, environment, period)
    asked = {"partner": partner, **_within(period)}
    questions = _judge_answers(connection.execute(_QUESTIONS, asked).all())
    results = {row.result: row.number for row in connection.execute(_CHECKS, asked)}
    checks = [
        make_exact_cell(code, title=title, value=results.get(code, 0))
        for code, title in _CHECK_TITLES.items()
        if results
    ]
    completeness, missing = _measure_reports(own, period)
    reports = [
        *_count_reports(own, period),
        make_exact_cell(
            "set_aside",
            title="Reports that we could not read as sent",
            value=connection.execute(_UNREAD, asked).scalar_one(),
        ),
        make_exact_cell(
            "outcomes", title="Outcomes that we sent you", value=connection.execute(_OUTCOMES, asked).scalar_one()
        ),
    ]
    tables = [
        _make_table("door", "Your own reports to the industry door", reports, note="You hold a receipt for each."),
        _make_table(
            "completeness",
            "Completeness of your reports, by quarter",
            completeness,
            note="The mean over your reports, later ones about the same incident left out: of the fields that police "
            "use, the share with a value or with the reason why you have none.",
        ),
        _make_table(
            "missing_fields",
            "What your reports lacked most often",
            missing,
            note="Of the fields that police use most, in this period.",
        ),
        _make_table(
            "questions",
            "Our questions to you",
            questions,
            note="Asked in this period. The median is of the answered ones, from the question to its first answer.",
        ),
        _make_table(
            "checks",
            "Checks of your button",
            checks,
            note="By our checker, of the pages agreed with you, in this period.",
        ),
    ]
    shown = [tables[0], *(table for table in tables[1:] if table.cells)]
    return OwnFacts(shown, _count_stated_kinds(own, period))


def _make_table(name: str, title: str, cells: list[DigestCell], *, note: str) -> DigestTable:
    return DigestTable(name, title, exact=True, epsilon_micro=0, sensitivity=1, cells=cells, note=note)


def _read_reports(
    connection: Connection, partner: str, environment: Environment, period: Period
) -> dict[Quarter, list[Row[Any]]]:
    """Return the numbers of a partner's own reports by the quarter in which they came: those of this period, of the
    one before, and of every quarter whose completeness is shown."""
    first = min(period.previous().quarters[0], _list_measured(period)[-1], key=lambda quarter: quarter.starts_at)
    asked = {
        "partner": partner,
        "environment": environment,
        "starts_at": format_time(first.starts_at),
        "ends_at": format_time(period.ends_at),
    }
    found: defaultdict[Quarter, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(_REPORTS, asked):
        found[get_quarter_of(parse_time(f"{row.day}T00:00:00Z"))].append(row)
    return found


def _list_measured(period: Period) -> list[Quarter]:
    """Return the quarters whose completeness is shown, the newest first."""
    quarters = [period.quarters[-1]]
    while len(quarters) < len(_QUARTER_LABELS):
        quarters.append(quarters[-1].previous())
    return quarters


def _list_rows(own: Mapping[Quarter, Sequence[Row[Any]]], period: Period) -> list[Row[Any]]:
    return [row for quarter in period.quarters for row in own.get(quarter, ())]


def _count_reports(own: Mapping[Quarter, Sequence[Row[Any]]], period: Period) -> list[DigestCell]:
    sent, before = (sum(row.number for row in _list_rows(own, one)) for one in (period, period.previous()))
    return [
        make_exact_cell("industry", title="Reports that you sent", value=sent),
        make_exact_cell("industry_before", title=f"The same in {period.previous().name}", value=before),
    ]


def _count_stated_kinds(own: Mapping[Quarter, Sequence[Row[Any]]], period: Period) -> dict[str, int]:
    """Return the partner's own reports of the period by the kind stated in each, e.g. `{"grooming": 3}`.

    Later ones about an earlier report do not count.
    """
    found: Counter[str] = Counter()
    for row in _list_rows(own, period):
        if row.report_kind == "initial":
            found[row.stated_kind or NOT_STATED] += row.number
    return dict(found)


def _measure_reports(
    own: Mapping[Quarter, Sequence[Row[Any]]], period: Period
) -> tuple[list[DigestCell], list[DigestCell]]:
    """Return the mean completeness in the last quarters, the newest first, and the fields lacking in this period."""
    means = []
    for label, quarter in zip(_QUARTER_LABELS, _list_measured(period), strict=True):
        rows = own.get(quarter, ())
        number, score = sum(row.measured for row in rows), sum(int(row.score or 0) for row in rows)
        if number:
            mean = (2 * score + number) // (2 * number)
            reports = "1 report" if number == 1 else f"{number:,} reports"
            means.append(make_exact_cell(label, title=f"{quarter.name} ({reports})", value=mean, shown=f"{mean} %"))
    lacking: Counter[str] = Counter()
    total = 0
    for row in _list_rows(own, period):
        total += row.measured
        for field in row.missing_fields.split() if row.measured else ():
            lacking[field] += row.measured
    # Of equally frequent ones the first by name, so that the same reports give the same digest.
    frequent = sorted(lacking.items(), key=lambda one: (-one[1], one[0]))[:_MOST_FIELDS]
    return means, [
        make_exact_cell(field, title=describe_field(field), value=number, shown=f"{number:,} of {total:,}")
        for field, number in frequent
    ]


def _judge_answers(questions: Sequence[Any]) -> list[DigestCell]:
    if not questions:
        return []
    answered = [row for row in questions if row.answered_at is not None]
    late = sum(row.answered_at > row.due_at for row in answered)
    cells = [
        make_exact_cell("asked", title="Questions that we asked", value=len(questions)),
        make_exact_cell("answered", title="Answered", value=len(answered)),
        make_exact_cell("late", title="Answered after the day they were due", value=late),
        make_exact_cell("open", title="Without an answer when this was counted", value=len(questions) - len(answered)),
    ]
    if answered:
        waits = sorted((parse_time(row.answered_at) - parse_time(row.sent_at)).total_seconds() for row in answered)
        # Nearest rank, as in the desk's own figures: a wait that really occurred.
        hours = math.ceil(waits[math.ceil(len(waits) / 2) - 1] / _HOUR)
        shown = f"{hours} hour" if hours == 1 else f"{hours} hours"
        cells.append(make_exact_cell("median_hours", title="Median time to an answer", value=hours, shown=shown))
    return cells


def _within(period: Period) -> dict[str, str]:
    return {"starts_at": format_time(period.quarters[0].starts_at), "ends_at": format_time(period.ends_at)}


def _make_span(column: Any) -> ColumnElement[bool]:
    return and_(column >= bindparam("starts_at"), column < bindparam("ends_at"))


# One pass over a partner's own reports; with the environment, both databases find them by the index of a sender.
_DAY: Final = func.substr(CASES.c.received_at, 1, len("2026-11-28"))
_KEYS: Final = (_DAY.label("day"), CASES.c.report_kind, CASES.c.stated_kind, CASES.c.missing_fields)
_REPORTS: Final = (
    select(
        *_KEYS,
        func.count().label("number"),
        func.count(CASES.c.completeness).label("measured"),
        func.sum(CASES.c.completeness).label("score"),
    )
    .where(
        CASES.c.environment == bindparam("environment"),
        CASES.c.partner == bindparam("partner"),
        CASES.c.door == "industry",
        CASES.c.synthetic.is_(False),
        _make_span(CASES.c.received_at),
    )
    .group_by("day", *_KEYS[1:])
)
_UNREAD: Final = select(func.count()).where(
    QUARANTINE.c.claimed_partner == bindparam("partner"),
    QUARANTINE.c.is_proven.is_(True),
    _make_span(QUARANTINE.c.quarantined_at),
)
# A released outcome is known to the partner only once its message is written.
_OUTCOMES: Final = select(func.count()).where(
    OUTCOME_SIGNALS.c.partner == bindparam("partner"),
    OUTCOME_SIGNALS.c.message_id.is_not(None),
    _make_span(OUTCOME_SIGNALS.c.released_at),
)
# Only those that the partner got, and that the desk did not take back.
_QUESTIONS: Final = select(CASE_ACTIONS.c.sent_at, CASE_ACTIONS.c.due_at, CASE_ACTIONS.c.answered_at).where(
    CASE_ACTIONS.c.kind.in_(("information-request", "preservation-request")),
    CASE_ACTIONS.c.recipient == bindparam("partner"),
    CASE_ACTIONS.c.state != "withdrawn",
    _make_span(CASE_ACTIONS.c.sent_at),
)
_CHECKS: Final = (
    select(PLACEMENT_CHECKS.c.result, func.count().label("number"))
    .join(PLACEMENTS, PLACEMENTS.c.placement == PLACEMENT_CHECKS.c.placement)
    .where(
        PLACEMENTS.c.owner == bindparam("partner"),
        # A person may import a check by hand after reading a child's report about that page; a runner's round is
        # the same with or without one.
        PLACEMENT_CHECKS.c.channel == BY_RUNNER,
        _make_span(PLACEMENT_CHECKS.c.checked_at),
    )
    .group_by(PLACEMENT_CHECKS.c.result)
)


DEFAULT_THRESHOLD: Final = SIGNIFICANT_INCIDENTS
# A cell takes up to about 700 bytes in a digest, which has 256 KiB. Places beyond this count as elsewhere.
MOST_PLACES: Final = 200
_DAY_LENGTH: Final = len("2026-11-28")
_OF_OWNER: Final = select(PLACEMENTS).where(PLACEMENTS.c.owner == bindparam("owner"))


def is_eligible(*, adopted: bool, drawn_total: int | None, threshold: int = DEFAULT_THRESHOLD) -> bool:
    """Return whether a digest may be made; one test is enough. Without the draw (lost), only the button counts."""
    return adopted or (drawn_total is not None and drawn_total >= threshold)


def has_adopted(connection: Connection, *, partner: str, quarter: Quarter) -> bool:
    """Return whether a partner shows the button by agreement: one of the two tests of eligibility (R43)."""
    return any(not _ended_before(row, quarter) for row in _list_all(connection, partner))


def find_joining_day(connection: Connection, *, partner: str) -> str | None:
    """Return the day from which the register knows a service, by its first keys or its first place; None without."""
    enrolled = select(func.min(ENROLMENTS.c.decided_at)).where(
        ENROLMENTS.c.partner == partner, ENROLMENTS.c.state == "approved"
    )
    # A rotation of keys renews `approved_at`, which stands in for enrolments that are not kept.
    approved = select(PARTNERS.c.approved_at).where(PARTNERS.c.partner == partner)
    first = connection.execute(enrolled).scalar() or connection.execute(approved).scalar()
    days = [row.agreed_on for row in _list_all(connection, partner)] + ([first[:_DAY_LENGTH]] if first else [])
    return min(days, default=None)


def list_adopters(connection: Connection) -> set[str]:
    """Return the owners of placements that have not ended."""
    return {row.owner for row in list_placements(connection, states=("agreed", "suspended"))}


def list_places(connection: Connection, *, partner: str, quarter: Quarter) -> tuple[tuple[str, str], ...]:
    """Return link id and title of each placement that existed in the quarter, the oldest agreement first.

    Suspended ones are included: the button was there, and earlier reports name it.
    """
    last_day = quarter.last_day.isoformat()
    rows = [
        row for row in _list_all(connection, partner) if row.agreed_on <= last_day and not _ended_before(row, quarter)
    ]
    rows.sort(key=lambda row: (row.agreed_on, row.placement))
    return tuple((row.placement, format_place(row.surface, row.position)) for row in rows[:MOST_PLACES])


def _list_all(connection: Connection, partner: str) -> list[PlacementRow]:
    return [to_placement(row) for row in connection.execute(_OF_OWNER, {"owner": partner})]


def _ended_before(row: PlacementRow, quarter: Quarter) -> bool:
    return row.state == "ended" and row.state_at < format_time(quarter.starts_at)


def make_exact_cell(label: str, *, title: str, value: int, shown: str | None = None) -> DigestCell:
    """Return a cell of the partner's own facts: no interval; `shown` may add a unit, e.g. `3 hours`."""
    return DigestCell(label, title, value, value, value, str(value) if shown is None else shown)


def describe_field(pattern: str) -> str:
    """Return a field with its place in words, e.g. `Suspects: user name`."""
    place, _, _ = pattern.removeprefix("/").rpartition("/")
    words = get_field(f"#{pattern}").description.removesuffix(".")
    named = place.replace("/", ", ").replace("_", " ")
    return f"{named[:1].upper()}{named[1:]}: {words[:1].lower()}{words[1:]}" if place else words
