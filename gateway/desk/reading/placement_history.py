"""The history of a placement in words: of a change, which terms it changed and what they became."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from gateway.desk.placements.history import HistoryRow
from gateway.desk.placements.surfaces import SURFACE_TITLES
from gateway.desk.placements.terms import Terms

_TITLES: Final = {
    "service": "service",
    "surface": "kind of page",
    "position": "position",
    "address": "address",
    "look_at": "page to look at",
}


def spell_changes(history: Sequence[HistoryRow]) -> list[str]:
    """Return what each deed changed, such as `position: Beside Block`; "" for a deed that is no change.

    The history goes from the newest deed to the oldest, as `list_history` returns it.
    """
    said = [_spell_change(before.terms, one.terms) if one.deed == "change" else "" for one, before in pairwise(history)]
    # The first deed of all agreed the placement.
    return [*said, ""] if history else []


def _spell_change(before: Terms, after: Terms) -> str:
    changed = [name for name in _TITLES if getattr(before, name) != getattr(after, name)]
    return "; ".join(f"{_TITLES[name]}: {_spell_term(after, name)}" for name in changed)


def _spell_term(terms: Terms, name: str) -> str:
    if name == "surface":
        return SURFACE_TITLES.get(terms.surface, terms.surface)
    return str(getattr(terms, name) or "none")
