"""A partner's own facts in its digest: its reports and their completeness, our questions, the checks of its button.

Exact and free of privacy cost: the partner sent, received or shows each of these itself. Never counts anything of
another partner, or of a report that a person made, and never reads an assessor's answer: that may come from another
sender's report of the same incident.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select

from gateway.desk.digests.tables import NOT_STATED
from gateway.desk.keyring.quarters import Period
from gateway.desk.placements.checks import BY_RUNNER
from gateway.desk.store.partner_tables import INFORMATION_REQUESTS, OUTCOME_SIGNALS
from gateway.desk.store.placement_tables import PLACEMENT_CHECKS, PLACEMENTS
from gateway.desk.store.schema import CASES, SET_ASIDE
from partner_sdk.report import describe_field
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.digest import DigestCell, DigestTable, make_exact_cell
from partner_sdk.wire.keys import Environment

_HOUR: Final = 3600
# The quarter of a digest and those before it. Fixed labels, so that digests can stand beside each other.
_QUARTER_LABELS: Final = ("completeness", "one_quarter_before", "two_quarters_before", "three_quarters_before")
_MOST_FIELDS: Final = 5
_CHECK_TITLES: Final = {
    "passes": "Checks that found the button as agreed",
    "faults": "Checks that found a fault",
    "unreachable": "Checks that could not load the page",
}


def make_own_facts(
    connection: Connection, *, partner: str, environment: Environment, period: Period
) -> list[DigestTable]:
    """Return the exact tables of a partner's period; one without any figure is left out, but never its reports."""
    reports = _count_reports(connection, partner, environment, period)
    questions = _judge_answers(_list_questions(connection, partner, period))
    checks = _count_checks(connection, partner, period)
    completeness, missing = _measure_reports(connection, partner, environment, period)
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
    return [tables[0], *(table for table in tables[1:] if table.cells)]


def count_stated_kinds(
    connection: Connection, *, partner: str, environment: Environment, period: Period
) -> dict[str, int]:
    """Return the partner's own reports received in the period, by the kind stated in each; later ones about an earlier
    report do not count. E.g. `{"grooming": 3}`.
    """
    kind = func.coalesce(CASES.c.stated_kind, NOT_STATED)
    rows = connection.execute(
        select(kind.label("kind"), func.count().label("number"))
        .where(
            *_make_conditions(partner, environment),
            CASES.c.report_kind == "initial",
            *_within(CASES.c.received_at, period),
        )
        .group_by(kind)
    )
    return {row.kind: row.number for row in rows}


def _make_table(name: str, title: str, cells: list[DigestCell], *, note: str) -> DigestTable:
    return DigestTable(name, title, exact=True, epsilon_micro=0, sensitivity=1, cells=cells, note=note)


def _count_reports(connection: Connection, partner: str, environment: Environment, period: Period) -> list[DigestCell]:
    own = _make_conditions(partner, environment)
    sent = connection.execute(_count(*own, *_within(CASES.c.received_at, period))).scalar_one()
    before = connection.execute(_count(*own, *_within(CASES.c.received_at, period.previous()))).scalar_one()
    aside = _count(SET_ASIDE.c.claimed_partner == partner, SET_ASIDE.c.is_proven.is_(True))
    unread = connection.execute(aside.where(*_within(SET_ASIDE.c.set_aside_at, period))).scalar_one()
    # A released outcome is known to the partner only once its message is written.
    sent_to_it = (OUTCOME_SIGNALS.c.partner == partner, OUTCOME_SIGNALS.c.message_id.is_not(None))
    outcomes = _count(*sent_to_it, *_within(OUTCOME_SIGNALS.c.released_at, period))
    return [
        make_exact_cell("industry", title="Reports that you sent", value=sent),
        make_exact_cell("industry_before", title=f"The same in {period.previous().name}", value=before),
        make_exact_cell("set_aside", title="Reports that we could not read as sent", value=unread),
        make_exact_cell("outcomes", title="Outcomes that we sent you", value=connection.execute(outcomes).scalar_one()),
    ]


def _measure_reports(
    connection: Connection, partner: str, environment: Environment, period: Period
) -> tuple[list[DigestCell], list[DigestCell]]:
    """Return the mean completeness in the last quarters, the newest first, and the fields lacking in this period."""
    measured = (*_make_conditions(partner, environment), CASES.c.completeness.is_not(None))
    means, quarter = [], period.quarters[-1]
    for label in _QUARTER_LABELS:
        query = select(func.count(), func.sum(CASES.c.completeness))
        number, score = connection.execute(query.where(*measured, *_within(CASES.c.received_at, quarter))).one()
        if number:
            mean = (2 * int(score) + number) // (2 * number)
            reports = "1 report" if number == 1 else f"{number:,} reports"
            means.append(make_exact_cell(label, title=f"{quarter.name} ({reports})", value=mean, shown=f"{mean} %"))
        quarter = quarter.previous()
    lacking: Counter[str] = Counter()
    total = 0
    rows = select(CASES.c.missing_fields, func.count().label("number")).group_by(CASES.c.missing_fields)
    for row in connection.execute(rows.where(*measured, *_within(CASES.c.received_at, period))):
        total += row.number
        for field in row.missing_fields.split():
            lacking[field] += row.number
    # Of equally frequent ones the first by name, so that the same reports give the same digest.
    frequent = sorted(lacking.items(), key=lambda one: (-one[1], one[0]))[:_MOST_FIELDS]
    return means, [
        make_exact_cell(field, title=describe_field(field), value=number, shown=f"{number:,} of {total:,}")
        for field, number in frequent
    ]


def _make_conditions(partner: str, environment: Environment) -> tuple[ColumnElement[bool], ...]:
    # With the environment, both databases find them by the index of a sender's reports.
    sender = (CASES.c.environment == environment, CASES.c.partner == partner)
    return (*sender, CASES.c.door == "industry", CASES.c.synthetic.is_(False))


def _list_questions(connection: Connection, partner: str, period: Period) -> Sequence[Any]:
    asked = INFORMATION_REQUESTS.c
    query = select(asked.asked_at, asked.due_at, asked.answered_at)
    return connection.execute(query.where(asked.partner == partner, *_within(asked.asked_at, period))).all()


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
        waits = sorted((parse_time(row.answered_at) - parse_time(row.asked_at)).total_seconds() for row in answered)
        # Nearest rank, as in the desk's own figures: a wait that really occurred.
        hours = math.ceil(waits[math.ceil(len(waits) / 2) - 1] / _HOUR)
        shown = f"{hours} hour" if hours == 1 else f"{hours} hours"
        cells.append(make_exact_cell("median_hours", title="Median time to an answer", value=hours, shown=shown))
    return cells


def _count_checks(connection: Connection, partner: str, period: Period) -> list[DigestCell]:
    rows = connection.execute(
        select(PLACEMENT_CHECKS.c.result, func.count().label("number"))
        .join(PLACEMENTS, PLACEMENTS.c.placement == PLACEMENT_CHECKS.c.placement)
        .where(
            PLACEMENTS.c.owner == partner,
            # A person may import a check by hand after reading a child's report about that page; a runner's round is
            # the same with or without one.
            PLACEMENT_CHECKS.c.channel == BY_RUNNER,
            *_within(PLACEMENT_CHECKS.c.checked_at, period),
        )
        .group_by(PLACEMENT_CHECKS.c.result)
    )
    counts = {row.result: row.number for row in rows}
    if not counts:
        return []
    return [make_exact_cell(code, title=title, value=counts.get(code, 0)) for code, title in _CHECK_TITLES.items()]


def _count(*conditions: ColumnElement[bool]) -> Any:
    return select(func.count()).where(*conditions)


def _within(column: Any, period: Period) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return column >= format_time(period.quarters[0].starts_at), column < format_time(period.ends_at)
