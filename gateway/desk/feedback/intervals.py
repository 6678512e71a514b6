"""The interval beside every number: where the true count lies with a stated certainty, from the law of the noise.

Draws nothing and reads no true count. The interval is laid around the raw draw and widened to hold the published
value, so that least squares can only make it surer than it says.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

CERTAINTY_PERMILLE = 950


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed range of whole numbers, both ends included."""

    low: int
    high: int


@functools.lru_cache(maxsize=64)
def get_reach(*, scale: float, cells: int = 1, certainty_permille: int = CERTAINTY_PERMILLE) -> int:
    """Return the least distance that the sum of `cells` draws stays within at that certainty.

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
    """Return the chances of 0, 1, 2, ... until what is left can not move a whole number of the result."""
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
