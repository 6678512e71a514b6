"""Words that speak of danger today are found on the person's phone as the gateway and the desk find them."""

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gateway.guidance.risk import is_danger_today, list_found_in_words, list_phrases_of_today
from gateway.public.journey import get_priority, speaks_of_today
from tests.desk.collection.mild_stories import list_stories
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import SHORT_ANSWERS
from tests.gateway.public.phone_builders import make_said
from tests.gateway.public.test_journey_script import run_script
from tests.gateway.public.walks import flatten

TEXTS = 10_000
# Neither the desk nor a phone raises a report for these.
MILD = (
    "He did not touch me",
    "We are not meeting tonight",
    "I am not going to kill myself",
    "my mum will kill me",
    'the song says "I want to die"',
    "I want to die of embarrassment",
    "Dydw i ddim yn cwrdd heno",
)
URGENT = (
    ("We meet at 8 tonight", "meeting_today"),
    ("I DON\u2019T WANT TO BE HERE ANYMORE", "self_harm"),
    ("Help. He is here", "danger_now"),
    ("He said he will kill me if I tell", "threat_to_life"),
    ("Rydyn ni'n cwrdd heno yn y parc", "meeting_today"),
    ("Dw i eisiau lladd fy hun", "self_harm"),
)


def test_script_finds_in_ten_thousand_texts_what_the_gateway_finds(tmp_path: Path) -> None:
    random = Random(20261206)
    texts = [*MILD, *list_stories(), *(make_said(random) for _ in range(TEXTS))]
    expected = [sorted(list_found_in_words(text) & list_phrases_of_today().keys()) for text in texts]
    found = run_script(tmp_path, *({"said": text} for text in texts))
    wrong = [number for number, one in enumerate(found) if one != expected[number]]
    for number in wrong[:1]:
        assert found[number] == expected[number], texts[number]
    assert (len(found), wrong) == (len(texts), [])
    every = Counter(code for one in expected for code in one)
    assert min(every[code] for code in list_phrases_of_today()) >= 300, every
    assert sum(not one for one in expected) >= 1_000


@pytest.mark.parametrize(("text", "code"), URGENT)
def test_words_of_danger_today_raise_the_clear_priority(text: str, code: str) -> None:
    answers: dict[str, Any] = flatten(SHORT_ANSWERS)
    assert list_found_in_words(text) & list_phrases_of_today().keys() == {code}
    assert get_priority({**answers, "story": ["It began in a game."]}) == "P3"
    for name in ("story", "who_must_not_know", "meeting_place"):
        assert get_priority({**answers, name: [text]}) == "P1"


@pytest.mark.parametrize("text", MILD)
def test_mild_words_raise_nothing(text: str) -> None:
    assert not speaks_of_today({"story": [text]})


def test_phrases_of_the_phone_are_those_that_the_desk_counts_as_danger_today() -> None:
    assert set(list_phrases_of_today()) == {"self_harm", "threat_to_life", "danger_now", "meeting_today"}
    assert all(is_danger_today(code) for code in list_phrases_of_today())


def test_plain_way_gives_the_priority_of_the_words(public: PublicHouse) -> None:
    for text, priority in (("He is outside", "P1"), ("He is nice", "P3")):
        public.person_at("/14", SHORT_ANSWERS | {"/9": {"story": text}}).send()
        report = public.reports()[-1]
        assert (report.clear.priority, report.danger, report.story) == (priority, "no", text)
