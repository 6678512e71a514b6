"""The journey as data: every screen, its fields and where each answer leads.

One table, read by the views, the checks, the summary and the tests. The words that a person sees are in `wording/`.
Screen numbers are those of the specification of the form; a letter marks a page that only some people see.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from gateway.guidance.advice import Audience, get_audience
from gateway.guidance.countries import OTHER
from gateway.public.journey.kinds import ABOUT_OTHERS, KIND_OPTIONS, PRIORITY_RULES, URGENT_RULES
from gateway.public.journey.reach_screens import REACH_SCREENS
from gateway.public.journey.shapes import TYPED, Answers, Field, Priority, Screen, get_one
from gateway.public.journey.story_screens import STORY_SCREENS
from gateway.public.journey.who_screens import WHO_SCREENS
from partner_sdk.wire.public_codes import IS_NOT_UNDER_18, NOT_UK

__all__ = [
    "CHECK",
    "FIELD_BY_NAME",
    "KIND_OPTIONS",
    "SCREENS",
    "SCREEN_BY_NAME",
    "START",
    "STORY",
    "THANKS",
    "TYPED",
    "UNKNOWN_READER",
    "Answers",
    "Field",
    "Priority",
    "ReaderProfile",
    "Screen",
    "get_country",
    "get_next",
    "get_one",
    "get_previous",
    "get_priority",
    "get_reader",
    "is_about_other",
    "is_grown_up",
    "is_owed_an_answer",
    "keep_on_path",
    "list_path",
    "list_signposted",
    "list_urgent",
    "make_profile",
]

START, STORY, CHECK, THANKS = "start", "story", "check", "thanks"

SCREENS = (*WHO_SCREENS, *STORY_SCREENS, *REACH_SCREENS)
SCREEN_BY_NAME: Mapping[str, Screen] = {screen.name: screen for screen in SCREENS}
FIELD_BY_NAME: Mapping[str, Field] = {field.name: field for screen in SCREENS for field in screen.fields}


def get_next(screen: Screen, answers: Answers) -> Screen:
    """Return the screen that follows, given what has been answered."""
    for branch in screen.branches:
        if branch.fits(answers):
            return SCREEN_BY_NAME[branch.go]
    return SCREEN_BY_NAME[screen.goes_to]


def list_path(answers: Answers) -> tuple[Screen, ...]:
    """List the screens from the start to the check, as the answers lead."""
    path = [SCREEN_BY_NAME[START]]
    while path[-1].name != CHECK:
        path.append(get_next(path[-1], answers))
    return tuple(path)


def get_previous(screen: Screen, answers: Answers) -> Screen:
    """Return the screen before; a screen that the answers no longer lead to goes back to the start of the path."""
    path = list_path(answers)
    for before, after in pairwise(path):
        if after is screen:
            return before
    return next((s for s in reversed(path) if get_next(s, answers) is screen or s.goes_to == screen.goes_to), path[0])


def keep_on_path(answers: Answers) -> dict[str, list[str]]:
    """Keep the answers to what these very answers lead to: what is shown before Send is what is sent."""
    asked = {field.name for screen in list_path(answers) for field in screen.fields if field.is_shown(answers)}
    return {name: list(values) for name, values in answers.items() if name in asked and values}


def list_signposted(answers: Answers) -> tuple[str, ...]:
    """List the helpers that these answers led past, each once (R6, R7)."""
    return tuple(dict.fromkeys(code for screen in list_path(answers) for code in screen.shows))


def get_priority(answers: Answers) -> Priority:
    """Return the priority that the answers give; what no rule names is P3."""
    for rule in PRIORITY_RULES:
        if rule.when.fits(answers):
            return rule.priority
    return "P3"


def list_urgent(answers: Answers) -> tuple[str, ...]:
    """List what the thank-you page answers at once, each once: danger, hurting, a meeting soon."""
    return tuple(dict.fromkeys(rule.code for rule in URGENT_RULES if all(one.fits(answers) for one in rule.when)))


def is_owed_an_answer(answers: Answers) -> bool:
    """Say whether the person counts as a child: 'rather not say' and no answer do (R23)."""
    return not is_grown_up(answers)


def is_grown_up(answers: Answers) -> bool:
    """Say whether the person said that they are 18 or over."""
    return get_one(answers, "under_18") == IS_NOT_UNDER_18


def get_reader(answers: Answers) -> Audience:
    """Return to whom the pages speak."""
    return get_audience(is_grown_up=is_grown_up(answers), who=get_one(answers, "who"))


def get_country(answers: Answers) -> str:
    """Return the code of the country that the report is about; empty in the UK.

    Who went back and picked a place in the UK has left the country's page, and its numbers too.
    """
    return get_one(answers, "country") if get_one(answers, "region") == NOT_UK else ""


@dataclass(frozen=True, slots=True)
class ReaderProfile:
    """Who reads a page and where: what the help on it depends on.

    `country` is the reader's own, empty in the UK and until they say otherwise. `country_there` is that of the child
    whom the report is about, where that is somebody else outside the UK: its emergency number does nothing on a phone
    in the UK. Each is `OTHER` where the country was left blank.
    """

    reader: Audience = "child"
    country: str = ""
    country_there: str = ""


UNKNOWN_READER: Final = ReaderProfile()  # who has not said a thing yet is spoken to as a child in the UK


def make_profile(answers: Answers) -> ReaderProfile:
    """Return who reads and where; where people live themselves is asked only in a report about themselves."""
    country = (get_country(answers) or OTHER) if get_one(answers, "region") == NOT_UK else ""
    if is_about_other(answers):
        return ReaderProfile(get_reader(answers), country_there=country)
    return ReaderProfile(get_reader(answers), country=country)


def is_about_other(answers: Answers) -> bool:
    """Say whether the report is about another child; nothing said means about oneself."""
    return bool(set(answers.get("who", ())) & set(ABOUT_OTHERS))
