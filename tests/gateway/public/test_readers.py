"""The reader decides the words, the helpers and the questions: a child, a friend, a carer, an adult at work."""

import html
import re

import pytest

from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import SHORT_ANSWERS, read_title
from tests.gateway.public.walks import ADULT, GROWN_UP_PICTURE


def test_adult_about_their_own_childhood_is_not_spoken_to_as_a_carer(public: PublicHouse):
    way = GROWN_UP_PICTURE | {"/10": {"more_person": "yes"}, "/10a": {}}
    person = public.person_at("/10a", way)
    assert "Talk to Samaritans" in person.text()
    assert "Where I work or go to school" in person.text()
    person.walk_to("/14", way).send()
    main = person.text().split("<main", 1)[1]
    assert "It was not your fault." in main
    assert re.search(r">Samaritans</b> <b[^>]*>116 123<", main)
    assert not re.search("the child|a child|NSPCC|Childline|not in trouble", main)
    assert "Talk to the NSPCC" not in person.text()


def test_adult_at_work_with_a_child_is_told_to_keep_to_the_steps_of_their_work(public: PublicHouse):
    way = ADULT | {"/4b": {"who": "child_i_work_with"}, "/7": {"kinds": ["on_camera"]}}
    text = public.person_at("/14", way).send().text()
    assert "Keep to the steps that your place of work has for this." in text
    assert "Do not ask the child more than you need to" in text
    assert "It is not your fault" not in text


def test_child_who_tells_about_a_friend_reads_about_the_friend(public: PublicHouse):
    way = SHORT_ANSWERS | {
        "/4b": {"who": "friend"},
        "/5": {"their_age": "13_15"},
        "/7": {"kinds": ["wants_to_meet", "on_camera"]},
        "/10": {"more_person": "yes"},
        "/10a": {},
    }
    person = public.person().start()
    for path in ("/9a", "/12", "/10a", "/14"):
        person.walk_to(path, way)
        assert "friend" in person.text().split("<main", 1)[1], path
        assert "the child" not in person.text(), path
    text = person.walk_to("/14", way).send().text()
    assert "Tell them not to go, not even to a busy place." in text
    assert not re.search("If you said yes|naked picture of you|Do not go to meet them", text)
    assert "0800 1111" in text


ABROAD = SHORT_ANSWERS | {
    "/6": {"region": "not_uk"},
    "/6a": {"country": "us"},
    "/7": {"kinds": ["wants_to_meet", "on_camera"]},
    "/8": {"pictures": "me"},
    "/9a": {"feels": "hurting"},
}


def test_child_in_another_country_reads_the_numbers_of_that_country_from_there_on(public: PublicHouse):
    person = public.person_at("/7", ABROAD)
    while person.path != "/14":
        assert "999" not in person.text(), person.path
        assert 'href="tel:18004224453"' in person.text(), person.path
        if person.path == "/7b":
            assert "Is it today? Call 911." in person.text()
        if person.path == "/8a":
            assert "NCMEC CyberTipline" in person.text()
        if person.path == "/9b":
            assert "Call 911." in person.text()
            assert "Childhelp" in person.text()
        person.press(**ABROAD.get(person.path, {}))
    text = person.send().text()
    assert "Childhelp" in text
    assert not re.search("999|Childline <b>|Call Childline|0800 1111", text)


def test_call_is_the_one_filled_button_where_someone_is_in_danger(public: PublicHouse):
    person = public.person_at("/3a", p3={"danger": "yes"})
    main = person.text().split("<main", 1)[1]
    assert '<a class="button call-now" href="tel:999">Call 999</a>' in main
    assert re.findall(r'<button class="(\w+)[^"]*" name="called"', main) == ["plain"] * 3
    assert main.index("call-now") < main.index('name="called"')
    assert "Not in the UK?" in main
    assert "112 works in many countries" in main


@pytest.mark.parametrize(("who", "they"), [("me", "You do"), ("friend", "Your friend does")])
def test_help_against_blackmail_comes_straight_after_its_tick(public: PublicHouse, who: str, they: str):
    person = public.person_at("/7", p4b={"who": who}, p5={"their_age": "13_15"})
    person.press(kinds=["threatens_to_share", "asked_for_pictures"])
    assert (person.path, read_title(person.page)) == ("/7c", "What you can do")  # others may see the title in a tab
    main = person.text().split("<main", 1)[1]
    assert f"<h1>{they} not have to do what they say</h1>" in main
    for words in ("pay. Paying does not make it stop", "send more pictures", "not in trouble", "Report Remove"):
        assert words in main, words
    assert "I need to talk to someone now" in main
    person.press()
    assert person.path == "/8"


@pytest.mark.parametrize("when", ["today", "later"])
def test_meeting_comes_before_blackmail_because_it_can_be_today(public: PublicHouse, when: str):
    person, visited = public.person_at("/7"), []
    for answers in ({"kinds": ["wants_to_meet", "threatens_to_share"]}, {"meeting_when": when}, {}, {}):
        person.press(**answers)
        visited.append(person.path)
    assert visited == (["/7b", "/7d", "/7c", "/8"] if when == "today" else ["/7b", "/7c", "/8", "/9"])


def test_set_time_is_asked_beside_the_threat_and_not_beside_the_pictures(public: PublicHouse):
    person = public.person_at("/7c", p7={"kinds": ["threatens_to_share"]})
    assert '<legend class="label">Have they set a time?</legend>' in person.text()
    person.press(gave_a_time=["gave_a_time"])
    assert person.path == "/8"
    assert "set a time" not in person.text()


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"who": "me"}, "It is a picture of someone else"),
        ({"who": "friend"}, "It is a picture of my friend, or of someone else"),
        ({"who": "another_child"}, "It is a picture of the child, or of someone else"),
    ],
)
def test_picture_of_the_child_has_an_answer_of_its_own(public: PublicHouse, about: dict[str, str], words: str):
    person = public.person_at("/8", p4b=about, p5={"their_age": "13_15"}, p7={"kinds": ["asked_for_pictures"]})
    assert f">{words}</label>" in person.text()
    person.press(pictures="someone_else")
    while person.path != "/14":
        person.press(**SHORT_ANSWERS.get(person.path, {}))
    assert words in person.text()


def test_parent_who_has_told_the_local_police_is_welcome(public: PublicHouse):
    assert "Tell us too, even if the local police know." in public.person_at("/10c", ADULT).text()


MEETS = {"p7": {"kinds": ["wants_to_meet"]}}


@pytest.mark.parametrize(("when", "has_call"), [("today", True), ("next_days", False)])
def test_child_asked_to_meet_soon_reads_do_not_go_straight_after_the_answer(
    public: PublicHouse, when: str, *, has_call: bool
):
    person = public.person_at("/7b", **MEETS)
    person.press(meeting_when=when)
    assert person.path == "/7d"
    assert "<h1>You do not have to go</h1>" in person.text()
    main = html.unescape(person.text().split("<main", 1)[1])
    assert main.index("Do not go.") < main.index("Are you on the way, or are they near? Call 999.") < main.index("<li>")
    assert "Tell a grown-up where you are." in main
    assert 'href="tel:08001111"' in main
    # Today the call is the one filled button; "Carry on here" stands below it, as it does where someone is in danger.
    assert ('<a class="button call-now" href="tel:999">Call 999</a>' in main) is has_call
    assert re.findall(r'<button([^>]*)name="action" value="continue">Carry on here', main) == [
        ' class="plain" ' if has_call else " "
    ]
    person.press()
    assert person.path == "/9"


@pytest.mark.parametrize(
    ("who", "title", "words"),
    [
        ("friend", "Your friend does not have to go", "Ask your friend not to go. Do not go there yourself."),
        ("another_child", "The child does not have to go", "Ask them not to go. Do not go there yourself."),
    ],
)
def test_report_of_a_meeting_of_another_child_leads_to_advice_for_that_child(
    public: PublicHouse, who: str, title: str, words: str
):
    person = public.person_at("/7b", **MEETS, p4b={"who": who}, p5={"their_age": "13_15"})
    person.press(meeting_when="today")
    assert person.path == "/7d"
    assert f"<h1>{title}</h1>" in person.text()
    assert words in person.text()
    assert 'href="tel:08001111"' in person.text()


def test_parent_reads_to_keep_the_child_close_and_where_to_ask(public: PublicHouse):
    person = public.person_at("/7b", ADULT | {"/7": {"kinds": ["wants_to_meet"]}})
    person.press(meeting_when="next_days")
    assert person.path == "/7d"
    assert "Keep the child with you, or with someone you trust." in person.text()
    assert 'href="tel:08088005000"' in person.text().split("<main", 1)[1]


def test_check_page_is_short_where_little_was_said(public: PublicHouse):
    text = public.person_at("/14").text()
    for label in ("The adult", "Phone number", "<dt>Email", "Other names", "A good time"):
        assert label not in text, label
    for label in ("When it last happened", "<dt>School"):
        assert label in text, label
    assert 'name="change" value="10"' not in text


@pytest.mark.parametrize(
    ("ways", "asked"),
    [
        (["school"], (False, False)),
        (["adult"], (False, True)),
        (["call"], (True, True)),
        (["text"], (True, False)),
        (["email", "school"], (True, False)),
    ],
)
def test_only_what_fits_the_picked_ways_is_asked_about_safety(
    public: PublicHouse, ways: list[str], asked: tuple[bool, bool]
):
    details = {"adult": "My aunt", "school": "Ms Example", "phone": "01632 960001", "email": "sam@child.example"}
    text = public.person_at("/12a", p12={"contact_ways": ways, **details}).text()
    assert "When is a good time to talk?</label>" in text
    assert '<label class="unseen" for="contact_times">' not in text
    assert ('name="who_sees"' in text, 'name="may_say_who_we_are"' in text) == asked


def test_only_the_youngest_are_offered_a_grown_up_to_help(public: PublicHouse):
    offer = "A grown-up you trust can help you with this"
    assert offer in public.person_at("/12", p4={"age": "under_12"}).text()
    assert offer not in public.person_at("/12").text()
    # An age from before the person said that they are grown up counts no more.
    person = public.person_at("/6", p4={"age": "under_12"})
    for _ in range(2):
        person.press("back")
    assert person.path == "/4"
    person.press(age="18_plus")
    assert offer not in person.walk_to("/12").text()
