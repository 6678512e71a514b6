"""Outcomes, digests, the account and the button's lines in the browser."""

import json
import re
from html import unescape

import pytest

from gateway.desk.digests.overview import encode_overview
from partner_sdk.button.frameworks import make_flavour
from partner_sdk.button.snippet import make_snippet, make_style
from partner_sdk.console.feedback import render_csv
from partner_sdk.wire.canonical import encode, make_report_id, to_base64url
from partner_sdk.wire.digest import encode_digest
from partner_sdk.wire.mailbox import (
    FIRST_PREVIOUS,
    OutcomeNote,
    SetAsideNotice,
    SetAsideReport,
    encode_body,
    message_sha256,
)
from tests.builders import NOW, PUBLIC_ORIGIN, House
from tests.sdk.console.console_builders import ConsoleBrowser
from tests.sdk.console.test_agency import collect, list_acts
from tests.sdk.mailbox_builders import Post, make_post, post_to
from tests.sdk.sdk_builders import make_digest, make_overview

REFERENCE = "K7QF-2M9TX-D"
REPORT_ID = make_report_id(NOW, bytes(10))
TOLD_AT = "2026-11-25T08:30:00Z"


def make_note(outcome: str) -> bytes:
    return encode_body(OutcomeNote(outcome=outcome, reference=REFERENCE, released_at=TOLD_AT, report_id=REPORT_ID))


def post_letters(house: House, *letters: tuple[str, bytes]) -> None:
    posts: list[Post] = []
    for place, (kind, body) in enumerate(letters, start=1):
        previous = message_sha256(posts[-1].signed) if posts else FIRST_PREVIOUS
        posts.append(make_post(place, previous, kind=kind, body=to_base64url(body)))
    post_to(house, *posts)


def test_newest_outcome_of_each_report_stands_and_is_new_once(browser: ConsoleBrowser, house: House) -> None:
    report = SetAsideReport(reference=REFERENCE, report_id=make_report_id(NOW, b"\2" * 10))
    notice = SetAsideNotice(reason="held", reports=(report,), set_aside_at=TOLD_AT)
    letters = [("outcome", make_note("needs_more")), ("outcome", make_note("used")), ("set-aside", encode_body(notice))]
    post_letters(house, *letters, ("welcome", b'{"text":"hello <b>"}'))
    collect(browser)
    browser.get("/")
    assert "4 new outcomes and notices" in browser.page
    browser.get("/outcomes")
    for said in (REFERENCE, "Used: it helps", "The agency is looking into it.", "hello &lt;b&gt;"):
        assert said in browser.page
    assert "Not enough to act on" not in browser.page
    assert browser.page.count(">New<") == 3
    browser.get("/outcomes")
    assert ">New<" not in browser.page
    browser.get("/")
    assert "new outcomes" not in browser.page


def test_digest_is_read_with_its_charts_and_saved(browser: ConsoleBrowser, house: House) -> None:
    digest, overview = make_digest(), make_overview()
    post_letters(house, ("digest", encode_digest(digest)), ("overview", encode_overview(overview)))
    collect(browser)
    browser.get("/")
    assert "New: digest of 2026-Q3" in browser.page
    browser.get("/digests/1")
    for said in ('<svg class="range"', "Strangers can write to children directly", "SYNTHETIC", "7 to 17"):
        assert said in browser.page
    assert "style=" not in browser.page
    browser.get("/digests/2")
    assert "Eleven services close direct messages" in browser.page
    browser.get("/digests")
    assert ">New<" not in browser.page
    saved = browser.get("/digests/1/file.json")
    assert saved.headers["Content-Disposition"] == 'attachment; filename="digest-2026-Q3.json"'
    fields = json.loads(saved.get_data())
    assert encode(fields["digest"]) == encode_digest(digest)
    assert (fields["environment"], fields["not_a_report"], len(fields["rows"])) == (
        "live",
        False,
        len(digest.to_rows()),
    )
    assert browser.get("/digests/1/file.csv").get_data(as_text=True) == render_csv(digest)
    assert browser.get("/digests/2/file.html").get_data().startswith(b"<!doctype html>")
    assert browser.get("/digests/2/file.csv").status_code == 404
    assert browser.get("/digests/3").status_code == 404
    assert [act for act, _, _ in list_acts(browser)].count("digest-saved") == 3


def test_account_names_its_environment_and_checks_itself_up(browser: ConsoleBrowser) -> None:
    browser.get("/account")
    for said in ("Example Chat", "example-chat", PUBLIC_ORIGIN, ">Live<", "Nothing was registered"):
        assert said in browser.page
    assert browser.post("/account/checkup").status_code == 200
    assert "<b>Mailbox</b>: unbroken up to message 0." in browser.page
    assert "Well" in browser.page
    key_set = browser.page.partition("<b>Key set</b>")[2].partition("</li>")[0]
    assert re.search(r"in force until \d+ \w{3} \d{4}, \d\d:\d\d (GMT|BST)", key_set)
    browser.follow(browser.post("/account/keys"))
    assert "The agency has to accept the new keys" in browser.page
    assert browser.page.count("New, waits") == 3
    assert list_acts(browser)[0][0] == "keys-renewed"


@pytest.mark.parametrize("flavour", ["html", "react"])
def test_lines_of_the_button_are_those_of_the_command(browser: ConsoleBrowser, flavour: str) -> None:
    asked = f"/button?placement=example-chat-profile&flavour={flavour}&language=cy&form=script"
    assert browser.get(asked).status_code == 200
    style = make_style(language="cy", form="script", size=44)
    given = {"origin": PUBLIC_ORIGIN, "placement": "example-chat-profile"}
    text = make_snippet(**given, language="cy") if flavour == "html" else make_flavour("react", **given, style=style)
    shown = browser.page.partition('id="lines"')[2].partition(">")[2].partition("</pre>")[0]
    assert unescape(shown) == text.rstrip("\n")
    assert f"script-src {PUBLIC_ORIGIN}/button/" in browser.page


def test_button_of_a_sandbox_says_that_it_leads_to_no_form(browser: ConsoleBrowser) -> None:
    asked = "/button?placement=test"
    browser.get(asked)
    assert "a press of this button finds no page" not in browser.page
    profile = browser.console.state / "partner.json"
    profile.write_bytes(profile.read_bytes().replace(b'"live"', b'"sandbox"'))
    browser.get(asked)
    assert "a press of this button finds no page" in browser.page


@pytest.mark.parametrize("asked", ["placement=Bad Id", "placement=", "placement=ok&language=fr", "placement=ok&form=x"])
def test_lines_that_were_not_agreed_are_refused(browser: ConsoleBrowser, asked: str) -> None:
    assert browser.get(f"/button?{asked}").status_code == 422
    assert "Copy these lines" not in browser.page
