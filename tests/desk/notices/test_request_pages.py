"""The pages of requests to services: the form, the suggested accounts, a request with its words, and the letter."""

import html
import io
import re

import pypdf

from gateway.desk.store.agency_tables import ADOPTERS
from gateway.desk.store.schema import AUDIT
from tests.desk.asking_builders import ask, make_asking, make_stranger
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import make_full_report, read
from tests.desk.notices.test_asking import read_public
from tests.desk.outbox_builders import send_out
from tests.desk.view_builders import Browser
from tests.desk.work_builders import make_ready
from tests.public_report_builders import make_known_person

FILLED = {
    "kind": "information-request",
    "recipient": "example-chat",
    "law": "communications_data",
    "number": "AUTH-2026-17",
    "purpose": "To find the child.",
    "necessity": "Marmalade: nothing else shows who it is.",
    "question": "Which addresses did it sign in from?",
    "kind_1": "username",
    "value_1": "night_owl7",
}


def open_form(loop: Loop, case_id: str) -> tuple[Browser, dict[str, str]]:
    browser = Browser(loop.desk).sign_in()
    page = browser.get(f"/cases/{case_id}/ask").text
    (request_id,) = re.findall(r'name="request_id" value="([^"]+)"', page)
    return browser, FILLED | {"request_id": request_id}


def test_request_is_made_on_the_page_and_read_there(loop: Loop) -> None:
    reference = read_public(loop)
    make_ready(loop.desk, reference)
    case_id = Browser(loop.desk).sign_in().get(f"/cases/{reference}").request.path.rsplit("/")[-1]
    browser, filled = open_form(loop, case_id)
    answer = browser.post(f"/cases/{case_id}/ask", **filled)
    assert answer.status_code == 303
    page = browser.get(answer.location).text
    assert "7 days left" in page
    assert "Leaves with the next collection." in page
    assert "night_owl7" not in page
    opened = browser.post(f"{answer.location}/read").text
    for words in ("night_owl7", "Which addresses did it sign in from?", "authorisation AUTH-2026-17"):
        assert words in opened
    assert "Marmalade" not in opened
    case_page = browser.get(f"/cases/{case_id}").text
    assert "Request for information to Example Chat" in html.unescape(case_page)
    assert "Request: 7 days left" in browser.get("/").text


def test_fault_stands_at_its_field_and_every_answer_is_kept(loop: Loop) -> None:
    reference = read_public(loop)
    make_ready(loop.desk, reference)
    for changes, field in (
        ({"question": ""}, "question"),
        ({"question": "Who wrote to Sam?"}, "question"),
        ({"purpose": ""}, "purpose"),
        ({"necessity": ""}, "necessity"),
        ({"law": ""}, "law"),
        ({"number": ""}, "number"),
        ({"value_1": ""}, "accounts"),
        ({"value_1": "sam.brightwell@mail.example"}, "accounts"),
        ({"recipient": ""}, "recipient"),
        ({"due": "tomorrow"}, "due"),
        ({"kind": "preservation-request", "law": "preservation", "preserve_until": "2020-01-01"}, "due"),
    ):
        browser, filled = open_form(loop, reference)
        answer = browser.post(f"/cases/{reference}/ask", **filled | changes)
        assert answer.status_code == 409, changes
        assert re.findall(r'<li><a href="#(\w+)">', answer.text) == [field], changes
        assert "Marmalade" in answer.text or "necessity" in changes
    assert loop.count("case_actions") == 0


def test_empty_form_names_every_blank_part_at_once(loop: Loop) -> None:
    reference = read_public(loop)
    make_ready(loop.desk, reference)
    browser, filled = open_form(loop, reference)
    answer = browser.post(f"/cases/{reference}/ask", request_id=filled["request_id"])
    fields = ["recipient", "question", "purpose", "law", "necessity"]
    assert re.findall(r'<li><a href="#(\w+)">', answer.text) == fields


def test_case_that_nobody_may_be_asked_about_shows_the_reason_and_no_form(loop: Loop) -> None:
    reference = read_public(loop)
    browser = Browser(loop.desk).sign_in()
    page = browser.get(f"/cases/{reference}/ask").text
    assert ("Assess the case first" in page, ">Assess</a>" in page, 'name="question"' in page) == (True, True, False)


def test_accounts_of_the_suspect_are_suggested_and_none_of_the_reporter(loop: Loop) -> None:
    reference = read_public(
        loop,
        person=make_known_person(app="Example Chat", handle="night_owl7"),
        story="He wrote from owl@night.example to sam.brightwell@mail.example.",
    )
    make_ready(loop.desk, reference)
    browser, filled = open_form(loop, reference)
    page = browser.post(f"/cases/{reference}/ask/accounts", **filled).text
    assert re.findall(r'name="account" value="([^"]+)"', page) == ["username:night_owl7", "email:owl@night.example"]
    assert "Which addresses did it sign in from?" in page
    with loop.desk.store.read() as connection:
        opened = connection.execute(AUDIT.select().where(AUDIT.c.action == "open-case")).all()
    assert len(opened) == 2  # to read it, and for this page


def test_suggested_account_is_asked_about(loop: Loop) -> None:
    case = read(loop, make_full_report())
    make_ready(loop.desk, case.reference)
    browser, filled = open_form(loop, case.case_id)
    page = browser.post(f"/cases/{case.case_id}/ask/accounts", **filled).text
    (first, *_) = re.findall(r'name="account" value="([^"]+)"', page)
    sent = filled | {"value_1": "", "account": html.unescape(first)}
    answer = browser.post(f"/cases/{case.case_id}/ask", **sent)
    opened = browser.post(f"{answer.location}/read").text
    assert html.unescape(first).partition(":")[2] in html.unescape(opened)


def test_letter_is_saved_posted_and_withdrawn(loop: Loop) -> None:
    with loop.desk.store.write() as connection:
        values = {"owner": "other-chat", "name": "Other Chat", "added_at": "2026-11-25T08:30:00Z", "added_by": ACTOR}
        connection.execute(ADOPTERS.insert().values(values))
    reference = read_public(loop)
    action = ask(loop, reference, make_stranger(loop, recipient="other-chat", address="1 Example Street\nLeeds"))
    browser, place = Browser(loop.desk).sign_in(), f"/service-requests/{action.action_id}"
    saved = browser.post(f"{place}/letter")
    assert saved.headers["Content-Type"] == "application/pdf"
    text = "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(saved.data)).pages)
    for words in ("Other Chat", "1 Example Street", "night_owl7", "Which addresses", "RQ-", "2 December 2026"):
        assert words in text, words
    for words in (reference, "Sam", "Brightwell"):
        assert words not in text
    assert saved.data == browser.post(f"{place}/letter").data
    assert browser.post(f"{place}/sent").status_code == 303
    assert "I have posted it" not in browser.get(place).text
    assert browser.post(f"{place}/withdraw", withdraw_reason="").status_code == 409
    assert browser.post(f"{place}/withdraw", withdraw_reason="Another way was found.").status_code == 303
    page = browser.get(place).text
    assert ("Withdrawn" in page, "Withdraw it" in page) == (True, False)


def test_case_page_says_who_asks_and_closed_cases_ask_nothing(loop: Loop) -> None:
    case = read(loop)
    ask(loop, case.reference, make_asking(loop))
    page = Browser(loop.desk).sign_in().get(f"/cases/{case.case_id}").text
    assert f'href="/cases/{case.case_id}/ask"' in page
    assert "Request for information to Example Chat" in page
    assert Browser(loop.desk).sign_in().get("/service-requests/unknown").status_code == 404


def test_entry_in_the_thread_is_searched_for_the_reporter_too(loop: Loop) -> None:
    reference = read_public(loop)
    action = ask(loop, reference, make_stranger(loop))
    send_out(loop.desk, "message")
    browser, place = Browser(loop.desk).sign_in(), f"/actions/{action.action_id}"
    browser.get(place)
    refused = browser.post(f"{place}/write", entry_kind="note", entry_text="Sam said so.")
    assert (refused.status_code, "Nothing here may show who reported" in refused.text) == (409, True)
    assert loop.count("thread_entries") == 0
    assert browser.post(f"{place}/write", entry_kind="note", entry_text="It is urgent.").status_code == 303
    assert f'href="/service-requests/{action.action_id}"' in browser.get(place).text
