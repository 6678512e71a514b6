"""The kit for the panel of young people: it prints alone, a child can read the child's sheet, and its keys exist."""

import re
from html import unescape
from pathlib import Path

import pytest

from gateway.demo.loop import BANNER
from gateway.guidance.signposts import load_signposts
from gateway.signoffs import list_checks
from tests.reading_level import HIGHEST_GRADE, MOST_WORDS_IN_A_SENTENCE, find_banned, grade_of, sentences_of, words_of

FOLDER = Path(__file__).parents[3] / "docs" / "panel"
KIT = (FOLDER / "panel.html").read_text("utf-8")
SHEETS = dict(re.findall(r'<section id="([\w-]+)">(.*?)</section>', KIT, flags=re.DOTALL))
FOR_CHILDREN = ("child", "tasks")


def read_texts(sheet: str) -> list[str]:
    blocks = re.findall(r"<(p|li|h[23]|td)\b[^>]*>(.*?)</\1>", sheet, flags=re.DOTALL)
    return [" ".join(unescape(re.sub(r"<[^>]+>", "", text)).split()) for _, text in blocks]


def test_kit_has_every_sheet_and_each_begins_a_page_of_paper():
    assert list(SHEETS) == ["before", "carer", "child", "script", "tasks", "watch", "stop", "signoff"]
    assert "section { break-before: page" in KIT
    readme = (FOLDER / "README.md").read_text("utf-8")
    assert "](panel.html)" in readme


def test_kit_loads_nothing_and_runs_nothing():
    assert not re.search(r"<script|<img|<link|<iframe|<form|url\(|@import|https?://|\son\w+=", KIT)


@pytest.mark.parametrize("name", FOR_CHILDREN)
def test_sheet_for_a_child_is_read_by_a_child(name: str):
    texts = read_texts(SHEETS[name])
    assert len(texts) >= 8
    prose = " ".join(text for text in texts if text.endswith((".", "?")))
    assert grade_of(prose) <= HIGHEST_GRADE
    for text in texts:
        for sentence in sentences_of(text):
            assert len(words_of(sentence)) <= MOST_WORDS_IN_A_SENTENCE, sentence
        assert find_banned(text) == [], text


def test_numbers_of_the_kit_are_those_of_the_form():
    posts = load_signposts()
    known = {posts[key].phone for key in ("childline", "nspcc", "samaritans", "emergency")}
    found = set(re.findall(r"\b(?:999|0\d{3} \d{3,4}(?: \d{3,4})?|116 \d{3})\b", KIT))
    assert found
    assert found <= known
    assert {posts["childline"].phone, posts["emergency"].phone} <= found


def test_signoff_sheet_lists_every_check_of_the_youth_panel_and_the_place_for_the_words_code():
    keys = [check.key for check in list_checks() if check.key.endswith("youth-panel")]
    assert keys
    assert re.findall(r"<code>([a-z-]+-youth-panel)</code>", SHEETS["signoff"]) == sorted(set(keys), key=keys.index)
    assert "Code of the words" in SHEETS["signoff"]


def test_kit_asks_for_nothing_that_happened_to_a_young_person_and_stops_where_it_must():
    before = " ".join(read_texts(SHEETS["before"]))
    assert "Never ask what has happened to a young person" in before
    # The form of the session is the one whose banner this is.
    assert BANNER.partition(" In danger?")[0] in before
    stop = " ".join(read_texts(SHEETS["stop"]))
    for words in ("cries", "tells you about harm", "designated safeguarding lead", "999"):
        assert words in stop
