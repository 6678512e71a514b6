"""Builds the published bytes of a digest from its draws: consistency, intervals, ranks, trends, advice.

Reads noisy figures only. The one exact number is the count of the partner's own reports, which it knows already.
Recommendations and trends come from published numbers only: a rank or a trend taken from the true figures would be a
release of its own.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from gateway.desk.digests import noise
from gateway.desk.digests.eligibility import is_eligible
from gateway.desk.digests.noise import CERTAINTY_PERMILLE, Consistent, get_reach, make_consistent, make_interval
from gateway.desk.digests.records import DigestRecord
from gateway.desk.digests.tables import TOTAL, Table
from gateway.desk.digests.weaknesses import load_weaknesses
from gateway.desk.keyring.quarters import Quarter
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.digest import (
    DIGEST_VERSION,
    Digest,
    DigestAdvice,
    DigestCell,
    DigestTable,
    DigestTrend,
    encode_digest,
    make_cell,
    make_exact_cell,
    parse_digest,
)
from partner_sdk.wire.keys import Environment

MOST_RECOMMENDATIONS = 3


def make_recommendations(weaknesses: DigestTable) -> list[DigestAdvice]:
    """Return advice for the highest weaknesses that are shown and stand out from the noise, highest first."""
    clear = [cell for cell in weaknesses.cells if cell.value is not None and cell.low > 0]
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


def make_trends(*, total: DigestCell, kinds: DigestTable | None, before: Digest | None) -> list[DigestTrend]:
    """Return clear increases and decreases since the previous digest, and always the total."""
    if before is None or before.total is None:
        return []
    trends = [_make_trend(total, before.total, since=before.period)]
    earlier = {cell.label: cell for table in before.tables if table.name == "kind" for cell in table.cells}
    for cell in kinds.cells if kinds else []:
        if cell.label in earlier:
            trend = _make_trend(cell, earlier[cell.label], since=before.period)
            trends += [trend] if trend.direction != "unclear" else []
    return trends


def _make_trend(now: DigestCell, before: DigestCell, *, since: str) -> DigestTrend:
    # The two intervals do not overlap: the change is larger than both noises together explain.
    if now.low > before.high:
        return DigestTrend(now.label, now.title, "up", f"more than in {since}, by more than the noise explains")
    if now.high < before.low:
        return DigestTrend(now.label, now.title, "down", f"fewer than in {since}, by more than the noise explains")
    return DigestTrend(now.label, now.title, "unclear", f"no change since {since} beyond the noise")


def find_table(tables: Sequence[DigestTable], name: str) -> DigestTable | None:
    """Return the table of that name, or None if its draw was lost."""
    return next((table for table in tables if table.name == name), None)


class NothingDrawnError(ReportAbuseError):
    """Every table of the total was lost: there is nothing left to publish."""


def build_body(
    record: DigestRecord,
    tables: Sequence[Table],
    *,
    environment: Environment,
    quarter: Quarter,
    spent_micro: int,
    lost: Sequence[str],
    before: bytes | None,
    now: datetime,
) -> bytes | None:
    """Return the bytes to publish, or None if the drawn total makes the partner ineligible."""
    draws = record.draws
    if not any(table.is_partition and table.name in draws for table in tables):
        raise NothingDrawnError(
            "Every table of this quarter was lost before it was stored. It has no digest.", reason="nothing-drawn"
        )
    workings = record.workings
    drawn_total = draws[TOTAL][0] if TOTAL in draws else None
    if not is_eligible(adopted=workings.adopted, drawn_total=drawn_total, threshold=workings.threshold):
        return None
    consistent = make_consistent(tables, draws)
    total = _make_total(tables, draws, consistent)
    shown = [_make_table(table, draws[table.name], consistent) for table in tables if _is_shown(table, draws)]
    shown.append(_make_own_reports(record.workings.own_reports))
    weaknesses = find_table(shown, "weakness")
    digest = Digest(
        digest_version=DIGEST_VERSION,
        partner=record.partner,
        environment=environment,
        span="quarter",
        period=quarter.name,
        first_day=quarter.first_day.isoformat(),
        last_day=quarter.last_day.isoformat(),
        made_at=format_time(now),
        synthetic=record.workings.synthetic,
        status="published",
        next_period=None,
        epsilon_micro=spent_micro,
        interval_permille=CERTAINTY_PERMILLE,
        total=total,
        tables=shown,
        missing_tables=[table.title for table in tables if table.name in lost],
        trends=make_trends(
            total=total,
            kinds=find_table(shown, "kind"),
            before=None if before is None else parse_digest(before),
        ),
        recommendations=make_recommendations(weaknesses) if weaknesses else [],
    )
    return encode_digest(digest)


def _is_shown(table: Table, draws: Mapping[str, Sequence[int]]) -> bool:
    return table.name != TOTAL and table.name in draws


def _make_table(table: Table, draw: Sequence[int], consistent: Consistent) -> DigestTable:
    scale = noise.get_scale(sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro)
    cells = []
    for (label, title), drawn, value in zip(table.labels, draw, consistent.values[table.name], strict=True):
        interval = make_interval(draws=(drawn,), published=value, scale=scale)
        cells.append(make_cell(label, title=title, value=value, low=interval.low, high=interval.high))
    if not table.is_partition:
        # Ranked by the noisy values: this function has no others.
        order = sorted(range(len(cells)), key=lambda place: -consistent.values[table.name][place])
        cells = [cells[place] for place in order]
    return DigestTable(table.name, table.title, False, table.epsilon_micro, table.sensitivity, cells, "")


def _make_total(tables: Sequence[Table], draws: Mapping[str, Sequence[int]], consistent: Consistent) -> DigestCell:
    """Return the total with the interval of the partition with the least noise: a choice independent of the data."""
    best: tuple[int, Sequence[int], float] | None = None
    for table in tables:
        if table.is_partition and table.name in draws:
            scale = noise.get_scale(sensitivity=table.sensitivity, epsilon_micro=table.epsilon_micro)
            reach = get_reach(scale=scale, cells=len(table.labels))
            if best is None or reach < best[0]:
                best = reach, draws[table.name], scale
    if best is None:
        raise NothingDrawnError("There is no table to take the total from.", reason="nothing-drawn")
    interval = make_interval(draws=best[1], published=consistent.total, scale=best[2])
    return make_cell(TOTAL, title="All incidents", value=consistent.total, low=interval.low, high=interval.high)


def _make_own_reports(count: int) -> DigestTable:
    cell = make_exact_cell("industry", title="Reports that you sent", value=count)
    return DigestTable("door", "Your own reports to the industry door", True, 0, 1, [cell], "")
