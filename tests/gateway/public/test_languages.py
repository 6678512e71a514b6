"""Two languages: the toggle keeps the words and the place on every page, and Enter never presses it by mistake."""

import re

import pytest

from gateway.public.door import SIDE_PATHS
from gateway.public.journey import FIELD_BY_NAME, TYPED
from gateway.public.wording import load_wording
from partner_sdk.wire.button import LANGUAGES
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import SHORT_ANSWERS, Person, read_form, read_title
from tests.gateway.public.walks import LONG_WAY, flatten

LONG_PATHS = list(LONG_WAY)
TITLES = {
    language: {name: words["title"] for name, words in load_wording(language).table["screen"].items()}
    for language in LANGUAGES
}
# What a browser does on Enter: it presses the first button of the form, wherever on the page that stands.
FIRST_BUTTON = re.compile(r'<button (?:class="[^"]*" )?(?:form="answers" )?name="(\w+)" value="([\w:]*)"')


def read_language(person: Person) -> str:
    found = re.search(r'<html lang="(\w+)">', person.text())
    assert found is not None
    return found[1]


def list_kept(person: Person, typed: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
    """Return the filled fields of the page; buttons are no fields."""
    form = read_form(person.page)
    return {name: form.getlist(name) if isinstance(value, list) else form[name] for name, value in typed.items()}


def test_toggle_keeps_place_and_unsaved_words_on_every_screen(public: PublicHouse):
    person = public.person().start()
    for path in LONG_PATHS:
        assert person.path == path
        fields = {name for name in LONG_WAY[path] if FIELD_BY_NAME[name].kind not in ("choice", "more")}
        typed = {name: LONG_WAY[path][name] for name in fields}
        for language in ("cy", "en"):
            person.press("language", **typed)
            assert (person.path, read_language(person)) == (path, language)
            assert list_kept(person, typed) == typed
        person.press(**LONG_WAY[path])
    assert person.path == "/14"


def test_toggle_asks_for_nothing_and_cuts_nothing(public: PublicHouse):
    person = public.person_at("/11")
    person.press("language")
    assert (person.path, read_language(person)) == ("/11", "cy")
    assert 'id="faults"' not in person.text()
    too_long = "x" * (FIELD_BY_NAME["name"].max_characters + 1)
    person.press("language", name=too_long)
    assert read_form(person.page)["name"] == too_long
    assert 'id="faults"' in person.text()


def test_toggle_on_the_first_page_and_on_the_way_into_the_form(public: PublicHouse):
    person = public.person()
    person.get("/")
    assert read_language(person) == "en"
    person.press("language")
    assert (person.path, read_language(person), read_title(person.page)) == ("/", "cy", TITLES["cy"]["start"])
    person.press("start")
    assert (person.path, read_title(person.page)) == ("/2", TITLES["cy"]["safe_now"])


def test_toggle_on_the_first_page_in_the_middle_of_a_journey_keeps_it(public: PublicHouse):
    person = public.person_at("/3")
    person.press("back", danger="not_sure")
    person.press("back")
    assert person.path == "/"
    person.press("language")
    person.press("start")
    person.press()
    assert (person.path, read_form(person.page)["danger"]) == ("/3", "not_sure")


def test_toggle_on_the_check_page_shows_every_answer_again_and_send_goes_on(public: PublicHouse):
    person = public.person_at("/14", LONG_WAY)
    typed = [
        value for name, values in flatten(LONG_WAY).items() for value in values if FIELD_BY_NAME[name].kind in TYPED
    ]
    for language in ("cy", "en", "cy"):
        person.press("language")
        assert (person.path, read_language(person), read_title(person.page)) == (
            "/14",
            language,
            TITLES[language]["check"],
        )
        assert [text for text in typed if text not in person.text()] == []
    person.send()
    assert (person.path, read_language(person), read_title(person.page)) == ("/15", "cy", TITLES["cy"]["thanks"])
    assert [report.language for report in public.reports()] == ["cy"]


def test_toggle_on_the_thank_you_page_keeps_number_and_words(public: PublicHouse):
    person = public.person_at("/14").send()
    kept = re.findall(r'class="reference[^"]*" translate="no">([^<]+)<', person.text())
    assert len(kept) >= 2
    for language in ("cy", "en"):
        person.press("language")
        assert (person.path, read_language(person)) == ("/15", language)
        assert re.findall(r'class="reference[^"]*" translate="no">([^<]+)<', person.text()) == kept
    assert len(public.reports()) == 1


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("", "en"),
        ("cy", "cy"),
        ("cy-GB, en;q=0.8", "cy"),
        ("CY", "cy"),
        ("de, cy-GB;q=0.7, en;q=0.3", "cy"),
        ("cy;q=0, fr", "en"),
        ("en-GB, cy;q=0.9", "en"),
        ("fr", "en"),
        ("*", "en"),
        ("%", "en"),
    ],
)
def test_browser_is_asked_first(public: PublicHouse, asked: str, language: str):
    person = public.person(language=asked)
    person.get("/")
    assert read_language(person) == language


def test_what_the_person_picked_is_stronger_than_the_browser(public: PublicHouse):
    person = public.person(language="cy")
    person.get("/")
    person.press("language")
    assert read_language(person) == "en"
    person.start()
    assert read_language(person) == "en"


def test_address_can_ask_for_a_language(public: PublicHouse):
    queries = (("lang=cy", "cy"), ("", "cy"), ("lang=en", "en"), ("lang=xx", "en"), ("lang=cy&lang=en", "cy"))
    for path in ("/", *(f"/{path}" for path in SIDE_PATHS.values())):
        person = public.person()
        for query, language in queries:
            person.get(f"{path}?{query}")
            assert (person.page.status_code, read_language(person)) == (200, language), (path, query)
        if path != "/":
            assert '<a class="tongue" href="?lang=en" lang="en" hreflang="en">' in person.text(), path


def test_toggle_on_a_side_page_in_the_middle_stays_there_and_leads_back(public: PublicHouse):
    person = public.person_at("/9")
    person.press("see:privacy", story="Half a sente")
    assert person.path == "/1f"
    person.press("language")
    assert (person.path, read_title(person.page)) == ("/1f", TITLES["cy"]["privacy"])
    person.press("return")
    assert (person.path, read_title(person.page)) == ("/9", TITLES["cy"]["story"])
    assert read_form(person.page)["story"] == "Half a sente"


@pytest.mark.parametrize("language", LANGUAGES)
def test_enter_goes_on_and_never_changes_the_language(public: PublicHouse, language: str):
    person = public.person(language=language)
    person.get("/")
    seen = {"/": FIRST_BUTTON.search(person.text())}
    person.press("start")
    for path in LONG_PATHS:
        assert person.path == path
        seen[path] = FIRST_BUTTON.search(person.text())
        person.press(**LONG_WAY[path])
    assert person.path == "/14"
    pressed = {path: found.groups() for path, found in seen.items() if found is not None}
    assert list(pressed) == ["/", *LONG_PATHS]
    assert pressed.pop("/") == ("action", "start")
    assert pressed.pop("/14") == ("action", "send")
    assert set(pressed.values()) == {("action", "continue")}


def test_enter_on_the_page_to_come_back_does_not_change_the_language(public: PublicHouse):
    person = public.person()
    person.get("/16")
    found = FIRST_BUTTON.search(person.text())
    assert found is not None
    assert found[2] != "language"


def test_day_of_the_answer_is_said_in_welsh(public: PublicHouse):
    person = public.person(language="cy").start().walk_to("/14", SHORT_ANSWERS).send()
    # Small within a sentence: CLDR gives the name of a day as it heads a list.
    assert "erbyn dydd Gwener 27 Tachwedd" in person.text()
