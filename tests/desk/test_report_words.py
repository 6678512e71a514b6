"""Every field of a report has words of its own, chosen by its whole path."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from msgspec import inspect

from gateway.desk.views import words
from gateway.desk.views.contact import make_contact_block
from gateway.desk.views.content import make_sections
from gateway.desk.views.report_words import INDUSTRY_WORDS, PUBLIC_WORDS
from partner_sdk.public_codes import CONTACT_WAYS, MEETS_SOON, REGIONS
from partner_sdk.public_report import Meeting, PublicReport
from partner_sdk.report import SealedIndustryReport
from tests.public_report_builders import make_child_details, make_contact, make_known_person, make_public_report


def list_paths(kind: inspect.Type, path: tuple[str, ...] = ()) -> Iterator[str]:
    if isinstance(kind, inspect.StructType):
        for field in kind.fields:
            yield from list_paths(field.type, (*path, field.encode_name))
        return
    yield ".".join(path)
    if isinstance(kind, inspect.VarTupleType) and isinstance(kind.item_type, inspect.StructType):
        yield from list_paths(kind.item_type, path)


@pytest.mark.parametrize(
    ("kind", "spelled", "least"), [(PublicReport, PUBLIC_WORDS, 60), (SealedIndustryReport, INDUSTRY_WORDS, 30)]
)
def test_every_path_of_a_report_has_words_and_no_words_stand_for_nothing(
    kind: Any, spelled: Mapping[str, str], least: int
) -> None:
    paths = {path.removeprefix("report.") for path in list_paths(inspect.type_info(kind))}
    assert len(paths) >= least
    assert set(spelled) == paths


@pytest.mark.parametrize("spelled", [PUBLIC_WORDS, INDUSTRY_WORDS])
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
