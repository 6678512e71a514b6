"""The rows of requirements.md about the public, to the sealed report, and the promise of the hours until the answer."""

import html
import re
from datetime import UTC, datetime

import pytest

from gateway.exchange.public_report import PublicReport
from gateway.guidance.agency import HOLDS_FOR
from gateway.guidance.signposts import load_signposts
from partner_sdk.wire.canonical import format_time
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import Person, read_title
from tests.gateway.public.walks import ADULT, BULLYING_ONLY, CONTENT_ONLY, OVERSEAS, UNDER_18, URGENT, ScreenAnswers

TONIGHT: ScreenAnswers = {"/7": {"kinds": ["wants_to_meet"]}, "/7b": {"meeting_when": "today"}}
ADULT_IN_DANGER: ScreenAnswers = ADULT | {"/3": {"danger": "yes"}, "/3a": {"called": "carry_on"}}
OF_A_FRIEND: ScreenAnswers = UNDER_18 | {"/4b": {"who": "friend"}, "/5": {"their_age": "13_15"}}
NOBODY = "No one is here to read it right now. Our team is next here"


def read_next(public: PublicHouse, way: ScreenAnswers, *, language: str = "") -> list[str]:
    """Send one report, and return the lines under its heading for now, without the last, which never differs."""
    text = public.person_at("/15", way, language=language).text()
    listed = text.split('<ul class="points">')[1].split("</ul>")[0]
    return [html.unescape(line) for line in re.findall(r"<li>(.*?)</li>", listed)][:-1]


def test_meeting_tonight_is_told_what_happens_in_the_hours_until_the_answer(public: PublicHouse):
    assert read_next(public, UNDER_18 | TONIGHT) == [
        "A person trained to keep children safe will read it today, by 09:30 UK time.",
        "That person can ask other police for help at once. You may hear from us before our answer.",
        "Do not wait for us if you do not feel safe. Call 999.",
        "Our answer comes by Friday 27 November at the latest, in the way you picked.",
    ]


@pytest.mark.parametrize(
    ("way", "number"),
    [
        (UNDER_18, "you do not feel safe. Call 999."),
        (OVERSEAS, "you do not feel safe. Call 911."),
        (OF_A_FRIEND, "you or your friend is not safe. Call 999."),
        (ADULT, "the child is not safe. Call 999."),
    ],
)
def test_without_a_fresh_statement_the_page_says_that_nobody_reads_and_names_the_number_and_the_next_hour(
    public: PublicHouse, way: ScreenAnswers, number: str
):
    public.house.clock.advance(seconds=HOLDS_FOR.total_seconds())
    found = read_next(public, way)
    assert found[:2] == [f"{NOBODY} today, at 09:00 UK time.", f"Do not wait for us if {number}"]
    assert len(found) == 3
    assert not any("will read it" in line for line in found)


def test_nobody_until_thursday_is_told_with_the_time_that_the_desk_keeps_from_then_on(public: PublicHouse):
    public.house.clock.now = datetime(2026, 11, 25, 22, tzinfo=UTC)
    thursday = format_time(datetime(2026, 11, 26, 9, tzinfo=UTC))
    public.house.staff(staffed_until=None, next_hour=thursday)
    assert read_next(public, UNDER_18 | TONIGHT)[:2] == [
        f"{NOBODY} at 09:00 UK time on Thursday 26 November.",
        "A person trained to keep children safe will read it by 10:00 UK time on Thursday 26 November.",
    ]
    # Whoever is in no hurry is promised a day.
    assert read_next(public, UNDER_18)[1] == (
        "A person trained to keep children safe will read it by Thursday 26 November."
    )


def test_adult_in_a_hurry_and_welsh_child_read_the_same_in_their_words(public: PublicHouse):
    assert read_next(public, ADULT_IN_DANGER)[1:] == [
        "That person can ask other police for help at once. You may hear from us before our answer.",
        "Do not wait for us if the child is not safe. Call 999.",
        "If we need to know more, we will ask you in the way you picked.",
    ]
    found = read_next(public, UNDER_18 | TONIGHT, language="cy")
    assert "heddiw, erbyn 09:30 amser y DU" in found[0]
    assert found[2] == "Paid ag aros amdanon ni os wyt ti ddim yn teimlo'n saff. Ffonia 999."
    public.house.clock.advance(seconds=HOLDS_FOR.total_seconds())
    assert "heddiw, am 09:00 amser y DU" in read_next(public, UNDER_18, language="cy")[0]


POSTS = load_signposts()
THANKS = "We have got what you sent"
MEETING: ScreenAnswers = {"/7": {"kinds": ["wants_to_meet"]}, "/7b": {"meeting_when": "today"}}


def send(public: PublicHouse, way: ScreenAnswers) -> tuple[Person, PublicReport]:
    """Walk one way to the end, slowly enough to be taken for a person; return them and the sealed report."""
    person = public.person().start()
    public.house.clock.advance(minutes=5)
    public.house.staff()
    person.walk_to("/14", way).send()
    assert read_title(person.page) == THANKS
    return person, public.reports()[-1]


def link_of(key: str) -> str:
    link = POSTS[key].phone_link or POSTS[key].url
    assert link
    return f'href="{link}"'


def test_r2_nothing_needs_to_be_known_or_proved(public: PublicHouse):
    not_sure: ScreenAnswers = UNDER_18 | {
        "/3": {"danger": "not_sure"},
        "/4": {"age": "rather_not_say"},
        "/4b": {"who": "not_sure"},
        "/5": {"their_age": "rather_not_say"},
        "/6": {"region": "not_sure"},
        "/7": {"kinds": ["not_sure"]},
        "/9": {},
    }
    _, report = send(public, not_sure)
    assert (report.story, report.kinds, report.clear.priority) == ("", ("not_sure",), "P2")


def test_r5_r24_help_in_danger_comes_before_anything_is_asked(public: PublicHouse):
    person = public.person()
    person.get("/")
    assert link_of("emergency") in person.text()
    person.start().walk_to("/3a", URGENT)
    assert public.drafts_of(person)[0].answers == {"danger": ["yes"]}
    for words in ("Call 999 now", "Press 55", 'href="sms:999"', "sign language"):
        assert words in person.text(), words


def test_r6_content_on_a_website_is_shown_to_the_iwf_and_recorded(public: PublicHouse):
    person = public.person().start().walk_to("/8b", CONTENT_ONLY)
    assert link_of("iwf") in person.text()
    assert "Then you can stop here" in person.text()
    person.walk_to("/14", CONTENT_ONLY).send()
    (report,) = public.reports()
    assert report.signposted == ("iwf",)
    assert (report.kinds, report.pictures, report.clear.priority) == (("saw_picture",), "website", "P3")


def test_r7_bullying_alone_is_shown_to_who_helps_and_recorded(public: PublicHouse):
    person = public.person().start().walk_to("/7a", BULLYING_ONLY)
    for key in ("childline", "report_harmful_content"):
        assert link_of(key) in person.text(), key
    assert "Tell the app or the game" in person.text()
    assert "Is there sexual stuff too?" in person.text()
    person.press()
    assert person.path == "/9"
    person.walk_to("/14", BULLYING_ONLY).send()
    (report,) = public.reports()
    assert report.signposted == ("childline", "report_harmful_content")


@pytest.mark.parametrize("way", [UNDER_18, ADULT, URGENT])
def test_r22_every_report_is_acknowledged_with_a_number_and_what_happens_next(public: PublicHouse, way: ScreenAnswers):
    person, _ = send(public, way)
    stored = str(public.house.rows("reports")[0])
    text = person.text()
    number = text.split('class="reference" translate="no">')[1].split("<")[0]
    assert number in stored
    read = "will read it today, by 09:35 UK time" if way is URGENT else "will read it today."
    for words in ("What happens now", read, "We may tell other police or a social worker"):
        assert words in text, words


@pytest.mark.parametrize(
    ("age", "answer", "who"), [("16_17", "yes", "me"), ("rather_not_say", "rather_not_say", "friend")]
)
def test_r23_every_child_is_promised_an_answer_by_a_day(public: PublicHouse, age: str, answer: str, who: str):
    way = UNDER_18 | {"/4": {"age": age}, "/4b": {"who": who}, "/5": {"their_age": "13_15"}}
    person, report = send(public, way)
    assert "We will answer you by Friday 27 November, in the way you picked." in person.text()
    assert (report.reply_by, report.under_18) == ("2026-11-27", answer)


IN_DANGER = {"/3": {"danger": "yes"}, "/3a": {"called": "cannot_call"}}
IN_AN_HOUR = ("by 00:50 UK time on Saturday 28 November.", "today, by 00:50 UK time.")
SOON, IN_DAYS = "Our answer comes by {} at the latest", "We will answer you by {}, in the way you picked."


@pytest.mark.parametrize(
    ("more", "read", "read_later", "reply_by", "day"),
    [
        ({}, "by Monday 30 November.", "by Monday 30 November.", "2026-12-02", "Wednesday 2 December"),
        (IN_DANGER, *IN_AN_HOUR, "2026-11-29", "Sunday 29 November"),
        (MEETING, *IN_AN_HOUR, "2026-11-29", "Sunday 29 November"),
        ({"/9a": {"feels": "hurting"}}, *IN_AN_HOUR, "2026-11-29", "Sunday 29 November"),
    ],
)
def test_r23_promise_of_a_friday_night_is_one_that_can_be_kept(
    public: PublicHouse, more: ScreenAnswers, read: str, read_later: str, reply_by: str, day: str
):
    public.house.clock.now = datetime(2026, 11, 27, 23, 45, tzinfo=UTC)
    person, report = send(public, UNDER_18 | more)
    assert report.reply_by == reply_by
    reply = (SOON if more else IN_DAYS).format(day)
    assert f"will read it {read}" in person.text()
    assert reply in person.text()
    public.house.clock.now = datetime(2026, 11, 28, 0, 5, tzinfo=UTC)
    person.get("/15", Sec_Fetch_Site="same-origin", Cache_Control="max-age=0")
    assert f"will read it {read_later}" in person.text()
    assert reply in person.text()


@pytest.mark.parametrize(
    ("started_at", "more", "read", "reply"),
    [
        # Christmas Eve is a Thursday, and the Monday after Boxing Day a bank holiday.
        ("2026-12-24 16:00", {}, "by Tuesday 29 December.", "Wednesday 30 December"),
        ("2026-12-28 11:00", {}, "by Tuesday 29 December.", "Thursday 31 December"),
        ("2026-12-25 03:00", {}, "by Tuesday 29 December.", "Thursday 31 December"),
        ("2026-12-25 03:00", IN_DANGER, "today, by 04:05 UK time.", "Sunday 27 December"),
        ("2026-11-26 10:00", {}, "today.", "Monday 30 November"),
    ],
)
def test_r23_promise_is_true_at_night_at_christmas_and_on_a_bank_holiday(
    public: PublicHouse, started_at: str, more: ScreenAnswers, read: str, reply: str
):
    public.house.clock.now = datetime.fromisoformat(f"{started_at}+00:00")
    person, report = send(public, UNDER_18 | more)
    assert f"will read it {read}" in person.text()
    assert (SOON if more else IN_DAYS).format(reply) in person.text()
    assert report.reply_by is not None
    assert int(report.reply_by[-2:]) == int(reply.split()[1])


@pytest.mark.parametrize("start_at", ["start", "name"])
def test_r25_who_wants_no_name_is_handed_to_those_who_take_it_so(public: PublicHouse, start_at: str):
    person = public.person()
    person.get("/")
    assert 'href="/1b"' in person.text()
    if start_at == "start":
        person.get("/1b")
    else:
        person.start().walk_to("/11").press("see:no_name")
        assert person.path == "/1b"
    for key in ("crimestoppers", "fearless", "iwf", "childline"):
        assert link_of(key) in person.text(), key
    assert "Just a first name is enough for us" in person.text()
    assert "nothing that you typed here is kept" in person.text()
    if start_at == "name":
        person.get("/leave", Sec_Fetch_Site="same-origin")
        assert public.wait_for_no_drafts()
    assert public.reports() == []


def test_r24_danger_is_p1_and_goes_on_whatever_became_of_the_call(public: PublicHouse):
    called = "cannot_call"
    _, report = send(public, UNDER_18 | {"/3": {"danger": "yes"}, "/3a": {"called": called}})
    assert (report.danger, report.clear.priority) == ("yes", "P1")
    assert report.signals == (f"danger-{called}",)
    assert report.signposted == ("emergency",)
