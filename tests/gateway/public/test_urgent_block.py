"""The worst answers are answered at once: the block at the very top of the thank-you page, above the number.

A table maps each answer to its block; the reader decides the words, and the reader's own number is in them.
"""

import html
import re
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from gateway.public.journey import get_priority, list_urgent, make_profile
from gateway.public.journey.screens import URGENT_RULES
from gateway.public.pages import make_blank_form
from gateway.public.sending import get_urgency, make_public_report
from gateway.public.views.check import render_thanks
from gateway.public.visit import Draft, Sent
from gateway.public.wording import load_wording
from partner_sdk.wire.button import LANGUAGES
from partner_sdk.wire.canonical import format_time
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import SHORT_ANSWERS, SHORT_STORY, Person
from tests.gateway.public.return_builders import come_back, read_numbers
from tests.gateway.public.walks import ADULT, ScreenAnswers, flatten

MEETING = {"/7": {"kinds": ["wants_to_meet"]}}
DANGER: ScreenAnswers = {"/3": {"danger": "yes"}, "/3a": {"called": "carry_on"}}
CANNOT_CALL: ScreenAnswers = {"/3": {"danger": "yes"}, "/3a": {"called": "cannot_call"}}
CALLED: ScreenAnswers = {"/3": {"danger": "yes"}, "/3a": {"called": "called"}}
TODAY: ScreenAnswers = MEETING | {"/7b": {"meeting_when": "today"}}
SOON: ScreenAnswers = MEETING | {"/7b": {"meeting_when": "next_days"}}
HURTING: ScreenAnswers = {"/9a": {"feels": "hurting"}}
SELF_OF_A_FRIEND: ScreenAnswers = {"/9a": {"feels": "reporter_hurting"}}
FRIEND: ScreenAnswers = SHORT_ANSWERS | {"/4b": {"who": "friend"}, "/5": {"their_age": "13_15"}}
OWN_CHILDHOOD: ScreenAnswers = SHORT_ANSWERS | {"/4": {"age": "18_plus"}}
READERS = {"child": SHORT_ANSWERS, "friend": FRIEND, "adult": ADULT, "adult_self": OWN_CHILDHOOD}
ABROAD: ScreenAnswers = {"/6": {"region": "not_uk"}, "/6a": {"country": "au"}}

CALMS = (
    {},
    {"/3": {"danger": "not_sure"}},
    MEETING | {"/7b": {"meeting_when": "later"}},
    MEETING | {"/7b": {"meeting_when": "not_sure"}},
    MEETING | {"/7b": {}},
    {"/9a": {"feels": "scared"}},
    {"/9a": {"feels": "rather_not_say"}},
    {"/9a": {}},
)
URGENT = [
    (DANGER, ("danger",)),
    (CANNOT_CALL, ("cannot_call",)),
    (CALLED, ("called",)),
    (TODAY, ("meeting_today",)),
    (SOON, ("meeting_soon",)),
    (HURTING, ("hurting",)),
    (DANGER | HURTING | TODAY, ("danger", "hurting", "meeting_today")),
]
FRIDAY_NIGHT = datetime(2026, 11, 27, 20, tzinfo=UTC)
NEW_DRAFT = Draft(report_id="", started_at="", language="en")
CODES = tuple(dict.fromkeys(rule.code for rule in URGENT_RULES))


def read_block(person: Person) -> str:
    """Return the urgent block of the thank-you page; empty where there is none."""
    assert person.path == "/15"
    return find_block(person.text())


def find_block(page: str) -> str:
    found = re.search(r'<section class="urgent".*?</section>', page, re.DOTALL)
    return "" if found is None else html.unescape(found[0])


@pytest.mark.parametrize(("answers", "codes"), URGENT)
def test_what_cannot_wait_follows_the_table(answers: ScreenAnswers, codes: tuple[str, ...]):
    said = flatten(SHORT_ANSWERS | answers)
    assert list_urgent(said) == codes
    assert get_urgency(NEW_DRAFT, make_public_report(NEW_DRAFT, said, environment="sandbox")) == "crisis"


@pytest.mark.parametrize("answers", CALMS)
def test_what_can_wait_is_not_urgent(answers: ScreenAnswers):
    said = flatten(SHORT_ANSWERS | answers)
    assert list_urgent(said) == ()
    assert get_urgency(NEW_DRAFT, make_public_report(NEW_DRAFT, said, environment="sandbox")) == "other"


def test_self_harm_of_the_reporter_and_of_the_child_get_different_blocks():
    said = flatten(FRIEND | HURTING)
    assert list_urgent(said) == ("keep_close",)
    assert list_urgent(flatten(FRIEND | SELF_OF_A_FRIEND)) == ("hurting",)
    assert list_urgent(flatten(ADULT | HURTING)) == ("keep_close",)
    assert list_urgent(flatten(OWN_CHILDHOOD | HURTING)) == ("hurting",)


def test_ticked_self_harm_leaves_the_clear_priority_as_it_is():
    # The gateway keeps the priority in clear: a tick says nothing that danger and age do not say already.
    assert get_priority(flatten(SHORT_ANSWERS | HURTING)) == get_priority(flatten(SHORT_ANSWERS)) == "P3"


@pytest.mark.parametrize(("answers", "codes"), URGENT[::2])
def test_block_stands_above_all_else_and_says_what_was_said(
    public: PublicHouse, answers: ScreenAnswers, codes: tuple[str, ...]
):
    person = public.person_at("/15", SHORT_ANSWERS | answers)
    block, text, words = read_block(person), html.unescape(person.text()), load_wording("en").screen("urgent")
    main = text.split('<main id="main" tabindex="-1">', 1)[1].lstrip()
    assert main.startswith('<section class="urgent"')
    for code in codes:
        assert words[f"{code}_told"] in block, code
        assert words[f"{code}_told"].startswith("You told us"), code
    for other in set(CODES) - set(codes):
        assert words[f"{other}_told"] not in block, other
    assert "If things get worse, call 999." not in text
    assert "999" in block


def test_call_is_the_one_filled_button_but_not_for_who_cannot_call(public: PublicHouse):
    for answers, is_first in ((DANGER, True), (CALLED, False), (TODAY, True), (CANNOT_CALL, False), (HURTING, False)):
        block = read_block(public.person_at("/15", SHORT_ANSWERS | answers))
        assert ('<a class="button call-now" href="tel:999">Call 999</a>' in block) is is_first, answers
    for answers in (CANNOT_CALL, CALLED):
        assert "call-now" not in read_block(public.person_at("/15", SHORT_ANSWERS | answers | TODAY)), answers
    assert "Press 55 when you are told to." in read_block(public.person_at("/15", SHORT_ANSWERS | CANNOT_CALL))


@pytest.mark.parametrize("answers", [CANNOT_CALL, SOON])
def test_ways_without_a_voice_stand_beside_every_call(public: PublicHouse, answers: ScreenAnswers):
    block = read_block(public.person_at("/15", SHORT_ANSWERS | answers))
    for said in ("Text the word “register”.", 'href="sms:999"', "999 BSL", 'href="sms:85258"', "1-2-1-counsellor-chat"):
        assert said in block, said
    help_now = public.person_at("/3a", SHORT_ANSWERS | DANGER).text()
    for said in ("Text the word “register”.", 'href="sms:999"', "999bsl", 'href="sms:85258"', "1-2-1-counsellor-chat"):
        assert said in help_now, said


@pytest.mark.parametrize(
    ("way", "there", "not_there"),
    [
        (SHORT_ANSWERS | HURTING, ("tel:08001111", "tel:116123", "sms:85258"), ("tel:08088005000",)),
        (FRIEND | SELF_OF_A_FRIEND, ("tel:08001111", "tel:116123", "sms:85258"), ("tel:08000684141",)),
        (FRIEND | HURTING, ("tel:08001111", "tel:116123", "tel:08000684141"), ("tel:08088005000",)),
        (ADULT | HURTING, ("tel:08088005000", "tel:116123", "tel:08000684141"), ("tel:08001111",)),
        (OWN_CHILDHOOD | HURTING, ("tel:116123", "sms:85258"), ("tel:08001111", "tel:08088005000")),
        (SHORT_ANSWERS | DANGER, ("tel:08001111", "sms:85258"), ("tel:116123",)),
        (ADULT | TODAY, ("tel:08088005000", "sms:85258"), ("tel:08001111", "tel:116123")),
    ],
)
def test_who_listens_fits_who_reads(
    public: PublicHouse, way: ScreenAnswers, there: tuple[str, ...], not_there: tuple[str, ...]
):
    block = read_block(public.person_at("/15", way))
    assert [link for link in there if f'href="{link}"' not in block] == []
    assert [link for link in not_there if f'href="{link}"' in block] == []


def test_words_are_about_the_child_whom_it_is_about(public: PublicHouse):
    block = read_block(public.person_at("/15", ADULT | TODAY))
    assert "You told us that someone wants to meet the child today." in block
    assert "Keep the child with you, or with someone you trust." in block
    block = read_block(public.person_at("/15", FRIEND | TODAY))
    assert "Ask them not to go, not even to a busy place. Do not go there yourself." in block
    block = read_block(public.person_at("/15", FRIEND | SELF_OF_A_FRIEND))
    assert "You told us that you think about hurting yourself." in block
    block = read_block(public.person_at("/15", OWN_CHILDHOOD | TODAY))
    assert "the child" not in block


@pytest.mark.parametrize("who", [SHORT_ANSWERS, ADULT])
def test_page_below_the_block_repeats_neither_the_meeting_nor_whom_to_talk_to(public: PublicHouse, who: ScreenAnswers):
    below = public.person_at("/15", who | TODAY).text().split("<h1>")[1].split("<footer>")[0]
    assert not re.search("busy place|Is it today|in their place|want to meet|Want to talk to someone", below)
    below = public.person_at("/15", who | TODAY | {"/7b": {"meeting_when": "later"}}).text().split("<main")[1]
    assert re.search("Is it today|is it today", below)
    assert "Want to talk to someone now?" in below


@pytest.mark.parametrize("language", LANGUAGES)
def test_block_is_whole_for_every_reader_in_each_language(public: PublicHouse, language: str):
    door = public.app.extensions["public_door"]
    headers = {"Accept-Language": language}
    with public.app.test_request_context("/", base_url=PUBLIC_ORIGIN, headers=headers):
        for (name, way), (answers, codes) in product(READERS.items(), URGENT):
            said = flatten(way | answers)
            profile, urgent = make_profile(said), list_urgent(said)
            assert len(urgent) == len(codes)
            sent = Sent(
                report_ids=["a"],
                reference="TEST-NUMBERS",
                is_owed_an_answer=True,
                sent_at="2026-11-25T10:00:00Z",
                text_macs=[],
                screen_macs={},
                urgent=list(urgent),
                reader=profile.reader,
            )
            block = find_block(render_thanks(door, sent, make_blank_form()))
            assert len(re.findall(r"<li>", block)) >= 2, (name, codes)
            assert "None" not in block, (name, codes)
            assert "{" not in block, (name, codes)
            assert 'href="tel:' in block, (name, codes)


def test_block_is_the_same_when_the_page_is_shown_again(public: PublicHouse):
    person = public.person_at("/14", SHORT_ANSWERS | CANNOT_CALL | HURTING)
    again = person.fill({}, "send")
    person.press("send")
    block = read_block(person)
    assert block
    person.get("/15", Sec_Fetch_Site="same-origin", Cache_Control="max-age=0")
    assert read_block(person) == block
    person.post("/14", again)
    assert read_block(person) == block
    assert len(public.reports()) == 1
    person.press("language")
    assert load_wording("cy").screen("urgent")["cannot_call_told"] in read_block(person)


def test_block_stays_where_words_are_added_that_are_not_urgent(public: PublicHouse):
    person = public.person_at("/9", SHORT_ANSWERS | HURTING)
    stale = person.fill({"story": "One more thing."})
    person.walk_to("/14", SHORT_ANSWERS | HURTING).send()
    block = read_block(person)
    person.post("/9", stale)
    assert person.path == "/14"
    person.send()
    assert len(public.reports()) == 2
    assert read_block(person) == block != ""


def test_addition_of_a_danger_after_coming_back_gets_the_urgent_block(public: PublicHouse):
    person = public.person_at("/15")
    (sent,) = [draft.sent for draft in public.drafts_of(person)]
    assert sent is not None
    assert read_block(person) == ""
    returned = public.person()
    returned.get("/16")
    returned.press(reference=sent.reference, words_typed=sent.return_words or "")
    returned.press("add")
    returned.press(danger="yes")
    returned.press(called="cannot_call")
    returned.press(story="They are outside.")
    returned.send()
    assert load_wording("en").screen("urgent")["cannot_call_told"] in read_block(returned)


MORE: ScreenAnswers = {"/12": SHORT_ANSWERS["/12"] | {"near": "yes"}, "/10": {"more_person": "yes"}}
STILL: ScreenAnswers = {"/9": {"story": SHORT_STORY, "still": "yes"}}
YOUNG: ScreenAnswers = {"/4": {"age": "under_12"}}
# Nothing here is answered by the block: the desk's rules alone put it into the crisis lane.
IN_THE_LANE: list[ScreenAnswers] = [
    {"/7": {"kinds": ["touched_or_hurt"]}} | YOUNG,
    {"/7": {"kinds": ["sexual_talk"]}} | MORE | STILL | {"/10a": {"knows": ["home"]}},
    # An untold kind is promised the same hour.
    {"/7": {}},
    YOUNG | MEETING | {"/7b": {"meeting_when": "later"}},
]


@pytest.mark.parametrize("answers", IN_THE_LANE)
def test_hour_and_day_that_are_promised_follow_the_crisis_lane_on_a_friday_night(
    public: PublicHouse, answers: ScreenAnswers
):
    public.house.clock.advance(seconds=(FRIDAY_NIGHT - public.house.clock()).total_seconds())
    public.house.staff()
    person = public.person_at("/15", SHORT_ANSWERS | answers)
    (report,) = public.reports()
    (sent,) = [draft.sent for draft in public.drafts_of(person)]
    agency = public.app.extensions["public_door"].agency
    read_by, reply_by = FRIDAY_NIGHT + timedelta(hours=1), agency.get_reply_by(FRIDAY_NIGHT, urgency="crisis")
    assert reply_by < agency.get_reply_by(FRIDAY_NIGHT, urgency="other")
    assert report.reply_by == reply_by.isoformat()
    assert sent is not None
    assert (sent.read_by, sent.reply_by) == (format_time(read_by), report.reply_by)
    assert f"{read_by.astimezone(agency.zone):%H:%M} UK time" in person.text()
    assert read_block(person) == ""
    assert report.clear.priority != "P1"


def test_words_added_to_a_report_of_the_crisis_lane_keep_its_promise(public: PublicHouse):
    public.house.clock.advance(seconds=(FRIDAY_NIGHT - public.house.clock()).total_seconds())
    public.house.staff()
    person = public.person_at("/9", SHORT_ANSWERS | IN_THE_LANE[0])
    stale = person.fill({"story": "One more thing."})
    person.walk_to("/14", SHORT_ANSWERS | IN_THE_LANE[0]).send()
    person.post("/9", stale)
    person.send()
    first, added = public.reports()
    assert added.clear.kind == "supplement"
    agency = public.app.extensions["public_door"].agency
    promised = agency.get_reply_by(FRIDAY_NIGHT, urgency="crisis").isoformat()
    assert (first.reply_by, added.reply_by) == (promised, promised)


def test_addition_hours_later_to_a_report_of_the_crisis_lane_gets_the_promise_of_a_crisis(public: PublicHouse):
    clock = public.house.clock
    clock.advance(seconds=(FRIDAY_NIGHT - clock()).total_seconds())
    public.house.staff()
    reference, words = read_numbers(public.person_at("/14", SHORT_ANSWERS | IN_THE_LANE[0]).send())
    clock.advance(hours=2)
    public.house.staff()
    person = come_back(public, reference, words)
    person.press("add")
    person.press(danger="no")
    person.press(story="He is coming here tonight.")
    person.send()
    agency = public.app.extensions["public_door"].agency
    _first, added = public.reports()
    assert added.reply_by == agency.get_reply_by(clock(), urgency="crisis").isoformat()
    assert f"{(clock() + timedelta(hours=1)).astimezone(agency.zone):%H:%M} UK time" in person.text()
