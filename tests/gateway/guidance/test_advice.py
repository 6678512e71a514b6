"""The advice library: there is advice for every kind, most special first, in words that a child can read."""

import re
from itertools import product
from pathlib import Path

import msgspec
import pytest

from gateway.guidance.advice import (
    AGE_BANDS,
    AUDIENCES,
    KINDS,
    Advice,
    AdviceLibrary,
    Audience,
    fill_sentences,
    get_audience,
    list_fitting_advice,
    load_advice,
)
from gateway.guidance.signposts import load_signposts
from gateway.web.settings import SettingsError, read_settings
from tests.reading_level import (
    HIGHEST_GRADE,
    MOST_WORDS_IN_A_SENTENCE,
    PROSE_WORDS,
    find_banned,
    find_long_words,
    grade_of,
    sentences_of,
    words_of,
)

LIBRARY = load_advice("en")
# Readers for whom every kind has words of its own; an adult at work, or about their own childhood, needs fewer.
EVERY_KIND: tuple[Audience, ...] = ("child", "friend", "adult")
GENERAL = {"child": 7, "friend": 6, "adult": 7, "professional": 5, "adult_self": 5}
GENERAL_OF_A_CHILD = [
    "not_your_fault",
    "call_999_if_worse",
    "tell_an_adult",
    "keep_messages",
    "block",
    "do_not_pay",
    "do_not_look",
]
LONG_WORDS_ALLOWED = {"anything", "camera", "something"}


def find_codes(*kinds: str, age_band: str | None = "13_15", audience: Audience = "child", limit: int = 99) -> list[str]:
    found = list_fitting_advice(LIBRARY, kinds=kinds, age_band=age_band, audience=audience, limit=limit)
    return [advice.code for advice in found]


def make_advice(code: str, **fields: object) -> Advice:
    plain = Advice(code=code, audience="child", order=10, sentences=("Tell a grown-up.",))
    return msgspec.structs.replace(plain, **fields)


def test_codes_of_the_form_are_those_of_the_library() -> None:
    assert len(KINDS) == 14
    assert len(AGE_BANDS) == 6
    codes = [advice.code for advice in LIBRARY.advice]
    assert len(codes) == len(set(codes)) > 40


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_advice_of_its_own(kind: str) -> None:
    for audience, age_band in product(AUDIENCES, [*AGE_BANDS, None]):
        found = list_fitting_advice(LIBRARY, kinds=[kind], age_band=age_band, audience=audience, limit=99)
        assert audience not in EVERY_KIND or kind in found[0].kinds, (audience, age_band)
        assert all(audience in {advice.audience, *advice.also} for advice in found), (audience, age_band)
        assert sum(advice.is_general for advice in found) == GENERAL[audience], (audience, age_band)


@pytest.mark.parametrize(
    ("is_grown_up", "who", "audience"),
    [
        (False, "me", "child"),
        (False, "", "child"),
        (False, "friend", "friend"),
        (False, "another_child", "friend"),
        (False, "child_i_work_with", "friend"),
        (False, "not_sure", "friend"),
        (True, "me", "adult_self"),
        (True, "", "adult"),
        (True, "friend", "adult"),
        (True, "child_i_look_after", "adult"),
        (True, "child_i_work_with", "professional"),
    ],
)
def test_reader_follows_from_age_and_whom_it_is_about(is_grown_up: bool, who: str, audience: str) -> None:
    assert get_audience(is_grown_up=is_grown_up, who=who) == audience


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_child_about_itself_gets_advice_for_a_child(kind: str) -> None:
    for audience in AUDIENCES:
        found = list_fitting_advice(LIBRARY, kinds=[kind], age_band="13_15", audience=audience, limit=99)
        text = " ".join(sentence for advice in found for sentence in advice.sentences)
        if audience in {"friend", "adult", "professional"}:
            assert not re.search("naked picture of you|you said yes|If you sent|camera off. You can end", text), (
                audience
            )
        if audience in {"child", "adult_self"}:
            assert "the child" not in text, audience


def test_adult_about_their_own_childhood_is_sent_to_services_for_adults() -> None:
    text = str([advice.sentences for advice in LIBRARY.advice if advice.audience == "adult_self"])
    assert "{samaritans}" in text
    assert not re.search("{(childline|nspcc|report_remove)}", text)


def test_adult_at_work_gets_the_advice_to_keep_to_their_procedure_alone() -> None:
    found = find_codes(*KINDS, audience="professional")
    assert found[0] == "adult_call_999"
    assert {"professional_procedure", "professional_do_not_ask", "professional_do_not_copy"} <= set(found)
    assert len(found) == 5


def test_general_advice_of_a_child_is_the_agreed_one() -> None:
    assert find_codes() == GENERAL_OF_A_CHILD


@pytest.mark.parametrize("limit", [0, 1, 7, 8, 9, 99])
def test_limit_never_cuts_general_advice(limit: int) -> None:
    found = find_codes("threatens_to_share", "on_camera", limit=limit)
    assert found[-7:] == GENERAL_OF_A_CHILD
    assert len(found) == max(7, min(limit, 10))


def test_most_special_comes_first_then_order_then_code() -> None:
    entries = (
        make_advice("general"),
        make_advice("age", ages=("13_15",)),
        make_advice("late", kinds=("bullying",), order=20),
        make_advice("b", kinds=("bullying",)),
        make_advice("a", kinds=("bullying",)),
        make_advice("both", kinds=("bullying",), ages=("13_15",), order=99),
        make_advice("other_age", kinds=("bullying",), ages=("16_17",)),
        make_advice("other_kind", kinds=("on_camera",)),
    )
    expected = ["both", "a", "b", "late", "age", "general"]
    for order in (entries, entries[::-1]):
        library = AdviceLibrary(version="1", language="en", advice=order)
        found = list_fitting_advice(
            library, kinds=["bullying", "no_such_kind"], age_band="13_15", audience="child", limit=99
        )
        assert [advice.code for advice in found] == expected


def test_same_question_has_the_same_answer_whatever_the_order_of_its_kinds() -> None:
    assert find_codes("wants_to_meet", "extra_nice") == find_codes("extra_nice", "wants_to_meet")


def test_help_for_nudes_follows_the_age() -> None:
    for band in ("under_12", "12", "12_or_under"):
        assert "nude_of_you" in find_codes("threatens_to_share", age_band=band)
    assert "nude_of_you" not in find_codes("threatens_to_share", age_band="18_plus")
    assert "adult_nude_of_you" in find_codes("threatens_to_share", age_band="18_plus", audience="adult")
    assert "adult_nude_of_child" in find_codes("threatens_to_share", age_band="13_15", audience="adult")


def test_words_are_short_and_kind() -> None:
    assert len(LIBRARY.advice) == 86
    for text in (text for advice in LIBRARY.advice for text in advice.sentences):
        for sentence in sentences_of(text):
            assert len(words_of(sentence)) <= MOST_WORDS_IN_A_SENTENCE, sentence
        assert not find_banned(text), text
        assert find_long_words(text) <= LONG_WORDS_ALLOWED, text
        assert set(re.findall(r"\d{3,}", text)) <= {"999"}, text


@pytest.mark.parametrize("kind", KINDS)
def test_advice_of_a_kind_is_easy_to_read(kind: str) -> None:
    for audience in AUDIENCES:
        found = list_fitting_advice(LIBRARY, kinds=[kind], age_band="13_15", audience=audience, limit=99)
        text = " ".join(sentence for advice in found for sentence in advice.sentences)
        assert len(words_of(text)) >= PROSE_WORDS
        assert grade_of(text) <= HIGHEST_GRADE, audience


def test_placeholders_are_filled_with_the_names_of_signposts() -> None:
    names = {key: post.name for key, post in load_signposts().items()}
    filled = [sentence for advice in LIBRARY.advice for sentence in fill_sentences(advice, names=names)]
    assert "You can talk to Childline at any time." in filled
    assert not [sentence for sentence in filled if "{" in sentence]


def test_body_without_a_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        fill_sentences(make_advice("a", sentences=("Talk to {nobody}.",)), names={})


def test_language_without_a_file_is_an_error() -> None:
    with pytest.raises(SettingsError):
        load_advice("xx")


@pytest.mark.parametrize(
    "line", ['kinds = ["flying"]', 'ages = ["19"]', 'audience = "cat"', "sentences = []", 'news = "x"', 'order = "1"']
)
def test_loader_is_strict(tmp_path: Path, line: str) -> None:
    lines = {
        "code": 'code = "a"',
        "audience": 'audience = "child"',
        "order": "order = 1",
        "sentences": 'sentences = ["Tell a grown-up."]',
    }
    head = 'version = "1"\nlanguage = "en"\n[[advice]]\n'
    path = tmp_path / "en.toml"
    path.write_text(head + "\n".join(lines.values()), "utf-8")
    assert read_settings(path, kind=AdviceLibrary).advice[0].code == "a"
    lines[line.split(" ", maxsplit=1)[0]] = line
    path.write_text(head + "\n".join(lines.values()), "utf-8")
    with pytest.raises(SettingsError):
        read_settings(path, kind=AdviceLibrary)
