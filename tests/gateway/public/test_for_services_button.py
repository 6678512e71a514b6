"""The page for services shows the button that is asked for: the one icon as it is served, with the button's words."""

import html
import re
from importlib.resources import files
from itertools import product
from urllib.parse import urlencode

import brotli
import pytest

from gateway.exchange.feed import ADOPTION_REQUEST
from gateway.public.views.for_services import find_link_id
from partner_sdk.button.frameworks import FILE_NAMES, FLAVOURS
from partner_sdk.button.snippet import FORMS, SCRIPT_INTEGRITY, SCRIPT_PATH, make_policy, make_snippet
from partner_sdk.cli import main
from partner_sdk.wire.button import LANGUAGES
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


LINK_IDS = {
    "Example Chat": "example-chat",
    "chat.example": "chat-example",
    "https://www.chat.example/rooms?x=1": "chat-example",
    "HTTP://Chat.Example:8443": "chat-example",
    "https://user:p@w@chat.example": "chat-example",
    "https://chat.example/?contact=name@mail.example": "chat-example",
    "chat.example/@example": "chat-example",
    "chat.example:443": "chat-example",
    "Chat @ Example": "chat-example",
    "Sg\u0175rs Caf\u00e9 & Co": "sgwrs-cafe-co",
    "example-chat_dm": "example-chat_dm",
    "  example-chat-profile ": "example-chat-profile",
    "x" * 80: "x" * 40,
    '"><script>alert(1)</script>': "script-alert-1-script",
    "javascript:alert(1)": "javascript-alert-1",
    **dict.fromkeys(("", "   ", "\u804a\u5929", "--", "x" * 201, "https://", "https://user:p/w@chat.example")),
    **dict.fromkeys(("name@mail.example", "mailto:name@mail.example", "Example Chat <name@mail.example>")),
    **dict.fromkeys(("name\uff20mail.example", "See https://user:pw@chat.example", "user:pw@chat.example")),
}


def test_link_id_follows_from_a_name_or_an_address():
    assert {typed: find_link_id(typed) for typed in LINK_IDS} == LINK_IDS


def test_name_gives_the_html_to_paste(one_public: PublicHouse):
    name = '"><script>alert(1)</script>'
    person = ask_for_lines(one_public, "cy", link_name=name)
    snippet = make_snippet(PUBLIC_ORIGIN, placement=LINK_IDS[name], language="cy")
    assert read_lines(person) == snippet.rstrip("\n")
    assert f"<code>{LINK_IDS[name]}</code>" in person.text()
    # The name as typed is a value of the field and nothing else.
    assert read_form(person.page)["link_name"] == name
    assert "<script>alert" not in person.text()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("   ", "Type the name of your service"),
        ("--", "letters from a to z"),
        ("name@mail.example", "That is an email address"),
    ],
)
def test_name_that_gives_no_link_id_is_asked_for_again(one_public: PublicHouse, name: str, said: str):
    person = ask_for_lines(one_public, link_name=name)

    assert re.findall(r'<li><a href="#([\w-]+)">', person.text()) == ["link_name"]
    assert read_title(person.page).startswith("Error:")
    assert said in person.text()
    assert " readonly" not in person.text()


@pytest.mark.parametrize(("flavour", "form"), list(product(FLAVOURS, FORMS)))
def test_lines_are_those_of_the_command(
    one_public: PublicHouse, capsys: pytest.CaptureFixture[str], flavour: str, form: str
):
    asked = {"link_name": "example-chat-dm", "language": "cy", "flavour": flavour, "form": form}
    person = ask_for_lines(one_public, **asked)
    placed = ("--placement", "example-chat-dm", "--origin", PUBLIC_ORIGIN)
    assert main(["button", "snippet", *placed, "--language", "cy", "--for", flavour, "--form", form]) == 0

    assert read_lines(person) == capsys.readouterr().out.rstrip("\n")
    assert FILE_NAMES[flavour] in person.text() or flavour == "html"
    assert make_policy(PUBLIC_ORIGIN, form=form, by="host").line in html.unescape(person.text())
    # The form stands as it was sent, so that one answer can be changed.
    assert {name: read_form(person.page)[name] for name in asked} == asked


@pytest.mark.parametrize(
    ("query", "faulty"),
    [
        ("link_name=a&flavour=angular", ["flavour"]),
        ("link_name=a&link_name=b", ["link_name"]),
        ("flavour=", ["link_name", "flavour"]),
    ],
)
def test_answer_that_is_not_offered_is_named_and_makes_no_lines(one_public: PublicHouse, query: str, faulty: list[str]):
    person = one_public.person()
    person.get(f"{PAGE}?{query}")

    assert re.findall(r'<li><a href="#([\w-]+)">', person.text()) == faulty
    assert all(f'id="{name}"' in person.text() for name in faulty)
    assert " readonly" not in person.text()


def test_link_id_for_tests_says_that_it_is_one(one_public: PublicHouse):
    person = ask_for_lines(one_public, link_name="test")
    assert f'href="{PUBLIC_ORIGIN}/?from=test"' in read_lines(person)
    assert "Put your own in its place before your page goes live." in person.text()
    assert "Once we have agreed a place" not in person.text()


def test_request_and_language_keep_the_lines_and_the_lines_send_nothing(public: PublicHouse):
    person = ask_for_lines(public, link_name="Example Chat", form="link")
    lines = read_lines(person)
    assert public.house.items(ADOPTION_REQUEST) == []
    (path,) = re.findall(r'id="answers" method="post" action="([^"]*)"', person.text())
    person.path = html.unescape(path)
    person.press("language", **TYPED)
    assert (read_lines(person), read_title(person.page)[:6]) == (lines, "Rhowch")
    assert read_form(person.page)["message"] == MARKER
    person.press("send", website="")
    assert read_lines(person) == lines
    person.press("send", website=str(TYPED["website"]))
    assert person.path == "/for-services/sent"
    assert len(open_waiting(public.house)) == 1


def test_style_of_this_page_is_small_and_no_page_of_the_form_loads_it(public: PublicHouse):
    style = files("gateway.public").joinpath("static", "services.css").read_bytes()
    assert len(brotli.compress(style)) <= STYLE_BYTES
    assert "/s/services." in public.person().get(PAGE).get_data(as_text=True)
    person = public.person().start()
    assert "/s/services." not in public.person().get("/").get_data(as_text=True) + person.text()


def ask_for_lines(public: PublicHouse, page_language: str = "en", **asked: str) -> Person:
    """Send the form at the top of the page: its answers are the address."""
    person = public.person()
    person.get(f"{PAGE}?{urlencode({'lang': page_language, **asked})}")
    return person


def read_lines(person: Person) -> str:
    (lines,) = re.findall(r'<textarea[^>]* id="lines" readonly[^>]*>\n(.*?)</textarea>', person.text(), re.S)
    return html.unescape(lines)
