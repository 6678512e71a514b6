"""The page of an opened report: how to reach the person safely stands first, whole and unfolded."""

import html
import re
from typing import Any

import pytest

from gateway.desk.cases.model import get_case
from gateway.desk.cases.reading import contact as contact_words
from gateway.desk.cases.reading.labels import format_country
from gateway.desk.cases.replies import ContactWarning, list_open_ways, list_warnings
from gateway.desk.office.wiring import Desk
from gateway.exchange.public_report import Meeting, SafeContact
from tests.desk.view_builders import Browser, add_sealed_case
from tests.public_report_builders import make_contact, make_known_person, make_public_report

MARKER = "MARKER-<i>&\"'é\N{SNOWMAN}"
CONTACT: dict[str, Any] = {
    "access_needs": ("bsl", "relay_uk"),
    "adult": f"Aunt Jo {MARKER}",
    "call_language": "other",
    "email": f"mail {MARKER}",
    "may_say_who_we_are": "no",
    "may_send_note": "yes",
    "other_language": f"Kurdish {MARKER}",
    "phone": f"0000 {MARKER}",
    "safe_word": f"blue door {MARKER}",
    "school": f"Mx Example {MARKER}",
    "times": f"after four {MARKER}",
    "ways": ("text", "adult"),
    "who_must_not_know": f"My brother\n{MARKER}",
    "who_sees": "not_sure",
}


def read(browser: Browser, desk: Desk, **report: Any) -> str:
    """Return the page of an opened report, unescaped."""
    case_id = add_sealed_case(desk, marker="", under_18="yes", report=report)
    browser.get(f"/cases/{case_id}")
    return html.unescape(browser.post(f"/cases/{case_id}/read").text)


def find_block(page: str) -> str:
    found = re.search(r'<section class="contact".*?</section>', page, re.DOTALL)
    assert found is not None
    return found[0]


def test_safe_contact_stands_before_everything_that_was_said_and_is_not_folded(desk: Desk, browser: Browser) -> None:
    page = read(browser, desk, contact=make_contact(**CONTACT), story="what happened")
    order = [page.index(mark) for mark in ("<h1>", 'id="contact"', 'id="report"', "what happened", 'id="reply-title"')]
    assert order == sorted(order)
    block = find_block(page)
    assert "<details" not in block
    assert page.rfind("<details", page.index("<h1>"), page.index('id="contact"')) == -1


def test_every_line_of_safe_contact_is_in_the_block_as_it_was_typed(desk: Desk, browser: Browser) -> None:
    block = find_block(read(browser, desk, contact=make_contact(**CONTACT)))
    typed = [name for name, value in CONTACT.items() if MARKER in str(value)]
    assert len(typed) == 8
    for name in typed:
        assert CONTACT[name] in block, name
    for said in ("British Sign Language; Relay UK", "They are not sure: treat it as yes", "Yes, they asked for one"):
        assert said in block
    assert set(CONTACT) == set(SafeContact.__struct_fields__)


def test_people_not_to_contact_come_before_the_ways(desk: Desk, browser: Browser) -> None:
    block = find_block(read(browser, desk, contact=make_contact(**CONTACT)))
    assert block.index("We must not contact") < block.index("My brother") < block.index("Ways to reach them")


def test_nothing_of_it_is_shown_before_the_report_is_opened(desk: Desk, browser: Browser) -> None:
    case_id = add_sealed_case(desk, marker="", under_18="yes", report={"contact": make_contact(**CONTACT)})
    page = html.unescape(browser.get(f"/cases/{case_id}").text)
    assert MARKER not in page
    assert 'id="contact"' not in page
    assert "Open it before you contact anyone" in page


def test_what_was_not_said_counts_as_the_careful_answer(desk: Desk, browser: Browser) -> None:
    block = find_block(read(browser, desk, contact=make_contact(), name=""))
    for said in ("treat it as yes", "treat it as no", "They gave no name", "They were not asked: no"):
        assert said in block
    assert "None of the ways they picked is safe to use" in block


def test_text_and_e_mail_are_struck_out_when_the_other_person_sees_the_phone(desk: Desk, browser: Browser) -> None:
    contact = make_contact(ways=("text", "call"), phone="0000", who_sees="no")
    block = find_block(read(browser, desk, contact=contact, person=make_known_person(near="yes")))
    assert "Never text or e-mail" in block
    assert len(re.findall('class="barred"', block)) == 1
    assert block.count("Do not use") == 1


def test_danger_and_a_meeting_are_said_first(desk: Desk, browser: Browser) -> None:
    block = find_block(
        read(browser, desk, signals=("danger-cannot_call", "fast"), meeting=Meeting(place="the park", when="today"))
    )
    alarms = re.findall(r'class="alarm">(.*?)</p>', block)
    assert alarms == ["They told us they cannot call 999.", "A person wants to meet today."]
    assert block.index("A person wants to meet today.") < block.index("Flagged: this may be a program, not a person")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {ContactWarning.SEEN, ContactWarning.NO_WAY}),
        *(
            ({"age_band": band}, {ContactWarning.YOUNG, ContactWarning.SEEN, ContactWarning.NO_WAY})
            for band in ("under_12", "12", "12_or_under")
        ),
        ({"reporter_age_band": "under_12"}, {ContactWarning.YOUNG, ContactWarning.SEEN, ContactWarning.NO_WAY}),
        ({"contact": make_contact(ways=("call",), phone="0", who_sees="no")}, set()),
        ({"contact": make_contact(ways=("call",), phone=" ", who_sees="no")}, {ContactWarning.NO_WAY}),
        (
            {
                "contact": make_contact(ways=("call",), phone="0", who_sees="no"),
                "person": make_known_person(near="not_sure"),
            },
            {ContactWarning.MAYBE_NEAR},
        ),
        (
            {
                "contact": make_contact(ways=("email",), email="a@b.example", who_sees="no"),
                "person": make_known_person(near="yes"),
            },
            {ContactWarning.NEAR, ContactWarning.NO_WAY},
        ),
    ],
)
def test_warnings_follow_the_answers(changes: dict[str, Any], expected: set[ContactWarning]) -> None:
    assert set(list_warnings(make_public_report(**changes))) == expected


def test_every_warning_has_words() -> None:
    assert set(contact_words._WARNINGS) == set(ContactWarning)
    assert len(ContactWarning) >= 6


def test_a_way_needs_the_line_that_goes_with_it() -> None:
    lines = {"phone": "0", "email": "a@b.example", "adult": "Jo", "school": "Mx"}
    ways = ("call", "text", "email", "adult", "school")
    report = make_public_report(contact=make_contact(ways=ways, **lines))
    assert list_open_ways(report) == ways
    for name, lost in (("phone", {"call", "text"}), ("email", {"email"}), ("adult", {"adult"}), ("school", {"school"})):
        without = make_public_report(contact=make_contact(ways=ways, **{**lines, name: ""}))
        assert set(ways) - set(list_open_ways(without)) == lost


def test_country_is_named_and_only_suggested(desk: Desk, browser: Browser) -> None:
    page = read(browser, desk, region="not_uk", country="fr")
    assert "Outside the UK" in page
    assert "Where they live: France, not in the UK. Consider “Police overseas”" in page
    assert re.search(r'name="best_placed"[^>]*checked', page) is None
    assert "Consider “Police overseas”" not in read(browser, desk, region="wales")


@pytest.mark.parametrize(
    ("code", "name"), [(None, ""), ("", ""), ("ke", "Kenya"), ("other", "another country"), ("zz-zz", "zz-zz")]
)
def test_every_code_of_a_country_has_a_name(code: str | None, name: str) -> None:
    assert format_country(code) == name


@pytest.mark.parametrize("action", ["close", "reply", "move"])
def test_page_after_a_fault_keeps_the_report_open_and_the_warnings_first(
    desk: Desk, browser: Browser, action: str
) -> None:
    report = {"person": make_known_person(near="yes"), "contact": make_contact(**CONTACT)}
    case_id = add_sealed_case(desk, marker="", under_18="yes", report=report)
    browser.get(f"/cases/{case_id}")
    block = find_block(browser.post(f"/cases/{case_id}/read").text)
    answer = browser.post(f"/cases/{case_id}/{action}")
    assert answer.status_code == 409
    assert find_block(answer.text) == block
    assert "lives there or sees the phone" in block
    assert "In their own words" in answer.text


@pytest.mark.parametrize("action", ["close", "reply", "move"])
def test_fault_on_the_page_of_an_unread_report_does_not_open_it(desk: Desk, browser: Browser, action: str) -> None:
    case_id = add_sealed_case(desk, marker="", under_18="yes")
    browser.get(f"/cases/{case_id}")
    answer = browser.post(f"/cases/{case_id}/{action}")
    assert answer.status_code == 409
    assert "Before you contact anyone" not in answer.text
    with desk.store.read() as connection:
        assert get_case(connection, case_id).opened_at is None


def test_closing_form_names_the_owed_reply_and_the_unknown_case_with_the_blank_answers(
    desk: Desk, browser: Browser
) -> None:
    case_id = add_sealed_case(desk, marker="", under_18="yes")
    browser.get(f"/cases/{case_id}")
    for is_read in (False, True):
        faults = browser.post(f"/cases/{case_id}/close", cluster="K7QF-2M9TX-D").text.split("<h1>")[0]
        places = re.findall(r'<a href="#([\w-]+)">', faults)
        assert places == [*(() if is_read else ("report",)), "assessment-title", "code", "outcome", "cluster"]
        browser.post(f"/cases/{case_id}/read")
