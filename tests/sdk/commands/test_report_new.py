"""`report new`: a whole report from questions alone, a draft after every answer, and nothing lost when it stops."""

import dataclasses
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from partner_sdk._commands.interview import Course
from partner_sdk._commands.interview_questions import Questioner
from partner_sdk.report import measure_completeness, parse_report
from partner_sdk.report.answers import AnswerError, choose, find_reading
from partner_sdk.report.drafts import Draft
from partner_sdk.report.outline import Part, get_field, get_outline, list_fields
from partner_sdk.wire.submission import Priority, ReportKind
from tests.builders import EXAMPLE_REPORT

# What a person answers, by words of the question. Several answers are given in turn, the last one again and again.
MUSTS: dict[str, list[str]] = {
    "The category (Annex A)": ["grooming"],
    "The kind of case, in today's terms": ["off platform"],
    "The reason for P1 or P2": ["The account asked a child to move today.", "."],
    "Legal name": ["Example Chat Ltd"],
    "Sector of": ["online"],
    "Service or platform": ["Example Chat"],
    "Submitter's name": ["Sam Example"],
    "Submitter's e-mail address": ["safety@example.com"],
    "Submitter's telephone number": ["+44 20 7946 0000"],
    "Declaration that the report holds all reasonably available information": ["yes"],
    "How it was detected": ["moderator"],
    "When it was detected": ["2026-11-24T18:45:00Z"],
    "When it happened": ["2026-11-24T18:30:00Z"],
    "What that time refers to, e.g. the first message": ["When the last message was sent.", "."],
    "The medium in which it happened": ["chat"],
    "What happened, in plain words": ["Synthetic. [message]", "Second line.", "."],
}


DESCRIPTIONS = {field.description for field in list_fields()}


class Person:
    """Answers questions by their words; a question outside the script gets an empty line."""

    def __init__(self, script: dict[str, list[str]], *, stops_after: int | None = None) -> None:
        self.script = {words: list(answers) for words, answers in script.items()}
        self.heard: list[str] = []
        self.stops_after = stops_after
        self.count = 0
        self.question = ""

    def say(self, text: str) -> None:
        self.heard.append(text)
        first = text.splitlines()[0]
        if any(words in first for words in (*DESCRIPTIONS, "yes or no", "Why is it not held?")):
            self.question = first

    def read(self) -> str:
        if self.count == self.stops_after:
            raise KeyboardInterrupt
        self.count += 1
        assert self.count < 5000, f"asked for ever: {self.question}"
        for words, answers in self.script.items():
            if words in self.question:
                return (answers.pop(0) if len(answers) > 1 else answers[0]) + "\n"
        return "\n"

    def heard_about(self, words: str) -> int:
        return sum(words in text for text in self.heard)


def walk(path: Path, person: Person, *, priority: Priority = "P2", kind: ReportKind = "initial") -> dict[str, Any]:
    """Take a person through the questions and return the draft."""
    draft = Draft.resume(path) if path.exists() else Draft.begin(path)
    questioner = Questioner(read=person.read, say=person.say)
    Course(draft, questioner=questioner, priority=priority, kind=kind).run()
    read: dict[str, Any] = json.loads(path.read_bytes())
    return read


def test_musts_alone_make_a_report_that_can_be_sent(tmp_path: Path) -> None:
    said = walk(tmp_path / "r.json", Person(MUSTS))
    report = parse_report((tmp_path / "r.json").read_bytes(), priority="P2")
    assert report.incident.narrative == "Synthetic. [message]\nSecond line."
    assert report.reporter.declaration is True
    assert said["schema_version"] == "1"
    assert stat.S_IMODE((tmp_path / "r.json").stat().st_mode) == 0o600


def test_every_must_is_asked_before_anything_else(tmp_path: Path) -> None:
    person = Person(MUSTS)
    walk(tmp_path / "r.json", person)
    begin, rest = person.heard.index("Now the fields that police use, the most useful first."), person.heard
    musts = [text for text in rest if text.splitlines()[0].endswith("(must)")]
    assert len(musts) == len(MUSTS)
    assert all(rest.index(text) < begin for text in musts)


def test_what_police_use_most_is_asked_first_and_every_such_field_is_asked(tmp_path: Path) -> None:
    person = Person(MUSTS)
    walk(tmp_path / "r.json", person)
    asked = person.heard[person.heard.index("Now the fields that police use, the most useful first.") :]
    order = [
        "Children who are",
        "People whose conduct",
        "Signs of imminent harm",
        "Meetings that were",
        "Conversations, message by message",
    ]
    places = [next(place for place, text in enumerate(asked) if words in text) for words in order]
    assert places == sorted(places)
    top = [field for field in list_fields(_parts_that_are_always_there()) if field.needed == "should"]
    assert len(top) >= 15
    not_asked = [field.pattern for field in top if not any(field.description in text for text in asked)]
    # Nobody complained, so nobody is asked who did.
    assert not_asked == ["/other_people"]


def _parts_that_are_always_there() -> Part:
    def prune(part: Part) -> Part:
        fields = []
        for field in part.fields:
            is_always_there = field.part is not None and not field.is_list
            fields += prune(field.part).fields if field.part is not None and is_always_there else [field]
        return Part(part.title, tuple(fields))

    return Part("", tuple(dataclasses.replace(one, part=None) for one in prune(get_outline()).fields))


def test_two_children_a_suspect_and_messages_are_gathered(tmp_path: Path) -> None:
    script = {
        **MUSTS,
        "Children who are": ["yes"],
        "Another child": ["yes", "no"],
        "Whether the child is at risk now": ["unknown", "y"],
        "Child 1: Age band": ["13"],
        "Child 2: User name": ["not held deleted by user"],
        "Child 2: Display names": ["one"],
        "Child 2: (2) Display names": ["two"],
        "People whose conduct": ["yes"],
        "Suspect 1: Id of the account": ["example-user-1001"],
        "Suspect 1: Date of birth": ["2011-02-31", "2011-02"],
        "Suspect 1: Logins": ["not held no longer kept"],
        "Conversations, message by message": ["yes"],
        "Id of the thread": ["thread-1"],
        "The messages, the oldest first": ["yes"],
        "Another message": ["yes", "no"],
        "Service user id of the sender": ["example-user-1001"],
        "Kind of message": ["text"],
        "The text": ["Hello [message]", ".", "Hello [message]", "."],
    }
    person = Person(script)
    said = walk(tmp_path / "r.json", person)
    report = parse_report((tmp_path / "r.json").read_bytes(), priority="P2")
    assert [child["at_risk_now"] for child in said["children"]] == ["unknown", "yes"]
    assert said["children"][0]["age_band"] == "13_15"
    assert said["children"][1]["username"] == {"not_held": "deleted_by_user"}
    assert said["children"][1]["display_names"] == ["one", "two"]
    assert said["suspects"][0]["born_on"] == "2011-02"
    assert said["suspects"][0]["logins"] == {"not_held": "no_longer_kept"}
    assert person.heard_about("Give a date that exists.") == 1
    assert [one["text"] for one in said["conversations"][0]["messages"]] == ["Hello [message]"] * 2
    assert measure_completeness(report).score > 10


def test_reason_for_not_held_is_asked_where_none_was_given(tmp_path: Path) -> None:
    person = Person({**MUSTS, "Whether it has a link": ["not held"], "Why is it not held?": ["4"]})
    person.script["Why is it not held?"] = ["4"]
    said = walk(tmp_path / "r.json", person)
    assert said["uk_link"] == {"not_held": "deleted_by_user"}


def test_must_is_asked_until_it_is_answered_and_never_taken_as_not_held(tmp_path: Path) -> None:
    answers = ["", ".", "not held", "nonsense", "?", "grooming"]
    person = Person({**MUSTS, "The category (Annex A)": answers})
    assert walk(tmp_path / "r.json", person)["category"] == "grooming"
    assert person.heard_about("This must be answered") == 3
    assert person.heard_about("Give one of:") == 1
    assert person.heard_about("In the file it is #/category") == 1


def test_question_mark_tells_what_the_model_says(tmp_path: Path) -> None:
    person = Person({**MUSTS, "Whether it has a link": ["?", "yes"]})
    assert walk(tmp_path / "r.json", person)["uk_link"] == "yes"
    (explained,) = [text for text in person.heard if "#/uk_link" in text]
    for words in ("It takes one of", "SI 2026/268", "counts towards completeness", "no longer kept"):
        assert words in explained


def test_dot_leaves_the_rest_of_a_part_and_the_next_part_is_asked(tmp_path: Path) -> None:
    script = {
        **MUSTS,
        "Children who are": ["yes"],
        "Whether the child is at risk now": ["no"],
        "Child 1: Whether it is safe to write": ["."],
    }
    person = Person(script)
    walk(tmp_path / "r.json", person)
    assert person.heard_about("Child 1: Id of the account") == 0
    assert person.heard_about("People whose conduct") == 1


def test_may_fields_are_offered_by_part_and_asked_only_when_wanted(tmp_path: Path) -> None:
    person = Person(MUSTS)
    walk(tmp_path / "r.json", person)
    assert person.heard_about("Do you know any?") >= 3
    assert person.heard_about("Your own reference") == 0
    script = {**MUSTS, "Reporter: also": ["yes"], "Your own reference": ["2026-77"]}
    said = walk(tmp_path / "again.json", Person(script))
    assert said["reporter"]["own_reference"] == "2026-77"


def test_exact_age_of_a_child_is_offered_although_it_is_never_missing(tmp_path: Path) -> None:
    script = {
        **MUSTS,
        "Children who are": ["yes"],
        "Whether the child is at risk now": ["no"],
        "Child 1: also age": ["yes"],
        "Child 1: Age in years": ["200", "12"],
    }
    person = Person(script)
    assert walk(tmp_path / "r.json", person)["children"][0]["age"] == 12
    assert person.heard_about("Give a whole number from 0 to 120") == 1


@pytest.mark.parametrize("lines", [0, 1, 4, 9, 16, 17, 25])
def test_nothing_is_lost_wherever_it_stops_and_the_draft_goes_on(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "r.json"
    stopped = Person(MUSTS, stops_after=lines)
    with pytest.raises(KeyboardInterrupt):
        walk(path, stopped)
    before = json.loads(path.read_bytes())
    person = Person(MUSTS)
    said = walk(path, person)
    assert parse_report(path.read_bytes(), priority="P2")
    assert {name: value for name, value in before.items() if not isinstance(value, dict)}.items() <= said.items()
    if lines >= 4:
        assert person.heard_about("The category (Annex A)") == 0


def test_draft_with_a_child_begun_asks_for_what_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    report = json.loads(EXAMPLE_REPORT.read_bytes())
    report["children"] = [{}]
    path.write_text(json.dumps(report), encoding="utf-8")
    said = walk(path, Person({"Whether the child is at risk now": ["yes"]}))
    assert said["children"] == [{"at_risk_now": "yes"}]


@pytest.mark.parametrize(
    ("change", "question", "answer"),
    [
        ({"uk_link": "maybe"}, "Whether it has a link", ["unknown"]),
        ({"countries": ["England"]}, "Countries that", ["GB", ""]),
        ({"linked_reports": ["K7QF"]}, "References of your related reports", ["K7QF-2M9TX-D", ""]),
    ],
)
def test_answer_that_does_not_fit_is_asked_for_again(
    tmp_path: Path, change: dict[str, object], question: str, answer: list[str]
) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps({**json.loads(EXAMPLE_REPORT.read_bytes()), **change}), encoding="utf-8")
    person = Person({question: answer})
    walk(path, person)
    assert parse_report(path.read_bytes(), priority="P2")
    assert person.heard_about("#/") >= 1


def test_field_that_the_model_does_not_know_is_told_and_left(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps({**json.loads(EXAMPLE_REPORT.read_bytes()), "zebra": 1}), encoding="utf-8")
    person = Person({})
    assert walk(path, person)["zebra"] == 1
    assert person.heard_about("Fix this in the file itself.") == 1


@pytest.mark.parametrize(
    ("kind", "question"),
    [("correction", "The reason for the correction or retraction"), ("response", "The request that")],
)
def test_later_kind_asks_for_what_it_needs(tmp_path: Path, kind: ReportKind, question: str) -> None:
    person = Person({**MUSTS, question: ["Because.", "."]})
    walk(tmp_path / "r.json", person, kind=kind)
    assert parse_report((tmp_path / "r.json").read_bytes(), priority="P2", kind=kind)
    assert person.heard_about(f"{question}") == 1


def test_p3_is_not_asked_why_it_is_urgent(tmp_path: Path) -> None:
    person = Person(MUSTS)
    walk(tmp_path / "r.json", person, priority="P3")
    assert person.heard_about("The reason for P1 or P2") == 0


@pytest.mark.parametrize("typed", ["2026-11-24T18:45:00Z", "2026-11-24 18:45", "2026-11-24 18:45:00 utc"])
def test_time_is_taken_as_people_write_it_and_kept_as_the_wire_has_it(tmp_path: Path, typed: str) -> None:
    person = Person({**MUSTS, "When it was detected": [typed]})
    assert walk(tmp_path / "r.json", person)["discovery"]["detected_at"] == "2026-11-24T18:45:00Z"
    assert person.heard_about("a time in UTC like") >= 2


@pytest.mark.parametrize("typed", ["yesterday", "24.11.2026 18:45", "2026-11-24", "2026-11-24 25:00"])
def test_time_that_could_mean_something_else_is_asked_again(tmp_path: Path, typed: str) -> None:
    person = Person({**MUSTS, "When it was detected": [typed, "2026-11-24T18:45:00Z"]})
    assert walk(tmp_path / "r.json", person)["discovery"]["detected_at"] == "2026-11-24T18:45:00Z"


def test_choice_is_its_word_its_number_or_its_beginning() -> None:
    choices = ("under_11", "11_12", "13_15")
    assert [choose(text, choices) for text in ("under 11", "1", "13", " 11_12 ", "11")] == [
        "under_11",
        "under_11",
        "13_15",
        "11_12",
        "11_12",
    ]
    for text in ("", "4", "0", "x", "²"):
        with pytest.raises(AnswerError):
            choose(text, choices)


def test_address_and_number_that_look_odd_are_asked_again_and_kept_when_typed_once_more(tmp_path: Path) -> None:
    odd = {
        **MUSTS,
        "Submitter's e-mail address": ["safety.example.com", "safety@example.com"],
        "Submitter's telephone number": ["ext 12", "ext 12"],
    }
    person = Person(odd)
    said = walk(tmp_path / "r.json", person)
    assert said["reporter"]["submitter_email"] == "safety@example.com"
    assert said["reporter"]["submitter_telephone"] == "ext 12"
    assert person.heard_about("does not look like an e-mail address") == 1
    assert person.heard_about("does not look like a telephone number") == 1


def test_time_that_was_typed_is_said_as_it_was_understood(tmp_path: Path) -> None:
    person = Person({**MUSTS, "When it was detected": ["2026-11-24 18:45"]})
    walk(tmp_path / "r.json", person)
    assert "Understood as Tuesday 24 November 2026, 18:45:00 UTC." in person.heard


@pytest.mark.parametrize(
    ("value", "said"),
    [("2011", "the year 2011"), ("2011-05", "May 2011"), ("2011-05-30", "Monday 30 May 2011")],
)
def test_day_is_said_as_exactly_as_it_is_known(value: str, said: str) -> None:
    assert find_reading(value, field=get_field("#/children/0/born_on")) == said
    assert find_reading(value, field=get_field("#/incident/narrative")) is None


def test_who_reports_is_taken_from_an_earlier_report_but_not_the_declaration(tmp_path: Path) -> None:
    draft = Draft.begin(tmp_path / "r.json")
    draft.take_reporter(EXAMPLE_REPORT)
    earlier = json.loads(EXAMPLE_REPORT.read_bytes())["reporter"]
    assert {**draft.root["reporter"], "declaration": True} == earlier
    assert "declaration" not in draft.root["reporter"]
    person = Person(MUSTS)
    walk(tmp_path / "r.json", person)
    assert person.heard_about("Submitter's name") == 0
    assert person.heard_about("Declaration that the report holds all reasonably available information") == 1
