"""The desk looks for reviewed phrases in a person's own words: they raise a report, and never lower one."""

import re
from pathlib import Path

import pytest

from gateway.desk.collection.row_checks import assess
from gateway.guidance import risk
from gateway.guidance.risk import IN_WORDS, PHRASES_FILE, combine, list_found_in_words, list_reasons
from gateway.web.settings import SettingsError
from tests.builders import NOW
from tests.desk.collection.mild_stories import count_false_alarms, describe, list_stories
from tests.public_report_builders import make_public_report

CALM = {"danger": "no", "age_band": "16_17", "under_18": "no", "kinds": ("extra_nice",)}
DOCUMENT = Path(__file__).parents[3] / "docs" / "queue.md"


@pytest.mark.parametrize(
    ("story", "codes"),
    [
        ("I want to end my life", {"self_harm"}),
        ("i dont want to live any more", {"self_harm"}),
        ("I don’t want to be here anymore", {"self_harm"}),
        ("I want to \u212aill mysélf\ufe0f", {"self_harm"}),  # the sign of Kelvin, an accent, and a sign of no width
        ("my friend said 'I want to kill myself'", {"self_harm"}),
        ("We meet at 8 tonight at the park", {"meeting_today"}),
        ("he wants to meet me at 8.30 tonight", {"meeting_today"}),
        ('he wrote "meet me tonight"', {"meeting_today"}),
        ("He wants to meet on Saturday", {"meeting_soon"}),
        ("I don't want to meet him tonight but I have to", {"meeting_today"}),
        ("Help. He is here", {"danger_now"}),
        ("hes outside", {"danger_now"}),
        ("My uncle touches me at home. It still goes on", {"contact_abuse", "near_unsure", "still_going_on"}),
        ("he won't stop touching me", {"contact_abuse", "still_going_on"}),
        ("It is still happening", {"still_going_on"}),
        ("He said he will kill me if I tell", {"threat_to_life"}),
        ("He will share my photos if I don't pay by tonight", {"threat", "still_unsure", "deadline"}),
        ("He knows where I live", {"knows_home"}),
        ("he forces me", {"coercion"}),
        ("he lives with us", {"near"}),
        ("he has pictures of me", {"pictures_shared"}),
        ("Dw i eisiau lladd fy hun", {"self_harm"}),
        ("Rydyn ni'n cwrdd heno yn y parc", {"meeting_today"}),
        ("Mae o yma", {"danger_now"}),
        ("Mae'n cyffwrdd â fi gartref. Mae'n dal i ddigwydd", {"contact_abuse", "near_unsure", "still_going_on"}),
    ],
)
def test_phrase_is_found_in_english_and_welsh(story: str, codes: set[str]) -> None:
    assert list_found_in_words(story) == codes
    assert list_found_in_words(f"It began in a game. {story.upper()}! I am sad.") == codes


@pytest.mark.parametrize(
    "story",
    [
        "he did not touch me",
        "He has never even touched me.",
        "nobody touched me and no one has hit me",
        "I am not going to kill myself",
        "We are not meeting tonight",
        "it is not still going on",
        "Wnaeth e ddim cyffwrdd â fi",
        "my friend said 'I want to die laughing'",
        "I want to die of embarrassment",
        "my mum will kill me",
        "he hit me up on another app",
        'the song says "I want to die"',
        "in the film a man says 'I will kill you and he will kill me'",
    ],
)
def test_denied_phrase_saying_and_quotation_of_a_song_or_film_do_not_count(story: str) -> None:
    assert list_found_in_words(story) == frozenset()


def test_one_denied_phrase_hides_no_other() -> None:
    assert list_found_in_words("He did not touch me at first. Now he touches me") == {"contact_abuse"}
    assert list_found_in_words("Not only did he touch me") == {"contact_abuse"}


def test_what_is_found_raises_as_the_answer_does_counts_once_and_stores_codes_alone() -> None:
    story = "[message] Quetzal. I want to end my life"
    calm, said = (make_public_report(**CALM, story=one) for one in ("[message]", story))
    ticked, both = (make_public_report(**CALM, feels="hurting", story=one) for one in ("[message]", story))
    weighed = [assess(one, received_at=NOW) for one in (calm, said, ticked, both)]
    assert [one.crisis for one in weighed] == [False, True, True, True]
    assert weighed[1].score == weighed[2].score == weighed[3].score
    assert weighed[1].factors == (f"{IN_WORDS}self_harm", "grooming")
    assert weighed[2].factors == weighed[3].factors == ("self_harm", "grooming")
    assert list_reasons(weighed[1].text)[0].reason == "Hurting themselves, or thinking of it (found in the words)"
    assert combine(weighed[1].text) == weighed[1]
    # Ticked in a later report: the answer takes the place of the words.
    assert combine(weighed[1].text, "self_harm").factors == weighed[2].factors


def test_words_and_answers_combine() -> None:
    said = make_public_report(**{**CALM, "kinds": ("touched_or_hurt",)}, story="he lives with us")
    assert {"hurt_at_home", f"{IN_WORDS}near"} < set(assess(said, received_at=NOW).factors)


def test_no_story_is_lowered_by_its_words() -> None:
    answers = {**CALM, "feels": "hurting", "kinds": ("threatens_to_share",)}
    plain = assess(make_public_report(**answers, story="[message]"), received_at=NOW)
    for story in list_stories():
        found = assess(make_public_report(**answers, story=story), received_at=NOW)
        assert found.crisis
        assert found.score >= plain.score


def test_documents_have_the_figure_of_false_alarms() -> None:
    stories, _, raised, today = count_false_alarms()
    assert len(set(list_stories())) == stories == 200
    assert raised <= 10
    assert today == 0
    assert describe() in re.sub(r"\s+", " ", DOCUMENT.read_text())


def test_phrase_of_an_unknown_factor_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "phrases.toml"
    path.write_text(PHRASES_FILE.read_text().replace("[found.self_harm]", "[found.self-harm]"))
    monkeypatch.setattr(risk, "PHRASES_FILE", path)
    with pytest.raises(SettingsError) as caught:
        risk.load_phrases.__wrapped__()
    assert caught.value.reason == "bad-settings"
    assert "self-harm" in str(caught.value)
