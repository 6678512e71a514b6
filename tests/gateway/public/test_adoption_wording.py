"""The words for services: the same keys in both languages, plain, never blaming; no reading age of a child to keep."""

import re

import pytest

from gateway.public.views.for_services import FIELDS
from gateway.public.wording import load_service_wording
from partner_sdk.wire.button import LANGUAGES
from tests.gateway.public.test_wording_cy import BANNED, TO_A_CHILD, walk
from tests.reading_level import find_banned, grade_of, sentences_of, words_of

WORDS = load_service_wording()
# Adults at work read these: longer sentences than a child's 15 words, and still none to read twice.
MOST_WORDS = 30
HIGHEST_GRADE = 9


TEXTS = {language: dict(walk(WORDS[language])) for language in LANGUAGES}


def test_both_languages_have_the_same_keys_and_no_text_is_the_same():
    assert set(TEXTS["en"]) == set(TEXTS["cy"])
    assert len(TEXTS["en"]) > 80
    assert [path for path, text in TEXTS["en"].items() if text == TEXTS["cy"][path]] == []


def test_same_things_are_filled_in_in_both_languages():
    for path, text in TEXTS["en"].items():
        for name in ("{agency}", "{contact}"):
            assert (name in text) is (name in TEXTS["cy"][path]), path


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_and_option_has_its_words_and_none_is_left_over(language: str):
    fields = WORDS[language]["field"]
    assert set(fields) == {field.name for field in FIELDS}
    for field in FIELDS:
        said = fields[field.name]
        wanted = {"label"} | ({"blank"} if field.is_required else set()) | (set() if field.options else {"bad"})
        assert wanted <= set(said) <= wanted | {"hint", "options"}, field.name
        if field.name not in {"wants_to_report"} and field.options:
            assert set(said["options"]) == set(field.options)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_has_to_be_read_twice(language: str):
    for path, text in TEXTS[language].items():
        assert max((len(words_of(sentence)) for sentence in sentences_of(text)), default=0) <= MOST_WORDS, path


def test_english_is_plain():
    prose = " ".join(text for text in TEXTS["en"].values() if text.endswith("."))
    assert grade_of(prose) <= HIGHEST_GRADE


def test_no_text_blames_or_holds_a_banned_word():
    # The name of the button is no word of ours to a reader.
    english = {path: text.replace("Report Abuse", "") for path, text in TEXTS["en"].items()}
    assert [(path, find_banned(text)) for path, text in english.items() if find_banned(text)] == []
    assert [path for path, text in TEXTS["cy"].items() if any(word in text.lower() for word in BANNED)] == []


def test_welsh_speaks_to_an_adult():
    assert [path for path, text in TEXTS["cy"].items() if re.search(TO_A_CHILD, text)] == []
