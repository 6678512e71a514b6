"""The only noise of the project: OpenDP's discrete Laplace mechanism, pure differential privacy, and the law of it.

Never seeds it, never writes noise of its own, never draws without a ledger entry (`ledger.py` commits first).
OpenDP is 265 MB, so it is imported on the first draw and by this file alone.
"""

import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from gateway.desk.digests.tables import MICRO
from partner_sdk.errors import ReportAbuseError


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


@functools.lru_cache(maxsize=64)
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


@functools.lru_cache(maxsize=256)
def get_threshold(*, scale: float, draws: int, chance: float) -> int:
    """Return the smallest number that the sum of so many draws reaches at most with that chance, e.g. 0.003.

    Discrete Laplace noise is the difference of two geometric ones with ratio exp(-1/scale) (Ghosh, Roughgarden and
    Sundararajan 2009), so the sum of n of them is the difference of two negative binomials: no approximation.
    """
    low, high = 0, 1
    while get_tail(scale=scale, draws=draws, least=high) > chance:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if get_tail(scale=scale, draws=draws, least=middle) > chance:
            low = middle
        else:
            high = middle
    return high


def get_tail(*, scale: float, draws: int, least: int) -> float:
    """Return the chance that the sum of so many draws is `least` or more, for a `least` of 0 or above."""
    chances, beyond = _make_law(scale, draws)
    return sum(chance * beyond[min(other + least, len(chances))] for other, chance in enumerate(chances))


@functools.lru_cache(maxsize=64)
def _make_law(scale: float, draws: int) -> tuple[list[float], list[float]]:
    """Return the chances of 0, 1, 2, ... of a negative binomial, and of each number or more."""
    ratio = math.exp(-1 / scale)
    chance = (1 - ratio) ** draws
    chances, mean = [chance], draws / (1 - ratio)
    # Until the rest is below any rounding of a float: past the mean the chances only fall.
    while chance > 1e-18 or len(chances) < mean:
        chance *= ratio * (draws + len(chances) - 1) / len(chances)
        chances.append(chance)
    beyond = [0.0]
    for one in reversed(chances):
        beyond.append(beyond[-1] + one)
    return chances, beyond[::-1]
