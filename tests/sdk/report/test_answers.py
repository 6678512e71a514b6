"""Answers of a person: taken as people write them, refused where they could mean something else, and read back."""

from typing import Any

import pytest

from partner_sdk.console.drafts import AnswerError, find_doubt, find_reading, read_answer
from partner_sdk.report.model import Child, Discovery, IndustryReport, Reporter, Suspect
from partner_sdk.report.outline import get_field

OWNERS = {"discovery": Discovery, "reporter": Reporter, "children": Child, "suspects": Suspect}


def read(pointer: str, text: str) -> Any:
    owner = OWNERS.get(pointer.split("/")[1], IndustryReport)
    return read_answer(text, field=get_field(pointer), owner_type=owner)


@pytest.mark.parametrize("typed", ["2026-11-24T18:45:00Z", "2026-11-24 18:45", "2026-11-24 18:45:00 utc"])
def test_time_is_taken_as_people_write_it_and_kept_as_the_wire_has_it(typed: str) -> None:
    assert read("#/discovery/detected_at", typed) == "2026-11-24T18:45:00Z"


@pytest.mark.parametrize(
    ("pointer", "typed"),
    [
        *(
            ("#/discovery/detected_at", one)
            for one in ("yesterday", "24.11.2026 18:45", "2026-11-24", "2026-11-24 25:00")
        ),
        ("#/suspects/0/born_on", "2011-02-31"),
        ("#/children/0/age", "200"),
        ("#/children/0/age", "twelve"),
        ("#/category", ""),
        ("#/category", "nonsense"),
        ("#/reporter/declaration", "no"),
        ("#/reporter/declaration", "maybe"),
    ],
)
def test_answer_that_is_none_or_could_mean_something_else_is_refused(pointer: str, typed: str) -> None:
    with pytest.raises(AnswerError):
        read(pointer, typed)


def test_answers_have_the_type_of_their_field() -> None:
    assert read("#/category", "Grooming") == "grooming"
    assert read("#/children/0/age_band", " 13 15 ") == "13_15"
    assert read("#/children/0/age", "12") == 12
    assert read("#/suspects/0/born_on", "2011-02") == "2011-02"
    assert read("#/reporter/declaration", "yes") is True


def test_address_and_number_that_look_odd_are_doubted_and_never_refused() -> None:
    for name, odd, good in (
        ("submitter_email", "safety.example.com", "safety@example.com"),
        ("submitter_telephone", "ext 12", "+44 20 7946 0000"),
    ):
        field = get_field(f"#/reporter/{name}")
        assert "does not look like" in (find_doubt(odd, field=field) or "")
        assert find_doubt(good, field=field) is None
        assert read(f"#/reporter/{name}", odd) == odd


@pytest.mark.parametrize(
    ("pointer", "value", "said"),
    [
        ("#/children/0/born_on", "2011", "the year 2011"),
        ("#/children/0/born_on", "2011-05", "May 2011"),
        ("#/children/0/born_on", "2011-05-30", "Monday 30 May 2011"),
        ("#/discovery/detected_at", "2026-11-24T18:45:00Z", "Tuesday 24 November 2026, 18:45:00 UTC"),
        ("#/incident/narrative", "2011-05", None),
    ],
)
def test_day_and_time_are_read_back_as_exactly_as_they_are_known(pointer: str, value: str, said: str | None) -> None:
    assert find_reading(value, field=get_field(pointer)) == said
