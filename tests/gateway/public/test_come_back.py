"""Coming back with the number and the five words: a person reads the stage and the answer."""

import re
from typing import Any

import pytest

from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import make_report_id, to_base64url
from tests.builders import NOW, Agency
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import read_title
from tests.gateway.public.return_builders import ANSWER, SHOWN, WRONG_WORDS, come_back, post_reply, send, shape_of
from tests.gateway.web_builders import LogCatcher


def test_reply_is_read_in_a_new_browser_with_number_and_words(public: PublicHouse):
    _, reference, words = send(public)
    (report,) = public.reports()
    assert report.reply_key is not None
    assert len(report.reply_key) == 1622
    post_reply(public, report, reference)
    person = come_back(public, reference, words)
    assert (person.path, read_title(person.page)) == ("/17", SHOWN)
    assert ANSWER in person.text()
    assert reference in person.text()
    assert words not in person.text()


@pytest.mark.parametrize(
    "spell", [str.upper, str.title, lambda text: text.replace(" ", ",  "), lambda text: f" {text}\t"]
)
def test_typing_is_forgiven(public: PublicHouse, spell: Any):
    _, reference, words = send(public)
    person = come_back(public, f" {reference.lower().replace('-', ' ')} ", spell(words))
    assert person.path == "/17"


def test_day_that_is_sealed_is_the_day_that_is_shown_before_and_after(public: PublicHouse):
    person, reference, words = send(public)
    (report,) = public.reports()
    agency = public.app.extensions["public_door"].agency
    assert report.reply_by == agency.get_reply_by(NOW, urgency="other").isoformat()
    shown = re.search(r"We will answer you by ([^,]+),", person.text())
    assert shown is not None
    public.house.clock.advance(days=3)
    assert f"We said we will answer you by {shown.group(1)}," in come_back(public, reference, words).text()


def test_stage_moves_from_received_over_the_desk_to_read(public: PublicHouse):
    _, reference, words = send(public)
    (report,) = public.reports()
    assert "We have got it. Our team will read it." in come_back(public, reference, words).text()
    with public.gateway.store.write() as connection:
        connection.exec_driver_sql("UPDATE reports SET stage = 'collected', acknowledged_at = 1")
    assert "It is with our team." in come_back(public, reference, words).text()
    post_reply(public, report, reference, kind="read", body="")
    text = come_back(public, reference, words).text()
    assert "Someone from our team has read it." in text
    assert "We have not put an answer here yet." in text


def test_replies_stand_newest_first_and_as_text_only(public: PublicHouse):
    _, reference, words = send(public)
    (report,) = public.reports()
    post_reply(public, report, reference, body="The second.", issued_at="2026-11-25T10:00:00Z")
    post_reply(
        public, report, reference, body="<b>The first.</b>\nhttps://example.org", issued_at="2026-11-25T09:00:00Z"
    )
    text = come_back(public, reference, words).text()
    assert text.index("The second.") < text.index("&lt;b&gt;The first.&lt;/b&gt;\nhttps://example.org")
    assert 'https://example.org"' not in text
    assert "Wednesday 25 November" in text
    assert "We have answered you." in text
    assert "We said we will answer you" not in text


def test_reply_of_another_signer_or_for_another_reference_is_left_out_and_hides_no_other(public: PublicHouse):
    _, reference, words = send(public)
    (report,) = public.reports()
    stranger = load_signing_key(Agency(name="another").key(KeyRole.MAILBOX_SIGNING))
    post_reply(public, report, reference, body="Of a stranger.", signing_key=stranger)
    post_reply(public, report, reference, body="Too early.", issued_at="2020-01-01T00:00:00Z")
    _, other_reference, _ = send(public)
    box = post_reply(public, report, other_reference, body="For somebody else.")
    item = {"address": reference, "envelope": to_base64url(box), "item_id": make_report_id(NOW, b"9" * 10)}
    assert public.house.open_feed().post("/feed/items/reply", {"items": [item]}).json == {"results": ["stored"]}
    post_reply(public, report, reference)
    with LogCatcher() as log:
        text = come_back(public, reference, words).text()
    assert ANSWER in text
    assert not [body for body in ("Of a stranger.", "Too early.", "For somebody else.") if body in text]
    assert log.text.count("reply-refused") == 3
    assert reference not in log.text


def test_replies_are_shown_to_nobody_who_comes_from_outside(public: PublicHouse):
    _, reference, words = send(public)
    person = come_back(public, reference, words)
    person.get("/17")
    assert person.page.location == "/16"
    person.get("/17", Sec_Fetch_Site="none")
    assert person.page.location == "/16"
    person.get("/17", Cache_Control="max-age=0", Sec_Fetch_Site="same-origin")
    assert read_title(person.page) == SHOWN  # a reload shows what the page shows already


def test_what_was_opened_is_gone_after_an_idle_hour(public: PublicHouse):
    _, reference, words = send(public)
    person = come_back(public, reference, words)
    form = person.fill({}, "add")
    public.house.clock.advance(minutes=61)
    person.post("/17", form)
    assert person.path == "/16"


def test_coming_back_ends_a_form_that_was_begun_in_this_browser_and_said_so_before(public: PublicHouse):
    _, reference, words = send(public)
    person = public.person_at("/11")
    before, old_tab = len(public.house.rows("drafts")), person.fill({"name": "Old-Tab-Marker"})
    person.get("/16")
    assert "Did you start to tell us something? Send it first." in person.text()
    person.press(reference=reference, words_typed=WRONG_WORDS)
    assert len(public.drafts_of(person)) == 1  # nothing is wiped by wrong words
    person.press(words_typed=words)
    assert person.path == "/17"
    assert len(public.house.rows("drafts")) == before
    person.post("/11", old_tab)
    assert read_title(person.page) == "This page is an old one"
    assert "Old-Tab-Marker" in person.text()


def test_page_to_come_back_is_the_same_for_who_has_begun_a_form_and_who_has_not(public: PublicHouse):
    person = public.person_at("/11")
    pages = []
    for one in (person, public.person()):
        one.get("/16")
        pages.append(shape_of(one))
    assert pages[0] == pages[1]


def test_language_on_the_way_back_keeps_both_fields(public: PublicHouse):
    person = public.person()
    person.get("/16")
    person.press("language", reference="K7QF 2M9", words_typed="tree house")
    assert '<html lang="cy">' in person.text()
    form = person.fill({}, "continue")
    assert (form["reference"], form["words_typed"]) == ("K7QF 2M9", "tree house")
