"""The journey as data: every screen, its fields and where each answer leads.

One table, read by the views, the checks, the summary and the tests. The words that a person sees are in `wording/`;
the reasons here (`why`, `who_uses`, `what_if_blank`) are for reviewers and for the privacy notice.
Screen numbers are those of the full journey, so that the screens which are still to come fit in between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from partner_sdk.public_report import BLOCK_MAX, LINE_MAX, STORY_MAX

Answers = Mapping[str, Sequence[str]]
FieldKind = Literal["radios", "checkboxes", "text", "textarea", "choice"]

UNDER_AGE_LINE = 18  # R3: a child is anyone under 18; the one place where the age line is written


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that is asked."""

    name: str
    kind: FieldKind
    why: str
    who_uses: str
    what_if_blank: str
    options: tuple[str, ...] = ()
    required: bool = False
    max_characters: int = LINE_MAX


@dataclass(frozen=True, slots=True)
class Branch:
    """Leads to `go` when the answer holds one of `any_of`, or when `only` is set and it holds nothing else."""

    field: str
    any_of: tuple[str, ...]
    go: str
    only: bool = False
    unless: tuple[str, tuple[str, ...]] | None = None

    def fits(self, answers: Answers) -> bool:
        """Return whether these answers lead this way."""
        given = answers.get(self.field, ())
        if not given or (self.only and not set(given) <= set(self.any_of)):
            return False
        if self.unless and set(answers.get(self.unless[0], ())) & set(self.unless[1]):
            return False
        return bool(set(given) & set(self.any_of))


@dataclass(frozen=True, slots=True)
class Screen:
    """One page: its path is neutral, because it stays in the history of a shared phone."""

    name: str
    path: str
    goes_to: str
    fields: tuple[Field, ...] = ()
    branches: tuple[Branch, ...] = ()


@dataclass(frozen=True, slots=True)
class KindOption:
    """What a person may tick on the screen 'What is it about?', and what it is called at the desk (Annex A)."""

    code: str
    annex_a: str
    priority: Literal["P1", "P2", "P3"]


# The codes of Annex A. Where the paper has no line of its own, the nearest one is taken:
# asking for pictures is how grooming goes on (A2); touching is a sexual act between child and adult (A5).
KIND_OPTIONS = (
    KindOption("extra_nice", "grooming", "P3"),
    KindOption("shared_things", "risk_behaviour", "P3"),
    KindOption("sexual_talk", "sexual_talk", "P3"),
    KindOption("asked_for_pictures", "grooming", "P2"),
    KindOption("on_camera", "sexual_acts_live", "P2"),
    KindOption("wants_to_meet", "meet_offline", "P2"),
    KindOption("meeting_soon", "meet_offline", "P1"),
    KindOption("threatens_to_share", "coercion_blackmail", "P2"),
    KindOption("made_to_do_things", "coercion_blackmail", "P2"),
    KindOption("touched_or_hurt", "sexual_acts_live", "P2"),
    KindOption("bullying", "something_else", "P3"),
    KindOption("account_hacked", "something_else", "P3"),
    KindOption("something_else", "something_else", "P3"),
    KindOption("not_sure", "something_else", "P3"),
)
OTHER_WORRIES = ("bullying", "account_hacked")

YES_NO_UNSURE = ("yes", "no", "not_sure")
AGES = ("12_or_under", "13_15", "16_17", "18_plus", "rather_not_say")
CONTACT_WAYS = ("adult", "school", "call", "text", "email")

START, CHECK, THANKS = "start", "check", "thanks"

SCREENS = (
    Screen(START, "", "danger"),
    Screen(
        "danger",
        "3",
        "under_18",
        fields=(
            Field(
                "danger",
                "radios",
                why="decides whether 999 comes before any form (R5, R24)",
                who_uses="the person who reads first, to put urgent reports on top",
                what_if_blank="asked again: it is the one question that can not wait",
                options=YES_NO_UNSURE,
                required=True,
            ),
        ),
        branches=(Branch("danger", ("yes",), "danger_help"),),
    ),
    Screen(
        "danger_help",
        "3a",
        "under_18",
        fields=(
            Field(
                "called",
                "choice",
                why="says whether the police already know",
                who_uses="the person who reads first",
                what_if_blank="nothing: every button carries on",
                options=("called", "cannot_call", "carry_on"),
            ),
        ),
    ),
    Screen(
        "under_18",
        "4",
        "who",
        fields=(
            Field(
                "under_18",
                "radios",
                why="chooses the words and the helpline, and decides who is owed an answer (R23, R26)",
                who_uses="the person who answers",
                what_if_blank="asked again; rather not say counts as yes",
                options=("yes", "no", "rather_not_say"),
                required=True,
            ),
        ),
    ),
    Screen(
        "who",
        "4b",
        "age",
        fields=(
            Field(
                "who",
                "radios",
                why="a report may be about another child (R12)",
                who_uses="the person who reads, and the next pages, for their words",
                what_if_blank="asked again; not sure is an answer",
                options=("me", "friend", "child_i_look_after", "child_i_work_with", "another_child", "not_sure"),
                required=True,
            ),
        ),
    ),
    Screen(
        "age",
        "5",
        "kind",
        fields=(
            Field(
                "age",
                "radios",
                why="a younger child is at more risk, and the law differs by age",
                who_uses="the person who assesses the risk",
                what_if_blank="asked again; rather not say is an answer, and no birthday is asked",
                options=AGES,
                required=True,
            ),
        ),
        branches=(
            # An adult telling about their own grown-up life; "rather not say" at screen 4 counts as a child.
            Branch("age", ("18_plus",), "grown_up", unless=("who", ("friend", "another_child", "not_sure"))),
        ),
    ),
    Screen("grown_up", "5a", "kind"),
    Screen(
        "kind",
        "7",
        "story",
        fields=(
            Field(
                "kinds",
                "checkboxes",
                why="first sorting of what happened (Annex A)",
                who_uses="the person who reads first",
                what_if_blank="a few words on the next page are enough",
                options=tuple(option.code for option in KIND_OPTIONS),
            ),
        ),
        branches=(Branch("kinds", OTHER_WORRIES, "other_worries", only=True),),
    ),
    Screen("other_worries", "7a", "story"),
    Screen(
        "story",
        "9",
        "name",
        fields=(
            Field(
                "story",
                "textarea",
                why="the person's own words",
                who_uses="the person who reads; nobody asks to hear it twice",
                what_if_blank="fine when a box is ticked on the page before",
                max_characters=STORY_MAX,
            ),
        ),
    ),
    Screen(
        "name",
        "11",
        "reach",
        fields=(
            Field(
                "name",
                "text",
                why="reports are not anonymous (R25); a first name is enough",
                who_uses="the person who answers",
                what_if_blank="asked again, with the way to those who take reports without a name",
                required=True,
            ),
        ),
    ),
    Screen(
        "reach",
        "12",
        "safe",
        fields=(
            Field(
                "contact_ways",
                "checkboxes",
                why="an answer must reach the child and nobody else",
                who_uses="the person who answers",
                what_if_blank="asked again; an adult or the school can be the way",
                options=CONTACT_WAYS,
                required=True,
            ),
            Field(
                "contact_value",
                "text",
                why="the number, address or name that goes with the way",
                who_uses="the person who answers",
                what_if_blank="asked again: one way is needed",
                required=True,
            ),
        ),
    ),
    Screen(
        "safe",
        "12b",
        CHECK,
        fields=(
            Field(
                "who_sees",
                "radios",
                why="a call may be picked up by the wrong person",
                who_uses="the person who answers",
                what_if_blank="counts as yes: the person who answers says nothing of why they call",
                options=YES_NO_UNSURE,
            ),
            Field(
                "contact_times",
                "text",
                why="a safe time",
                who_uses="the person who answers",
                what_if_blank="any time in the day",
            ),
            Field(
                "say_who_we_are",
                "radios",
                why="whether our name may be said to others",
                who_uses="the person who answers",
                what_if_blank="counts as no",
                options=YES_NO_UNSURE,
            ),
            Field(
                "safe_word",
                "text",
                why="so that the child knows that it is really us",
                who_uses="the person who answers",
                what_if_blank="none is used",
            ),
            Field(
                "do_not_contact",
                "text",
                why="whom we must not speak to",
                who_uses="everyone who works on the report",
                what_if_blank="not known",
                max_characters=BLOCK_MAX,
            ),
        ),
    ),
    Screen(CHECK, "14", THANKS),
    Screen(THANKS, "15", THANKS),
)

SCREEN_BY_NAME: Mapping[str, Screen] = {screen.name: screen for screen in SCREENS}
FIELD_BY_NAME: Mapping[str, Field] = {field.name: field for screen in SCREENS for field in screen.fields}


@dataclass(frozen=True, slots=True)
class PriorityRule:
    """The first rule whose field holds one of the answers decides; the desk may always go higher."""

    field: str
    any_of: tuple[str, ...]
    priority: Literal["P1", "P2", "P3"]


PRIORITY_RULES = (
    PriorityRule("danger", ("yes",), "P1"),
    PriorityRule("kinds", tuple(o.code for o in KIND_OPTIONS if o.priority == "P1"), "P1"),
    PriorityRule("danger", ("not_sure",), "P2"),
    PriorityRule("kinds", tuple(o.code for o in KIND_OPTIONS if o.priority == "P2"), "P2"),
    PriorityRule("age", ("12_or_under",), "P2"),
)


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


def get_priority(answers: Answers) -> Literal["P1", "P2", "P3"]:
    """Return the priority that the answers give; what no rule names is P3."""
    for rule in PRIORITY_RULES:
        if set(answers.get(rule.field, ())) & set(rule.any_of):
            return rule.priority
    return "P3"


def is_owed_an_answer(answers: Answers) -> bool:
    """Say whether the person counts as a child: 'rather not say' and no answer do (R23)."""
    return tuple(answers.get("under_18", ())) != ("no",)


def is_about_self(answers: Answers) -> bool:
    """Say whether the person tells about themselves."""
    return tuple(answers.get("who", ())) == ("me",)
