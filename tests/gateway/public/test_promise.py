"""The lines of the thank-you page for the hours between Send and the answer, with a staffed desk and without one."""

import html
import re
from datetime import UTC, datetime

import pytest

from gateway.guidance.agency import HOLDS_FOR
from partner_sdk.wire.canonical import format_time
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.return_builders import come_back, read_numbers
from tests.gateway.public.walks import ADULT, OVERSEAS, UNDER_18, ScreenAnswers

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


def test_month_of_a_request_stands_with_the_request_and_not_with_telling_more(public: PublicHouse):
    reference, words = read_numbers(public.person_at("/15", UNDER_18))
    text = come_back(public, reference, words).text()
    more, request = text.split("Do you want to tell us more?")[1].split("Want to see, change or wipe what you told us?")
    assert "month" not in more
    assert "We answer that within a month." in request
    assert request.count('value="add"') == 1
