"""A report the desk could not read gets no thanks, and one too long for a draft gets a message: the words stay."""

import pytest
from werkzeug.datastructures import MultiDict

from gateway.public.journey import find_packed_answers, pack_answers
from partner_sdk.errors import FormatError
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import SHORT_ANSWERS, read_title

MARKER = "These are my own words."
THANKS = "We have got what you sent"


def make_words(**changes: list[str]) -> str:
    """Pack the answers of the shortest path, as the check page's hidden field does."""
    answers: dict[str, list[str]] = {}
    for typed in SHORT_ANSWERS.values():
        answers |= {name: [value] if isinstance(value, str) else list(value) for name, value in typed.items()}
    return pack_answers({**answers, "story": [MARKER], **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"kinds": ["extra_nice"] * 30},
        {"kinds": ["extra_nice", "extra_nice"]},
        {"age": ["13_15", "18_plus"]},
        {"danger": ["no", "no"]},
        {"called": ["called", "carry_on"]},
        {"country": ["fr", "de"]},
        {"story": [MARKER, MARKER]},
    ],
)
def test_words_that_no_page_of_ours_can_have_held_are_not_read(changes: dict[str, list[str]]):
    assert find_packed_answers(make_words()) is not None
    assert find_packed_answers(make_words(**changes)) is None


def test_report_that_would_not_be_read_stays_on_the_page(public: PublicHouse, monkeypatch: pytest.MonkeyPatch):
    person = public.person_at("/14", p9={"story": MARKER})

    def refuse(raw: bytes) -> None:
        assert MARKER.encode() in raw
        raise FormatError("not read", reason="format")

    monkeypatch.setattr("gateway.public.sending.parse_public_report", refuse)
    person.send()
    assert person.page.status_code == 503
    assert MARKER in person.text()
    assert public.reports() == []
    monkeypatch.undo()
    person.send()
    assert read_title(person.page) == THANKS


def test_too_many_words_to_keep_are_said_with_the_words(public: PublicHouse, monkeypatch: pytest.MonkeyPatch):
    person = public.person_at("/9")
    person.press(story=MARKER)
    person.walk_to("/14")
    monkeypatch.setattr("gateway.public.visit.PADDED_SIZES", (4 * 1024,))
    form = person.fill({"words": make_words(story=[MARKER * 200])}, "keep_typed")
    person.post("/14", form)
    assert (person.page.status_code, read_title(person.page)) == (413, "That was too long to send")
    assert MARKER * 200 in person.text()
    person.post("/9", MultiDict({**form.to_dict(), "story": MARKER * 200, "action": "continue", "version": "99"}))
    assert person.page.status_code < 500


def test_step_with_too_many_words_to_keep_shows_them(public: PublicHouse, monkeypatch: pytest.MonkeyPatch):
    person = public.person_at("/9")
    monkeypatch.setattr("gateway.public.visit.PADDED_SIZES", (4 * 1024,))
    person.press(story=MARKER * 200)
    assert (person.page.status_code, MARKER * 200 in person.text()) == (413, True)
