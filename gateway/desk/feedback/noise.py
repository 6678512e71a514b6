"""The only noise of the project: OpenDP's discrete Laplace mechanism, pure differential privacy.

Never seeds it, never writes noise of its own, never draws without a ledger entry (`digests.py` commits first).
OpenDP is 265 MB, so it is imported on the first draw and by this file alone.
"""

import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from gateway.desk.feedback.tables import MICRO
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


def get_cost_micro(*, sensitivity: int, epsilon_micro: int) -> int:
    """Return the library's figure for the privacy loss in integer micro-epsilon, rounded up: what the ledger books."""
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
    # A float can not hold most scales: step up until the library itself, in exact fractions, stays within the ledger.
    for _ in range(8):
        mechanism: Any = dp.m.make_laplace(*space, scale=scale)
        if Fraction(mechanism.map(sensitivity)) <= allowed:
            return mechanism, scale
        scale = math.nextafter(scale, math.inf)
    raise NoiseError("The library's privacy loss stays above the ledger's.", reason="loss-above-ledger")
