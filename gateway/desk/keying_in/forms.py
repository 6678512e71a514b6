"""The page for a call, letter or visit: its questions in the order of urgency, and how a post of it is read.

The fields are those of the public report (`partner_sdk/wire/public_report.py`) with the desk's own labels: no list of
them is written here but their order. Never loses a typed letter: every fault shows the page again, whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Literal

from werkzeug.datastructures import MultiDict

from gateway.desk.cases.model import normalise
from gateway.desk.cases.reading.labels import PUBLIC_ANSWERS, PUBLIC_WORDS
from gateway.desk.keying_in.keyed_reports import FILLED_IN, is_list, list_paths
from gateway.desk.views.page import Fault
from gateway.guidance.countries import load_countries
from partner_sdk.wire.public_codes import (
    BY_ADULT,
    BY_CALL,
    BY_EMAIL,
    BY_SCHOOL,
    BY_TEXT,
    DANGER_PREFIX,
    FORMER_YOUNGEST,
    NOT_SURE,
)
from partner_sdk.wire.public_report import LINE_MAX

FieldKind = Literal["radio", "checkbox", "select", "text", "area"]
# By group, the most important first: an analyst types while the person speaks.
# Four stand open, in two columns on a wide screen; the rest unfold.
_GROUPS: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("safe", "Is the child safe now?", ("danger", "signals", "feels", "meeting.when", "meeting.place")),
    (
        "reach",
        "How to reach them safely",
        (
            *("contact.ways", "name", "contact.phone", "contact.times", "contact.safe_word"),
            *("person.near", "contact.who_sees", "contact.may_say_who_we_are"),
            *("contact.email", "contact.adult", "contact.school", "contact.who_must_not_know"),
        ),
    ),
    ("story", "What happened", ("story", "kinds", "when", "still", "pictures")),
    ("who", "Who this is about", ("reporter_age_band", "who", "age_band", "region", "country", "there_too")),
    (
        "person",
        "The person it is about",
        (
            *("person.app", "person.handle", "person.names", "person.age", "person.how_met"),
            *("person.in_real_life", "person.knows"),
        ),
    ),
    (
        "child",
        "The child, if another person reports",
        (
            *("child.name", "child.birth", "child.place", "child.school", "child.relationship"),
            *("child.child_knows", "child.is_with_you"),
        ),
    ),
    (
        "more",
        "Who knows already, language and access",
        (
            *("told", "child.organisation", "child.role", "child.already_told", "child.other_reference"),
            *("contact.call_language", "contact.other_language", "contact.access_needs"),
        ),
    ),
)
# Labels that fit a question better than a reader's heading.
_QUESTIONS: Final = {
    "signals": "If someone is in danger: have they called 999?",
    "country": "Country, if not in the UK",
    "story": "What they said, in their own words",
}
_OPTIONS: Final = {
    "signals": {
        f"{DANGER_PREFIX}called": "Yes",
        f"{DANGER_PREFIX}cannot_call": "They cannot call",
        f"{DANGER_PREFIX}carry_on": "Not yet",
    }
}
_HINTS: Final = {
    "danger": "Danger now: they call 999 first, or you do it for them.",
    "reporter_age_band": "Not said counts as under 18: an answer is then owed.",
    "contact.who_must_not_know": "Nobody named here may learn of this.",
}
_STORY: Final = "story"
_DETAILS: Final = {
    BY_CALL: "contact.phone",
    BY_TEXT: "contact.phone",
    BY_EMAIL: "contact.email",
    BY_ADULT: "contact.adult",
    BY_SCHOOL: "contact.school",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the page. `name` is its field in the form, `most` the characters of a text."""

    path: str
    kind: FieldKind
    title: str
    hint: str = ""
    most: int = 0
    options: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The name of its field, which is also its place on the page."""
        return self.path.replace(".", "-")


@dataclass(frozen=True, slots=True)
class Group:
    """Questions under one heading."""

    code: str
    title: str
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class KeyedPage:
    """The page as typed: texts by path, picked codes by path, and its faults."""

    texts: Mapping[str, str] = field(default_factory=dict)
    picked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    faults: Sequence[Fault] = ()

    @property
    def answers(self) -> dict[str, str | tuple[str, ...]]:
        """The answers by path, as the report takes them."""
        lists = {path for path, (_, is_several) in _SHAPES.items() if is_several}
        picked = {path: codes if path in lists else "".join(codes) for path, codes in self.picked.items()}
        return {**self.texts, **picked}

    def is_answered(self, group: Group) -> bool:
        """Return whether a question of a group has an answer or a fault."""
        faulty = {one.field for one in self.faults}
        return any(
            self.texts.get(one.path) or self.picked.get(one.path) or one.name in faulty for one in group.questions
        )


@cache
def list_groups() -> tuple[Group, ...]:
    """List the questions of the page in its order."""
    return tuple(Group(code, title, tuple(_make_question(path) for path in paths)) for code, title, paths in _GROUPS)


def read_page(posted: "MultiDict[str, str]") -> KeyedPage:
    """Read a post. Codes outside the lists are dropped with a fault; texts keep every letter but outer spaces."""
    texts, picked, faults = dict[str, str](), dict[str, tuple[str, ...]](), list[Fault]()
    for group in list_groups():
        for one in group.questions:
            sent = posted.getlist(one.name)
            if one.options:
                known = tuple(code for code, _ in one.options if code in sent)
                picked[one.path] = known if one.kind == "checkbox" else known[:1]
                if [code for code in sent if code and code not in known]:
                    faults.append(Fault(one.name, "This answer is not on the list. Choose it again."))
            else:
                texts[one.path] = text = normalise("".join(sent[:1]))
                if len(text) > one.most:
                    over = len(text) - one.most
                    faults.append(Fault(one.name, f"At most {one.most:,} characters. Remove {over:,}."))
    page = KeyedPage(texts, picked)
    return KeyedPage(texts, picked, (*faults, *_list_missing(page)))


def _list_missing(page: KeyedPage) -> list[Fault]:
    missing = []
    if not page.picked["danger"]:
        missing.append(Fault("danger", "Choose one: “Not sure” is an answer."))
    ways = page.picked["contact.ways"]
    wanted = dict.fromkeys(_DETAILS[way] for way in ways if way in _DETAILS)
    missing += [
        Fault(path.replace(".", "-"), "Write it down, or take back the way that needs it.")
        for path in wanted
        if not page.texts[path]
    ]
    if not page.texts[_STORY] and not page.picked["kinds"]:
        missing.append(Fault(_STORY, "Write what they said, or tick what is happening below."))
    return missing


def _make_question(path: str) -> Question:
    most, is_several = _SHAPES[path]
    titles = _OPTIONS.get(path) or PUBLIC_ANSWERS.get(path, {})
    if path == "country":
        titles = {code: one.name_en for code, one in load_countries().items()}
    options = tuple(
        (code, "Not sure" if code == NOT_SURE else title) for code, title in titles.items() if code != FORMER_YOUNGEST
    )
    kind: FieldKind = "area" if most > LINE_MAX else "text"
    if options:
        # One answer to 999, although the report's field of marks takes several.
        kind = "select" if path == "country" else "checkbox" if is_several and path not in _OPTIONS else "radio"
    return Question(path, kind, _QUESTIONS.get(path, PUBLIC_WORDS[path]), _HINTS.get(path, ""), most, options)


# By path: the most characters of a text, and whether it takes several codes.
_SHAPES: Final = {
    path: (hint.__metadata__[0].max_length, is_list(hint)) for path, hint in list_paths() if path not in FILLED_IN
}
