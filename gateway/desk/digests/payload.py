"""Builds the published bytes of a digest from its draws: estimates, intervals, ranks, trends, advice.

Reads noisy figures only. Exact numbers come ready-made from `own_facts`: the partner could count each of them itself.
Recommendations and trends come from published numbers only: a rank or a trend taken from the true figures would be a
release of its own.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

from gateway.desk.digests import noise
from gateway.desk.digests.estimates import (
    CERTAINTY_PERMILLE,
    DrawnTable,
    Estimate,
    add_up,
    make_estimates,
)
from gateway.desk.digests.records import DigestRecord
from gateway.desk.digests.tables import QUARTER_TABLES, Table
from gateway.desk.digests.weaknesses import load_weaknesses
from gateway.desk.keyring.quarters import Period
from partner_sdk.digests.changes import Direction, judge_change
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.digest import (
    DIGEST_VERSION,
    SMALLEST_SHOWN,
    TOTAL,
    Digest,
    DigestAdvice,
    DigestCell,
    DigestTable,
    DigestTrend,
    encode_digest,
    make_cell,
    parse_digest,
)
from partner_sdk.wire.keys import Environment

MOST_RECOMMENDATIONS = 3
_TRENDS: Final[Mapping[Direction, str]] = {
    "up": "more than in {since}, by more than noise and chance explain",
    "down": "fewer than in {since}, by more than noise and chance explain",
    "unclear": "no change since {since} beyond noise and chance",
}
# A number that noise alone reaches more often is not shown: a table has many cells in which nothing happened.
_CHANCE_OF_NOISE: Final = 0.025
# Below it most cells of a digest would be wrong: the reports wait for a longer period.
SMALLEST_TOTAL = 10


def make_recommendations(weaknesses: DigestTable) -> list[DigestAdvice]:
    """Return advice for the highest of the weaknesses that are likely, highest first."""
    clear = [cell for cell in weaknesses.cells if cell.value is not None and cell.evidence == "likely"]
    ranked = sorted(clear, key=lambda cell: -(cell.value or 0))[:MOST_RECOMMENDATIONS]
    return [_make_advice(rank, cell) for rank, cell in enumerate(ranked, start=1)]


def _make_advice(rank: int, cell: DigestCell) -> DigestAdvice:
    data = load_weaknesses()
    one = data.weaknesses[cell.label]
    return DigestAdvice(
        rank=rank,
        label=cell.label,
        weakness=cell.title,
        feature=data.features[one.feature],
        text=one.text,
        change=one.change,
        solved=one.solved,
    )


def make_trends(*, total: DigestCell | None, kinds: DigestTable | None, before: Digest | None) -> list[DigestTrend]:
    """Return clear increases and decreases since the previous digest, and always the total."""
    if total is None or before is None or before.total is None:
        return []
    trends = [_make_trend(total, before.total, since=before.period)]
    earlier = {cell.label: cell for table in before.tables if table.name == "kind" for cell in table.cells}
    for cell in kinds.cells if kinds else []:
        if cell.label in earlier:
            trend = _make_trend(cell, earlier[cell.label], since=before.period)
            trends += [trend] if trend.direction != "unclear" else []
    return trends


def _make_trend(now: DigestCell, before: DigestCell, *, since: str) -> DigestTrend:
    direction = judge_change(now, before)
    return DigestTrend(now.label, now.title, direction, _TRENDS[direction].format(since=since))


def find_table(tables: Sequence[DigestTable], name: str) -> DigestTable | None:
    """Return the table of that name, or None if its draw was lost."""
    return next((table for table in tables if table.name == name), None)


class NothingDrawnError(ReportAbuseError):
    """The kinds were lost: without them there is no total, and nothing is left to publish."""


def find_drawn_total(quarters: Sequence[DigestRecord]) -> int | None:
    """Return the noisy number of incidents of these quarters, which may be negative; None where a draw was lost."""
    kind = add_draws(QUARTER_TABLES[0], quarters)
    return None if kind is None else add_up([kind])


def is_waiting(record: DigestRecord) -> bool:
    """Return whether a finished digest had too few reports to show."""
    return record.body is not None and parse_digest(record.body).status == "waiting"


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
    before: bytes | None,
    now: datetime,
) -> bytes:
    """Return the bytes to publish. `tables` are those that the record draws, `quarters` the records of its quarters,
    `own` the partner's own facts, `stated_kinds` its own reports by the kind that it stated.
    """
    wanted = tables if record in quarters else (*QUARTER_TABLES, *tables)
    drawn = [(table, add_draws(table, quarters if table in QUARTER_TABLES else [record])) for table in wanted]
    found = [(table, one) for table, one in drawn if one is not None]
    if not any(table.is_partition for table, _ in found):
        raise NothingDrawnError(
            "The kinds of report were lost before they were stored, so this period has no total and no digest. "
            "Reject it: its partner is then informed.",
            reason="nothing-drawn",
        )
    to_fit = [one for _, one in found]
    is_shown = add_up(to_fit) >= SMALLEST_TOTAL
    # The bootstrap is half of the cost of a digest: one that waits shows nothing of it.
    estimates = make_estimates(to_fit) if is_shown else None
    shown = [
        _make_table(
            table,
            estimates.cells[table.name],
            drawn=one,
            own=stated_kinds if table is QUARTER_TABLES[0] else None,
        )
        for table, one in found
        if estimates
    ]
    total = _make_cell(TOTAL, "All incidents", estimates.total) if estimates else None
    weaknesses = find_table(shown, "weakness")
    earlier = None if before is None else parse_digest(before)
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
        next_period=None if is_shown or quarter.longer is None else quarter.longer.name,
        epsilon_micro=spent_micro,
        interval_permille=CERTAINTY_PERMILLE,
        total=total,
        tables=[*shown, *own],
        missing_tables=[table.title for table, one in drawn if one is None] if is_shown else [],
        trends=make_trends(total=total, kinds=find_table(shown, "kind"), before=earlier),
        recommendations=make_recommendations(weaknesses) if weaknesses else [],
    )
    return encode_digest(digest)


def add_draws(table: Table, records: Sequence[DigestRecord]) -> DrawnTable | None:
    """Return the draws of a table added up over records, or None where one of them lacks it."""
    if not all(table.name in record.draws for record in records):
        return None
    return DrawnTable(
        name=table.name,
        values=tuple(map(sum, zip(*(record.draws[table.name] for record in records), strict=True))),
        scale=noise.get_scale(sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro),
        periods=len(records),
        units=table.units,
        is_partition=table.is_partition,
    )


def _make_table(
    table: Table, estimates: Sequence[Estimate], *, drawn: DrawnTable, own: Mapping[str, int] | None
) -> DigestTable:
    reach = noise.get_threshold(scale=drawn.scale, draws=drawn.periods, chance=_CHANCE_OF_NOISE)
    smallest = max(SMALLEST_SHOWN, -(-reach // drawn.units))
    cells = [
        _make_cell(
            label,
            title,
            estimate,
            own=None if own is None else own.get(label, 0),
            is_weakness=not table.is_partition,
            smallest=smallest,
        )
        for (label, title), estimate in zip(table.labels, estimates, strict=True)
    ]
    if not table.is_partition:
        # Ranked by noisy values alone; the draw decides between two that round to the same number.
        order = sorted(range(len(cells)), key=lambda place: (-estimates[place].value, -drawn.values[place]))
        cells = [cells[place] for place in order]
    return DigestTable(table.name, table.title, False, table.epsilon_micro, table.sensitivity, cells, table.note)


def _make_cell(
    label: str,
    title: str,
    estimate: Estimate,
    *,
    own: int | None = None,
    is_weakness: bool = False,
    smallest: int = SMALLEST_SHOWN,
) -> DigestCell:
    evidence: Literal["likely", "not-clear"] = "likely" if estimate.is_likely else "not-clear"
    return make_cell(
        label,
        title=title,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        own=own,
        evidence=evidence if is_weakness else None,
        smallest=smallest,
    )
