"""Times in the console are those of a British clock; the report holds them in UTC."""

import pytest

from partner_sdk.console.drafts import AnswerError
from partner_sdk.console.questions import read_uk_moment, show_uk_moment, spell_uk_moment
from partner_sdk.console.uk_clock import format_uk_time
from partner_sdk.wire.canonical import parse_time
from tests.sdk.console.console_builders import ANSWERS, ConsoleBrowser


@pytest.mark.parametrize(
    ("typed", "kept", "shown"),
    [
        ("2026-07-24T18:30", "2026-07-24T17:30:00Z", "2026-07-24T18:30"),
        ("2026-11-24 18:30", "2026-11-24T18:30:00Z", "2026-11-24T18:30"),
        ("2026-07-24 18:30:05 utc", "2026-07-24T18:30:05Z", "2026-07-24T19:30:05"),
        ("2026-10-25 01:30 BST", "2026-10-25T00:30:00Z", "2026-10-25 01:30 BST"),
        ("2026-10-25 01:30 GMT", "2026-10-25T01:30:00Z", "2026-10-25 01:30 GMT"),
    ],
)
def test_time_is_typed_as_the_clock_shows_it_and_kept_in_utc(typed: str, kept: str, shown: str) -> None:
    assert read_uk_moment(typed) == kept
    assert show_uk_moment(kept) == shown
    assert read_uk_moment(shown) == kept


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("yesterday", "like 2026-11-25 08:30"),
        ("2026-02-30 10:00", "that exist"),
        ("2026-03-29 01:30", "did not show this time"),
        ("2026-10-25T01:30", "twice: write 2026-10-25 01:30 BST for the first"),
        ("0001-01-01 00:30 BST", "that exist"),
    ],
)
def test_time_that_no_clock_showed_once_is_asked_again(typed: str, words: str) -> None:
    with pytest.raises(AnswerError, match=words):
        read_uk_moment(typed)


def test_time_is_spelled_with_its_zone() -> None:
    assert spell_uk_moment("2026-07-24T17:30:00Z") == "Friday 24 July 2026, 18:30 BST, which is 17:30 UTC"
    assert spell_uk_moment("2026-11-24T18:30:05Z") == "Tuesday 24 November 2026, 18:30:05 GMT"
    assert format_uk_time(parse_time("2026-07-24T17:30:00Z")) == "24 Jul 2026, 18:30 BST"


def test_page_asks_for_uk_time_and_shows_what_it_kept(browser: ConsoleBrowser) -> None:
    draft = browser.begin()
    page = f"{draft}/at/incident"
    assert browser.fill(page, {**ANSWERS["incident"], "happened_at": "2026-07-24T18:30"}).status_code == 303
    browser.get(page)
    assert 'value="2026-07-24T18:30"' in browser.page
    understood = "Understood as Friday 24 July 2026, 18:30 BST, which is 17:30 UTC."
    assert f'<p class="hint" id="happened_at-note">{understood}</p>' in browser.page
    (kept,) = browser.console.state.glob("console/drafts/*/report.json")
    assert b'"happened_at":"2026-07-24T17:30:00Z"' in kept.read_bytes().replace(b": ", b":")


def test_time_with_a_zone_survives_the_fault_of_another_answer(browser: ConsoleBrowser) -> None:
    page = f"{browser.begin()}/at/incident"
    typed = {**ANSWERS["incident"], "happened_at": "2026-10-25 01:30 GMT", "time_meaning": "x" * 3001}
    assert browser.fill(page, typed).status_code == 422
    assert '<input type="text" id="happened_at" name="happened_at" value="2026-10-25 01:30 GMT"' in browser.page
