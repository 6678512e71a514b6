"""Estimates from draws that are paid for already: whole tables that agree, and an interval around every number.

Only noisy numbers are read, so it costs no privacy. Never reads a count, never draws noise that protects a person.

- The total is the draws of each partition added up, weighted by their precision: negative noise included, because
  cutting it off first would lift a provider without incidents.
- Each partition is the nearest table (least squares) with that total and no negative number; weaknesses stay within it.
- An interval is a parametric bootstrap: the same noise law around the estimate, fitted again. It holds both the
  percentiles of the new fits and those mirrored at the estimate, since fits are biased where they touch zero.
- A weakness is likely if its draw is above all noise of the whole table with a chance of `CERTAINTY_PERMILLE`.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import add
from random import Random
from typing import Final

from gateway.desk.digests.noise import get_threshold

CERTAINTY_PERMILLE: Final = 950
# Repetitions of the bootstrap, and how many of them lie beyond each end: 2 %, which with the bias at zero makes 95 %.
REPETITIONS: Final = 400
_BEYOND: Final = 8
_Ends = tuple[int, int]


@dataclass(frozen=True, slots=True)
class DrawnTable:
    """The draws of one table, added up over the periods of a digest; each had noise of the same `scale`.

    `units` are those of one incident, e.g. 2 where two weaknesses take a half each. `is_partition` means that the
    labels together count every incident once.
    """

    name: str
    values: tuple[int, ...]
    scale: float
    periods: int
    units: int
    is_partition: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number of incidents with its interval, both ends included; `is_likely` if noise alone would not reach it."""

    value: int
    low: int
    high: int
    is_likely: bool = False


@dataclass(frozen=True, slots=True)
class Estimates:
    """The total and, by table name, the cells in the order of the labels."""

    total: Estimate
    cells: dict[str, list[Estimate]]


def make_estimates(tables: Sequence[DrawnTable]) -> Estimates:
    """Return the estimates of tables of which at least one is a partition; the same draws give the same estimates."""
    total, fits = _fit(tables, [table.values for table in tables])
    noises = [_make_noise(table.scale, table.periods, len(table.values), table.name) for table in tables]
    total_ends, ends = _find_far_ends(tables, fits, noises) or _make_near_ends(tables, fits, noises)
    return Estimates(
        total=_make_estimate(total, total_ends, units=1),
        cells={
            table.name: [
                _make_estimate(value, one, units=table.units, is_likely=is_likely)
                for value, one, is_likely in zip(fit, cells, list_likely(table), strict=True)
            ]
            for table, fit, cells in zip(tables, fits, ends, strict=True)
        },
    )


def add_up(tables: Sequence[DrawnTable]) -> int:
    """Return the sum of the draws of each partition, weighted by their precision. It may be negative."""
    return _add_up(tables, [table.values for table in tables])


def project(values: Sequence[int], total: int) -> Sequence[int]:
    """Return the nearest whole numbers (least squares) with no negative one and with that sum.

    One number is added to all values and what falls below zero is cut (Held, Wolfe and Crowder 1974); the remainder of
    the division goes to the largest, the first of equal ones.
    """
    if sum(values) == total and min(values) >= 0:
        return values
    ordered = sorted(values, reverse=True)
    kept, running = 1, ordered[0]
    for value in ordered[1:]:
        if value * kept + total - running <= 0:
            break
        kept, running = kept + 1, running + value
    shift, rest = divmod(total - running, kept)
    least = ordered[kept - 1]
    fitted = [value + shift if value >= least else 0 for value in values]
    if rest:
        last = ordered[rest - 1]
        of_last = rest - ordered.index(last)
        for place, value in enumerate(values):
            if value > last:
                fitted[place] += 1
            elif value == last and of_last:
                fitted[place] += 1
                of_last -= 1
    return fitted


def _fit(tables: Sequence[DrawnTable], draws: Sequence[Sequence[int]]) -> tuple[int, list[Sequence[int]]]:
    total = max(0, _add_up(tables, draws))
    fits: list[Sequence[int]] = []
    for table, values in zip(tables, draws, strict=True):
        cut = values if table.is_partition else [value if value > 0 else 0 for value in values]
        is_within = not table.is_partition and sum(cut) <= table.units * total
        fits.append(cut if is_within else project(values, table.units * total))
    return total, fits


def _add_up(tables: Sequence[DrawnTable], draws: Sequence[Sequence[int]]) -> int:
    partitions = [(table, sum(values)) for table, values in zip(tables, draws, strict=True) if table.is_partition]
    if len(partitions) == 1:
        return partitions[0][1]
    sums = weights = 0
    for table, added in partitions:
        # In whole numbers, so that the same draws give the same total on any machine.
        weight = max(1, int(1e12 / (len(table.values) * table.periods * table.scale**2)))
        sums += weight * added
        weights += weight
    return (2 * sums + weights) // (2 * weights)


def list_likely(table: DrawnTable) -> list[bool]:
    """Return which cells are above all noise of the table, with a chance of `CERTAINTY_PERMILLE`."""
    # Sidak's correction is exact here, because the noises of the cells are independent.
    chance = 1 - (CERTAINTY_PERMILLE / 1000) ** (1 / len(table.values))
    least = get_threshold(scale=table.scale, draws=table.periods, chance=chance)
    return [value >= least for value in table.values]


def _make_estimate(fit: int, ends: _Ends, *, units: int, is_likely: bool = False) -> Estimate:
    low, high = ends
    low, high = max(0, min(low, 2 * fit - high)), max(high, 2 * fit - low)
    return Estimate(
        value=(2 * fit + units) // (2 * units), low=low // units, high=-(-high // units), is_likely=is_likely
    )


@dataclass(frozen=True, slots=True)
class _Noise:
    """The noise of the bootstrap for one table, a row for each repetition; `ends` are those of each cell."""

    rows: list[tuple[int, ...]]
    sums: list[int]
    rises: list[int]  # the sum of those above zero
    ends: list[_Ends]
    lowest: list[int]


def _make_near_ends(
    tables: Sequence[DrawnTable], fits: Sequence[Sequence[int]], noises: Sequence[_Noise]
) -> tuple[_Ends, list[list[_Ends]]]:
    """Return the ends of the total and of each table's cells, by fitting each repetition again."""
    totals: list[int] = []
    again: list[list[Sequence[int]]] = [[] for _ in tables]
    for rows in zip(*(noise.rows for noise in noises), strict=True):
        total, new_fits = _fit(tables, [list(map(add, fit, row)) for fit, row in zip(fits, rows, strict=True)])
        totals.append(total)
        for of_table, fit in zip(again, new_fits, strict=True):
            of_table.append(fit)
    return _get_ends(totals), [[_get_ends(cell) for cell in zip(*of_table, strict=True)] for of_table in again]


def _find_far_ends(
    tables: Sequence[DrawnTable], fits: Sequence[Sequence[int]], noises: Sequence[_Noise]
) -> tuple[_Ends, list[list[_Ends]]] | None:
    """Return the same ends without a fit where no noise can change one, e.g. of a service with 1,000 incidents.

    A fit is then the value with its noise, at least zero: so are its ends. None where noise takes a cell of the
    partition below zero, or another table above the total, and for several partitions.
    """
    [first, *more] = [place for place, table in enumerate(tables) if table.is_partition]
    if more or any(fit + lowest < 0 for fit, lowest in zip(fits[first], noises[first].lowest, strict=True)):
        return None
    total = sum(fits[first])
    for table, fit, noise in zip(tables, fits, noises, strict=True):
        if not table.is_partition:
            room = table.units * total - sum(fit)
            if any(rise > room + table.units * one for rise, one in zip(noise.rises, noises[first].sums, strict=True)):
                return None
    low, high = _get_ends(noises[first].sums)
    return (total + low, total + high), [
        [(max(0, value + low), max(0, value + high)) for value, (low, high) in zip(fit, noise.ends, strict=True)]
        for fit, noise in zip(fits, noises, strict=True)
    ]


def _get_ends(again: Sequence[int]) -> _Ends:
    ordered = sorted(again)
    return ordered[_BEYOND], ordered[-1 - _BEYOND]


@functools.lru_cache(maxsize=64)
def _make_noise(scale: float, periods: int, cells: int, name: str) -> _Noise:
    """Return noise of the law of a table, but seeded, so that the same draws give the same digest."""
    source = Random(f"{name} {scale!r} {periods} {cells}")  # noqa: S311 - it protects nobody: the draws are noisy already

    def draw() -> int:
        up, down = (math.floor(-scale * math.log(1 - source.random())) for _ in range(2))
        return up - down

    rows = [tuple(sum(draw() for _ in range(periods)) for _ in range(cells)) for _ in range(REPETITIONS)]
    columns = list(zip(*rows, strict=True))
    return _Noise(
        rows=rows,
        sums=[sum(row) for row in rows],
        rises=[sum(one for one in row if one > 0) for row in rows],
        ends=[_get_ends(column) for column in columns],
        lowest=[min(column) for column in columns],
    )
