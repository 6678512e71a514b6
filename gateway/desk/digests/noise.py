"""The only noise of the project: OpenDP's discrete Laplace mechanism, pure differential privacy.

Never seeds it, never writes noise of its own, never draws without a ledger entry (`publishing.py` commits first).
OpenDP is 265 MB, so it is imported on the first draw and by this file alone.

After the draw, and at no cost of privacy because only noisy values are read:
- least squares gives every table whole, non-negative numbers that add up to one total, in exact fractions, so that the
  same draws always give the same digest;
- an interval beside every number holds the true count with a stated certainty, by the law of the noise. It is laid
  around the raw draw and widened to hold the published value: least squares can only make it surer than stated.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from gateway.desk.digests.tables import MICRO, MOST_WEAKNESSES, Table
from partner_sdk.errors import ReportAbuseError

CERTAINTY_PERMILLE = 950


class NoiseError(ReportAbuseError):
    """The mechanism would reveal more than the ledger paid for."""


def draw(counts: Sequence[int], *, sensitivity: int, epsilon_micro: int) -> list[int]:
    """Return one draw: the counts with discrete Laplace noise, at most `epsilon_micro` of loss per cluster."""
    mechanism, _ = _make_mechanism(sensitivity, epsilon_micro)
    noisy: list[int] = mechanism(list(counts))
    return noisy


def get_scale(*, sensitivity: int, epsilon_micro: int) -> float:
    """Return the scale whose privacy loss, by the library's own map, stays within `epsilon_micro`."""
    return _make_mechanism(sensitivity, epsilon_micro)[1]


def get_cost_micro(*, sensitivity: int, epsilon_micro: int) -> int:
    """Return the library's privacy loss in integer micro-epsilon, rounded up, for the ledger."""
    mechanism, _ = _make_mechanism(sensitivity, epsilon_micro)
    return math.ceil(Fraction(mechanism.map(sensitivity)) * MICRO)


@functools.lru_cache(maxsize=64)
def _make_mechanism(sensitivity: int, epsilon_micro: int) -> tuple[Any, float]:
    import opendp.prelude as dp

    if sensitivity < 1 or epsilon_micro < 1:
        raise NoiseError("Noise needs a sensitivity and a budget above zero.", reason="no-budget")
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    allowed = Fraction(epsilon_micro, MICRO)
    scale = sensitivity * MICRO / epsilon_micro
    # A float cannot represent most scales: step up until the library itself, in exact fractions, stays within the
    # ledger.
    for _ in range(8):
        mechanism: Any = dp.m.make_laplace(*space, scale=scale)
        if Fraction(mechanism.map(sensitivity)) <= allowed:
            return mechanism, scale
        scale = math.nextafter(scale, math.inf)
    raise NoiseError("The library's privacy loss exceeds the ledger's.", reason="loss-above-ledger")


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed range of whole numbers, both ends included."""

    low: int
    high: int


@functools.lru_cache(maxsize=64)
def get_reach(*, scale: float, cells: int = 1, certainty_permille: int = CERTAINTY_PERMILLE) -> int:
    """Return the smallest distance that the sum of `cells` draws stays within at that certainty.

    Discrete Laplace noise is the difference of two geometric ones with ratio exp(-1/scale) (Ghosh, Roughgarden and
    Sundararajan 2009), so the sum of n of them is the difference of two negative binomials: no approximation.
    """
    ratio = math.exp(-1 / scale)
    chances = _make_negative_binomial(ratio, cells)
    beyond = _make_tails(chances)
    allowed = (1 - certainty_permille / 1000) / 2
    low, high = 0, len(chances)
    while low < high:
        middle = (low + high) // 2
        above = sum(
            chance * beyond[min(other + middle + 1, len(chances))]
            for other, chance in enumerate(chances[: len(chances) - middle])
        )
        if above <= allowed:
            high = middle
        else:
            low = middle + 1
    return low


def make_interval(*, draws: Sequence[int], published: int, scale: float) -> Interval:
    """Return the interval of a cell, or of a total over several; counts are never negative, so neither is an end."""
    reach = get_reach(scale=scale, cells=len(draws))
    middle = sum(draws)
    return Interval(low=max(0, min(middle - reach, published)), high=max(middle + reach, published))


def _make_negative_binomial(ratio: float, cells: int) -> list[float]:
    """Return the probabilities of 0, 1, 2, ... until the rest cannot change the rounded result."""
    chance = (1 - ratio) ** cells
    chances, seen = [chance], chance
    while seen < 1 - 1e-9 or len(chances) < cells / (1 - ratio):
        chance *= ratio * (cells + len(chances) - 1) / len(chances)
        chances.append(chance)
        seen += chance
        if chance < 1e-15 and len(chances) > cells / (1 - ratio):
            break
    return chances


def _make_tails(chances: Sequence[float]) -> list[float]:
    tails = [0.0]
    for chance in reversed(chances):
        tails.append(tails[-1] + chance)
    return tails[::-1]


@dataclass(frozen=True, slots=True)
class Consistent:
    """The agreed total and, by table name, the agreed values in the order of the labels."""

    total: int
    values: dict[str, list[int]]


def make_consistent(tables: Sequence[Table], noisy: Mapping[str, Sequence[int]]) -> Consistent:
    """Return the whole non-negative values nearest to the draws, each table weighted by the precision of its noise.

    A table without a draw (its noise was lost) is left out. Partitions add up to the total exactly; in the weakness
    table each value is at most the total and their sum at most twice the total.
    """
    drawn = [table for table in tables if table.name in noisy]
    partitions = [table for table in drawn if table.is_partition]
    total = _get_total(partitions, noisy)
    values: dict[str, list[int]] = {}
    for table in drawn:
        draws = noisy[table.name]
        if table.is_partition:
            values[table.name] = _round_to(project(draws, total=total), total)
        else:
            values[table.name] = _fit_below(draws, total)
    return Consistent(total, values)


def project(values: Sequence[int], *, total: int) -> list[Fraction]:
    """Return the nearest point (least squares) with no negative part and with that sum."""
    shift = _get_shift(values, total)
    return [max(Fraction(0), value + shift) for value in values]


def _get_shift(values: Sequence[int], total: int) -> Fraction:
    """Return the one number that, added to all values and cut at zero, makes them sum to `total` (Held et al. 1974)."""
    running = 0
    shift = Fraction(0)
    for count, value in enumerate(sorted(values, reverse=True), start=1):
        running += value
        candidate = Fraction(total - running, count)
        if count > 1 and value + candidate <= 0:
            break
        shift = candidate
    return shift


def _get_total(partitions: Sequence[Table], noisy: Mapping[str, Sequence[int]]) -> int:
    """Return the whole total with the least weighted squared distance, by halving: the distance is convex in it."""
    low, high = 0, max([0, *(sum(max(0, value) for value in noisy[table.name]) for table in partitions)]) + 1
    while low < high:
        middle = (low + high) // 2
        if _get_cost(partitions, noisy, middle) <= _get_cost(partitions, noisy, middle + 1):
            high = middle
        else:
            low = middle + 1
    return low


def _get_cost(partitions: Sequence[Table], noisy: Mapping[str, Sequence[int]], total: int) -> Fraction:
    cost = Fraction(0)
    for table in partitions:
        draws = noisy[table.name]
        fitted = project(draws, total=total)
        # The variance of discrete Laplace noise grows as (sensitivity / epsilon) squared: near enough for a weight.
        weight = Fraction(table.epsilon_micro, table.sensitivity * MICRO) ** 2
        cost += weight * sum((fit - draw) ** 2 for fit, draw in zip(fitted, draws, strict=True))
    return cost


def _round_to(parts: Sequence[Fraction], total: int) -> list[int]:
    """Return whole numbers with that sum: parts rounded down, the remainder going to the largest fractions."""
    whole = [int(part) for part in parts]
    by_fraction = sorted(range(len(parts)), key=lambda place: (whole[place] - parts[place], place))
    for place in by_fraction[: total - sum(whole)]:
        whole[place] += 1
    return whole


def _fit_below(draws: Sequence[int], total: int) -> list[int]:
    capped = [min(max(0, draw), total) for draw in draws]
    most = MOST_WEAKNESSES * total
    if sum(capped) <= most:
        return capped
    return [min(value, total) for value in _round_to(project(capped, total=most), most)]
