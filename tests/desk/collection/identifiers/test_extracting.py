"""Identifiers come from the fields of both kinds of report, and from text by careful patterns."""

import time
from typing import Any

import msgspec
import pytest

from gateway.desk.collection.identifiers import (
    FAIR,
    KINDS,
    MOST_IDENTIFIERS,
    MOST_NICKNAMES,
    PLACES,
    SEARCH_ONLY,
    STRONG,
    WEAK,
    Found,
    list_identifiers,
    list_nicknames,
    list_own,
)
from gateway.exchange.public_report import PublicReport
from partner_sdk.report import IndustryReport, SealedIndustryReport
from tests.builders import make_clear_fields, make_industry_report
from tests.desk.cases.test_industry_cases import calm_report
from tests.desk.collection.mild_stories import list_stories
from tests.desk.industry_builders import make_full_report, make_fullest_report
from tests.public_report_builders import make_child_details, make_contact, make_known_person, make_public_report

MD5 = "0123456789abcdef0123456789abcdef"


def seal(report: IndustryReport) -> SealedIndustryReport:
    return SealedIndustryReport(clear=make_clear_fields("example-chat"), report=report)


def public(**changes: Any) -> PublicReport:
    return make_public_report(clear=make_clear_fields("public"), **changes)


def found_in(content: PublicReport | SealedIndustryReport) -> set[tuple[str, str, str, int]]:
    return {(*one.identifier, one.place, one.strength) for one in list_identifiers(content)}


def text_of(story: str) -> set[tuple[str, str]]:
    return {(kind, value) for kind, value, place, _ in found_in(public(story=story)) if place == "text"}


def test_public_report_gives_the_account_with_its_service_and_the_persons_own_ways() -> None:
    report = public(
        name="Sam Example",
        person=make_known_person(app="Other Chat", handle="@Night_Owl7, owl.two"),
        contact=make_contact(email="Sam@other.example", phone="07700 900123"),
        child=make_child_details(other_reference="CR/2026-114"),
        story="",
    )
    assert found_in(report) >= {
        ("account", "otherchat\nnight_owl7", "suspect", STRONG),
        ("account", "otherchat\nowl.two", "suspect", STRONG),
        ("username", "night_owl7", "suspect", WEAK),
        ("email", "sam@other.example", "reporter", FAIR),
        ("phone", "+447700900123", "reporter", FAIR),
        ("name", "sam example", "reporter", SEARCH_ONLY),
        ("reference", "cr2026114", "report", FAIR),
    }


def test_industry_report_gives_people_files_payments_and_references() -> None:
    report = make_full_report()
    kinds = {(kind, place) for kind, _, place, _ in found_in(seal(report))}
    assert kinds >= {("account", "suspect"), ("account", "child"), ("email", "suspect"), ("content", "file")}
    assert {kind for kind, _ in kinds} <= set(KINDS)
    assert {place for _, place in kinds} <= set(PLACES)


def test_number_with_its_country_code_apart_is_the_same_number() -> None:
    suspect = {"service_user_id": "u1", "phones": [{"number": "07700 900123", "calling_code": "+44"}]}
    raw = msgspec.to_builtins(make_industry_report()) | {"suspects": [suspect]}
    report = msgspec.convert(raw, IndustryReport)
    assert ("phone", "+447700900123", "suspect", STRONG) in found_in(seal(report))


def test_contacts_of_the_service_are_its_own_and_no_identifier_of_a_case() -> None:
    report = calm_report()
    reporter = msgspec.structs.replace(
        report.reporter, submitter_email="safety@example-chat.example", submitter_telephone="+44 1632 960001"
    )
    narrative = "Written by safety@example-chat.example, call +44 1632 960001. Suspect: owl@other.example"
    incident = msgspec.structs.replace(report.incident, narrative=narrative)
    sealed = seal(msgspec.structs.replace(report, reporter=reporter, incident=incident))
    values = {value for _, value, _, _ in found_in(sealed)}
    assert "owl@other.example" in values
    assert values.isdisjoint({"safety@example-chat.example", "+441632960001"})
    assert {one.value for one in list_own(sealed)} >= {"safety@example-chat.example", "+441632960001"}


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ("He wrote from owl@other.example.", {("email", "owl@other.example")}),
        ("Call (07700 900123)!", {("phone", "+447700900123")}),
        ("call 0044 7700 900 123 or +447700900124", {("phone", "+447700900123"), ("phone", "+447700900124")}),
        ("see https://other.example/u/owl?x=1, ok", {("link", "other.example/u/owl")}),
        ("add @night_owl7.", {("username", "night_owl7")}),
        ("\uff20owl_seven is the one", {("username", "owl_seven")}),
        # No identifier: a year, an age, an amount, a time, a score, a version, a host alone.
        ("I am 13, born 2013, he paid 1500 at 10:30 on 28/11/2026", set()),
        ("the code was 4021 5521 and 12345678901234567890", set()),
        ("@ home @me", set()),
        ("javascript://other.example/owl data://x hxxp://other.example/owl", set()),
    ],
)
def test_careful_patterns_find_identifiers_in_text(story: str, expected: set[tuple[str, str]]) -> None:
    assert text_of(story) == expected


def test_identifier_in_a_field_and_in_the_story_counts_once_in_its_stronger_place() -> None:
    report = public(person=make_known_person(app="Other Chat", handle="owl_seven"), story="It is @owl_seven")
    places = [place for kind, value, place, _ in found_in(report) if value == "owl_seven"]
    assert places == ["suspect"]


def test_report_with_thousands_of_identifiers_gives_the_strongest() -> None:
    story = " ".join(f"@owl_{number}" for number in range(500))
    report = public(story=story, person=make_known_person(app="Other Chat", handle="owl_seven"))
    found = list_identifiers(report)
    assert len(found) == MOST_IDENTIFIERS
    assert isinstance(found[0], Found)
    assert found[0].strength == STRONG


@pytest.mark.parametrize(
    "text",
    ["@" * 100_000, "0" * 100_000, "a@" * 50_000, "+4" * 50_000, "https://" * 12_500, "a." * 50_000, "(0) " * 25_000],
)
def test_hostile_text_of_100_kilobytes_takes_no_time(text: str) -> None:
    report = seal(msgspec.structs.replace(calm_report(), incident=_with_narrative(text)))
    began = time.process_time()
    list_identifiers(report)
    assert time.process_time() - began < 1.0


def _with_narrative(text: str) -> Any:
    return msgspec.structs.replace(calm_report().incident, narrative=text)


def test_every_field_filled_with_hostile_words_raises_nothing() -> None:
    report, _ = make_fullest_report()
    assert list_identifiers(seal(report))


# Everyday words with numbers, of both languages, one of which is added to each of the mild stories.
NUMBERS = (
    "I am 13yo and in year9.",
    "He said to come at 8pm on my PS5.",
    "I have an iPhone13 and live near CF10 3AT.",
    "We play Fortnite2 and FIFA24 on Saturdays.",
    "He is 5ft10, and it was on the 21st.",
    "My class is 7B in room12, and the bus is route66.",
    "Dw i ym mlwyddyn9, am 4yp.",
    "My score was 250xp at level50.",
)


@pytest.mark.parametrize(
    ("story", "found"),
    [
        ("He is night_owl7 on Other Chat.", {"night_owl7": WEAK}),
        ("A man called nightowl wrote to me.", {"nightowl": SEARCH_ONLY}),
        ("nightowl on Other Chat wrote to me.", {"nightowl": SEARCH_ONLY}),
        ("His name is Jake and his user name is “sky.fox22”.", {"sky.fox22": WEAK, "Jake": SEARCH_ONLY}),
        ("Mae o'r enw seren_fach3 ar Other Chat.", {"seren_fach3": WEAK}),
        ("Ei enw defnyddiwr yw serenfach.", {"serenfach": SEARCH_ONLY}),
        ("See https://other.example/u/owl77 or owl77@other.example or @owl_77", {}),
    ],
)
def test_nicknames_in_a_persons_words_are_found(story: str, found: dict[str, int]) -> None:
    assert list_nicknames(public(story=story)) == found
    hits = {value: strength for kind, value, place, strength in found_in(public(story=story)) if place == "text"}
    assert {name.lower(): strength for name, strength in found.items()}.items() <= hits.items()


def test_nicknames_of_a_report_are_bounded_and_shaped_ones_come_first() -> None:
    report = public(story=" ".join(f"called plain{'x' * number} owl_{number:02d}x" for number in range(40)))
    assert list(list_nicknames(report).values()) == [WEAK] * MOST_NICKNAMES


def test_everyday_stories_tie_no_two_cases_by_a_nickname() -> None:
    """The figure of docs/casework.md: of 200 stories none has a word that would link it to another."""
    reports = [public(story=f"{story} {NUMBERS[at % len(NUMBERS)]}") for at, story in enumerate(list_stories())]
    found = [list_nicknames(report) for report in reports]
    assert len(found) == 200
    assert sum(WEAK in one.values() for one in found) == 0
    assert sum(map(len, found)) < 50  # words of search alone
