"""The reader decides the words, the helpers and the questions: a child, a friend, a carer, an adult at work.

One row for each: the page, the answers that lead to it, what stands there (in one line or, as a pattern, in this
order), and the pattern of what does not stand in its main part.
"""

import html
import re
from typing import NamedTuple

import pytest

from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import SHORT_ANSWERS, hide_tokens
from tests.gateway.public.walks import ADULT, GROWN_UP, GROWN_UP_PICTURE, ScreenAnswers

MORE: ScreenAnswers = {"/10": {"more_person": "yes"}, "/10a": {}}
FRIEND: ScreenAnswers = SHORT_ANSWERS | {"/4b": {"who": "friend"}, "/5": {"their_age": "13_15"}}
OF_A_FRIEND = FRIEND | MORE | {"/7": {"kinds": ["wants_to_meet", "on_camera"]}}
ANOTHER = FRIEND | {"/4b": {"who": "another_child"}}
AT_WORK = ADULT | {"/4b": {"who": "child_i_work_with"}, "/7": {"kinds": ["on_camera"]}}
ABROAD: ScreenAnswers = {"/6": {"region": "not_uk"}, "/6a": {"country": "us"}}
HURT_ABROAD = (
    SHORT_ANSWERS
    | ABROAD
    | {
        "/7": {"kinds": ["wants_to_meet", "on_camera"]},
        "/8": {"pictures": "me"},
        "/9a": {"feels": "hurting"},
    }
)
MEETS: ScreenAnswers = {"/7": {"kinds": ["wants_to_meet"]}}
TODAY, SOON = (MEETS | {"/7b": {"meeting_when": when}} for when in ("today", "next_days"))
THREATENED: ScreenAnswers = {"/7": {"kinds": ["threatens_to_share", "asked_for_pictures"]}}
SHARED: ScreenAnswers = {"/7": {"kinds": ["shared_things"]}}
CALL = '<a class="button call-now" href="tel:999">Call 999</a>'
BLACKMAIL = ("pay. Paying does not make it stop", "send more pictures", "not in trouble", "Report Remove")
NOT_GO = r"Do not go\..*Are you on the way, or are they near\? Call 999\..*<li>"
OFFER = "A grown-up you trust can help you with this"
CONTACTS = {"adult": "My aunt", "school": "Ms Example", "phone": "01632 960001", "email": "sam@child.example"}
OF_TI = r"(?i)\b(?:ti|dy|di|wyt|rwyt|gelli|gwasga)\b"
WHO_SEES, WHO_WE_ARE = 'name="who_sees"', 'name="may_say_who_we_are"'


class Row(NamedTuple):
    """One page for one reader."""

    page: str
    way: ScreenAnswers
    there: tuple[str, ...] = ()
    absent: str = ""
    language: str = ""


def ask_about_safety(*ways: str, there: tuple[str, ...] = (), absent: str = "") -> Row:
    """Only what fits the picked ways is asked about safety."""
    way = SHORT_ANSWERS | {"/12": {"contact_ways": list(ways), **CONTACTS}}
    return Row("/12a", way, ("When is a good time to talk?</label>", *there), absent)


ROWS = (
    # An adult about their own childhood is not spoken to as a carer.
    Row("/10a", GROWN_UP_PICTURE | MORE, ("Talk to Samaritans", "Where I work or go to school")),
    Row(
        *("/15", GROWN_UP_PICTURE, ("It was not your fault.", r">Samaritans</b> <b[^>]*>116 123<")),
        absent="the child|a child|NSPCC|Childline|not in trouble",
    ),
    Row(
        *(
            "/15",
            AT_WORK,
            ("Keep to the steps that your place of work has for this.", "Do not ask the child more than"),
        ),
        absent="It is not your fault",
    ),
    *(Row(page, OF_A_FRIEND, ("friend",), absent="the child") for page in ("/9a", "/12", "/10a", "/14")),
    Row(
        *("/15", OF_A_FRIEND, ("Tell them not to go, not even to a busy place.", "0800 1111")),
        absent="If you said yes|naked picture of you|Do not go to meet them",
    ),
    # A child in another country reads the numbers of that country.
    Row("/7b", HURT_ABROAD, ("Is it today? Call 911.", 'href="tel:18004224453"'), absent="999"),
    Row("/8a", HURT_ABROAD, ("NCMEC CyberTipline",), absent="999"),
    Row("/9b", HURT_ABROAD, ("Call 911.", "Childhelp"), absent="999"),
    Row("/15", HURT_ABROAD, ("Childhelp",), absent="999|Childline <b>|Call Childline|0800 1111"),
    # The call is the one filled button where someone is in danger.
    Row(
        *("/3a", SHORT_ANSWERS | {"/3": {"danger": "yes"}}),
        (f'{CALL}.*name="called"', "Not in the UK?", "112 works in many countries"),
        absent='<button class="(?!plain)[^>]*name="called"',
    ),
    Row("/7c", SHORT_ANSWERS | THREATENED, ("<h1>You do not have to do what they say</h1>", *BLACKMAIL)),
    Row("/7c", FRIEND | THREATENED, ("<h1>Your friend does not have to do what they say</h1>", *BLACKMAIL)),
    # Others may see the title in a tab.
    Row("/7c", SHORT_ANSWERS | THREATENED, ("<title>What you can do", "I need to talk to someone now")),
    Row("/7c", SHORT_ANSWERS | THREATENED, ('<legend class="label">Have they set a time?</legend>',)),
    Row("/8", SHORT_ANSWERS | THREATENED, absent="set a time"),
    Row("/8", SHORT_ANSWERS | SHARED, (">It is a picture of someone else</label>",)),
    Row("/8", FRIEND | SHARED, (">It is a picture of my friend, or of someone else</label>",)),
    Row("/8", ANOTHER | SHARED, (">It is a picture of the child, or of someone else</label>",)),
    Row("/10c", ADULT, ("Tell us too, even if the local police know.",)),
    # "Do not go" comes straight after the answer. Today the call is the one filled button.
    Row("/7d", SHORT_ANSWERS | TODAY, ("<h1>You do not have to go</h1>", NOT_GO, "Tell a grown-up where you are.")),
    Row("/7d", SHORT_ANSWERS | TODAY, (f'{CALL}.*<button class="plain" name="action" value="continue">Carry on here',)),
    Row("/7d", SHORT_ANSWERS | SOON, (NOT_GO, 'href="tel:08001111"'), absent="call-now"),
    Row("/7d", FRIEND | TODAY, ("<h1>Your friend does not have to go</h1>", "Ask your friend not to go.")),
    Row("/7d", ANOTHER | TODAY, ("<h1>The child does not have to go</h1>", "Do not go there yourself.")),
    Row("/7d", ADULT | SOON, ("Keep the child with you, or with someone you trust.", 'href="tel:08088005000"')),
    # The check page is short where little was said.
    Row(
        *("/14", SHORT_ANSWERS, ("When it last happened", "<dt>School")),
        absent='The adult|Phone number|<dt>Email|Other names|A good time|name="change" value="10"',
    ),
    # Welsh says `chi` to an adult all over the page, and of whose safety it is depends on whom it is about.
    *(
        Row("/14", way, ("<h1>Edrych dros eich geiriau</h1>", "Rydych chi wedi gadael", safety), OF_TI, "cy")
        for way, safety in ((GROWN_UP, "i'ch cadw chi'n ddiogel"), (ADULT, "i gadw plant yn ddiogel"))
    ),
    Row("/14", SHORT_ANSWERS, ("<h1>Edrych dros dy eiriau</h1>", "i dy gadw di'n ddiogel"), r"\bchi\b", "cy"),
    ask_about_safety("school", absent=f"{WHO_SEES}|{WHO_WE_ARE}"),
    ask_about_safety("adult", there=(WHO_WE_ARE,), absent=WHO_SEES),
    ask_about_safety("call", there=(WHO_SEES, WHO_WE_ARE)),
    ask_about_safety("email", "school", there=(WHO_SEES,), absent=WHO_WE_ARE),
    # Only the youngest are offered a grown-up to help.
    Row("/12", SHORT_ANSWERS | {"/4": {"age": "under_12"}}, (OFFER,)),
    Row("/12", SHORT_ANSWERS, absent=OFFER),
    # Who ticks kindness alone may tell of a meeting in words, and no typed word changes a page.
    Row("/15", SHORT_ANSWERS, ("Did they ask to meet? You do not have to go. Is it today? Call 999.",)),
    Row("/15", SHORT_ANSWERS | ABROAD, ("Did they ask to meet? You do not have to go. Is it today? Call 911.",)),
    # Help that is only for the UK is not named for a child elsewhere.
    Row("/15", SHORT_ANSWERS | SHARED, ("Is there a naked picture of you", "Report Remove")),
    Row("/15", FRIEND | SHARED, ("Is there a naked picture of them", "Report Remove")),
    Row("/15", SHORT_ANSWERS | SHARED | ABROAD, absent="Is there a naked picture|Report Remove"),
    Row("/15", FRIEND | SHARED | ABROAD, absent="Is there a naked picture|Report Remove"),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.page)
def test_page_has_the_words_of_its_reader(public: PublicHouse, row: Row):
    text = html.unescape(hide_tokens(public.person_at(row.page, row.way, language=row.language).text()))
    main = text.split("<main", 1)[1]
    assert [said for said in row.there if said not in text and not re.search(said, text, re.DOTALL)] == []
    assert not row.absent or not re.search(row.absent, main), row.absent


def test_digits_of_a_token_are_no_number_of_a_page():
    page = '<input type="hidden" name="csrf_token" value="a-999.ti"> <a href="tel:999">Call 999</a>'
    assert hide_tokens(page) == '<input type="hidden" name="csrf_token" value=""> <a href="tel:999">Call 999</a>'
