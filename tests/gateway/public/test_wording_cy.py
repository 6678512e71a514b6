"""The Welsh words: all of the English ones and no more, short, easy, and in the right person.

LIX (Björnsson 1968) counts words a sentence and words of more than six letters: unlike a syllable formula made for
English it works for Welsh, where `ll`, `dd` and `ch` are letters too, and so makes a word rather too long. A formula
cannot judge everything: signoffs.toml keeps a reader's check as owed until it is done."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.guidance.advice import AUDIENCES, load_advice
from gateway.public.wording import WORDING_FOLDER, load_wording
from partner_sdk.button.snippet import VERSION as BUTTON_VERSION
from partner_sdk.button.snippet import WORDS as BUTTON_WORDS
from partner_sdk.wire.button import LANGUAGES, Language
from tests.reading_level import MOST_WORDS_IN_A_SENTENCE, PROSE_WORDS, sentences_of

LONG_WORD_LETTERS = 6
ENDINGS = ("_adult", "_parent", "_work", "_self", "_friend", "_other")


def walk(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Give every text with its place, such as `screen.start.points.2`; codes such as `key` and `side` as well."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from walk(inner, f"{path}.{number}")


def is_code(path: str) -> bool:
    """Return whether this is a code of the form, not a text for people."""
    return path.rpartition(".")[2] in {"key", "side", "version", "language"}


def drop_voice(path: str) -> str:
    """Return the place of the plain text that a text with the ending of a voice stands for; pages keep their names."""
    part, page, *keys = path.split(".")
    return ".".join([part, page, *(re.sub(f"({'|'.join(ENDINGS)})$", "", key) for key in keys)])


def words_of(text: str) -> list[str]:
    return re.findall(r"[^\W\d_][\w'’-]*|\d+", text)


def get_lix(text: str) -> float:
    """Return the LIX of a text."""
    sentences = sentences_of(text)
    words = [word for sentence in sentences for word in words_of(sentence)]
    long = [word for word in words if len(re.sub(r"\W", "", word)) > LONG_WORD_LETTERS]
    return len(words) / len(sentences) + 100 * len(long) / len(words)


def end_sentence(text: str) -> str:
    """Return a heading or an option as a sentence, so that it does not run on into the next text."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


WORDS = load_wording("cy")
ADVICE = load_advice("cy")
PLACES = dict(walk(WORDS.table))
TEXTS = {path: text for path, text in PLACES.items() if not is_code(path)}
ENGLISH = dict(walk(load_wording("en").table))
ADVICE_TEXTS = {
    f"advice.{one.audience}.{one.code}.{place}": text
    for one in ADVICE.advice
    for place, text in enumerate((*one.sentences, *one.sentences_abroad, *(one.sentences_near or ())))
}
ALL_TEXTS = {**TEXTS, **ADVICE_TEXTS}

# Björnsson puts books for children below 25 and easy texts below 30. The hardest page of cy-1 measures 27
# ("Who will know?", for its `gweithiwr cymdeithasol`), the middle one 14.
HIGHEST_LIX = 30
NAMES = {"Relay UK", "{ask}"}  # and a sentence that is filled in whole
# Welsh answers a question with its own verb, so one more voice needs answers of its own.
ANSWERS_OF_A_VOICE = {
    "screen.person_more.field.in_real_life.options_other.yes",
    "screen.person_more.field.in_real_life.options_other.no",
    "screen.person_more.field.in_real_life.options_friend.yes",
    "screen.person_more.field.in_real_life.options_friend.no",
}
BANNED = (
    "os gwelwch",
    "os gweli",
    "plîs",
    "plis",
    "mae'n ddrwg",
    "sori",
    "dilys",
    "annilys",
    "gwaharddedig",
    "wedi'i wahardd",
    "anghyfreithlon",
    "wps",
    "anghofiaist",
    "anghofioch",
    "dioddefwr",
    "dioddefwyr",
    "cam-drin",
    "camdriniaeth",
)
ENGLISH_WORDS = ("the", "you", "your", "with", "this", "that", "are", "not", "please", "can", "will", "of", "for")
TO_A_CHILD = r"(?i)\b(ti|tithau|dy|wyt|rwyt|dwyt|gelli|elli|paid|arnat|amdanat|ohonot|atat|dewisa|teipia|ffonia|dwed)\b"
TO_AN_ADULT = r"(?i)\b(chi|chithau|eich|ydych|oeddech|gallwch|peidiwch|\w+iwch|dewiswch|arnoch|amdanoch|ohonoch|ewch)\b"
FOR_ADULTS = re.compile(
    r"^screen\..*(_adult|_parent|_work|_self)(\.|$)|^screen\.(grown_up|pictures_grown_up|about_child)\."
    r"|^page\.replies\.no_promise$|^advice\.(adult|professional|adult_self)\."
)


def test_lix_says_what_it_should():
    assert get_lix("Mae'r gath ar y mat.") == 5
    assert get_lix("Ymgymerwyd ag ymgynghoriad cynhwysfawr.") > 70


def test_every_english_text_has_a_welsh_one():
    assert len(ENGLISH) > 500
    assert sorted(set(ENGLISH) - set(PLACES)) == []


def test_welsh_adds_only_the_voice_for_adults_and_answers_of_a_voice():
    extra = set(PLACES) - set(ENGLISH)
    assert extra >= ANSWERS_OF_A_VOICE
    assert [path for path in extra - ANSWERS_OF_A_VOICE if not re.search(r"_adult(\.|$)", path)] == []
    assert [path for path in extra if drop_voice(path) not in ENGLISH] == []


def test_codes_are_those_of_the_english():
    codes = {path: text for path, text in PLACES.items() if path.rpartition(".")[2] in {"key", "side"}}
    assert len(codes) > 50
    assert codes == {path: ENGLISH[path] for path in codes}


def test_placeholders_are_those_of_the_english():
    def find(text: str) -> list[str]:
        return sorted(re.findall(r"\{\w*\}", text))

    assert [
        path for path, text in TEXTS.items() if find(text) != find(ENGLISH.get(path) or ENGLISH[drop_voice(path)])
    ] == []


def test_no_english_is_left():
    assert {text for path, text in TEXTS.items() if text == ENGLISH.get(path)} == NAMES
    english = load_advice("en").advice
    assert not {text for one in english for text in one.sentences} & set(ADVICE_TEXTS.values())
    pattern = rf"(?i)\b({'|'.join(ENGLISH_WORDS)})\b"
    assert [path for path, text in ALL_TEXTS.items() if re.search(pattern, text)] == []


def test_sentence_is_whole_where_the_english_one_is():
    def find_end(text: str) -> str:
        return "".join(re.findall(r"[.?!]\W*$", text))[:1]

    pairs = {path: (ENGLISH.get(path) or ENGLISH[drop_voice(path)], text) for path, text in TEXTS.items()}
    assert len([path for path, (english, _) in pairs.items() if find_end(english)]) > 300
    assert [path for path, (english, welsh) in pairs.items() if find_end(english) and not find_end(welsh)] == []


def test_advice_has_the_entries_and_the_bodies_of_the_english():
    def shape(language: str) -> list[tuple[object, ...]]:
        return [
            (
                *(one.code, one.audience, one.also, one.kinds, one.ages, one.order),
                sorted(re.findall(r"\{\w+\}", str((one.sentences, one.sentences_abroad, one.sentences_near)))),
            )
            for one in load_advice(language).advice
        ]

    assert shape("cy") == shape("en")


@pytest.mark.parametrize("name", [*sorted(WORDS.table["screen"]), *sorted(WORDS.table["page"])])
def test_page_is_easy_to_read(name: str):
    part = WORDS.table["screen"].get(name) or WORDS.table["page"][name]
    prose = [text for path, text in walk(part) if not is_code(path) and len(words_of(text)) > 3]
    text = " ".join(end_sentence(text) for text in prose)
    assert text
    if len(words_of(text)) >= PROSE_WORDS:
        assert get_lix(text) <= HIGHEST_LIX, (name, round(get_lix(text), 1))


@pytest.mark.parametrize("audience", AUDIENCES)
def test_advice_is_easy_to_read(audience: str):
    text = " ".join(text for one in ADVICE.advice if one.is_for(audience) for text in one.sentences)
    assert get_lix(text) <= HIGHEST_LIX


def test_no_sentence_is_long():
    long = [
        (path, sentence)
        for path, text in ALL_TEXTS.items()
        for sentence in sentences_of(text)
        if len(words_of(sentence)) > MOST_WORDS_IN_A_SENTENCE
    ]
    assert long == []


def test_banned_word_is_nowhere():
    banned = re.compile(rf"\b({'|'.join(BANNED)})\b", re.IGNORECASE)
    assert [path for path, text in ALL_TEXTS.items() if banned.search(text)] == []


def test_child_is_never_spoken_to_as_an_adult():
    for path, text in ALL_TEXTS.items():
        if not FOR_ADULTS.search(path):
            assert not re.search(TO_AN_ADULT, text), (path, text)


def test_adult_is_never_spoken_to_as_a_child():
    spoken_to = [path for path in ALL_TEXTS if FOR_ADULTS.search(path)]
    assert len(spoken_to) > 100
    assert [(path, ALL_TEXTS[path]) for path in spoken_to if re.search(TO_A_CHILD, ALL_TEXTS[path])] == []


def list_fields() -> list[tuple[str, dict[str, object]]]:
    return [
        (f"{screen}.{name}", field)
        for screen, words in WORDS.table["screen"].items()
        for name, field in words.get("field", {}).items()
    ]


def test_yes_and_no_answer_the_question_that_is_asked():
    answers = {
        "Oes": "Oes",
        "Ydy": "Ydy",
        "Ydy'r": "Ydy",
        "Ydyn": "Ydyn",
        "Wyt": "Ydw",
        "Ydych": "Ydw",
        "Gawn": "Cewch",
    }
    asked = 0
    for name, field in list_fields():
        for key in (key for key in field if key.startswith("label")):
            options = {**field.get("options", {}), **field.get(key.replace("label", "options"), {})}
            if {"yes", "no"} <= set(options):
                yes = answers[field[key].split()[0]]
                no = "Na chewch" if yes == "Cewch" else f"Nac {yes.lower()}"
                assert re.split(r"\W", options["yes"])[0] == yes, (name, key)
                assert options["no"] == no, (name, key)
                asked += 1
    assert asked > 10


def test_error_words_name_options_as_they_stand():
    named = 0
    for name, field in list_fields():
        for key, text in field.items():
            found = re.search(r"dewis(?:a|wch) ([A-Z][^.]+)\.$", text) if key.startswith("blank") else None
            if found:
                options = {**field["options"], **field.get(key.replace("blank", "options"), {})}
                assert any(option.startswith(found[1]) for option in options.values()), (name, key)
                named += 1
    assert named >= 6


def test_buttons_are_named_as_they_stand():
    leave = WORDS.common()["leave"]
    assert f"Gwasga {leave}." in WORDS.screen("safe_now")["card"][0]
    assert f"Gwasga {leave}." in WORDS.screen("stay_safe")["sections"][1]["sentences"][0]
    assert f"gwasga {WORDS.screen('check')['send']}." in WORDS.screen("check")["lead"][0]
    assert WORDS.common()["error_title"] == "Gwall:"
    assert WORDS.common()["other_language"] == "English"


SIGNOFFS = tomllib.loads((WORDING_FOLDER / "signoffs.toml").read_text("utf-8"))["check"]


def test_every_version_of_the_words_has_its_checks_listed():
    versions = {("form", load_wording(language).version) for language in LANGUAGES}
    versions |= {("advice", load_advice(language).version) for language in LANGUAGES}
    assert versions <= {(check["words"], check["version"]) for check in SIGNOFFS}


@pytest.mark.parametrize("words", ["form", "advice"])
def test_welsh_is_checked_by_a_reader_whose_first_language_it_is(words: str):
    version = {"form": WORDS.version, "advice": ADVICE.version}[words]
    readers = [check["who"] for check in SIGNOFFS if (check["words"], check["version"]) == (words, version)]
    assert "a first-language Welsh reader" in readers


def test_youth_panel_and_safeguarding_staff_check_the_form_in_each_language():
    for version in (load_wording(language).version for language in LANGUAGES):
        checks = [check for check in SIGNOFFS if (check["words"], check["version"]) == ("form", version)]
        assert [check for check in checks if check["who"] == "youth advisory panel"]
        assert [check for check in checks if check["who"] == "safeguarding staff" and "not_alone" in check["pages"]]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_of_the_button_and_its_icon_have_their_checks_listed(language: Language):
    checks = [check for check in SIGNOFFS if check["version"] == f"{language}-{BUTTON_VERSION}"]
    assert {check["words"] for check in checks} == {"button"}
    seen_by_children = {page for check in checks if check["who"] == "youth advisory panel" for page in check["pages"]}
    assert seen_by_children == {"sentence", "text", "label", "icon"}
    assert ("a first-language Welsh reader" in {check["who"] for check in checks}) is (language == "cy")
    # A check of other words says nothing about these.
    for check in checks:
        words = BUTTON_WORDS[language]
        assert (check["sentence"], check["text"], check["label"]) == (words.sentence, words.text, words.label)


def test_pages_that_the_checks_name_exist():
    named = {page for check in SIGNOFFS if check["words"] == "form" for page in check["pages"]} - {"all"}
    assert named <= set(WORDS.table["screen"])
