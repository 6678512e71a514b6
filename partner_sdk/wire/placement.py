"""Placements: the agreed places of the button, and whose each one is. An id is its partner's, or that and a place."""

import re
from collections.abc import Iterable

from partner_sdk.wire.intake import PLACEMENT_PATTERN

_PLACEMENT = re.compile(PLACEMENT_PATTERN)


def is_placement(text: str) -> bool:
    """Return whether `text` is spelled as a placement is."""
    return _PLACEMENT.fullmatch(text) is not None


def find_owner(placement: str | None, *, partners: Iterable[str]) -> str | None:
    """Return the partner that a placement belongs to, or None for an unknown or misspelled one.

    A placement is a partner's id, or that id and a place behind `-` or `_`. Ids hold hyphens: the longest one counts.
    """
    if placement is None or not is_placement(placement):
        return None
    owners = [one for one in partners if placement == one or placement.startswith((f"{one}-", f"{one}_"))]
    return max(owners, key=len, default=None)
