"""Placements in words, for the pages and for the terminal alike: state, last check, how old, and what was done."""

from typing import Final

from gateway.desk.placements.checks import CheckRow, TakenChecks
from gateway.desk.placements.placements import PlacementRow
from gateway.desk.placements.standing import Standing, StandingCode
from gateway.desk.placements.surfaces import SURFACE_TITLES, spell_place

STATES: Final = {"agreed": "Agreed", "suspended": "Suspended", "ended": "Ended"}
DEEDS: Final = {
    "agree": "Agreed",
    "change": "Changed",
    "suspend": "Suspended",
    "resume": "Agreed again",
    "end": "Ended",
}
METHODS: Final = {"static": "Read as text", "browser": "Seen in a browser"}
SEVERITIES: Final = {"fault": "Not as agreed", "advice": "Could be better", "unseen": "Could not be seen"}
CHANNELS: Final = {"runner": "by the runner", "file": "from a file"}
SURFACES: Final = tuple(SURFACE_TITLES.items())
NEXT_PUBLISH: Final = "The gateway hears of it with the next “publish”."
_STANDINGS: Final[dict[StandingCode, str]] = {
    "as_agreed": "As agreed",
    "not_reached": "The page did not come",
    "not_looked_at": "Not looked at yet",
}
# The colour of each, by the names of the style sheet.
BADGES: Final[dict[StandingCode, str]] = {
    "as_agreed": "released",
    "with_faults": "danger",
    "not_reached": "flagged",
    "long_ago": "flagged",
    "not_looked_at": "new",
}


def spell_placement(row: PlacementRow) -> str:
    """Return a placement as a case shows it, such as `Example Chat, profile page: under the name`."""
    place = spell_place(row.surface, row.position)
    return f"{row.service}, {place[0].lower()}{place[1:]}"


def spell_standing(standing: Standing) -> str:
    """Return in words how a placement stands by its last check."""
    last = standing.last
    if standing.code == "long_ago":
        return "Never looked at" if last is None else "Looked at too long ago"
    if standing.code == "with_faults" and last is not None:
        return spell_result(last)
    return _STANDINGS[standing.code]


def spell_result(check: CheckRow) -> str:
    """Return in words what one check found."""
    if check.result == "unreachable" and not check.was_asked_for:
        return "The page was not asked for"
    if check.result == "unreachable":
        return _STANDINGS["not_reached"]
    faults = "1 fault" if check.faults == 1 else f"{check.faults} faults"
    if check.names_another:
        return "Another link id" if check.faults == 0 else f"Another link id, {faults}"
    return _STANDINGS["as_agreed"] if check.result == "passes" else faults


def spell_age(days: int) -> str:
    """Return in words how long ago something was."""
    if days == 0:
        return "looked at within the last day"
    return "1 day ago" if days == 1 else f"{days} days ago"


def spell_taken(taken: TakenChecks) -> str:
    """Return in words what became of the checks that were handed in."""
    said = [f"{taken.taken} taken", f"{taken.repeated} here already"]
    if taken.unknown:
        said.append(f"{taken.unknown} dropped, as they are of no page that was agreed")
    if taken.not_yet:
        said.append(f"{taken.not_yet} dropped, as they are dated in the future")
    return f"Checks: {', '.join(said)}."
