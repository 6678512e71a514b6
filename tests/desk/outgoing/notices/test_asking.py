"""A request to a service: its recipient, its law, and no trace of the reporter.

The laws for requests: each with its source, and none offered that a request of this desk cannot rest on.

The pages of requests to services: the form, the suggested accounts, a request with its words, and the letter.
"""

import html
import io
import re
from datetime import date
from typing import Any

import pypdf
import pytest

from gateway.desk.cases.actions.ledger import open_body
from gateway.desk.cases.actions.model import ActionError, list_actions
from gateway.desk.cases.model import CaseError, get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.outgoing.service_requests import (
    Asking,
    list_laws,
    list_other_ways,
    list_services,
    load_laws,
    read_content,
)
from gateway.desk.store.agency_tables import ADOPTERS
from gateway.desk.store.schema import AUDIT
from partner_sdk.wire.mailbox import MAX_PURPOSE_CHARACTERS, AskedAccount
from tests.builders import Partner
from tests.desk.asking_builders import NIGHT_OWL, ask, make_asking, make_preservation, make_stranger
from tests.desk.cases.test_industry_cases import CLOSING
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import file, make_full_report, read, set_partner
from tests.desk.view_builders import Browser
from tests.desk.work_builders import assess_and_close, make_ready
from tests.public_report_builders import make_contact, make_known_person

CONTACT = make_contact(ways=("email", "call"), email="sam.brightwell@mail.example", phone="07700 900123")


def read_public(loop: Loop, **changes: Any) -> str:
    """Send a child's report, collect it, read it, and return its reference."""
    values: dict[str, Any] = {"name": "Sam Brightwell", "contact": CONTACT, **changes}
    reference = loop.send_public(under_18="yes", **values).reference
    loop.collect()
    open_case(loop.desk, reference, actor=ACTOR)
    return reference


def refuse(loop: Loop, reference: str, asking: Asking) -> str:
    with pytest.raises((CaseError, ActionError)) as caught:
        ask(loop, reference, asking)
    assert loop.count("case_actions") == 0
    return caught.value.reason


def test_question_about_a_partners_own_report_names_it(loop: Loop) -> None:
    case = read(loop)
    action = ask(loop, case.reference)
    assert (action.kind, action.way, action.state, action.recipient) == (
        "information-request",
        "mailbox",
        "released",
        "example-chat",
    )
    content = read_content(action, open_body(loop.desk, action, actor=ACTOR))
    assert (content.reference, content.accounts) == (case.reference, ())
    assert content.due_at == action.due_at == "2026-12-02T08:30:00Z"  # seven days


def test_any_partner_is_asked_about_an_account_that_a_child_names(loop: Loop) -> None:
    reference = read_public(loop, person=make_known_person(app="Example Chat", handle="night_owl7"))
    action = ask(loop, reference, make_stranger(loop))
    content = read_content(action, open_body(loop.desk, action, actor=ACTOR))
    assert (content.reference, content.accounts) == ("", (NIGHT_OWL,))
    assert content.legal_basis.startswith("Investigatory Powers Act 2016, Part 3")
    assert content.legal_basis.endswith("; authorisation AUTH-2026-17")


def test_another_service_is_asked_about_a_partners_report_without_its_reference(loop: Loop) -> None:
    loop.enrol(partner=Partner(partner="example-game"))
    case = read(loop)
    assert refuse(loop, case.reference, make_asking(loop, recipient="example-game")) == "no-law"
    action = ask(loop, case.reference, make_stranger(loop, recipient="example-game"))
    content = read_content(action, open_body(loop.desk, action, actor=ACTOR))
    assert content.reference == ""


def test_preservation_runs_for_ninety_days_or_until_its_day(loop: Loop) -> None:
    case = read(loop)
    usual = ask(loop, case.reference, make_preservation(loop))
    named = ask(loop, case.reference, make_preservation(loop, preserve_until=date(2027, 5, 1), due=date(2026, 11, 27)))
    contents = [read_content(one, open_body(loop.desk, one, actor=ACTOR)) for one in (usual, named)]
    assert [one.preserve_until for one in contents] == ["2027-02-23T08:30:00Z", "2027-05-01T22:59:59Z"]
    assert named.due_at == contents[1].due_at == "2026-11-27T23:59:59Z"


def test_service_without_keys_is_asked_by_letter(loop: Loop) -> None:
    with loop.desk.store.write() as connection:
        values = {"owner": "other-chat", "name": "Other Chat", "added_at": "2026-11-25T08:30:00Z", "added_by": ACTOR}
        connection.execute(ADOPTERS.insert().values(values))
    reference = read_public(loop)
    asking = make_stranger(loop, recipient="other-chat")
    assert refuse(loop, reference, asking) == "no-address"
    action = ask(loop, reference, make_stranger(loop, recipient="other-chat", address="1 Example Street\nLeeds"))
    assert (action.way, action.state) == ("letter", "released")
    content = read_content(action, open_body(loop.desk, action, actor=ACTOR))
    assert (content.name, content.address) == ("Other Chat", "1 Example Street\nLeeds")
    assert loop.count("mailbox_messages") == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"question": " \n"}, "no-question"),
        ({"purpose": ""}, "no-purpose"),
        ({"necessity": " "}, "no-necessity"),
        ({"law": ""}, "no-law"),
        ({"law": "preservation"}, "no-law"),
        ({"law": "communications_data"}, "no-number"),
        ({"law": "communications_data", "number": "x" * 61}, "bad-number"),
        ({"question": "x" * 2001}, "question-too-long"),
        ({"purpose": "x" * 301}, "purpose-too-long"),
        ({"question": "a\x1b[2J"}, "question-unprintable"),
        ({"accounts": (AskedAccount(kind="colour", value="blue"),)}, "bad-account"),
        ({"accounts": (NIGHT_OWL, NIGHT_OWL)}, "bad-account"),
        ({"accounts": (AskedAccount(kind="email", value="a\nb"),)}, "bad-account"),
        ({"due": date(2026, 11, 25)}, "bad-day"),
        ({"due": date(2027, 11, 25)}, "bad-day"),
        ({"recipient": "public"}, "no-law"),
    ],
)
def test_request_that_misses_something_is_not_made(loop: Loop, changes: dict[str, Any], reason: str) -> None:
    assert refuse(loop, read(loop).reference, make_asking(loop, **changes)) == reason


def test_preservation_needs_an_account_and_an_end_after_its_answer(loop: Loop) -> None:
    case = read(loop)
    assert refuse(loop, case.reference, make_preservation(loop, accounts=())) == "no-account"
    early = make_preservation(loop, preserve_until=date(2026, 11, 28))
    assert refuse(loop, case.reference, early) == "bad-preserve-day"


def test_question_about_another_senders_report_needs_an_account(loop: Loop) -> None:
    assert refuse(loop, read_public(loop), make_stranger(loop, accounts=())) == "no-account"


def test_only_a_read_open_and_assessed_case_is_asked_about(loop: Loop) -> None:
    unread, closed = file(loop), read(loop)
    assess_and_close(loop.desk, closed.reference, CLOSING, actor=ACTOR)
    assert refuse(loop, unread.reference, make_asking(loop)) == "not-opened"
    assert refuse(loop, closed.reference, make_asking(loop)) == "already-closed"
    assert refuse(loop, "K7QF-2M9TX-D", make_asking(loop)) == "unknown-case"


def test_suspended_partner_is_asked_nothing(loop: Loop) -> None:
    case = read(loop)
    set_partner(loop.desk, state="suspended")
    assert refuse(loop, case.reference, make_asking(loop)) == "no-recipient"
    with loop.desk.store.read() as connection:
        assert list_services(connection) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"question": "Who wrote to Sam?"}, "question-shows-reporter"),
        ({"question": "Who wrote to sam.brightwell@mail.example?"}, "question-shows-reporter"),
        ({"purpose": "To reach 07700 900 123"}, "purpose-shows-reporter"),
        ({"accounts": (AskedAccount(kind="email", value="sam.brightwell@mail.example"),)}, "reporters-account"),
        ({"accounts": (NIGHT_OWL, AskedAccount(kind="username", value="Brightwell"))}, "reporters-account"),
    ],
)
def test_text_with_a_trace_of_the_reporter_is_refused(loop: Loop, changes: dict[str, Any], reason: str) -> None:
    assert refuse(loop, read_public(loop), make_stranger(loop, **changes)) == reason


def test_reporters_own_account_is_asked_about_once_they_agreed_and_is_recorded(loop: Loop) -> None:
    reference = read_public(loop)
    own = AskedAccount(kind="email", value="sam.brightwell@mail.example")
    named = make_stranger(loop, accounts=(own,), question="Who wrote to Sam?", is_own_account=True)
    assert refuse(loop, reference, named) == "question-shows-reporter"
    ask(loop, reference, make_stranger(loop, accounts=(own,), is_own_account=True))
    with loop.desk.store.read() as connection:
        entry = connection.execute(AUDIT.select().where(AUDIT.c.action == "ask-service-case")).one()
    assert '"own_account":true' in entry.detail
    assert "brightwell" not in entry.detail


def test_other_service_is_not_told_which_service_reported(loop: Loop) -> None:
    loop.enrol(partner=Partner(partner="example-game"))
    case = read(loop)
    asking = make_stranger(loop, recipient="example-game", question="Example Chat has it too. Who is it?")
    assert refuse(loop, case.reference, asking) == "question-names-service"


def test_same_form_sent_twice_asks_once(loop: Loop) -> None:
    case, asking = read(loop), make_asking(loop)
    first, second = ask(loop, case.reference, asking), ask(loop, case.reference, asking)
    assert first.action_id == second.action_id == asking.request_id
    with loop.desk.store.read() as connection:
        assert len(list_actions(connection, case_id=get_case(connection, case.reference).case_id)) == 1


def test_nothing_typed_is_readable_on_the_disk(loop: Loop) -> None:
    case = read(loop)
    ask(loop, case.reference, make_asking(loop, question="Marmalade?", necessity="Marmalade!"))
    for path in loop.desk.paths.state.rglob("*"):
        if path.is_file():
            assert b"armalade" not in path.read_bytes(), path


def test_each_kind_of_request_has_a_law_and_each_law_a_use() -> None:
    own = {code for code, _ in list_laws("information-request", is_own_report=True)}
    others = {code for code, _ in list_laws("information-request", is_own_report=False)}
    kept = {code for code, _ in list_laws("preservation-request", is_own_report=False)}
    assert (own - others, kept) == ({"own_report"}, {"preservation"})
    assert others == {"communications_data", "crime_exemption"}
    assert own | kept | {code for code, one in load_laws().items() if one in list_other_ways()} == set(load_laws())


def test_each_law_is_still_to_be_proven_by_a_lawyer_and_fits_a_request() -> None:
    laws = load_laws()
    assert len(laws) >= 7
    for one in laws.values():
        assert one.to_prove, one.title
        assert len(one.law) <= MAX_PURPOSE_CHARACTERS - 80, one.title  # with the number of an authorisation
        assert one.due_days is None, "a law's own time needs its source"


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
    browser, place = Browser(loop.desk).sign_in(), f"/actions/{action.action_id}"
    saved = browser.post(f"{place}/letter")
    assert saved.headers["Content-Type"] == "application/pdf"
    text = "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(saved.data)).pages)
    for words in ("Other Chat", "1 Example Street", "night_owl7", "Which addresses", "RQ-", "2 December 2026"):
        assert words in text, words
    for words in (reference, "Sam", "Brightwell"):
        assert words not in text
    assert saved.data == browser.post(f"{place}/letter").data
    assert browser.post(f"{place}/sent").status_code == 303
    page = browser.get(place).text
    assert ("I have sent it" in page, "Nothing goes out by itself: call or write to Other Chat." in page) == (
        False,
        True,
    )
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
    assert Browser(loop.desk).sign_in().get("/actions/unknown").status_code == 404
