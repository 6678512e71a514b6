"""Words for a child: short sentences, easy words, no blame, and none missing in any voice or language.

The figures of each page are in docs/reading-age.md. Welsh has no such formula: see test_wording_cy.py.
"""

import re
from typing import Any

import pytest
from msgspec.structs import fields

from gateway.guidance.advice import Advice, load_advice
from gateway.guidance.signposts import load_countries, load_signposts
from gateway.public.door import ABOUT_PAGES, SIDE_PATHS
from gateway.public.journey import FIELD_BY_NAME, SCREENS, Field, Screen
from gateway.public.wording import WordingError, find_in_voice, load_wording, make_voice
from partner_sdk.button.snippet import WORDS as BUTTON_WORDS
from partner_sdk.wire.button import LANGUAGES, Language, PageContext
from tests.gateway.public.reading_table import (
    COMMAND,
    ENDINGS,
    TABLE,
    VOICES,
    list_advice,
    list_pages,
    make_table,
    walk,
)
from tests.reading_level import (
    HIGHEST_GRADE,
    MOST_WORDS_IN_A_SENTENCE,
    PROSE_WORDS,
    find_banned,
    find_long_words,
    grade_of,
    sentences_of,
    textstat,
    words_of,
)

WORDS = load_wording("en")
TEXTS = list(walk(WORDS.table))
PAGES = [*list_pages(WORDS), *list_advice("en")]
# Words that our own count or textstat's gives three syllables or more, and that a ten-year-old uses; and names.
LONG_WORDS_ALLOWED = {
    "accessibility",  # the name by which people look for that page
    "already",
    "ambulance",
    "another",
    "anything",
    "bullying",
    "camera",
    "continue",
    "everyone",
    "history",  # the name of that menu on a phone
    "internet",
    "ireland",
    "nobody",
    "reference",  # asked only of people who work with children
    "sexual",
    "something",
    "underwear",  # asked for in a picture: without the word, a young child finds no box that fits
    "whoever",
}
FIRST_WORDS_OF_FAULTS = {"Pick", "Type", "Give"}


def find_all_long_words(text: str) -> set[str]:
    """Return the words that are long by our own count or by textstat's: neither is right about every word."""
    masked = " ".join(sentences_of(text))
    return find_long_words(text) | {word.lower() for word in words_of(masked) if textstat.syllable_count(word) >= 3}


def test_reading_grades_of_known_sentences():
    assert grade_of("The cat sat on the mat. It was fat.") < 1
    assert grade_of("Institutional accountability necessitates comprehensive documentation procedures.") > 20
    assert grade_of("Call 999. It has 3 digits.") < 4  # textstat 0.7.7 fails on digits
    assert grade_of("Tell Report Harmful Content.") == grade_of("Tell Bob.")  # a name is not a child's fault


def test_every_page_is_easy_to_read():
    assert len(PAGES) > 100
    for page in PAGES:
        assert page.texts
        if page.words >= PROSE_WORDS:
            assert page.grade is not None
            assert page.grade <= HIGHEST_GRADE, f"{page.name} ({page.voice}): grade {page.grade}. {page.prose}"
        assert page.longest <= MOST_WORDS_IN_A_SENTENCE, f"{page.name} ({page.voice}): {page.longest} words"


def test_table_of_reading_ages_is_that_of_the_words():
    assert TABLE.read_text(encoding="utf-8") == make_table(), f"The words changed. Renew the table: {COMMAND}"


def test_no_sentence_is_long_anywhere():
    assert len(TEXTS) > 500
    long = [
        (path, sentence)
        for path, text in TEXTS
        for sentence in sentences_of(text)
        if len(words_of(sentence)) > MOST_WORDS_IN_A_SENTENCE
    ]
    assert long == []


def test_no_long_word_is_used_that_is_not_allowed_and_none_is_allowed_in_vain():
    found = {word for _, text in TEXTS for word in find_all_long_words(text)}
    assert found == LONG_WORDS_ALLOWED


def test_no_text_holds_a_banned_word():
    assert find_banned("You forgot it, sorry. Not valid.") == ["sorry", "valid", "you forgot"]
    assert [(path, find_banned(text)) for path, text in TEXTS if find_banned(text)] == []


# Each item of a list is read on its own. "It is fine to ..." and "It can hurt to ..." need no earlier sentence.
LISTS = re.compile(r"\.(points|need|card|sentences)(_\w+)?$")
UNCLEAR = re.compile(r"(They|Them|That|These|Those|He|She)\b|It (?!is\b|can hurt|hurts)")


def list_sentences(advice: Advice) -> tuple[str, ...]:
    return (*advice.sentences, *advice.sentences_abroad, *(advice.sentences_near or ()))


def test_each_item_of_a_list_names_its_subject():
    assert UNCLEAR.match("They want you to call.") is not None
    assert UNCLEAR.match("It goes when you leave.") is not None
    advice = [(one.code, text) for one in load_advice("en").advice for text in list_sentences(one)]
    items = [(path, text) for path, text in TEXTS if LISTS.search(path)] + advice
    assert len(items) > 200
    assert [(path, text) for path, text in items if UNCLEAR.match(text)] == []


def test_error_words_never_blame_and_ask_for_an_action():
    faults = [text for path, text in TEXTS if ".blank" in path]
    assert len(faults) >= 12
    assert {text.split()[0] for text in faults} <= FIRST_WORDS_OF_FAULTS


def test_contact_faults_offer_another_way():
    # Specification of the form: contact errors must be fixable by another route.
    reach = WORDS.table["screen"]["reach"]["field"]
    assert "pick Through an adult I trust" in reach["contact_ways"]["blank"]
    for name in ("adult", "school", "phone", "email"):
        assert reach[name]["blank"].endswith(", or take away the tick."), name


def test_no_telephone_number_but_999_stands_in_the_words():
    for language in LANGUAGES:
        texts = [text for _, text in walk(load_wording(language).table)]
        assert {number for text in texts for number in re.findall(r"\d{3,}", text)} <= {"999"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_every_word_of_a_screen_exists_in_every_voice(screen: Screen, language: str):
    words = load_wording(language)
    for answers in VOICES.values():
        voice = make_voice(answers)
        assert find_in_voice(words.screen(screen.name), "title", voice=voice)
        for field in screen.fields:
            found = words.field(screen.name, field.name)
            if field.kind != "more":
                assert find_in_voice(found, "label", voice=voice), field.name
                assert find_in_voice(found, "summary", voice=voice), field.name
            if field.required or (field.goes_with and field.is_needed_with) or field.name == "story":
                assert find_in_voice(found, "blank", voice=voice), field.name
            for option in field.options:
                assert words.option(screen.name, field.name, option, voice=voice), (field.name, option)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_side_page_has_words_and_its_link(language: str):
    words = load_wording(language)
    for side in SIDE_PATHS:
        assert words.screen(side)["title"], side
        assert words.screen(side)["lead"], side
    assert set(words.table["about"]) == set(ABOUT_PAGES)


# A title stays in the history of a shared phone, where the next person reads it.
LOUD = re.compile(
    r"danger|\d{3}|{\w+}|picture|video|nude|take \w+ down|website|share|meet|thought|hurt|wiped|abuse|sex|police|crime|"
    r"perygl|llun|fideo|noeth|i lawr|rannu|gwrdd|cwrdd|meddyl|niwed|dileu|rhyw\b|rhywiol|heddlu|trosedd",
    re.IGNORECASE,
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_title_shows_the_next_person_at_this_phone_the_subject(language: str):
    assert LOUD.search("Call {emergency} now")
    table = load_wording(language).table
    pages = [page for part in ("screen", "page") for name, page in table[part].items() if name != "urgent"]
    titles = [page.get("quiet", text) for page in pages for key, text in page.items() if re.match(r"title(_|$)", key)]
    assert len(titles) > 60
    assert [title for title in titles if LOUD.search(title)] == []


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_no_words_are_left_of_a_field_option_or_voice_that_is_no_more(screen: Screen):
    fields: dict[str, Any] = WORDS.screen(screen.name).get("field", {})
    assert set(fields) == {field.name for field in screen.fields}
    for name, found in fields.items():
        for key in found:
            plain = next((key.removesuffix(ending) for ending in ENDINGS if key.endswith(ending)), key)
            assert plain in {"label", "hint", "summary", "blank", "options", "headings"}, (name, key)
            if plain in {"options", "headings"}:
                assert set(found[key]) <= set(FIELD_BY_NAME[name].options), (name, key)


@pytest.mark.parametrize(
    "field", [field for field in FIELD_BY_NAME.values() if "not_sure" in field.options], ids=lambda field: field.name
)
def test_not_knowing_has_plain_words(field: Field):
    screen = next(screen for screen in SCREENS if field in screen.fields)
    assert WORDS.option(screen.name, field.name, "not_sure") in {"I'm not sure", "I don't know"}


def test_missing_word_is_an_error():
    with pytest.raises(WordingError):
        WORDS.screen("nothing")
    with pytest.raises(WordingError):
        WORDS.option("danger", "danger", "perhaps")


def test_start_explains_the_terms_before_anything_is_written():
    # Specification of the form, screen 1; R1: also what was not online; R38: beside the service's own way to report.
    told = " ".join(text for _, text in walk(WORDS.screen("start")))
    assert told.index("We are a police team") < told.index("You are not in trouble")
    for words in (
        "You are not in trouble",
        "We are a police team who keep children safe",
        "A real person from our team will read",
        "You can stop at any time",
        "what to call you, and a safe way to reach you",
        "We may have to tell others",
        "not online",
        "You can tell the app or the game as well",
    ):
        assert words in told, words


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_kind_of_body_it_is_stands_in_one_file_and_where_it_is_read(language: str):
    words = load_wording(language)
    (we_are, police) = (words.table["agency"][key] for key in ("we_are", "police"))
    texts = list(walk(words.table))
    assert [path for path, text in texts if "{we_are}" in text or "{police}" in text] == []
    saying = {path.split(".")[2] for path, text in texts if path.startswith(".screen.") and we_are in text}
    assert saying == {"start", "privacy"}
    naming = {path.split(".")[2] for path, text in texts if path.startswith(".screen.") and police in text}
    assert naming == {"check", "privacy", "thanks"}


@pytest.mark.parametrize(("language", "kind"), [("en", "police team"), ("cy", "tîm heddlu")])
def test_form_and_button_say_the_same_of_whose_they_are(language: Language, kind: str):
    assert kind in BUTTON_WORDS[language].sentence
    assert kind in load_wording(language).table["agency"]["we_are"].lower()


# What a field of a context tells a reader of the form; None: no more than when and for whom it was made.
TOLD_OF = dict.fromkeys(("context_id", "environment", "expires_at", "issued_at", "partner")) | {
    "placement": "where",
    "surface": "where",
    "conversation_id": "where",
    "viewer": "your account",
    "about": "others",
    "messages": "messages",
}
SAID = {
    "en": {
        "where": "where this happened",
        "your account": "account is yours",
        "others": "others",
        "messages": "messages",
    },
    "cy": {
        "where": "ble digwyddodd hyn",
        "your account": "dy gyfrif",
        "others": "rhai eraill",
        "messages": "negeseuon",
    },
}
# Adults read the check page too; in Welsh it speaks to neither.
SAID_AT_CHECK = SAID | {"cy": SAID["cy"] | {"your account": "pa un oedd yn edrych", "others": "cyfrifon"}}


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_names_everything_that_a_context_can_hold(language: str):
    # The first page has one calm sentence and the choice; the check page has it all, and asks again.
    assert {field.name for field in fields(PageContext)} == set(TOLD_OF)
    holding = {field.name for field in fields(PageContext) if "Context" in str(field.type)}
    assert holding == {"viewer", "about", "messages"}
    words = load_wording(language)
    assert SAID[language]["where"] in words.screen("start")["context"]
    privacy = str(words.screen("privacy")).lower()
    check = str(words.screen("check")["context"]).lower()
    for told in {told for told in TOLD_OF.values() if told}:
        assert SAID[language][told] in privacy, told
        assert SAID_AT_CHECK[language][told] in check, told


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_signpost_that_the_words_or_the_table_name_exists(language: str):
    signposts = load_signposts()
    named = {
        entry["key"]
        for part in ("screen", "page")
        for page in load_wording(language).table[part].values()
        for key, entries in page.items()
        if key.startswith("signposts")
        for entry in entries
    }
    assert len(named) > 10
    assert named <= set(signposts)
    shown = {code for screen in SCREENS for code in screen.shows}
    assert shown - set(signposts) == {"abroad"}  # the country's own helpers, from its own file
    assert len(load_countries()) > 10


# `abroad` stands for the helpers of a country, which come from its own file.
SHOWING = [screen for screen in SCREENS if screen.shows and screen.shows != ("abroad",)]


@pytest.mark.parametrize("screen", SHOWING, ids=lambda screen: screen.name)
@pytest.mark.parametrize("language", LANGUAGES)
def test_helpers_at_the_desk_are_those_on_the_page(screen: Screen, language: str):
    words = load_wording(language).screen(screen.name)
    assert set(screen.shows) <= {entry["key"] for entry in words["signposts"]}
