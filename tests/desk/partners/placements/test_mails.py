"""The mail of agreed places: links and lines for each, in both languages, for staff to send."""

from typing import get_args

import pytest

from gateway.desk.office.wiring import Desk
from gateway.desk.partners.placement_agreeing import suspend_placement
from gateway.desk.partners.placement_labels import make_agreed_mail, read_texts
from gateway.desk.partners.placement_register import SURFACE_TITLES, PlacementRow
from partner_sdk.button.snippet import make_snippet
from partner_sdk.wire.button import Surface
from tests.desk.people_builders import ACTOR
from tests.desk.placement_builders import agree
from tests.desk.view_builders import Browser

ORIGIN = "https://report.example"


def make_text(*places: PlacementRow, language: str = "en") -> str:
    return make_agreed_mail(places, name="Sam", language=language, origin=ORIGIN, agency="The agency").text


@pytest.mark.parametrize("language", ["en", "cy"])
def test_mail_has_link_lines_and_commands_of_every_place(desk: Desk, language: str) -> None:
    one = agree(desk, surface="direct_message", address="https://chat.example/rooms/*", look_at=None, link_id="one")
    page = "https://chat.example/people/sam"
    two = agree(desk, surface="profile", look_at=page, link_id="two")
    text = make_text(one, two, language=language)
    for place in (one, two):
        assert f"  {ORIGIN}/?from={place.placement}\n" in text
        assert f"report-abuse-partner button snippet --origin {ORIGIN} --placement {place.placement}" in text
        for form in ("link", "script"):
            assert make_snippet(ORIGIN, placement=place.placement, language=language, form=form) in text
    assert f"  report-abuse-partner button check {page} --origin {ORIGIN} --placement two\n" in text
    assert text.count("report-abuse-partner button check ") == 2
    words = read_texts()["place_words"][language]
    assert f"button check {words['page']} --origin" in text
    assert words["own_page"] in text
    assert f"{one.service}, {read_texts()['surfaces'][language]['direct_message']}: {one.position}\n" in text
    assert "direct_message" not in text
    assert (" --language cy" in text) is (language == "cy")


def test_page_of_a_placement_has_the_mail_of_all_agreed_places_of_its_owner(desk: Desk, browser: Browser) -> None:
    for link_id in ("one", "two", "gone"):
        agree(desk, link_id=link_id)
    suspend_placement(desk, "gone", reason="Away.", actor=ACTOR)
    page = browser.get("/placement/one").text
    assert [f"/?from={one}" in page for one in ("one", "two", "gone")] == [True, True, False]
    assert "Y botwm Report Abuse" in page
    assert "Nothing was sent: read it, then send it yourself." in page


def test_every_kind_of_place_has_a_title_in_both_languages() -> None:
    titles = read_texts()["surfaces"]
    assert titles["en"] == SURFACE_TITLES
    assert set(titles["cy"]) == set(get_args(Surface))
    assert "" not in titles["cy"].values()


def test_texts_have_the_same_words_to_fill_in_in_both_languages_and_begin_with_a_capital() -> None:
    english, welsh = read_texts()["en"], read_texts()["cy"]
    assert set(english) == set(welsh) == {"agreed", "invited", "declined"}
    for occasion, texts in english.items():
        for part, text in texts.items():
            assert find_names(text) == find_names(welsh[occasion][part])
        for language in (english, welsh):
            assert language[occasion]["text"].strip().split("\n\n")[1][0].isupper()


def find_names(text: str) -> set[str]:
    return {one.partition("}")[0] for one in text.split("{")[1:]}
