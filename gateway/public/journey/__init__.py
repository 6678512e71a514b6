"""The journey as data: every screen, its fields and where each answer leads.

One table, read by the views, the checks, the summary and the tests. The words that a person sees are in `wording/`.
Screen numbers are those of the specification of the form; a letter marks a page that only some people see.

One answer from page to sealed report: `views/screens.py` (its page), `journey/fields.py` (read and checked), then
`views/check.py` (shown once more), `sending/send.py` (Send) and `sending/report.py` (the report that is sealed).

To add a field to the form and to the desk's page, in this order; after each arrow the test that fails without it:

1. `partner_sdk/wire/public_report.py`: an optional field, as its docstring says.
   -> `tests/sdk/wire/test_public_report.py::test_report_that_was_sealed_before_a_field_was_added_still_opens`, if it is
   not optional; without the step, Send has nowhere to put the answer
2. `gateway/public/journey/story_screens.py` (or `who_`, `reach_`): a `Field` of the same name. Where the form has that
   name already, the part of the report stands before it: `child_school` fills `child.school`.
   -> `tests/gateway/public/test_send.py::test_every_field_of_a_part_of_the_report_is_filled_from_a_field_of_its_own`
3. `gateway/public/wording/en/story.toml` and `cy/story.toml` (named like the file of the screens): its label, summary
   and options, and those of another voice where the plain words do not fit, which no test sees; a new version where
   `signoffs.toml` asks for one; then `python -m tests.gateway.public.reading_table`. A page has at most 8,000 bytes.
   -> `tests/gateway/public/test_wording.py::test_every_word_of_a_screen_exists_in_every_voice`
4. `gateway/guidance/risk.toml`: each option, weighed or listed as meaning nothing.
   -> `tests/desk/collection/test_risk.py::test_every_option_of_the_form_is_weighed_or_listed_as_meaning_nothing`
5. `gateway/desk/cases/reading/labels.py`: the words for the reader at the desk, and for codes that are not plain words.
   -> `tests/desk/cases/test_report_words.py::test_every_path_of_a_report_has_words_and_no_words_stand_for_nothing`
6. `tests/gateway/public/test_send.py` (`FREE_TEXTS` or `CHOICES`), `tests/gateway/public/walks.py` (`LONG_WAY`) and
   `tests/gateway/public/test_drafts.py` (`FIELDS_OF_V3`): it is typed, arrives letter for letter, and is not renamed
   unseen.
   -> `tests/gateway/public/test_send.py::test_every_free_text_is_known_here_and_typed_on_the_long_way`

The check page carries all answers in one field: base64url of JSON, because a browser changes line breaks in a plain
hidden field. What comes back is judged like anything typed: an unknown field is dropped; an unknown option, one that
stands there twice, two answers where one can be given, or a text that is too long makes it worthless.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import msgspec

from gateway.guidance.advice import Audience, get_audience
from gateway.guidance.countries import OTHER
from gateway.public.journey.fields import TYPED, Answers, Fault, Field, Priority, Screen, get_one
from gateway.public.journey.kinds import ABOUT_OTHERS, KIND_OPTIONS, PRIORITY_RULES, URGENT_RULES
from gateway.public.journey.reach_screens import REACH_SCREENS
from gateway.public.journey.story_screens import STORY_SCREENS
from gateway.public.journey.who_screens import WHO_SCREENS
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import parse_base64url, to_base64url
from partner_sdk.wire.public_codes import ADULT_BAND, NOT_UK

__all__ = [
    "ADDITION_SCREENS",
    "CHECK",
    "DANGER",
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
    "Fault",
    "Field",
    "Priority",
    "ReaderProfile",
    "Screen",
    "find_incomplete",
    "find_packed_answers",
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
    "list_addition_places",
    "list_path",
    "list_signposted",
    "list_urgent",
    "make_profile",
    "pack_answers",
]

START, DANGER, STORY, CHECK, THANKS = "start", "danger", "story", "check", "thanks"
_DANGER_HELP: Final = "danger_help"
# Where somebody who came back with the five words adds to what they sent.
ADDITION_SCREENS: Final = frozenset({DANGER, _DANGER_HELP, STORY})

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


def list_addition_places(answers: Answers) -> tuple[str, ...]:
    """List the places of an addition: whether someone is in danger now, then their own words, then the check.

    Danger comes first here too, because it decides how soon a person reads it.
    """
    is_danger = get_next(SCREEN_BY_NAME[DANGER], answers).name == _DANGER_HELP
    return (DANGER, *([_DANGER_HELP] if is_danger else []), STORY, CHECK)


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


def find_incomplete(answers: Answers) -> Screen | None:
    """Find the first screen on the path that still needs something before Send."""
    return next((screen for screen in list_path(answers) if screen.list_faults(answers)), None)


def pack_answers(answers: Answers) -> str:
    """Return answers as the text of the hidden field."""
    return to_base64url(msgspec.json.encode({name: list(values) for name, values in answers.items()}))


def find_packed_answers(packed: str | None) -> dict[str, list[str]] | None:
    """Find the answers in the field; None when there are none, or none that a page of ours can have held."""
    if not packed:
        return None
    try:
        loose = msgspec.json.decode(parse_base64url(packed), type=dict[str, list[str]])
    except (FormatError, msgspec.DecodeError):
        return None
    answers = {name: values for name, values in loose.items() if name in FIELD_BY_NAME and values}
    are_readable = all(FIELD_BY_NAME[name].can_have(values) for name, values in answers.items())
    return answers if are_readable else None


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
    return get_one(answers, "age") == ADULT_BAND


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
