"""The snippet: the golden HTML, small, with nothing that strict policies or hostile words could use, and its policy."""

import re

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_sdk.button.snippet import (
    ICON_PATH,
    SCRIPT_INTEGRITY,
    SCRIPT_PATH,
    SIZES,
    WORDS,
    make_link,
    make_policy,
    make_snippet,
)
from partner_sdk.errors import FormatError
from tests.reading_level import grade_of, sentences_of, words_of
from tests.sdk.button.button_builders import CASES, LINK, TOKEN, read_golden, read_link, read_nodes
from tests.sdk.renew_button_release import ORIGIN, PLACEMENT

MOST_BYTES_WITHOUT_SCRIPT = 300
MOST_GRADE = 4
LONGEST_SENTENCE = 15


@pytest.mark.parametrize(("language", "form"), CASES)
def test_snippet_is_the_golden_file(language: str, form: str) -> None:
    made = make_snippet(ORIGIN, placement=PLACEMENT, language=language, form=form)
    assert made == read_golden(language, form)
    assert read_link(made) == LINK


@pytest.mark.parametrize("language", WORDS)
def test_snippet_without_script_is_at_most_300_bytes(language: str) -> None:
    html = read_golden(language, "link")
    assert len(brotli.compress(html.encode(), quality=11)) <= MOST_BYTES_WITHOUT_SCRIPT
    link = html[html.index("<a ") :].rstrip("\n")
    assert len(link.encode()) <= MOST_BYTES_WITHOUT_SCRIPT


@pytest.mark.parametrize(("language", "form"), CASES)
def test_snippet_has_nothing_that_a_strict_policy_must_allow(language: str, form: str) -> None:
    html = read_golden(language, form)
    names = {name for _, _, attributes in read_nodes(html) for name, _ in attributes}
    assert {"href", "rel", "aria-label", "width", "height"} <= names
    assert not {name for name in names if name.startswith("on")} | (names & {"style", "class", "id", "target"})
    assert re.findall(r"<script[^>]*>(.*?)</script>", html) == ([""] if form == "script" else [])


@pytest.mark.parametrize(("language", "form"), CASES)
def test_snippet_says_999_and_its_name_begins_with_what_it_shows(language: str, form: str) -> None:
    words, html = WORDS[language], read_golden(language, form)
    assert words.label.startswith(words.text)
    assert f">{words.sentence}</p>" in html
    assert f' aria-label="{words.label}"' in html
    assert f"> {words.text}</a>" in html
    assert "999" in words.sentence
    assert (' lang="cy"' in html) == (language == "cy")


def test_sentence_is_read_at_the_age_of_the_form() -> None:
    sentence = WORDS["en"].sentence
    assert grade_of(sentence) <= MOST_GRADE
    assert max(len(words_of(one)) for one in sentences_of(sentence)) <= LONGEST_SENTENCE


@pytest.mark.parametrize("size", SIZES)
def test_size_is_that_of_the_icon(size: int) -> None:
    for form in ("script", "link"):
        html = make_snippet(ORIGIN, placement=PLACEMENT, size=size, form=form)
        assert html == read_golden("en", form).replace('width="44" height="44"', f'width="{size}" height="{size}"')


def test_context_stands_behind_the_link() -> None:
    html = make_snippet(ORIGIN, placement=PLACEMENT, context=TOKEN)
    assert html == read_golden("en", "script").replace(LINK, f"{LINK}#context={TOKEN}")


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8700", "http://localhost:8700", "https://report.example:8443"])
def test_this_machine_and_another_port_are_taken(origin: str) -> None:
    assert read_link(make_snippet(origin, placement=PLACEMENT)) == f"{origin}/?from={PLACEMENT}"


@pytest.mark.parametrize(
    "origin",
    [
        *("http://report.example", "https://report.example/", "https://report.example/form", "HTTPS://report.example"),
        *("javascript:alert(1)", "//report.example", "https://a@report.example", "https://report.example?x", ""),
        *('https://report.example"', "https://report.example\n", "https://xn--\u00e9", "https://report.example:443"),
    ],
)
def test_other_address_is_refused(origin: str) -> None:
    with pytest.raises(FormatError) as caught:
        make_snippet(origin, placement=PLACEMENT)
    assert caught.value.reason == "bad-origin"


@pytest.mark.parametrize(
    "placement", ["", "Example", "-a", "a b", 'a"', "a<b", "a&b", "a" * 41, "a\n", "caf\u00e9", "a#b"]
)
def test_misspelled_placement_is_refused(placement: str) -> None:
    with pytest.raises(FormatError, match="copy it from the agency") as caught:
        make_snippet(ORIGIN, placement=placement)
    assert caught.value.reason == "bad-placement"


@pytest.mark.parametrize("context", ["", "a b", 'a"', "a&b", "a#b", "a" * 10_000, "a\n"])
def test_word_that_is_no_context_is_refused(context: str) -> None:
    with pytest.raises(FormatError) as caught:
        make_snippet(ORIGIN, placement=PLACEMENT, context=context)
    assert caught.value.reason == "bad-context"


@pytest.mark.parametrize("wish", [{"language": "fr"}, {"form": "button"}, {"size": 28}, {"size": 100}])
def test_wish_that_was_not_agreed_is_refused(wish: dict[str, object]) -> None:
    with pytest.raises(FormatError) as caught:
        make_snippet(ORIGIN, placement=PLACEMENT, **wish)
    assert caught.value.reason == "bad-button"


@given(origin=st.text(max_size=60), placement=st.text(max_size=50), context=st.none() | st.text(max_size=50))
def test_no_text_at_all_gets_out_of_the_link(origin: str, placement: str, context: str | None) -> None:
    for made_of in (origin, ORIGIN):
        try:
            link = make_link(made_of, placement=placement, context=context)
        except FormatError:
            continue
        assert re.fullmatch(r"https?://[a-z0-9.:\[\]-]+/\?from=[a-z0-9_-]+(#context=[A-Za-z0-9._-]+)?", link)


@pytest.mark.parametrize(
    ("form", "by", "line"),
    [
        ("script", "host", f"script-src {ORIGIN}/button/"),
        ("script", "hash", f"script-src '{SCRIPT_INTEGRITY}'"),
        ("link", "host", f"img-src {ORIGIN}/button/"),
    ],
)
def test_line_is_one_directive_with_one_source(form: str, by: str, line: str) -> None:
    policy = make_policy(ORIGIN, form=form, by=by)
    assert policy.line == line
    assert policy.why
    assert any(never.startswith("style-src") for never in policy.never)


def test_folder_of_the_line_holds_both_released_files() -> None:
    folder = make_policy(ORIGIN, form="script", by="host").source.removeprefix(ORIGIN)
    assert SCRIPT_PATH.startswith(folder)
    assert ICON_PATH.startswith(folder)
    assert folder.endswith("/")  # CSP: with a slash at its end a path stands for all that lies below


def test_image_by_hash_is_refused() -> None:
    with pytest.raises(FormatError) as caught:
        make_policy(ORIGIN, form="link", by="hash")
    assert caught.value.reason == "bad-policy"


@pytest.mark.parametrize("origin", ["http://report.example", "https://report.example; default-src *", "*"])
def test_address_that_would_change_the_policy_is_refused(origin: str) -> None:
    with pytest.raises(FormatError) as caught:
        make_policy(origin, form="script", by="host")
    assert caught.value.reason == "bad-origin"
