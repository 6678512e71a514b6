"""The page for services shows the button that is asked for: the one icon as it is served, with the button's words."""

import html
import re
from importlib.resources import files

import brotli
import pytest

from gateway.public.views.for_services import BLANK
from partner_sdk.button.release import ICON_PATH, SCRIPT_INTEGRITY, SCRIPT_PATH
from partner_sdk.button.snippet import make_snippet
from partner_sdk.wire.items import ADOPTION_REQUEST
from partner_sdk.wire.public_codes import LANGUAGES
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.adoption_builders import MARKER, TYPED, open_waiting
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import Person, read_form, read_title

PAGE = "/for-services"
STYLE_BYTES = 600
_FIGURE = re.compile(r"<figure.*?</figure>", re.DOTALL)


@pytest.mark.parametrize("language", LANGUAGES)
def test_canonical_button_is_shown_on_light_and_dark_ground_and_leads_nowhere(one_public: PublicHouse, language: str):
    person = one_public.person()
    person.get(f"{PAGE}?lang={language}")

    (figure,) = _FIGURE.findall(person.text())
    snippet = make_snippet(PUBLIC_ORIGIN, placement="example-service", language=language)
    button, _, _ = snippet.partition("<script")
    for ground in ("light", "dark"):
        assert f'<div class="ground {ground}" inert>{button}</div>' in figure
    assert "style=" not in figure
    # The element's own released script draws it here as on a service's page.
    tag = f'<script src="{SCRIPT_PATH}" integrity="{SCRIPT_INTEGRITY}" crossorigin="anonymous" defer></script>'
    assert person.text().count(tag) == 1
    caption = re.findall(r"<figcaption[^>]*>(.*?)</figcaption>", figure)
    assert len(caption[0].split()) >= 20


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("name", "link_id"),
    [
        ("Example Chat", "example-chat"),
        ("chat.example", "chat-example"),
        ("https://www.chat.example/rooms?x=1", "chat-example"),
        ("HTTP://Chat.Example:8443", "chat-example"),
        ("https://user:pw@chat.example:8443/rooms", "chat-example"),
        ("https://user:p@w@chat.example", "chat-example"),
        ("https://chat.example/?contact=name@mail.example", "chat-example"),
        ("chat.example/@example", "chat-example"),
        ("chat.example:443", "chat-example"),
        ("Chat @ Example", "chat-example"),
        ("Sg\u0175rs Caf\u00e9 & Co", "sgwrs-cafe-co"),
        ("example-chat_dm", "example-chat_dm"),
        ("  example-chat-profile ", "example-chat-profile"),
        ("x" * 80, "x" * 40),
        ('"><script>alert(1)</script>', "script-alert-1-script"),
        ("javascript:alert(1)", "javascript-alert-1"),
    ],
)
def test_name_address_or_link_id_gives_the_html_to_paste(
    one_public: PublicHouse, language: str, name: str, link_id: str
):
    person = show_html(one_public, name, language)

    assert person.page.status_code == 200
    boxes = [
        html.unescape(text)
        for text in re.findall(r"<textarea[^>]* readonly[^>]*>\n(.*?)</textarea>", person.text(), re.S)
    ]
    assert boxes[:2] == [
        make_snippet(PUBLIC_ORIGIN, placement=link_id, language=language, form=form).rstrip("\n")
        for form in ("script", "link")
    ]
    assert f"<code>{link_id}</code>" in person.text()
    # The name as typed is a value of the field and nothing else.
    assert read_form(person.page)["link_name"] == name
    assert "<script>alert" not in person.text()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "Type the name of your service"),
        ("   ", "Type the name of your service"),
        ("\u804a\u5929", "letters from a to z"),
        ("--", "letters from a to z"),
        ("x" * 201, "letters from a to z"),
        ("https://", "letters from a to z"),
        ("https://user:p/w@chat.example", "letters from a to z"),
        ("name@mail.example", "That is an email address"),
        ("mailto:name@mail.example", "That is an email address"),
        ("Example Chat <name@mail.example>", "That is an email address"),
        ("Is it name@mail.example?", "That is an email address"),
        ("name\uff20mail.example", "That is an email address"),
        ("See https://user:pw@chat.example", "That is an email address"),
        ("user:pw@chat.example", "That is an email address"),
    ],
)
def test_name_that_gives_no_link_id_is_asked_for_again(one_public: PublicHouse, name: str, said: str):
    person = show_html(one_public, name)

    assert re.findall(r'<li><a href="#([\w-]+)">', person.text()) == ["link_name"]
    assert read_title(person.page).startswith("Error:")
    assert said in person.text()
    assert " readonly" not in person.text()


def test_html_keeps_the_words_of_the_request_and_sends_nothing(public: PublicHouse):
    person = show_html(public, "Example Chat", **TYPED)
    form = read_form(person.page)
    assert (form["message"], form.getlist("surfaces"), form["organisation"]) == (
        MARKER,
        ["chat", "profile"],
        "Example Chat Ltd",
    )
    assert public.house.items(ADOPTION_REQUEST) == []
    person.press("language")
    assert read_form(person.page)["link_name"] == "Example Chat"
    assert " readonly" in person.text()
    person.press("send")
    assert person.path == "/for-services/sent"
    assert len(open_waiting(public.house)) == 1


def test_enter_in_the_name_alone_shows_the_html(public: PublicHouse):
    # Browsers press the form's first button, which sends the request.
    person = public.person()
    person.get(PAGE)
    person.path = PAGE
    person.press("send", link_name="Example Chat")
    assert " readonly" in person.text()
    assert 'id="faults"' not in person.text()


def test_page_says_where_the_button_belongs_and_what_to_write_beside_it(public: PublicHouse):
    text = public.person().get(PAGE).get_data(as_text=True)
    for words in ("Block", "above the conversation", "pause menu", "You can report to us, to the police, or to both."):
        assert words in text
    assert "docs/" not in text
    assert "github" not in text.lower()


def test_style_of_this_page_is_small_and_no_page_of_the_form_loads_it(public: PublicHouse):
    style = files("gateway.public").joinpath("static", "services.css").read_bytes()
    assert len(brotli.compress(style)) <= STYLE_BYTES
    assert "/s/services." in public.person().get(PAGE).get_data(as_text=True)
    person = public.person().start()
    assert "/s/services." not in public.person().get("/").get_data(as_text=True) + person.text()


def show_html(public: PublicHouse, name: str, language: str = "en", **typed: str | list[str]) -> Person:
    """Type a name into the first field of the page and press Show the HTML."""
    person = public.person()
    person.get(f"{PAGE}?lang={language}")
    person.path = PAGE
    person.press("html", **{**typed, "link_name": name})
    return person


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
