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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from gateway.desk.digests.noise import get_threshold

CERTAINTY_PERMILLE: Final = 950
# Repetitions of the bootstrap, and how many of them lie beyond each end: 2 %, which with the bias at zero makes 95 %.
REPETITIONS: Final = 400
_BEYOND: Final = 8


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
    total, fits = _fit(tables, {table.name: table.values for table in tables})
    totals: list[int] = []
    again: dict[str, list[Sequence[int]]] = {table.name: [] for table in tables}
    for repetition in range(REPETITIONS):
        noisy: dict[str, Sequence[int]] = {}
        for table in tables:
            noise = _make_noise(table.scale, table.periods, len(table.values), table.name)[repetition]
            noisy[table.name] = [fit + one for fit, one in zip(fits[table.name], noise, strict=True)]
        new_total, new_fits = _fit(tables, noisy)
        totals.append(new_total)
        for name, new in new_fits.items():
            again[name].append(new)
    return Estimates(
        total=_make_estimate(total, totals, units=1),
        cells={
            table.name: [
                _make_estimate(fit, column, units=table.units, is_likely=likely)
                for fit, column, likely in zip(
                    fits[table.name], zip(*again[table.name], strict=True), list_likely(table), strict=True
                )
            ]
            for table in tables
        },
    )


def add_up(tables: Sequence[DrawnTable]) -> int:
    """Return the sum of the draws of each partition, weighted by their precision. It may be negative."""
    return _add_up(tables, {table.name: table.values for table in tables})


def project(values: Sequence[int], total: int) -> list[int]:
    """Return the nearest whole numbers (least squares) with no negative one and with that sum.

    One number is added to all values and what falls below zero is cut (Held, Wolfe and Crowder 1974); the remainder of
    the division goes to the largest.
    """
    order = sorted(range(len(values)), key=lambda place: -values[place])
    kept = running = 0
    for place in order:
        if kept and values[place] * (kept + 1) + total - running - values[place] <= 0:
            break
        kept, running = kept + 1, running + values[place]
    shift, rest = divmod(total - running, kept)
    fitted = [0] * len(values)
    for number, place in enumerate(order[:kept]):
        fitted[place] = values[place] + shift + (number < rest)
    return fitted


def _fit(tables: Sequence[DrawnTable], draws: Mapping[str, Sequence[int]]) -> tuple[int, dict[str, Sequence[int]]]:
    total = max(0, _add_up(tables, draws))
    fits: dict[str, Sequence[int]] = {}
    for table in tables:
        values = draws[table.name]
        if not table.is_partition:
            cut = [max(0, value) for value in values]
            if sum(cut) <= table.units * total:
                fits[table.name] = cut
                continue
        fits[table.name] = project(values, table.units * total)
    return total, fits


def _add_up(tables: Sequence[DrawnTable], draws: Mapping[str, Sequence[int]]) -> int:
    sums = weights = 0
    for table in tables:
        if table.is_partition:
            # In whole numbers, so that the same draws give the same total on any machine.
            weight = max(1, int(1e12 / (len(table.values) * table.periods * table.scale**2)))
            sums += weight * sum(draws[table.name])
            weights += weight
    return (2 * sums + weights) // (2 * weights)


def list_likely(table: DrawnTable) -> list[bool]:
    """Return which cells are above all noise of the table, with a chance of `CERTAINTY_PERMILLE`."""
    # Sidak's correction is exact here, because the noises of the cells are independent.
    chance = 1 - (CERTAINTY_PERMILLE / 1000) ** (1 / len(table.values))
    least = get_threshold(scale=table.scale, draws=table.periods, chance=chance)
    return [value >= least for value in table.values]


def _make_estimate(fit: int, again: Sequence[int], *, units: int, is_likely: bool = False) -> Estimate:
    ordered = sorted(again)
    low, high = ordered[_BEYOND], ordered[-1 - _BEYOND]
    low, high = max(0, min(low, 2 * fit - high)), max(high, 2 * fit - low)
    return Estimate(
        value=(2 * fit + units) // (2 * units), low=low // units, high=-(-high // units), is_likely=is_likely
    )


@functools.lru_cache(maxsize=64)
def _make_noise(scale: float, periods: int, cells: int, name: str) -> list[list[int]]:
    """Return the noise of the bootstrap: of the same law, but seeded, so that the same draws give the same digest."""
    source = Random(f"{name} {scale!r} {periods} {cells}")  # noqa: S311 - it protects nobody: the draws are noisy already

    def draw() -> int:
        up, down = (math.floor(-scale * math.log(1 - source.random())) for _ in range(2))
        return up - down

    return [[sum(draw() for _ in range(periods)) for _ in range(cells)] for _ in range(REPETITIONS)]
