"""Every field of a report has words of its own, chosen by its whole path."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from gateway.desk.views import words
from gateway.desk.views.contact import make_contact_block
from gateway.desk.views.content import make_sections
from gateway.desk.views.report_words import PUBLIC_WORDS, get_industry_words
from partner_sdk.report import Completeness, SealedIndustryReport, make_sealed_report, parse_report
from partner_sdk.report.outline import is_not_held
from partner_sdk.wire.public_codes import CONTACT_WAYS, MEETS_SOON, REGIONS
from partner_sdk.wire.public_report import Meeting, PublicReport
from tests.builders import FULL_REPORT, make_clear_fields, make_industry_report
from tests.public_report_builders import make_child_details, make_contact, make_known_person, make_public_report


def list_paths(kind: inspect.Type, path: tuple[str, ...] = ()) -> Iterator[str]:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):  # null and the reason why nothing is there have no words of their own
        (kind,) = (one for one in kind.types if not isinstance(one, inspect.NoneType) and not is_not_held(one))
    if isinstance(kind, inspect.StructType):
        for field in kind.fields:
            yield from list_paths(field.type, (*path, field.encode_name))
        return
    yield ".".join(path)
    if isinstance(kind, inspect.VarTupleType) and isinstance(kind.item_type, inspect.StructType):
        yield from list_paths(kind.item_type, path)


@pytest.mark.parametrize(
    ("kind", "spelled", "least"), [(PublicReport, PUBLIC_WORDS, 60), (SealedIndustryReport, get_industry_words(), 200)]
)
def test_every_path_of_a_report_has_words_and_no_words_stand_for_nothing(
    kind: Any, spelled: Mapping[str, str], least: int
) -> None:
    paths = {path.removeprefix("report.") for path in list_paths(inspect.type_info(kind))}
    assert len(paths) >= least
    assert set(spelled) == paths


@pytest.mark.parametrize("spelled", [PUBLIC_WORDS, get_industry_words()])
def test_no_two_fields_have_the_same_words(spelled: Mapping[str, str]) -> None:
    assert len(set(spelled.values())) == len(spelled)


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
    assert lines["When it last happened"] == "this_week"
    assert lines["When that person wants to meet"] == "later"


def test_every_code_of_the_form_that_the_desk_spells_has_words() -> None:
    assert {code for code, _ in words.REGIONS} == set(REGIONS)
    report = make_public_report(contact=make_contact(ways=CONTACT_WAYS))
    titles = [way.title for way in make_contact_block(report, is_flagged=False).ways]
    assert len(set(titles)) == len(CONTACT_WAYS) == 5
    assert not {title.lower() for title in titles} & {"adult", "school"}


@pytest.mark.parametrize("when", MEETS_SOON)
def test_meeting_that_is_near_stands_above_everything_else(when: str) -> None:
    report = make_public_report(meeting=Meeting(place="", when=when))
    (line,) = make_contact_block(report, is_flagged=False).danger
    assert line.startswith("Somebody wants to meet ")


def list_lines(content: SealedIndustryReport) -> dict[str, str]:
    return {line.title: line.text for section in make_sections(content) for line in section.lines}


def test_full_industry_report_is_laid_out_with_every_entry_of_its_lists_numbered() -> None:
    report = parse_report(FULL_REPORT.read_bytes(), priority="P2")
    lines = list_lines(make_sealed_report(report, clear=make_clear_fields("example-chat")))
    assert len(lines) > 150
    assert lines["Suspects, logins: Source port (1, 1)"] == "51234"
    assert lines["Suspects, logins: Source port (1, 2)"] == "Not held: not collected"
    assert lines["Suspects: Names used before (1)"] == "Not held: none exists"
    assert lines["Conversations, messages: What it says (1, 1)"] == "[message]"


def test_sections_of_an_industry_report_begin_with_what_was_said() -> None:
    report = parse_report(FULL_REPORT.read_bytes(), priority="P2")
    titles = [section.title for section in make_sections(make_sealed_report(report, clear=make_clear_fields("x")))]
    assert titles[0] == "What was said"
    assert {"Completeness", "Reporter", "Suspects", "Children", "Conversations", "Files"} <= set(titles)
    assert titles[-1] == "Particulars"


@pytest.mark.parametrize("said", [None, Completeness(missing=(), score=100)])
def test_desk_counts_anew_how_complete_a_report_is_and_notes_who_counted_otherwise(said: Completeness | None) -> None:
    honest = make_sealed_report(make_industry_report(), clear=make_clear_fields("example-chat"))
    assert honest.completeness is not None
    lines = list_lines(msgspec.structs.replace(honest, completeness=said))
    assert lines["Completeness: How complete, of 100"] == str(honest.completeness.score) != "100"
    assert "#/children/0/locations" in lines["Completeness: Not said, the most useful first"]
    note = "The sender's program counted otherwise"
    assert lines.get(note) == (None if said is None else "100 of 100")
    assert note not in list_lines(honest)
