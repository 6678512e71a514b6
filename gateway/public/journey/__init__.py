"""The journey as data: every screen, its fields, and the next screen for each answer.

One table for the views, the checks, the summary and the tests. The texts are in `wording/`. Screen numbers are those of
the form's specification; a letter marks a page that only some people see.

One answer from page to sealed report: `views/screens.py` (its page), `journey/fields.py` (read and checked), then
`views/check.py` (shown once more), `sending.py` (built, sealed and stored).

To add a field to the form and to the desk's page, in this order; after each arrow the test that fails without it:

1. `gateway/exchange/public_report.py`: an optional field, as its docstring describes.
   -> `tests/sdk/wire/test_public_report.py::test_report_that_was_sealed_before_a_field_was_added_still_opens`, if it is
   not optional; without the step, Send has nowhere to put the answer
2. `gateway/public/journey/screens.py`: a `Field` of the same name. If the name
   is taken, put the part of the report before it, e.g. `child_school` fills `child.school`.
   -> `tests/gateway/public/test_send.py::test_every_field_of_a_part_of_the_report_is_filled_from_a_field_of_its_own`
3. `gateway/public/wording/en/story.toml` and `cy/story.toml`: its label, summary
   and options, and variants for other voices where the plain text does not fit (untested); a new version where
   `signoffs.toml` asks for one; then `python -m tests.gateway.public.reading_table`. A page has at most 8,000 bytes.
   -> `tests/gateway/public/test_wording.py::test_every_word_of_a_screen_exists_in_every_voice`
4. `gateway/guidance/risk.toml`: each option, weighed or listed as meaning nothing.
   -> `tests/desk/collection/test_risk.py::test_every_option_of_the_form_is_weighed_or_listed_as_meaning_nothing`
5. `gateway/desk/cases/reading/labels.py`: the label at the desk, and labels for codes that are not plain English. Its
   place is a row of `_SECTIONS` in `public_report.py` beside it, and of `_GROUPS` in `outgoing/manual_entry.py`.
   -> `tests/desk/cases/test_report_words.py::test_every_path_of_a_report_has_words_and_no_words_stand_for_nothing`
   Whether it goes to police: `OF_REPORTER` in `gateway/desk/outgoing/package_gathering.py`.
   -> `tests/desk/outgoing/packages/test_building.py::test_answer_goes_to_police_only_if_somebody_chose_it`
6. `tests/gateway/public/test_send.py` (`FREE_TEXTS` or `CHOICES`), `tests/gateway/public/walks.py` (`LONG_WAY`) and
   `tests/gateway/public/test_drafts.py` (`FIELDS_OF_V4`): it is typed, arrives unchanged, and cannot be renamed
   unnoticed.
   -> `tests/gateway/public/test_send.py::test_every_free_text_is_known_here_and_typed_on_the_long_way`

The check page carries all answers in one field: base64url of JSON, because browsers change line breaks in a plain
hidden field. It is validated like any input: an unknown field is dropped; an unknown or repeated option, two answers
to a single choice, or a text that is too long invalidates it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Final, Literal

import msgspec

from gateway.guidance.advice import Audience, get_audience
from gateway.guidance.risk import is_danger_today, list_found_in_words
from gateway.guidance.signposts import OTHER
from gateway.public.journey.fields import TYPED, Answers, Fault, Field, Priority, Screen, get_one
from gateway.public.journey.screens import (
    ABOUT_OTHER,
    ABROAD,
    GROWN_UP,
    KIND_OPTIONS,
    LOWEST_PRIORITY,
    PRIORITY_IN_WORDS,
    PRIORITY_RULES,
    REACH_SCREENS,
    STAYS_HERE,
    STORY_SCREENS,
    URGENT_RULES,
    WHO_SCREENS,
)
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import decode, parse_base64url, to_base64url

__all__ = [
    "ADDITION_SCREENS",
    "CHECK",
    "DANGER",
    "DANGER_HELP",
    "DO_NOT_GO",
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
    "Progress",
    "ReaderProfile",
    "Screen",
    "drop_buttons",
    "find_incomplete",
    "find_packed_answers",
    "get_country",
    "get_next",
    "get_one",
    "get_previous",
    "get_priority",
    "get_progress",
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
DANGER_HELP: Final = "danger_help"
DO_NOT_GO: Final = "do_not_go"
# The screens of an addition, after a return with the five words.
ADDITION_SCREENS: Final = frozenset({DANGER, DANGER_HELP, STORY})

Progress = Literal["started", "halfway", "nearly", "last", "extra"]
_STAGES: Final[tuple[Progress, ...]] = ("started", "halfway", "nearly", "last")
# Pages before the check page at the start of each later stage: thirds of the shortest way.
_MOST_LEFT: Final = (6, 3, 0)

SCREENS = (*WHO_SCREENS, *STORY_SCREENS, *REACH_SCREENS)
SCREEN_BY_NAME: Mapping[str, Screen] = {screen.name: screen for screen in SCREENS}
FIELD_BY_NAME: Mapping[str, Field] = {field.name: field for screen in SCREENS for field in screen.fields}


def _list_ways_on(screen: Screen, *, is_asked: bool) -> list[str]:
    """List the screens that may follow; `is_asked` adds those that only a button of the kind `more` leads to."""
    branches = [
        branch
        for branch in screen.branches
        if is_asked or not any(FIELD_BY_NAME[one.field].kind == "more" for one in branch.when)
    ]
    return [screen.goes_to, *(branch.go for branch in branches)]


def _make_progress() -> Mapping[str, Progress]:
    """Name for each screen how far it is, by the fewest pages that can be left to the check page.

    Relies on the order of SCREENS: none leads to an earlier one, except the optional ones. A longer branch, e.g.
    `country`, takes no word of an earlier page back.
    """
    left, found = {CHECK: 0}, {START: 0}
    for screen in reversed(SCREENS):
        ways = [left[name] for name in _list_ways_on(screen, is_asked=True) if name in left]
        left.setdefault(screen.name, 1 + min(ways, default=0))
    for screen in (one for one in SCREENS if one.name in found):
        stage = max(found[screen.name], sum(left[screen.name] <= most for most in _MOST_LEFT))
        found |= {name: max(found.get(name, 0), stage) for name in _list_ways_on(screen, is_asked=False)}
        found[screen.name] = stage
    return {screen.name: _STAGES[found[screen.name]] if screen.name in found else "extra" for screen in SCREENS}


_PROGRESS: Final = _make_progress()


def get_next(screen: Screen, answers: Answers) -> Screen:
    """Return the next screen for these answers."""
    for branch in screen.branches:
        if branch.fits(answers):
            return SCREEN_BY_NAME[branch.go]
    return SCREEN_BY_NAME[screen.goes_to]


def list_path(answers: Answers) -> tuple[Screen, ...]:
    """List the screens from the start to the check, for these answers."""
    path = [SCREEN_BY_NAME[START]]
    while path[-1].name != CHECK:
        path.append(get_next(path[-1], answers))
    return tuple(path)


def get_progress(screen: Screen, *, is_late: bool = False) -> Progress:
    """Return how far a screen is. `is_late`: the check page was seen, so every screen before it is nearly the last."""
    progress = _PROGRESS[screen.name]
    return "nearly" if is_late and progress in {"started", "halfway"} else progress


def list_addition_places(answers: Answers) -> tuple[str, ...]:
    """List the places of an addition: the danger question, the person's own words, then the check.

    Danger comes first here too, because it decides how soon a person reads the addition.
    """
    is_danger = get_next(SCREEN_BY_NAME[DANGER], answers).name == DANGER_HELP
    return (DANGER, *([DANGER_HELP] if is_danger else []), STORY, CHECK)


def get_previous(screen: Screen, answers: Answers) -> Screen:
    """Return the previous screen, or the start if the answers no longer lead to this one."""
    path = list_path(answers)
    for before, after in pairwise(path):
        if after is screen:
            return before
    return next((s for s in reversed(path) if get_next(s, answers) is screen or s.goes_to == screen.goes_to), path[0])


def keep_on_path(answers: Answers) -> dict[str, list[str]]:
    """Keep only the answers on the path they lead to, so that only answers shown before Send are sent."""
    asked = {field.name for screen in list_path(answers) for field in screen.fields if field.is_shown(answers)}
    return {name: list(values) for name, values in answers.items() if name in asked and values}


def find_incomplete(answers: Answers) -> Screen | None:
    """Find the first screen on the path that still needs an answer before Send."""
    return next((screen for screen in list_path(answers) if screen.list_faults(answers)), None)


def drop_buttons(answers: Answers) -> dict[str, list[str]]:
    """Return the answers without the buttons that only lead to more screens and are no part of a report."""
    return {name: list(values) for name, values in answers.items() if FIELD_BY_NAME[name].kind != "more"}


def pack_answers(answers: Answers) -> str:
    """Encode answers for the hidden field."""
    return to_base64url(msgspec.json.encode({name: list(values) for name, values in answers.items()}))


def find_packed_answers(packed: str | None) -> dict[str, list[str]] | None:
    """Decode the hidden field; None if it is absent, or no page of ours could have made it."""
    if not packed:
        return None
    try:
        loose = decode(parse_base64url(packed), kind=dict[str, list[str]])
    except (FormatError, msgspec.DecodeError):
        return None
    answers = {name: values for name, values in loose.items() if name in FIELD_BY_NAME and values}
    are_readable = all(FIELD_BY_NAME[name].can_have(values) for name, values in answers.items())
    return answers if are_readable else None


def list_signposted(answers: Answers) -> tuple[str, ...]:
    """List the helpers shown on the path of these answers, each once (R6, R7)."""
    return tuple(dict.fromkeys(code for screen in list_path(answers) for code in screen.shows))


def speaks_of_today(answers: Answers) -> bool:
    """Return whether typed words speak of danger today, e.g. of a meeting tonight."""
    typed = chain.from_iterable(some for name, some in answers.items() if FIELD_BY_NAME[name].kind in TYPED)
    return any(is_danger_today(" ".join(list_found_in_words(text))) for text in typed)


def get_priority(answers: Answers) -> Priority:
    """Return the priority of these answers, which words may raise."""
    if speaks_of_today(answers):
        return PRIORITY_IN_WORDS
    for rule in PRIORITY_RULES:
        if rule.when.fits(answers):
            return rule.priority
    return LOWEST_PRIORITY


def list_urgent(answers: Answers) -> tuple[str, ...]:
    """List the urgent matters for the thank-you page, each once, e.g. danger or a meeting soon."""
    return tuple(dict.fromkeys(rule.code for rule in URGENT_RULES if all(one.fits(answers) for one in rule.when)))


def is_owed_an_answer(answers: Answers) -> bool:
    """Return whether the person is owed an answer: children, including "rather not say" and no answer (R23)."""
    return not is_grown_up(answers)


def is_grown_up(answers: Answers) -> bool:
    """Return whether the person is 18 or over, by their own answer."""
    return GROWN_UP.fits(answers)


def get_reader(answers: Answers) -> Audience:
    """Return the audience of the pages."""
    return get_audience(is_grown_up=is_grown_up(answers), who=get_one(answers, "who"))


def get_country(answers: Answers) -> str:
    """Return the country of the report, or an empty string for the UK.

    Ignores a country that was picked before the person went back and chose the UK.
    """
    return get_one(answers, "country") if ABROAD.fits(answers) else ""


@dataclass(frozen=True, slots=True)
class ReaderProfile:
    """The reader and their country, which decide the help on a page.

    `country` is the reader's own: empty in the UK, and until they have answered. `country_there` is the country of
    another child outside the UK: its emergency number does not work on a phone in the UK. Each is `OTHER` if the
    country was left blank.
    """

    reader: Audience = "child"
    country: str = ""
    country_there: str = ""


UNKNOWN_READER: Final = ReaderProfile()  # before any answer, a reader counts as a child in the UK


def make_profile(answers: Answers) -> ReaderProfile:
    """Return the reader's profile."""
    country = (get_country(answers) or OTHER) if ABROAD.fits(answers) else ""
    if all(one.fits(answers) for one in STAYS_HERE):
        return ReaderProfile(get_reader(answers), country_there=country)
    return ReaderProfile(get_reader(answers), country=country)


def is_about_other(answers: Answers) -> bool:
    """Return whether the report is about another child; no answer means about oneself."""
    return ABOUT_OTHER.fits(answers)
