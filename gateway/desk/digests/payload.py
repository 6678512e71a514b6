"""Builds the published bytes of a digest from its draws: numbers with their ranges, ranks and advice.

Reads noisy figures only. Exact numbers come ready-made from `own_facts`: the partner could count each of them itself.
Ranks and advice are judged on the draws: one taken from the true figures would be a release of its own.

Each number is the plain draw, and its range is that of the noise's exact law. A number whose range begins at 0 is only
called few, and a digest whose total is few shows no figure: noise alone reaches either in at most one of 40. Advice
needs more. It is given where chance would hardly make any in a whole year (`_CHANCE_OF_ADVICE`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.desk.cases.choices import load_weaknesses
from gateway.desk.digests import noise
from gateway.desk.digests.ledger import DigestRecord
from gateway.desk.digests.tables import QUARTER_TABLES, Table
from gateway.desk.keyring.key_set import Period
from partner_sdk.console.digests.view import is_clear
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.digest import (
    DIGEST_VERSION,
    FEW,
    KIND,
    SMALLEST_SHOWN,
    TOTAL,
    WEAKNESS,
    Digest,
    DigestAdvice,
    DigestCell,
    DigestTable,
    Evidence,
    encode_digest,
)
from partner_sdk.wire.signing import Environment

MOST_RECOMMENDATIONS = 3
# Of each number alone: its range misses the truth at most so often on either side.
CERTAINTY_PERMILLE: Final = 950
CHANCE_BEYOND: Final = (1 - CERTAINTY_PERMILLE / 1000) / 2
# A year's five digests test each of these lines once. Sidak's correction holds: the quarters' noises are independent,
# and the year is tested on their sums, which makes it only likelier that all five pass.
_TESTS_OF_A_YEAR: Final = 5 * sum(len(table.labels) for table in QUARTER_TABLES)
_CHANCE_OF_ADVICE: Final = 1 - 0.95 ** (1 / _TESTS_OF_A_YEAR)


class NothingDrawnError(ReportAbuseError):
    """The kinds were lost: without them there is no total, and nothing is left to publish."""


@dataclass(frozen=True, slots=True)
class DrawnTable:
    """The draws of one table, added up over `periods` quarters or drawn once for a year."""

    table: Table
    values: tuple[int, ...]
    periods: int

    def get_reach(self, *, chance: float = CHANCE_BEYOND, lines: int = 1) -> int:
        """Return the largest error, in units, of the noise of these lines together, but for `chance` on each side."""
        scale = noise.get_scale(sensitivity=self.table.sensitivity, epsilon_micro=self.table.epsilon_micro)
        return noise.get_threshold(scale=scale, draws=lines * self.periods, chance=chance) - 1

    def list_clear(self, *, above: Sequence[int] | None = None) -> list[bool]:
        """Return, for each line, whether it is above all that chance makes in a year, and above these units."""
        reach = self.get_reach(chance=_CHANCE_OF_ADVICE)
        return [
            value - least > reach for value, least in zip(self.values, above or [0] * len(self.values), strict=True)
        ]


def find_drawn_total(quarters: Sequence[DigestRecord]) -> int | None:
    """Return the noisy number of incidents of these quarters, which may be negative; None where no draw is left."""
    kind = add_draws(QUARTER_TABLES[0], quarters)
    return None if kind is None else sum(kind.values)


def make_total(kind: DrawnTable) -> DigestCell:
    """Return the number of all incidents, the sum of all kinds; its value is None if noise alone could be all of it."""
    total, reach = sum(kind.values), kind.get_reach(lines=len(kind.values))
    return make_cell(TOTAL, title="All incidents", value=total, low=total - reach, high=total + reach)


def build_body(
    record: DigestRecord,
    tables: Sequence[Table],
    *,
    environment: Environment,
    quarter: Period,
    quarters: Sequence[DigestRecord],
    own: Sequence[DigestTable],
    stated_kinds: Mapping[str, int],
    spent_micro: int,
    now: datetime,
) -> bytes:
    """Return the bytes to publish. `tables` are those that the record draws, `quarters` the records of its quarters,
    `own` the partner's own facts, `stated_kinds` its own reports by the kind that it stated.
    """
    wanted = tables if record in quarters else (*QUARTER_TABLES, *tables)
    shown, missing, total = [], [], None
    for table in wanted:
        counted = quarters if table in QUARTER_TABLES else [record]
        drawn = add_draws(table, counted)
        if drawn is None:
            # The weaknesses of a quarter without a digest were never due; whatever else has no draw was lost.
            missing += [table.title] if any(one.state != "not-eligible" for one in counted) else []
            continue
        having = [one.quarter for one in counted if table.name in one.draws]
        missed = len(having) < len(quarter.quarters) and table in QUARTER_TABLES
        note = f"Counted in {', '.join(having)} alone." if missed else ""
        shown.append(_make_table(drawn, stated_kinds=stated_kinds, note=note))
        if table.name == KIND:
            total = make_total(drawn)
    if total is None:
        raise NothingDrawnError(
            "The kinds of report were lost before they were stored, so this period has no total and no digest. "
            "Reject it: its partner is then informed.",
            reason="nothing-drawn",
        )
    is_shown = total.value is not None
    digest = Digest(
        digest_version=DIGEST_VERSION,
        partner=record.partner,
        environment=environment,
        span=quarter.span,
        period=quarter.name,
        first_day=quarter.first_day.isoformat(),
        last_day=quarter.last_day.isoformat(),
        made_at=format_time(now),
        synthetic=record.workings.synthetic,
        status="published" if is_shown else "waiting",
        epsilon_micro=spent_micro,
        interval_permille=CERTAINTY_PERMILLE,
        total=total if is_shown else None,
        tables=[*shown, *own] if is_shown else [*own],
        missing_tables=missing if is_shown else [],
        recommendations=make_recommendations(shown) if is_shown else [],
    )
    return encode_digest(digest)


def add_draws(table: Table, records: Sequence[DigestRecord]) -> DrawnTable | None:
    """Return the draws of a table added up over the records that have it, or None where none has."""
    draws = [record.draws[table.name] for record in records if table.name in record.draws]
    return DrawnTable(table, tuple(map(sum, zip(*draws, strict=True))), len(draws)) if draws else None


def _make_table(drawn: DrawnTable, *, stated_kinds: Mapping[str, int], note: str) -> DigestTable:
    table, reach = drawn.table, drawn.get_reach()
    own = [stated_kinds.get(label, 0) if table.name == KIND else None for label, _ in table.labels]
    evidence: list[Evidence | None] = [None] * len(own)
    if table in QUARTER_TABLES:
        above = [table.units * (one or 0) for one in own]
        evidence = ["clear" if is_clear else "not-clear" for is_clear in drawn.list_clear(above=above)]
    cells = [
        make_cell(
            label,
            title=title,
            value=(2 * value + table.units) // (2 * table.units),
            low=(value - reach) // table.units,
            high=-(-(value + reach) // table.units),
            own=of_partner,
            evidence=found,
        )
        for (label, title), value, of_partner, found in zip(table.labels, drawn.values, own, evidence, strict=True)
    ]
    if table.name == WEAKNESS:
        # Ranked by the draws, which also decide between two that round to the same number.
        cells = [cell for _, cell in sorted(zip(drawn.values, cells, strict=True), key=lambda pair: -pair[0])]
    notes = " ".join(filter(None, (table.note, note)))
    return DigestTable(table.name, table.title, False, table.epsilon_micro, table.sensitivity, cells, notes)


def make_recommendations(tables: Sequence[DigestTable]) -> list[DigestAdvice]:
    """Return advice for the most frequent of the weaknesses that are clear, in the order of their table."""
    data = load_weaknesses()
    clear = [cell for table in tables if table.name == WEAKNESS for cell in table.cells if is_clear(cell)]
    return [
        DigestAdvice(
            rank=rank,
            label=cell.label,
            weakness=cell.title,
            feature=data.features[data.weaknesses[cell.label].feature],
            text=data.weaknesses[cell.label].text,
            change=data.weaknesses[cell.label].change,
            solved=data.weaknesses[cell.label].solved,
        )
        for rank, cell in enumerate(clear[:MOST_RECOMMENDATIONS], start=1)
    ]


def make_cell(
    label: str,
    *,
    title: str,
    value: int,
    low: int,
    high: int,
    own: int | None = None,
    evidence: Evidence | None = None,
) -> DigestCell:
    """Return a cell in its published form: a number that chance could have made is few, also one below zero."""
    if value < SMALLEST_SHOWN or low < 1:
        return DigestCell(label, title, None, 0, max(high, SMALLEST_SHOWN - 1), FEW, own, evidence)
    return DigestCell(label, title, value, low, high, str(value), own, evidence)
