"""A person's ticks, their priorities, and why each thing is asked."""

from typing import get_args

import pytest

from gateway.exchange.public_report import LIST_MAX
from gateway.guidance.advice import KINDS
from gateway.public.journey import FIELD_BY_NAME, KIND_OPTIONS, TYPED, Field, get_priority
from partner_sdk.wire.submission import ClearFields

PRIORITIES = [
    ({"danger": ["yes"]}, "P1"),
    ({"danger": ["yes"], "kinds": ["bullying"], "age": ["18_plus"]}, "P1"),
    ({"danger": ["no"], "kinds": ["wants_to_meet"], "meeting_when": ["today"]}, "P1"),
    ({"danger": ["not_sure"], "kinds": ["wants_to_meet"], "meeting_when": ["next_days"]}, "P1"),
    ({"danger": ["no"], "kinds": ["wants_to_meet"], "meeting_when": ["later"]}, "P2"),
    ({"danger": ["no"], "kinds": ["wants_to_meet"], "meeting_when": ["no_day"]}, "P2"),
    ({"danger": ["no"], "kinds": ["wants_to_meet"], "meeting_when": ["not_sure"]}, "P2"),
    ({"danger": ["no"], "kinds": ["wants_to_meet"]}, "P2"),
    ({"danger": ["not_sure"]}, "P2"),
    ({"danger": ["no"], "age": ["under_12"]}, "P2"),
    ({"danger": ["no"], "their_age": ["under_12"], "age": ["18_plus"]}, "P2"),
    ({"danger": ["no"], "kinds": ["extra_nice"], "age": ["13_15"]}, "P3"),
    ({"danger": ["no"], "kinds": ["not_sure"], "age": ["rather_not_say"]}, "P3"),
    ({}, "P3"),
]


def test_table_of_kinds_is_complete():
    assert FIELD_BY_NAME["kinds"].options == tuple(option.code for option in KIND_OPTIONS)
    assert {option.code for option in KIND_OPTIONS} == set(KINDS)
    assert len(KIND_OPTIONS) == 14 <= LIST_MAX


@pytest.mark.parametrize(("answers", "priority"), PRIORITIES)
def test_priority_follows_the_table(answers: dict[str, list[str]], priority: str):
    assert get_priority(answers) == priority


@pytest.mark.parametrize("option", KIND_OPTIONS, ids=lambda option: option.code)
def test_priority_of_a_kind_is_its_own_where_nothing_else_is_known(option):
    assert get_priority({"danger": ["no"], "kinds": [option.code]}) == option.priority
    assert option.priority in get_args(ClearFields.__annotations__["priority"])


def test_one_urgent_kind_among_others_decides():
    assert get_priority({"kinds": ["bullying", "not_sure", "threatens_to_share"]}) == "P2"


@pytest.mark.parametrize("field", FIELD_BY_NAME.values(), ids=lambda field: field.name)
def test_every_field_says_why_who_uses_it_and_what_if_it_is_blank(field: Field):
    assert min(len(field.why), len(field.who_uses), len(field.what_if_blank)) >= 4


def test_what_must_be_answered_says_that_it_is_asked_again_and_nothing_else_does():
    asked_again = {field.name for field in FIELD_BY_NAME.values() if "asked again" in field.what_if_blank}
    needed = {
        field.name for field in FIELD_BY_NAME.values() if field.required or (field.goes_with and field.is_needed_with)
    }
    assert asked_again == needed
    assert len(FIELD_BY_NAME) == 55
    assert len(needed) == 10


def test_every_question_has_a_way_not_to_know():
    unknowing = {"not_sure", "rather_not_say", "no_day", "none", "other"}
    picked = [field for field in FIELD_BY_NAME.values() if field.kind == "radios"]
    assert len(picked) > 15
    for field in picked:
        # A plain yes or no may be left blank; all else has an answer for who does not know.
        assert unknowing & set(field.options) or (field.options == ("yes", "no") and not field.required), field.name


def test_options_and_lengths_fit_the_report():
    for field in FIELD_BY_NAME.values():
        assert (field.kind in TYPED) == (not field.options and field.kind != "select"), field.name
        assert len(field.options) <= LIST_MAX, field.name
        assert len(set(field.options)) == len(field.options), field.name
