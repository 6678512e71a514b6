"""A page offers the choices of a report in the words of a person, never in prettified codes."""

from partner_sdk.console.drafts import NOT_HELD_REASONS, YES_NO, find_only_value, list_choices
from partner_sdk.console.questions import find_labels, format_answer, read_labels
from partner_sdk.report.outline import get_field, get_outline, list_fields
from tests.sdk.console.console_builders import ConsoleBrowser


def test_every_choice_of_the_model_has_words_of_its_own_and_none_is_left_over() -> None:
    used = {"not_held": set(NOT_HELD_REASONS)}
    for field in list_fields(get_outline()):
        codes = list_choices(field)
        if set(codes) <= {*YES_NO, "unknown"} or find_only_value(field) is not None:
            continue
        words = find_labels(field.pattern)
        assert words is not None, field.pattern
        assert set(words) == set(codes), field.pattern
        used |= {name: set(one) for name, one in read_labels().items() if one is words}
    assert set(used) == set(read_labels())
    assert set(read_labels()["not_held"]) == set(NOT_HELD_REASONS)


def test_words_of_a_field_are_its_own() -> None:
    assert format_answer("none", get_field("#/sub_label")) == "None of these"
    assert format_answer("none", get_field("#/discovery/actions/0/action")) == "No action"


def test_page_offers_sentences_in_a_useful_order(browser: ConsoleBrowser) -> None:
    draft = browser.begin()
    browser.get(f"{draft}/at/incident")
    assert "Lives with child" not in browser.page
    offered = ("A life is in danger", "The suspect lives with the child", "Another sign")
    places = [browser.page.find(words) for words in offered]
    assert -1 not in places
    assert places == sorted(places)
    browser.get(f"{draft}/at/case")
    assert "Annex A" not in browser.page
    assert "ISO 3166" not in browser.page
