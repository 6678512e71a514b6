"""The page for services shows the button that is asked for: the one icon as it is served, with the button's words."""

import re
from importlib.resources import files

import pytest

from gateway.public.views.for_services import BLANK
from partner_sdk.button.release import ICON_PATH
from partner_sdk.button.snippet import WORDS
from partner_sdk.wire.public_codes import LANGUAGES
from tests.gateway.adoption_builders import TYPED, open_waiting
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import read_form

PAGE = "/for-services"
_FIGURE = re.compile(r"<figure.*?</figure>", re.DOTALL)
_ICON = re.compile(r'<img src="([^"]+)" width="44" height="44" alt="([^"]+)">')


@pytest.mark.parametrize("language", LANGUAGES)
def test_button_is_shown_with_its_icon_and_its_words_and_leads_nowhere(public: PublicHouse, language: str):
    person = public.person()
    person.get(f"{PAGE}?lang={language}")

    (figure,) = _FIGURE.findall(person.text())
    ((path, alt),) = _ICON.findall(figure)
    assert path == ICON_PATH
    assert len(alt.split()) >= 5
    words = WORDS["cy" if language == "cy" else "en"]
    assert f"> <b>{words.text}</b>" in figure
    assert words.sentence.replace("'", "&#39;") in figure
    assert "<a " not in figure
    assert "<button" not in figure
    assert "style=" not in figure
    # The words stand beside the middle of the icon, by a class that the style sheet has.
    assert '<p class="taps"><img' in figure
    css = files("gateway.public").joinpath("static", "look.css").read_text("utf-8")
    assert re.search(r"^\.taps \{[^}]*display: flex;[^}]*align-items: center;", css, re.MULTILINE)


def test_icon_of_the_page_is_the_file_that_services_load(public: PublicHouse):
    person = public.person()
    person.get(ICON_PATH)

    assert person.page.status_code == 200
    assert person.page.content_type == "image/svg+xml"
    assert "immutable" in person.page.headers["Cache-Control"]


def test_button_stays_on_the_page_that_asks_for_what_is_missing(public: PublicHouse):
    person = public.person()
    person.get(PAGE)
    person.path = PAGE
    person.press("send", **dict.fromkeys(TYPED, ""))

    assert len(_FIGURE.findall(person.text())) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_service_without_children_can_say_so(public: PublicHouse, language: str):
    person = public.person()
    person.get(f"{PAGE}?lang={language}")
    assert re.findall(r'name="child_use" value="(\w+)"', person.text()) == [
        *("mostly_children", "many_children", "some_children", "no_children", "not_known")
    ]
    person.path = PAGE
    person.press("send", **{**TYPED, "child_use": "no_children"})

    assert person.path == "/for-services/sent"
    (request,) = open_waiting(public.house)
    assert request.service.child_use == "no_children"


def test_no_answer_is_picked_beforehand(public: PublicHouse):
    person = public.person()
    person.get(PAGE)

    assert BLANK["child_use"] == []
    assert "child_use" not in read_form(person.page)
