"""The journey's table: where answers lead, what they are called at the desk, and that every word for it exists."""

from itertools import pairwise

import pytest

from gateway.public.forms import find_incomplete
from gateway.public.journey import (
    CHECK,
    FIELD_BY_NAME,
    KIND_OPTIONS,
    SCREEN_BY_NAME,
    SCREENS,
    START,
    UNDER_AGE_LINE,
    get_next,
    get_previous,
    get_priority,
    is_owed_an_answer,
    list_path,
)
from gateway.public.wording import load_wording
from partner_sdk.public_report import LIST_MAX

WORDS = load_wording("en")
ANNEX_A = {
    "meet_offline",
    "grooming",
    "coercion_blackmail",
    "sexual_talk",
    "sexual_acts_live",
    "risk_behaviour",
    "something_else",
}
SHORTEST = {
    "danger": ["no"],
    "under_18": ["yes"],
    "who": ["me"],
    "age": ["13_15"],
    "kinds": ["not_sure"],
    "name": ["Sam"],
    "contact_ways": ["school"],
    "contact_value": ["Ms Example"],
}


@pytest.mark.parametrize(
    ("option", "kind"),
    [
        ("extra_nice", "grooming"),
        ("shared_things", "risk_behaviour"),
        ("sexual_talk", "sexual_talk"),
        ("asked_for_pictures", "grooming"),
        ("on_camera", "sexual_acts_live"),
        ("wants_to_meet", "meet_offline"),
        ("meeting_soon", "meet_offline"),
        ("threatens_to_share", "coercion_blackmail"),
        ("made_to_do_things", "coercion_blackmail"),
        ("touched_or_hurt", "sexual_acts_live"),
        ("bullying", "something_else"),
        ("account_hacked", "something_else"),
        ("something_else", "something_else"),
        ("not_sure", "something_else"),
    ],
)
def test_kind_option_has_its_annex_a_kind(option: str, kind: str):
    assert {one.code: one.annex_a for one in KIND_OPTIONS}[option] == kind


def test_every_annex_a_kind_can_be_told_and_every_option_has_one():
    assert {option.annex_a for option in KIND_OPTIONS} == ANNEX_A
    assert len(KIND_OPTIONS) == 14
    assert len(KIND_OPTIONS) <= LIST_MAX


@pytest.mark.parametrize(
    ("answers", "priority"),
    [
        ({"danger": ["yes"]}, "P1"),
        ({"danger": ["no"], "kinds": ["meeting_soon"]}, "P1"),
        ({"danger": ["not_sure"]}, "P2"),
        ({"danger": ["no"], "kinds": ["threatens_to_share"]}, "P2"),
        ({"danger": ["no"], "kinds": ["wants_to_meet"]}, "P2"),
        ({"danger": ["no"], "age": ["12_or_under"]}, "P2"),
        ({"danger": ["no"], "kinds": ["extra_nice"], "age": ["13_15"]}, "P3"),
        ({}, "P3"),
    ],
)
def test_priority_follows_the_table(answers: dict[str, list[str]], priority: str):
    assert get_priority(answers) == priority


@pytest.mark.parametrize(
    ("screen", "answers", "leads_to"),
    [
        ("danger", {"danger": ["yes"]}, "danger_help"),
        ("danger", {"danger": ["not_sure"]}, "under_18"),
        ("danger", {"danger": ["no"]}, "under_18"),
        ("age", {"age": ["18_plus"], "who": ["me"]}, "grown_up"),
        ("age", {"age": ["18_plus"], "who": ["friend"]}, "kind"),
        ("age", {"age": ["16_17"], "who": ["me"]}, "kind"),
        ("kind", {"kinds": ["bullying"]}, "other_worries"),
        ("kind", {"kinds": ["bullying", "account_hacked"]}, "other_worries"),
        ("kind", {"kinds": ["bullying", "sexual_talk"]}, "story"),
        ("kind", {}, "story"),
    ],
)
def test_answer_leads_to_its_screen(screen: str, answers: dict[str, list[str]], leads_to: str):
    assert get_next(SCREEN_BY_NAME[screen], answers).name == leads_to


@pytest.mark.parametrize(
    "answers", [SHORTEST, {**SHORTEST, "danger": ["yes"], "age": ["18_plus"], "kinds": ["bullying"]}]
)
def test_back_is_the_way_that_one_came(answers: dict[str, list[str]]):
    path = list_path(answers)
    assert path[0].name == START
    assert path[-1].name == CHECK
    for before, after in pairwise(path):
        assert get_previous(after, answers) is before


def test_shortest_path_needs_eight_answers_and_no_story():
    assert find_incomplete(SHORTEST) is None
    for name in SHORTEST:
        without = {key: value for key, value in SHORTEST.items() if key != name}
        missing = find_incomplete(without)
        assert missing is not None, name


def test_a_story_is_enough_without_a_ticked_box():
    answers = {**SHORTEST, "story": ["It was him."]}
    del answers["kinds"]
    assert find_incomplete(answers) is None


@pytest.mark.parametrize(("answer", "is_owed"), [("yes", True), ("rather_not_say", True), ("no", False)])
def test_only_a_no_makes_an_adult_of_the_person(answer: str, *, is_owed: bool):
    assert is_owed_an_answer({"under_18": [answer]}) is is_owed
    assert is_owed_an_answer({})


def test_age_line_is_eighteen_and_the_bands_meet_there():
    assert UNDER_AGE_LINE == 18
    assert "16_17" in FIELD_BY_NAME["age"].options
    assert "18_plus" in FIELD_BY_NAME["age"].options


def test_every_field_says_why_who_uses_it_and_what_if_it_is_blank():
    assert len(FIELD_BY_NAME) == 15
    for field in FIELD_BY_NAME.values():
        assert field.why, field.name
        assert field.who_uses, field.name
        assert field.what_if_blank, field.name


def test_every_question_with_options_has_a_way_not_to_know():
    unknowing = {"not_sure", "rather_not_say"}
    asked = [field for field in FIELD_BY_NAME.values() if field.kind in {"radios"}]
    assert len(asked) == 6
    for field in asked:
        assert unknowing & set(field.options), field.name


def test_every_screen_field_and_option_has_words():
    seen = 0
    for screen in SCREENS:
        assert WORDS.screen(screen.name)["title"]
        for field in screen.fields:
            assert WORDS.label(screen.name, field.name, about_other=False)
            assert WORDS.field(screen.name, field.name)["summary"]
            if field.required or field.name == "story":
                assert WORDS.field(screen.name, field.name)["blank"]
            for option in field.options:
                assert WORDS.option(screen.name, field.name, option, about_other=True)
                seen += 1
    assert seen > 40


def test_paths_are_neutral_and_different():
    paths = [screen.path for screen in SCREENS]
    assert len(set(paths)) == len(paths)
    assert all(path == "" or path[0].isdigit() for path in paths)
