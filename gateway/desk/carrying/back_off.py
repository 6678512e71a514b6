"""Says when to try again: soon at first, then ever later, and never all at the same moment."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

FIRST_WAIT: Final = timedelta(minutes=1)
LONGEST_WAIT: Final = timedelta(hours=6)


def get_wait(
    tries: int, *, random: Callable[[int], bytes], first: timedelta = FIRST_WAIT, longest: timedelta = LONGEST_WAIT
) -> timedelta:
    """Return how long to wait after so many tries: doubling, with up to a quarter more by chance."""
    # 2**20 minutes are two years: the exponent is cut so that no number grows without end.
    doublings = min(max(tries - 1, 0), 20)
    wait = min(first * (1 << doublings), longest)
    return wait + wait * (random(1)[0] / 255) / 4
