"""Words for a child: short sentences, easy words, no blame. Flesch-Kincaid is computed here."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from gateway.public.promises import load_promises
from gateway.public.signposts import load_signposts
from gateway.public.wording import WordingError, load_wording

WORDS = load_wording("en")
MOST_WORDS_IN_A_SENTENCE = 15
HIGHEST_GRADE = 4.0
PROSE_WORDS = 30
BANNED = ("please", "sorry", "valid", "invalid", "forbidden", "illegal", "oops", "you forgot", "victim", "abuse")
BODIES = ("Childline", "NSPCC", "IWF", "Crimestoppers", "Fearless", "Report Remove", "{agency}", "BSL")
# Words of three or more syllables that a ten-year-old uses, and names of days and months.
LONG_WORDS_ALLOWED = {
    "another",
    "anything",
    "camera",
    "december",
    "february",
    "january",
    "november",
    "october",
    "safety",
    "saturday",
    "september",
    "something",
    "wednesday",
}


def walk(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Give every text of the wording file with where it stands."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in {"key", "version", "language"}:
                yield from walk(inner, f"{path}.{key}")
    else:
        for inner in value:
            yield from walk(inner, path)


TEXTS = list(walk(WORDS.table))


def sentences_of(text: str) -> list[str]:
    masked = text
    for body in BODIES:
        masked = masked.replace(body, "Bob")
    masked = re.sub(r"\{\w+\}", "Bob", masked)
    return [part for part in re.split(r"(?<=[.?!:])\s+", masked) if re.search(r"\w", part)]


def words_of(text: str) -> list[str]:
    return re.findall(r"[A-Za-z][A-Za-z']*|\d+", text)


def count_syllables(word: str) -> int:
    """Count vowel groups, without a silent e; numbers count one, as a child reads them on a dial."""
    plain = re.sub(r"[^a-z]", "", word.lower())
    if not plain:
        return 1
    groups = len(re.findall(r"[aeiouy]+", plain))
    if plain.endswith("e") and not plain.endswith(("le", "ee")) and groups > 1:
        groups -= 1
    if plain.endswith(("ed", "es")) and not plain.endswith(("ted", "ded", "ses", "ches", "shes")) and groups > 1:
        groups -= 1
    return max(groups, 1)


def grade_of(text: str) -> float:
    """Return the Flesch-Kincaid grade (Kincaid et al. 1975)."""
    sentences = sentences_of(text)
    words = [word for sentence in sentences for word in words_of(sentence)]
    syllables = sum(count_syllables(word) for word in words)
    return 0.39 * len(words) / len(sentences) + 11.8 * syllables / len(words) - 15.59


def test_the_formula_says_what_it_should():
    assert grade_of("The cat sat on the mat. It was fat.") < 1
    assert grade_of("Institutional accountability necessitates comprehensive documentation procedures.") > 20


@pytest.mark.parametrize("name", sorted(WORDS.table["screen"]) + sorted(WORDS.table["page"]))
def test_page_is_easy_to_read(name: str):
    part = WORDS.table["screen"].get(name) or WORDS.table["page"][name]
    text = " ".join(
        text if text.endswith((".", "?", "!")) else f"{text}." for _, text in walk(part) if len(words_of(text)) > 3
    )
    if len(words_of(text)) >= PROSE_WORDS:
        assert grade_of(text) <= HIGHEST_GRADE, (name, round(grade_of(text), 2))
    assert text


def test_no_sentence_is_long():
    assert len(TEXTS) > 200
    long = [
        (path, sentence)
        for path, text in TEXTS
        for sentence in sentences_of(text)
        if len(words_of(sentence)) > MOST_WORDS_IN_A_SENTENCE
    ]
    assert not long


def test_no_long_word_is_used_that_is_not_allowed():
    found = {
        word.lower()
        for _, text in TEXTS
        for sentence in sentences_of(text)
        for word in words_of(sentence)
        if count_syllables(word) >= 3
    }
    assert found - LONG_WORDS_ALLOWED == set()


@pytest.mark.parametrize("word", BANNED)
def test_banned_word_is_nowhere(word: str):
    assert not [path for path, text in TEXTS if re.search(rf"\b{word}\b", text, re.IGNORECASE)]


def test_error_words_never_blame_and_say_what_to_do():
    blanks = [text for path, text in TEXTS if path.endswith(".blank")]
    assert len(blanks) == 8
    assert all(text.split()[0] in {"Pick", "Type", "Give"} for text in blanks)


def test_no_telephone_number_but_999_stands_in_the_words():
    numbers = {number for _, text in TEXTS for number in re.findall(r"\d{3,}", text)}
    assert numbers <= {"999"}


def test_missing_word_is_an_error():
    with pytest.raises(WordingError):
        WORDS.screen("nothing")


def test_every_signpost_says_when_and_against_what_it_was_checked():
    signposts = load_signposts()
    assert len(signposts) > 10
    for key, post in signposts.items():
        assert date(2026, 1, 1) < post.checked_on <= date(2030, 1, 1), key
        assert post.source, key
        assert post.phone or post.url, key
        assert (post.phone is None) == (post.phone_link is None), key
        if post.phone and post.phone_link:
            assert post.phone_link == "tel:" + post.phone.replace(" ", ""), key


def test_every_signpost_that_the_words_name_exists():
    signposts = load_signposts()
    named = {
        entry["key"]
        for part in ("screen", "page")
        for page in WORDS.table[part].values()
        for entry in page.get("signposts", ())
    }
    assert len(named) > 5
    assert named <= set(signposts)


def test_promises_say_who_decided_them():
    promises = load_promises()
    assert promises.child_reply_days >= 1
    assert promises.decided_by
    assert WORDS.common()[f"read_{promises.read_within}"]
