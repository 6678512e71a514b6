"""Least squares after the noise: every table of a digest gets whole, non-negative numbers that add up to one total.

Reads noisy values only, so it costs no privacy (post-processing). Exact fractions, no floats: the same draws always
give the same digest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from gateway.desk.feedback.tables import MICRO, MOST_WEAKNESSES, Table


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
    """Return whole numbers with that sum: parts rounded down, what is left to the largest fractions."""
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
