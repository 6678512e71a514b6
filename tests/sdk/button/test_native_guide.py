"""docs/guides/native.md has the button's words, icon, sizes and addresses, and the numbers of the dated data."""

import re

import pytest
from babel.dates import format_date
from pygments.lexers import get_lexer_by_name
from pygments.token import Error

from gateway.guidance.signposts import load_signposts
from partner_sdk.button.snippet import ICON_PATH, SCRIPT_PATH, SIZES, WORDS, make_link
from tests.house.sources import ROOT

DOC = (ROOT / "docs/guides/native.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)
CODE = "\n".join(block for _, block in BLOCKS)
LANGUAGES = ["swift", "swift", "kotlin", "kotlin", "csharp"]
# Views inside the app, in which it could read what is typed.
EMBEDDED = re.compile(r"\bloadUrl\b|\.load\(|SFSafariViewController|CustomTabs|InAppBrowser")


@pytest.mark.parametrize(("language", "block"), BLOCKS)
def test_block_is_made_of_the_tokens_of_its_language(language: str, block: str) -> None:
    tokens = list(get_lexer_by_name(language).get_tokens(block))
    assert len(tokens) >= 10
    assert [text for kind, text in tokens if kind is Error] == []
    assert all(block.count(left) == block.count(right) for left, right in ("()", "{}", "[]"))


def test_blocks_are_those_of_the_guide() -> None:
    assert [language for language, _ in BLOCKS] == LANGUAGES
    assert EMBEDDED.search("webView.loadUrl(address)")
    assert EMBEDDED.search(CODE) is None


def test_every_address_is_that_of_the_generator() -> None:
    addresses = re.findall(r'"(https://[^"]+)"', CODE)
    assert len(addresses) == 3
    for address in addresses:
        origin, _, link_id = address.partition("/?from=")
        assert address == make_link(origin, placement=link_id)


def test_words_icon_and_sizes_are_those_of_the_button() -> None:
    for words in WORDS.values():
        assert f"**{words.text}**" in DOC
        assert f"`{words.label}`" in DOC
    assert f"| {WORDS['en'].sentence} |" in DOC
    assert f'Text("{WORDS["en"].text}")' in CODE
    assert f'.accessibilityLabel("{WORDS["en"].label}")' in CODE
    assert f"](../../widget{ICON_PATH.removeprefix('/button')})" in DOC
    assert f"frame(width: {SIZES[0]}, height: {SIZES[0]})" in CODE
    assert f"{SIZES[0]} points or dp at least" in DOC


def test_text_without_a_connection_has_the_numbers_of_the_dated_data() -> None:
    signposts = load_signposts()
    called, talk = signposts["emergency"], signposts["childline"]
    assert f"> In danger now? Call {called.phone}. Talk to {talk.name}: {talk.phone}.\n" in DOC
    assert called.checked_on == talk.checked_on
    assert f"checked on {format_date(talk.checked_on, 'd MMMM y', locale='en_GB')};" in DOC


def test_colours_are_those_of_the_released_element() -> None:
    script = (ROOT / f"widget{SCRIPT_PATH.removeprefix('/button')}").read_text("utf-8")
    words, ground = re.findall(r"words `(#\w+)` on `(#\w+)`", DOC)[0]
    (face,) = re.findall(r"\n    div \{(.*?)\}", script, re.DOTALL)
    assert f"; background: {ground};" in face
    assert f" color: {words};" in face
    sign = (ROOT / "gateway/public/static/poster.css").read_text("utf-8").partition("\n.sign {")[2].partition("}")[0]
    assert f"background: {ground}; color: {words};" in sign
