"""Labels of placements for the pages: state, last check, age, changes in the history."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from gateway.desk.placements.checks import CheckRow, Standing, StandingCode, TakenChecks
from gateway.desk.placements.register import SURFACE_TITLES, PlacementRow, format_place
from gateway.desk.placements.terms import HistoryRow, Terms

STATES: Final = {"agreed": "Agreed", "suspended": "Suspended", "ended": "Ended"}
ACTIONS: Final = {
    "agree": "Agreed",
    "change": "Changed",
    "suspend": "Suspended",
    "resume": "Agreed again",
    "end": "Ended",
}
METHODS: Final = {"static": "Read as text", "browser": "Seen in a browser"}
SEVERITIES: Final = {"fault": "Not as agreed", "advice": "Could be better", "unseen": "Could not be checked"}
CHANNELS: Final = {"runner": "by the runner", "file": "from a file"}
SURFACES: Final = tuple(SURFACE_TITLES.items())
# The field of the form for each refusal of the rules.
PLACEMENT_FIELDS: Final = {
    "bad-owner": "owner",
    "unknown-owner": "owner",
    "owner-known": "new_owner",
    "bad-owner-name": "new_owner_name",
    "bad-service": "service",
    "bad-surface": "surface",
    "bad-address": "address",
    "bad-look-at": "look_at",
    "bad-position": "position",
    "bad-link-id": "link_id",
    "link-id-taken": "link_id",
    "agreed-already": "link_id",
    "bad-day": "agreed_on",
    "no-reason": "reason",
    "no-change": "service",
}
_STANDINGS: Final[dict[StandingCode, str]] = {
    "as_agreed": "As agreed",
    "not_reached": "Could not load the page",
    "not_looked_at": "Not checked yet",
}
# The colour of each, by the names of the style sheet.
BADGES: Final[dict[StandingCode, str]] = {
    "as_agreed": "released",
    "with_faults": "danger",
    "not_reached": "flagged",
    "long_ago": "flagged",
    "not_looked_at": "new",
}
_TITLES: Final = {
    "service": "service",
    "surface": "kind of page",
    "position": "position",
    "address": "address",
    "look_at": "page to check",
}


def format_placement(row: PlacementRow) -> str:
    """Return a placement as text for a case, e.g. `Example Chat, profile page: under the name`."""
    place = format_place(row.surface, row.position)
    return f"{row.service}, {place[0].lower()}{place[1:]}"


def format_standing(standing: Standing) -> str:
    """Return the text of a placement's standing."""
    last = standing.last
    if standing.code == "long_ago":
        return "Never checked" if last is None else "Check is too old"
    if standing.code == "with_faults" and last is not None:
        return format_result(last)
    return _STANDINGS[standing.code]


def format_result(check: CheckRow) -> str:
    """Return the result of one check, e.g. `2 faults`."""
    if check.result == "unreachable" and not check.was_asked_for:
        return "The page was not requested"
    if check.result == "unreachable":
        return _STANDINGS["not_reached"]
    faults = "1 fault" if check.faults == 1 else f"{check.faults} faults"
    if check.names_another:
        return "Another link id" if check.faults == 0 else f"Another link id, {faults}"
    return _STANDINGS["as_agreed"] if check.result == "passes" else faults


def format_age(days: int) -> str:
    """Return the age of a check, e.g. `3 days ago`."""
    if days == 0:
        return "checked within the last day"
    return "1 day ago" if days == 1 else f"{days} days ago"


def format_taken(taken: TakenChecks) -> str:
    """Return the result of a delivery, e.g. `Checks: 2 taken, 0 here already.`"""
    said = [f"{taken.taken} taken", f"{taken.repeated} here already"]
    if taken.unknown:
        said.append(f"{taken.unknown} dropped: not for an agreed page")
    if taken.not_yet:
        said.append(f"{taken.not_yet} dropped: dated in the future")
    return f"Checks: {', '.join(said)}."


def format_changes(history: Sequence[HistoryRow]) -> list[str]:
    """Return the changes of each action, e.g. `position: Beside Block`; "" for an action without changes.

    The history goes from the newest action to the oldest, as `list_history` returns it.
    """
    said = [
        _format_change(before.terms, one.terms) if one.action == "change" else "" for one, before in pairwise(history)
    ]
    # The oldest action agreed the placement.
    return [*said, ""] if history else []


def _format_change(before: Terms, after: Terms) -> str:
    changed = [name for name in _TITLES if getattr(before, name) != getattr(after, name)]
    return "; ".join(f"{_TITLES[name]}: {_format_term(after, name)}" for name in changed)


def _format_term(terms: Terms, name: str) -> str:
    if name == "surface":
        return SURFACE_TITLES.get(terms.surface, terms.surface)
    return str(getattr(terms, name) or "none")
