"""The poster: the address in its code, the link id that it may carry, and no word of its own that another page has."""

import re
from urllib.parse import quote

import pytest

from gateway.public.views.start import draw_code, split_sentences
from partner_sdk.button.snippet import WORDS
from partner_sdk.wire.button import LANGUAGES, Language
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public.fixtures import PublicHouse


def read_code(page: str) -> str:
    """Return the drawing of the code."""
    (found,) = re.findall(r'<div class="qr"[^>]*>(.*?)</div>', page)
    return found


@pytest.mark.parametrize(
    ("link_id", "address"),
    [
        ("", f"{PUBLIC_ORIGIN}/"),
        ("example-chat", f"{PUBLIC_ORIGIN}/?from=example-chat"),
        ("example-chatter", f"{PUBLIC_ORIGIN}/"),
        ('"><script>', f"{PUBLIC_ORIGIN}/"),
        ("example-chat#context=1", f"{PUBLIC_ORIGIN}/"),
        ("x" * 5000, f"{PUBLIC_ORIGIN}/"),
    ],
)
def test_code_holds_a_link_id_only_if_the_register_lists_it(
    one_public: PublicHouse, link_id: str, address: str
) -> None:
    person = one_public.person()
    person.get(f"/poster?from={quote(link_id)}")
    assert person.page.status_code == 200
    assert read_code(person.text()) == draw_code(address)
    assert f'<a href="{address}">{address}</a>' in person.text()


def test_drawing_of_an_address_differs_from_that_of_another() -> None:
    assert draw_code(f"{PUBLIC_ORIGIN}/") != draw_code(f"{PUBLIC_ORIGIN}/?from=example-chat")


def test_other_language_keeps_the_link_id(one_public: PublicHouse) -> None:
    person = one_public.person()
    person.get("/poster?from=example-chat")
    assert 'href="?from=example-chat&amp;lang=cy"' in person.text()


@pytest.mark.parametrize("language", LANGUAGES)
def test_poster_has_the_sentence_of_the_button(one_public: PublicHouse, language: Language) -> None:
    sentences = split_sentences(WORDS[language].sentence)
    assert " ".join(sentences) == WORDS[language].sentence
    assert sentences[-1].endswith(" 999.")
    person = one_public.person()
    person.get(f"/poster?lang={language}")
    heading, tell = re.findall(r'<h2>(.*?)</h2>|<p class="tell">(.*?)</p>', person.text())
    assert f"{heading[0]} {tell[1]}".replace("&#39;", "'") == " ".join(sentences[:-2])


@pytest.mark.parametrize(("language", "title"), [("en", "A poster to print"), ("cy", "Poster i&#39;w argraffu")])
def test_page_for_services_leads_to_the_poster_in_its_language(
    one_public: PublicHouse, language: str, title: str
) -> None:
    person = one_public.person()
    person.get(f"/for-services?lang={language}")
    assert f'<a href="/poster">{title}</a>' in person.text()
    person.get("/poster")
    assert f"<h1>{title}</h1>" in person.text()
