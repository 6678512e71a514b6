"""The page of manual entry: its questions in the order of urgency, its routes, and the reference to read out.

The fields are those of the public report (`gateway/exchange/public_report.py`) with the desk's own labels. There is no
draft at the desk: every fault shows the page again, whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Literal

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from gateway.databases.failures import StorageUnavailableError
from gateway.desk.cases.model import KEYED_IN, CaseError, find_promised_day, format_day, format_read_by, normalise
from gateway.desk.cases.reading import labels
from gateway.desk.cases.reading.labels import PUBLIC_ANSWERS, PUBLIC_WORDS
from gateway.desk.manual_entry.reports import (
    FILLED_IN,
    KeyedAlreadyError,
    KeyedCall,
    find_keyed,
    is_list,
    key_in,
    list_paths,
    list_reference_words,
    read_received_at,
)
from gateway.desk.people.permissions import CaseScope, Permission
from gateway.desk.uk_times import format_typed_time
from gateway.desk.vault import VaultError
from gateway.desk.views.page import Fault, get_desk, get_name, go_to, is_permitted, show_page, staff_rule
from gateway.exchange.public_codes import (
    BY_ADULT,
    BY_CALL,
    BY_EMAIL,
    BY_SCHOOL,
    BY_TEXT,
    DANGER_PREFIX,
    FORMER_YOUNGEST,
    NOT_SURE,
)
from gateway.exchange.public_report import LINE_MAX
from gateway.guidance.signposts import load_countries
from gateway.web.problem_pages import not_found
from partner_sdk.errors import FormatError, LocalStateError, SealingError

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


blueprint = Blueprint("keying", __name__)


# Every text at its most, in letters of four bytes, each spelled in twelve characters of a form.
PAGE_BYTES: Final = 160 * 1024


_FIELDS: Final = {
    "bad-channel": "channel",
    "bad-day": "day",
    "time-too-old": "day",
    "unknown-case": "adds_to",
    "not-from-public": "adds_to",
    "keyed-in-already": "adds_to",
}


_FAULTS: Final = {
    "unknown-case": "No report at this desk has this reference. Ask them to read it again, or leave this blank.",
    "not-from-public": "This reference is not of a report from a person. Ask them to read it again.",
}


_NOT_FILED: Final = "It was not filed, and everything you typed is still here. Press again in a minute."


@blueprint.get("/key-in")
@staff_rule(Permission.KEY_IN)
def show_form() -> ResponseReturnValue:
    """Show the empty page; `?adds_to=` is the reference of an earlier report of the same person."""
    day, clock = format_typed_time(get_desk().clock())
    typed = {"channel": KEYED_IN[0], "day": day, "clock": clock, "adds_to": request.args.get("adds_to", "")}
    return _show(typed, KeyedPage())


@blueprint.post("/key-in")
@staff_rule(Permission.KEY_IN, body_bytes=PAGE_BYTES)
def post_form() -> ResponseReturnValue:
    """Seal and file the typed report, once; a fault shows the page again with every letter."""
    desk, page = get_desk(), read_page(request.form)
    typed = {name: request.form.get(name, "").strip() for name in ("channel", "day", "clock", "adds_to", "report_id")}
    faults = []
    try:
        received_at = read_received_at(typed["day"], typed["clock"], now=desk.clock())
        if page.faults:
            return _show(typed, page)
        call = KeyedCall(typed["channel"], received_at, typed["report_id"], typed["adds_to"] or None, page.answers)
        case = key_in(desk, call, actor=get_name())
        return go_to("keying.show_reference", report_id=case.report_id)
    except KeyedAlreadyError as error:
        # A changed page after Back is an addition to the first one, with an id of its own.
        typed |= {"report_id": "", "adds_to": error.reference}
        advice = f"This call is filed already, as {error.reference}. File the rest as an addition to it."
        faults.append(Fault("adds_to", advice))
    except CaseError as error:
        faults.append(Fault(_FIELDS.get(error.reason, "clock"), _FAULTS.get(error.reason, str(error))))
    except FormatError:
        typed["report_id"] = ""
        faults.append(Fault("file", "This page was not whole. Press again."))
    except (VaultError, LocalStateError, StorageUnavailableError):
        faults.append(Fault("file", _NOT_FILED))
    except SealingError:
        advice = "The desk has no active sealing key. Ask your administrator to publish one."
        faults.append(Fault("file", f"{advice} {_NOT_FILED}"))
    return _show(typed, KeyedPage(page.texts, page.picked, (*faults, *page.faults)))


@blueprint.get("/key-in/<report_id>")
@staff_rule(Permission.KEY_IN)
def show_reference(report_id: str) -> ResponseReturnValue:
    """Show the reference of a call to read out, and the promise to give, to the person who keyed it in.

    Also to a duty officer whose call went to the queue: it is not theirs to open, and the caller is still there.
    """
    desk = get_desk()
    with desk.store.read() as connection:
        case = find_keyed(connection, report_id, by=get_name())
    if case is None:
        not_found()
    promised = find_promised_day(case)
    return show_page(
        "keyed_in.html",
        case=case,
        spoken=list_reference_words(case.reference),
        promised_day="" if promised is None else format_day(promised),
        read_by=format_read_by(case, desk.agency, now=desk.clock()),
        may_read=is_permitted(Permission.SEE_QUEUE, case=CaseScope(case.crisis)),
    )


def _show(typed: dict[str, str], page: KeyedPage) -> ResponseReturnValue:
    return show_page(
        "key_in.html",
        typed={**typed, "report_id": typed.get("report_id") or get_desk().make_id()},
        page=page,
        faults=list(page.faults),
        groups=list_groups(),
        channels=[(code, labels.title_of(code)) for code in KEYED_IN],
    )
