"""The agency's messages in the browser: in the order of their clocks, answered by name, and no typed word is lost."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from requests import PreparedRequest, Response

from gateway.testing.transport import WsgiTransport
from partner_sdk.wire.canonical import format_time, to_base64url
from partner_sdk.wire.mailbox import FIRST_PREVIOUS, InformationRequest, MessageBody, encode_body, message_sha256
from tests.builders import DAY, NOW, House, Partner
from tests.sdk.client.test_packages import make_package
from tests.sdk.client.test_threads import ALERT, IDS, KINDS, PACKAGE, PRESERVE, WORDS, post_all, read_at_desk, tell
from tests.sdk.console.console_builders import ORIGIN, ConsoleBrowser
from tests.sdk.console.test_writing import list_words_on_disk
from tests.sdk.mailbox_builders import Post, make_post, make_request, post_to
from tests.sdk.sdk_builders import DOWN, ScriptedGateway, make_state

ONCE = re.compile(r'name="once" value="([^"]+)"')
QUESTION = make_request(1)
PATH = f"/agency/{QUESTION.request_id}"


def post_mail(house: House, *bodies: MessageBody) -> None:
    """Put messages into the mailbox, questions too."""
    posts: list[Post] = []
    for place, body in enumerate(bodies, start=1):
        previous = message_sha256(posts[-1].signed) if posts else FIRST_PREVIOUS
        named = body.request_id if isinstance(body, InformationRequest) else None
        kind = "information-request" if named else KINDS[type(body)]
        raw = to_base64url(encode_body(body))
        posts.append(make_post(place, previous, posted_as=named, body=raw, kind=kind))
    post_to(house, *posts)


def collect(browser: ConsoleBrowser) -> None:
    """Press the button that fetches the mailbox."""
    browser.get("/agency")
    assert browser.follow(browser.post("/agency/collect")).status_code == 200


def write(browser: ConsoleBrowser, path: str, **fields: str) -> int:
    """Open a thread, fill in its form and press its button; return the status of the answer."""
    browser.get(path)
    once = ONCE.findall(browser.page)[-1]
    return browser.post(path, {"once": once, **fields}).status_code


def list_acts(browser: ConsoleBrowser) -> list[tuple[str, str, str]]:
    return [(one.act, one.about, one.by) for one in browser.console.people.list_acts(most=9)]


def test_messages_wait_in_the_order_of_their_clocks(browser: ConsoleBrowser, house: House) -> None:
    late = make_request(9, due_at=format_time(NOW - 3 * DAY), question="What late thing?")
    post_mail(house, QUESTION, ALERT, PRESERVE, late, PACKAGE)
    collect(browser)
    for path in ("/agency", "/"):
        browser.get(path)
        titles = ("A title", "What late thing?", "Keep the data of 1 account", "From which IP address", "A pattern.")
        places = [browser.page.index(one) for one in titles]
        assert places == sorted(places)
        for said in ("3 days late", "24 hours left", "7 days left", "Urgent"):
            assert said in browser.page
    browser.get("/agency?show=questions")
    assert "A pattern." not in browser.page
    assert browser.get("/agency?show=other").status_code == 404
    assert list_acts(browser) == [("mailbox-collected", "message-5", "Sam Example")]


def test_question_is_answered_by_name_and_its_words_stay_nowhere(
    browser: ConsoleBrowser, house: House, partner: Partner
) -> None:
    post_mail(house, QUESTION)
    collect(browser)
    browser.get(PATH)
    for said in ("And from which port?", "To find the child.", "Online Safety Act 2023", "7 days left"):
        assert said in browser.page
    assert write(browser, PATH, kind="answer", words=f"{WORDS}\r\nSecond line.") == 303
    (entry,) = read_at_desk(house, partner)
    assert (entry.kind, entry.by, entry.text) == ("answer", "Sam Example", f"{WORDS}\nSecond line.")
    browser.get(PATH)
    assert "Answered" in browser.page
    assert "your words are not kept here" in browser.page
    assert list_words_on_disk(browser.console.state, "zebra") == []
    assert list_acts(browser)[0] == ("entry-answer", QUESTION.request_id, "Sam Example")
    browser.get("/")
    assert "From which IP address" not in browser.page


def test_typed_words_come_back_until_they_are_sealed(browser: ConsoleBrowser, house: House, partner: Partner) -> None:
    post_mail(house, QUESTION)
    collect(browser)
    assert write(browser, PATH, kind="decline", words="  ") == 422
    assert "Write the reason." in browser.page
    assert write(browser, PATH, kind="outcome", words="<b>zebra") == 422
    assert "&lt;b&gt;zebra" in browser.page
    assert "Choose what you want to send." in browser.page
    assert write(browser, PATH, kind="answer", words="z" * 20_001) == 422
    assert "up to 20,000 characters" in browser.page
    assert "z" * 20_001 in browser.page
    assert write(browser, PATH, kind="answer", words=WORDS) == 303
    assert write(browser, PATH, kind="decline", words="Another zebra.") == 422
    assert "Another zebra." in browser.page
    assert 'name="again"' in browser.page
    assert write(browser, PATH, kind="decline", words="Another zebra.", again="yes") == 303
    assert [one.kind for one in read_at_desk(house, partner)] == ["answer", "decline"]
    assert browser.post(f"{PATH}x", {"kind": "answer", "words": WORDS}).status_code == 404


def test_second_press_of_the_button_sends_nothing(browser: ConsoleBrowser, house: House, partner: Partner) -> None:
    post_all(house, ALERT)
    collect(browser)
    path = f"/agency/{IDS[1]}"
    browser.get(path)
    once = ONCE.findall(browser.page)[-1]
    for _ in range(2):
        assert browser.post(path, {"once": once, "kind": "note", "words": WORDS}).status_code == 303
    browser.get(path)
    assert browser.post(f"{path}/acknowledge", {"once": ONCE.findall(browser.page)[0]}).status_code == 303
    browser.get(path)
    assert "Acknowledge as" not in browser.page
    assert [one.kind for one in read_at_desk(house, partner)] == ["note", "acknowledge"]


def test_words_wait_sealed_while_nothing_answers_and_are_sent_later(
    browser: ConsoleBrowser, house: House, partner: Partner
) -> None:
    post_mail(house, QUESTION)
    collect(browser)
    down = ConsoleBrowser(browser.console.state, ScriptedGateway(*DOWN))
    down.open_link()
    down.get("/agency")
    assert "does not answer now" in down.page
    assert "From which IP address" in down.page
    assert write(down, PATH, kind="answer", words=WORDS) == 303
    down.get(PATH)
    assert "Not sent yet, but sealed and saved here." in down.page
    assert "Send the waiting words now" in down.page
    assert list_words_on_disk(down.console.state, "zebra") == []
    down.get("/")
    assert "1 message of yours to the agency is sealed and saved here." in down.page
    down.follow(down.post("/agency/send"))
    assert "Not sent yet: Could not connect" in down.page
    browser.get("/agency")
    browser.follow(browser.post("/agency/send"))
    assert "Everything is sent." in browser.page
    assert [one.text for one in read_at_desk(house, partner)] == [WORDS]
    assert list_acts(browser)[0][0] == "words-sent"


def test_question_is_answered_with_a_report_of_its_own(browser: ConsoleBrowser, house: House) -> None:
    post_mail(house, QUESTION)
    collect(browser)
    browser.get(PATH)
    begun = browser.post(f"{PATH}/report", {"priority": "P3"}).headers["Location"]
    (kept,) = (browser.console.state / "console" / "drafts").iterdir()
    assert QUESTION.request_id in (kept / "report.json").read_text()
    browser.get(PATH)
    assert f'href="{begun}"' in browser.page
    assert browser.post(f"{PATH}/report", {"priority": "P9"}).headers["Location"] == PATH


def test_package_is_checked_opened_taken_on_and_has_an_outcome(
    browser: ConsoleBrowser, house: House, partner: Partner
) -> None:
    post_all(house, make_package(house))
    collect(browser)
    thread, package = f"/agency/{IDS[1]}", f"/packages/{IDS[1]}"
    browser.get(thread)
    browser.follow(browser.post(f"{package}/open"))
    assert "The package is whole, and signed by the agency." in browser.page
    page = browser.get(f"{package}/read")
    assert "sandbox" in page.headers["Content-Security-Policy"]
    assert "script-src" not in page.headers["Content-Security-Policy"]
    pdf = browser.client.get(f"{package}/files/page.pdf", base_url=ORIGIN)
    assert pdf.get_data().startswith(b"%PDF")
    assert pdf.headers["Content-Disposition"] == 'attachment; filename="page.pdf"'
    assert browser.get(f"{package}/files/nothing.pdf").status_code == 404
    assert browser.get(f"/packages/{IDS[2]}").status_code == 404
    browser.get(thread)
    browser.post(f"{thread}/acknowledge", {"once": ONCE.findall(browser.page)[0]})
    assert write(browser, thread, kind="outcome", outcome="", words="") == 422
    assert write(browser, thread, kind="outcome", outcome="safeguarded", words="") == 303
    assert [one.kind for one in read_at_desk(house, partner)] == ["acknowledge", "outcome"]
    acts = [act for act, about, _ in list_acts(browser) if about == IDS[1]]
    assert acts == ["entry-outcome", "entry-acknowledge", "package-file-saved", "package-read", "package-opened"]


def test_package_that_was_taken_back_is_not_opened_and_may_only_be_asked_about(
    browser: ConsoleBrowser, house: House
) -> None:
    post_all(house, PACKAGE, tell("recall"))
    collect(browser)
    browser.get(f"/agency/{IDS[1]}")
    assert "The agency took this back" in browser.page
    assert "Check and open it" not in browser.page
    assert "Ask the supporting officer" in browser.page
    assert "Tell the outcome" not in browser.page
    assert browser.post(f"/packages/{IDS[1]}/open").status_code == 500
    assert "took this back" in browser.page


def test_page_fetches_once_a_minute_and_shows_alarms(house: House, browser: ConsoleBrowser) -> None:
    adapter = WsgiTransport(house.open_app("industry"))
    again = ConsoleBrowser(browser.console.state, adapter)
    again.open_link()

    def count() -> int:
        return sum("/v1/mailbox" in str(one.url) and one.method == "GET" for one in adapter.requests)

    for _ in range(3):
        again.get("/agency")
    assert count() == 1
    post_to(house, make_post(1), make_post(3))  # number 2 never came
    again.console.clock.advance(minutes=1)  # type: ignore[attr-defined] # it is a StillClock
    again.get("/")
    assert count() > 1
    assert "Something is wrong with the mailbox" in again.page
    assert "Tell the agency by phone" in again.page


class SlowGateway(ScriptedGateway):
    """Answers nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__(*DOWN)
        self.go = threading.Event()

    def send(self, request: PreparedRequest, **settings: Any) -> Response:
        assert self.go.wait(60)
        return super().send(request, **settings)


def test_slow_gateway_holds_no_page_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partner_sdk.console.mailbox.PAGE_WAITS_SECONDS", 0.01)
    gateway = SlowGateway()
    slow = ConsoleBrowser(make_state(tmp_path / "partner").folder, gateway)
    slow.open_link()
    slow.get("/")
    assert "Still collecting." in slow.page
    gateway.go.set()
    monkeypatch.setattr("partner_sdk.console.mailbox.PAGE_WAITS_SECONDS", 60.0)
    slow.get("/agency")
    assert "does not answer now" in slow.page


def test_partner_that_is_not_approved_is_told_so(tmp_path: Path, house: House) -> None:
    state = make_state(tmp_path / "other", agency=house.agency, partner=Partner(partner="other-chat"))
    stranger = ConsoleBrowser(state.folder, WsgiTransport(house.open_app("industry")))
    stranger.open_link()
    stranger.get("/agency")
    assert "The messages could not be collected: The agency&#39;s gateway does not know your keys." in stranger.page
    assert "spool flush" not in stranger.page
    stranger.post("/account/keys")
    assert "<p>The agency&#39;s gateway does not know your keys." in stranger.page
    assert "spool flush" not in stranger.page


@pytest.mark.parametrize("path", ["/agency", "/outcomes", "/digests", "/account", "/button"])
def test_page_works_without_any_message_and_without_the_gateway(tmp_path: Path, path: str) -> None:
    make_state(tmp_path / "partner")
    away = ConsoleBrowser(tmp_path / "partner", ScriptedGateway(*DOWN))
    away.open_link()
    assert away.get(path).status_code == 200


def test_fault_of_a_fetch_is_told_and_logged_without_its_message(
    browser: ConsoleBrowser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("words of a message")

    monkeypatch.setattr("partner_sdk.client.partner.Partner.collect_mailbox", fail)
    browser.get("/agency")
    assert "This program failed" in browser.page
    assert "Collecting failed: RuntimeError in test_agency.py:" in caplog.text
    assert "words of a message" not in caplog.text
