"""Every field of a report of the public has words of its own, chosen by its whole path."""

from collections.abc import Iterator
from typing import get_args

import msgspec
import pytest
from msgspec import inspect

from gateway.desk.cases.case_files import FileState
from gateway.desk.cases.reading import labels
from gateway.desk.cases.reading.contact import make_contact_block
from gateway.desk.cases.reading.labels import PUBLIC_ANSWERS, PUBLIC_WORDS, READING_WORDS
from gateway.desk.cases.reading.public_report import make_sections
from gateway.exchange.public_codes import (
    CONTACT_WAYS,
    CONTEXT_REFUSED_SIGNAL,
    DANGER_PREFIX,
    FAST_SIGNAL,
    FORMER_YOUNGEST,
    HONEYPOT_SIGNAL,
    LIMITED_SIGNAL,
    MEETS_SOON,
    NO,
    RATHER_NOT_SAY,
    REGIONS,
    REPORTER_HURTING,
    YES,
)
from gateway.exchange.public_report import Meeting, PublicReport
from gateway.public.journey import FIELD_BY_NAME, SCREENS
from partner_sdk.report.outline import list_fields
from partner_sdk.wire.button import Language
from partner_sdk.wire.signing import Environment
from partner_sdk.wire.submission import PUBLIC_SENDER, Way
from tests.gateway.public.test_send import CHOICES
from tests.public_report_builders import make_child_details, make_contact, make_known_person, make_public_report


def list_paths(kind: inspect.Type, path: tuple[str, ...] = ()) -> Iterator[str]:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):  # null has no words of its own
        (kind,) = (one for one in kind.types if not isinstance(one, inspect.NoneType))
    if isinstance(kind, inspect.StructType):
        for field in kind.fields:
            yield from list_paths(field.type, (*path, field.encode_name))
        return
    yield ".".join(path)


def test_every_path_of_a_report_has_words_and_no_words_stand_for_nothing() -> None:
    paths = set(list_paths(inspect.type_info(PublicReport)))
    assert len(paths) >= 60
    assert set(PUBLIC_WORDS) == paths


def test_every_state_of_a_file_has_words_and_no_words_stand_for_nothing() -> None:
    assert {code for code, _ in labels.FILE_STATES} == set(get_args(FileState))
    assert all(labels.title_of(code) == said for code, said in labels.FILE_STATES)


def test_no_two_fields_have_the_same_words() -> None:
    assert len(set(PUBLIC_WORDS.values())) == len(PUBLIC_WORDS)


def test_words_for_a_field_of_an_industry_report_are_of_a_field_that_there_is() -> None:
    assert set(READING_WORDS) <= {field.description for field in list_fields()}


def test_another_bodys_number_for_the_case_is_read_as_its_reference_and_not_as_a_phone_number() -> None:
    child = make_child_details(already_told=("police",), other_reference="EX-2026-118")
    lines = {
        line.title: line.text for section in make_sections(make_public_report(child=child)) for line in section.lines
    }
    assert lines["Already told"] == "Police"
    assert lines["Reference number of the body already told"] == "EX-2026-118"


def test_same_name_in_two_places_has_words_for_each() -> None:
    report = make_public_report(
        name="Sam",
        when="this_week",
        child=make_child_details(name="Kim"),
        meeting=Meeting(place="", when="later"),
        person=make_known_person(names="Alex"),
    )
    lines = {line.title: line.text for section in make_sections(report) for line in section.lines}
    assert lines["What to call them"] == "Sam"
    assert lines["Name of the child"] == "Kim"
    assert lines["Other names of that person"] == "Alex"
    assert lines["When it last happened"] == "This week"
    assert lines["When that person wants to meet"] == "Later than that"


def test_every_field_of_a_report_is_shown_as_it_was_written() -> None:
    report = make_public_report(story="One line.\nAnother <line>.", kinds=("sexual_talk", "code-of-later"))
    lines = {line.title: line for section in make_sections(report) for line in section.lines}
    assert set(lines) >= {PUBLIC_WORDS[name] for name in msgspec.to_builtins(report) if name in PUBLIC_WORDS}
    assert (lines["In their own words"].text, lines["In their own words"].is_text) == (report.story, True)
    assert lines["What is happening"].text == "Talk about sex; code-of-later"


def test_field_that_was_left_out_is_shown_as_left_blank() -> None:
    report = make_public_report(child=make_child_details(), meeting=Meeting(place="", when=""))
    optional = {name for name in PUBLIC_WORDS if "." not in name} - msgspec.to_builtins(report).keys()
    assert "context" in optional  # the wire leaves it out
    lines = {line.title: line.text for section in make_sections(report) for line in section.lines}
    assert {lines[PUBLIC_WORDS[name]] for name in optional - {"contact", "person"}} == {""}


def list_codes() -> dict[str, set[str]]:
    """Every code that a report can hold, by the path of its field."""
    places = CHOICES | {"gave_a_time": "kinds", "age": "reporter_age_band"}
    found: dict[str, set[str]] = {}
    for name, place in places.items():
        found.setdefault(place, set()).update(FIELD_BY_NAME[name].options)
    del found["country"]  # any country of the world; shown by name
    for place in ("age_band", "reporter_age_band"):
        found[place].add(FORMER_YOUNGEST)
    added = {name: set(get_args(kind)) for name, kind in (("language", Language), ("clear.environment", Environment))}
    helpers = {code for screen in SCREENS for code in screen.shows}
    called = {f"{DANGER_PREFIX}{code}" for code in FIELD_BY_NAME["called"].options}
    return (
        found
        | added
        | {
            "clear.kind": {"initial", "supplement"},
            "clear.partner": {PUBLIC_SENDER},
            "clear.way": set(get_args(Way)),
            "signals": called | {HONEYPOT_SIGNAL, FAST_SIGNAL, LIMITED_SIGNAL, CONTEXT_REFUSED_SIGNAL},
            "signposted": helpers,
            "under_18": {YES, NO, RATHER_NOT_SAY},
        }
    )


def read_answer(path: str, code: str) -> str:
    """Return the answer as the page of a report shows it."""
    report, title = make_public_report(), PUBLIC_WORDS[path]
    outer, _, inner = path.rpartition(".")
    changed = getattr(report, outer) if outer else report
    name = inner or path
    value = (code,) if isinstance(getattr(changed, name), tuple) else code
    changed = msgspec.structs.replace(changed, **{name: value})
    report = msgspec.structs.replace(report, **{outer: changed}) if outer else changed
    return next(line.text for part in make_sections(report) for line in part.lines if line.title == title)


def test_every_code_of_the_form_is_read_in_words() -> None:
    codes = list_codes()
    assert sum(len(options) for options in codes.values()) >= 130
    read = {(path, code): read_answer(path, code) for path, options in codes.items() for code in options}
    bare = {place: text for place, text in read.items() if text == place[1] or "_" in text or text[0].islower()}
    assert bare == {}
    assert read["feels", REPORTER_HURTING].startswith("The person reporting")
    assert read_answer("country", "fr") == "France"


def test_no_words_stand_for_a_code_that_no_report_holds() -> None:
    codes = list_codes()
    stale = {path: set(titles) - codes[path] for path, titles in PUBLIC_ANSWERS.items()}
    # Sets of words that several fields share have a word or two more than one of them needs.
    shared = {"told", "child.already_told", "contact.may_send_note", "contact.may_say_who_we_are"}
    assert {path: left for path, left in stale.items() if left and path not in shared} == {}


def test_every_code_of_the_form_that_the_desk_spells_has_words() -> None:
    assert {code for code, _ in labels.REGIONS} == set(REGIONS)
    report = make_public_report(contact=make_contact(ways=CONTACT_WAYS))
    titles = [way.title for way in make_contact_block(report, is_flagged=False).ways]
    assert len(set(titles)) == len(CONTACT_WAYS) == 5
    assert not {title.lower() for title in titles} & {"adult", "school"}


@pytest.mark.parametrize("when", MEETS_SOON)
def test_meeting_that_is_near_stands_above_everything_else(when: str) -> None:
    report = make_public_report(meeting=Meeting(place="", when=when))
    (line,) = make_contact_block(report, is_flagged=False).danger
    assert line.startswith("A person wants to meet ")
