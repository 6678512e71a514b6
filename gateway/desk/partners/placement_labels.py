"""Labels of placements for the pages, and the mails to a service that asked for the button.

Never sends anything: staff read and send the texts. A stranger typed the address, and could make the desk write to any
address in the agency's name.
"""

import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from gateway.desk.partners.placement_agreeing import HistoryRow
from gateway.desk.partners.placement_checks import CheckRow, Condition, ConditionCode, TakenChecks
from gateway.desk.partners.placement_register import SURFACE_TITLES, PlacementRow, format_place
from partner_sdk.button.snippet import make_snippet

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
    "bad-owner": "new_owner",
    "unknown-owner": "new_owner_name",
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
_CONDITIONS: Final[dict[ConditionCode, str]] = {
    "as_agreed": "As agreed",
    "not_reached": "Could not load the page",
    "not_looked_at": "Not checked yet",
}
# The colour of each, by the names of the style sheet.
BADGES: Final[dict[ConditionCode, str]] = {
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


def format_condition(condition: Condition) -> str:
    """Return the text of a placement's condition."""
    last = condition.last
    if condition.code == "long_ago":
        return "Never checked" if last is None else "Check is too old"
    if condition.code == "with_faults" and last is not None:
        return format_result(last)
    return _CONDITIONS[condition.code]


def format_result(check: CheckRow) -> str:
    """Return the result of one check, e.g. `2 faults`."""
    if check.result == "unreachable" and not check.was_asked_for:
        return "The page was not requested"
    if check.result == "unreachable":
        return _CONDITIONS["not_reached"]
    faults = "1 fault" if check.faults == 1 else f"{check.faults} faults"
    if check.names_another:
        return "Another link id" if check.faults == 0 else f"Another link id, {faults}"
    return _CONDITIONS["as_agreed"] if check.result == "passes" else faults


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
    said = []
    for one, before in pairwise(history):
        changed = [name for name in _TITLES if getattr(before.terms, name) != getattr(one.terms, name)]
        terms = {name: str(getattr(one.terms, name) or "none") for name in changed}
        terms |= {"surface": SURFACE_TITLES.get(one.terms.surface, one.terms.surface)} if "surface" in terms else {}
        said.append("; ".join(f"{_TITLES[name]}: {text}" for name, text in terms.items() if one.action == "change"))
    # The oldest action agreed the placement.
    return [*said, ""] if history else []


LANGUAGES: Final = {"en": "English", "cy": "Welsh"}
_TEXTS: Final = Path(__file__).parent / "mails.toml"


@dataclass(frozen=True, slots=True)
class Mail:
    """A text for a person to send; `to` is the address in the request, if there was one."""

    to: str
    subject: str
    text: str

    def __repr__(self) -> str:
        """Leave the people out: a repr ends in logs."""
        return "Mail(...)"


@lru_cache(maxsize=1)
def read_texts() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Return the texts by language and occasion.

    `surfaces` has the kinds of place by language and code, `place_words` the explanations of a place.
    """
    return tomllib.loads(_TEXTS.read_text(encoding="utf-8"))


def make_mail(occasion: str, *, language: str, to: str = "", **words: str) -> Mail:
    """Return the text of an occasion: `agreed`, `invited` or `declined`."""
    texts = read_texts()[language][occasion]
    return Mail(to=to, subject=texts["subject"].format(**words), text=texts["text"].strip().format(**words) + "\n")


def make_agreed_mail(places: Sequence[PlacementRow], *, name: str, language: str, origin: str, agency: str) -> Mail:
    """Return the text with the link id of every place, its lines of HTML, and its SDK commands."""
    titles, said = read_texts()["surfaces"][language], read_texts()["place_words"][language]
    lines = []
    for place in places:
        command = f"report-abuse-partner button snippet --origin {origin} --placement {place.placement}"
        if language != "en":
            command += f" --language {language}"
        page = said["page"] if place.look_at is None else shlex.quote(place.look_at)
        lines += [
            f"{place.service}, {titles[place.surface]}: {place.position}",
            f"  {place.address}",
            f"  {origin}/?from={place.placement}",
            "",
        ]
        for form in ("link", "script"):
            html = make_snippet(origin, placement=place.placement, language=language, form=form)
            lines += [f"  {said[form]}", html]
        lines += [
            f"  {command}",
            *([f"  {said['own_page']}"] if place.look_at is None else []),
            f"  report-abuse-partner button check {page} --origin {origin} --placement {place.placement}",
            "",
        ]
    words = {"name": name, "service": places[0].service, "places": "\n".join(lines).rstrip()}
    return make_mail("agreed", language=language, agency=agency, **words)
