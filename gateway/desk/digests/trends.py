"""The desk's own trend of closed cases, quarter by quarter: exact, for the desk alone (R14).

Never for anyone outside the desk: there is no noise in it, and a small number may point to one child. Partners get the
digest instead. Counts closed cases, not clusters, and leaves out made-up ones.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, false, func, select

from gateway.desk.digests.facts import load_facts
from gateway.desk.digests.tables import AGE_BANDS, KINDS, NOT_STATED, OUTCOMES, WEAKNESSES
from gateway.desk.keyring.key_set import Quarter
from gateway.desk.store.schema import CASES
from partner_sdk.wire.canonical import format_time

MOST_QUARTERS: Final = 12
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
