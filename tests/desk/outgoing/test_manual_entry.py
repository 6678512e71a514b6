"""A call, letter or visit that is entered at the desk: sealed at once and filed like any other report."""

import logging
import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from gateway.desk.cases.model import CaseRow, list_cases
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.search import search_cases
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk
from gateway.desk.outbox.alerts import list_alerts
from gateway.desk.outgoing.manual_entry import FILLED_IN, list_groups, list_paths
from gateway.desk.running.cli import main
from gateway.desk.store.schema import AUDIT, CASE_STEPS, IMPORTED_REPORTS
from gateway.exchange.public_report import PublicReport
from tests.desk.view_builders import Browser, Clock, add_sealed_case, has_fault_read_with

MARKER = "marmalade"
CALL = {
    "channel": "phone",
    "day": "2026-11-25",
    "clock": "09:25",
    "danger": "no",
    "name": f"Sam {MARKER}",
    "contact-ways": ["call"],
    "contact-phone": "07700 900123",
    "reporter_age_band": "13_15",
    "who": "me",
    "region": "wales",
    "story": f"Someone wants to meet.\r\nThey said: {MARKER}",
}


def key(browser: Browser, **changes: object) -> str:
    """Press the button on a fresh page and return the path that it leads to."""
    (report_id,) = re.findall(r'name="report_id" value="([^"]+)"', browser.get("/manual-entry").text)
    fields = CALL | {"report_id": report_id} | changes
    answer = browser.post("/manual-entry", **{name: value for name, value in fields.items() if value is not None})
    assert answer.status_code == 303, answer.text
    return answer.location


def get_only(desk: Desk) -> CaseRow:
    with desk.store.read() as connection:
        (case,) = list_cases(connection)
    return case


@pytest.mark.databases("sqlite", "postgresql")
def test_a_call_is_sealed_and_filed_with_its_reference_promise_and_channel(desk: Desk, browser: Browser) -> None:
    location = key(browser)
    case = get_only(desk)
    assert (case.channel, case.door, case.partner, case.region) == ("phone", "public", "public", "wales")
    assert (case.received_at, case.collected_at) == ("2026-11-25T09:25:00Z", "2026-11-25T09:30:00Z")
    assert case.reply_owed
    assert case.reply_by == "2026-11-27"
    assert not case.has_reply_key
    assert location == f"/manual-entry/{case.report_id}"
    page = browser.get(location).text
    assert case.reference in page
    assert "an answer by Friday 27 November" in page
    content = open_case(desk, case.case_id, actor="a-assessor").content
    assert isinstance(content, PublicReport)
    assert content.story == f"Someone wants to meet.\nThey said: {MARKER}"
    assert (content.age_band, content.under_18, content.contact.phone) == ("13_15", "yes", "07700 900123")
    with desk.store.read() as connection:
        (step,) = connection.execute(select(CASE_STEPS)).all()
        assert (step.kind, step.by, step.case_id) == ("manual-entry", "a-assessor", case.case_id)
        assert connection.execute(select(IMPORTED_REPORTS.c.imported_by)).scalar_one() == "a-assessor"
        assert connection.execute(select(AUDIT.c.id).where(AUDIT.c.action == "manual-entry-case")).scalar() is not None
    found = search_cases(desk, "07700 900123", rows=slice(0, 10), actor="a-assessor")
    assert [hit.case.reference for hit in found.hits] == [case.reference]
    shown = browser.post(f"/cases/{case.case_id}/read").text
    assert "from a phone call" in shown
    assert f"They said: {MARKER}" in shown
    assert "Phone call" in shown


def test_nothing_is_said_of_a_form_or_words_that_a_caller_never_had(desk: Desk, browser: Browser) -> None:
    read_out = browser.get(key(browser)).text
    case = get_only(desk)
    shown = browser.post(f"/cases/{case.case_id}/read").text
    assert "Scotland" in browser.get("/manual-entry").text
    for page in (read_out, shown):
        assert re.findall(r"[Rr]eturn code|filled in the form|the form's wording|Language of the form", page) == []
    assert "Not said" in shown


def test_phone_number_is_a_way_to_reach_them_though_no_way_was_ticked(desk: Desk, browser: Browser) -> None:
    key(browser, **{"contact-ways": None})
    content = open_case(desk, get_only(desk).case_id, actor="a-assessor").content
    assert isinstance(content, PublicReport)
    assert content.contact.ways == ("call",)


@pytest.mark.databases("sqlite", "postgresql")
def test_two_presses_make_one_report_and_a_changed_page_is_an_addition(desk: Desk, browser: Browser) -> None:
    first = key(browser)
    case = get_only(desk)
    again = browser.post("/manual-entry", **CALL, report_id=case.report_id)
    assert (again.status_code, again.location) == (303, first)
    assert get_only(desk).case_id == case.case_id
    changed = browser.post("/manual-entry", **CALL | {"story": "They also said a name."}, report_id=case.report_id)
    assert changed.status_code == 409
    assert "They also said a name." in changed.text
    assert f'value="{case.reference}"' in changed.text
    assert case.report_id not in changed.text
    location = key(browser, story="They also said a name.", adds_to=case.reference)
    with desk.store.read() as connection:
        cases = {one.report_id: one for one in list_cases(connection)}
    added = cases[location.rpartition("/")[2]]
    assert (added.adds_to, added.report_kind, len(cases)) == (case.reference, "supplement", 2)


def test_a_page_of_another_person_never_counts_as_filed(desk: Desk, browser: Browser) -> None:
    key(browser)
    case = get_only(desk)
    other = Browser(desk).sign_in("b-other", [Role.ANALYST])
    other.get("/manual-entry")
    answer = other.post("/manual-entry", **CALL, report_id=case.report_id)
    assert answer.status_code == 409
    assert get_only(desk).case_id == case.case_id


def test_duty_officer_reads_out_the_reference_of_a_call_that_is_not_theirs_to_open(
    desk: Desk, browser: Browser
) -> None:
    officer = Browser(desk).sign_in("d-duty", [Role.DUTY_OFFICER])
    location = key(officer, kinds="extra_nice")
    case = get_only(desk)
    assert not case.crisis
    page = officer.get(location)
    assert page.status_code == 200
    assert case.reference in page.text
    assert "Go to the case" not in page.text
    assert officer.get(f"/cases/{case.case_id}").status_code == 403
    assert browser.get(location).status_code == 404


def test_every_fault_stands_at_its_field_and_nothing_is_lost(desk: Desk, browser: Browser) -> None:
    browser.get("/manual-entry")
    wrong = {
        "danger": "",
        "contact-phone": "",
        "story": "",
        "name": "n" * 201,
        "who": "nobody",
        "person-handle": "<b>@owl</b>",
    }
    page = browser.post("/manual-entry", **CALL | wrong, report_id=desk.make_id())
    assert page.status_code == 409
    for field in ("contact-phone", "story", "name"):
        assert has_fault_read_with(page.text, field), field
    for field in ("danger", "who"):
        assert f'<a href="#{field}">' in page.text, field
    assert "n" * 201 in page.text
    assert "&lt;b&gt;@owl&lt;/b&gt;" in page.text
    assert re.search(r'value="call" checked', page.text)
    with desk.store.read() as connection:
        assert list_cases(connection) == []


@pytest.mark.parametrize(
    ("day", "typed", "field"),
    [
        ("2026-11-25", "09:40", "clock"),
        ("2026-11-26", "09:00", "clock"),
        ("2024-11-25", "09:00", "day"),
        ("25/11/2026", "09:00", "day"),
        ("2026-11-25", "nine", "clock"),
        ("2026-10-25", "01:30", "clock"),
        ("2026-03-29", "01:30", "clock"),
    ],
)
def test_a_time_that_cannot_be_is_refused_at_its_field(browser: Browser, day: str, typed: str, field: str) -> None:
    browser.get("/manual-entry")
    page = browser.post("/manual-entry", **CALL | {"day": day, "clock": typed}, report_id=browser.desk.make_id())
    assert has_fault_read_with(page.text, field)
    assert MARKER in page.text


@pytest.mark.parametrize(
    ("day", "typed", "received"),
    [
        ("2026-10-25", "01:30 BST", "2026-10-25T00:30:00Z"),
        ("2026-10-25", "0130 gmt", "2026-10-25T01:30:00Z"),
        ("2026-07-01", "14.05", "2026-07-01T13:05:00Z"),
        ("2026-11-25", "09:33", "2026-11-25T09:30:00Z"),
    ],
)
def test_the_time_of_a_call_is_uk_time(desk: Desk, browser: Browser, day: str, typed: str, received: str) -> None:
    key(browser, day=day, clock=typed, channel="letter")
    assert (get_only(desk).received_at, get_only(desk).channel) == (received, "letter")


def test_the_page_names_the_zone_in_the_hour_that_comes_twice(clock: Clock, browser: Browser) -> None:
    clock.now = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    browser.sign_in()
    assert 'value="01:30 GMT"' in browser.get("/manual-entry").text


def test_danger_now_alerts_as_for_any_report(desk: Desk, browser: Browser) -> None:
    page = browser.get(key(browser, danger="yes", signals="danger-cannot_call")).text
    case = get_only(desk)
    assert case.crisis
    assert case.priority == "P1"
    assert "cannot_call" in case.factors
    assert not case.flagged
    assert "stay on the line" in page
    with desk.store.read() as connection:
        assert [one.count for one in list_alerts(connection, most=5)] == [1]


def test_a_grown_up_is_owed_no_reply_and_an_unknown_age_is(desk: Desk, browser: Browser) -> None:
    key(browser, reporter_age_band="18_plus", who=None)
    assert not get_only(desk).reply_owed
    key(browser, reporter_age_band=None, who=None)
    with desk.store.read() as connection:
        assert sorted(one.reply_owed for one in list_cases(connection)) == [False, True]


def test_only_a_report_of_a_person_can_be_added_to(desk: Desk, browser: Browser) -> None:
    for reference in ("K7QF-2M9TX-D", "not a reference"):
        page = browser.post("/manual-entry", **CALL, adds_to=reference, report_id=desk.make_id())
        assert has_fault_read_with(page.text, "adds_to")
    case_id = add_sealed_case(desk, marker="first", under_18="yes")
    location = key(browser, adds_to=case_id)
    assert "Adds to" in browser.get(location).text


def test_every_field_of_the_report_is_asked_or_filled_in() -> None:
    asked = [one.path for group in list_groups() for one in group.questions]
    assert len(asked) == len(set(asked)) > 40
    assert set(asked) | FILLED_IN == {path for path, _ in list_paths()}


def test_nothing_typed_lies_outside_the_envelope(
    desk: Desk, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    long = "A sentence that never ends. " * 178
    key(browser, **{"story": long + MARKER, "person-handle": f"@{MARKER}", "contact-safe_word": MARKER})
    browser.post("/manual-entry", **CALL | {"danger": ""}, report_id=desk.make_id())
    assert MARKER not in caplog.text
    files = [path for path in desk.paths.state.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path.name for path in files if MARKER.encode() in path.read_bytes()] == []


def test_the_filter_and_the_figures_have_each_channel(desk: Desk, browser: Browser) -> None:
    add_sealed_case(desk, marker="online")
    key(browser, channel="visit")
    with desk.store.read() as connection:
        by_channel = {one.channel: one.reference for one in list_cases(connection)}
    for wanted, channel in (("online", "gateway"), ("visit", "visit")):
        page = browser.get(f"/?channel={wanted}").text
        listed = re.findall(r'class="row-name">(?:<input[^>]*>)?<a [^>]*>([^<]+)</a>', page)
        assert listed == [by_channel[channel]]


def test_list_of_cases_in_a_terminal_names_a_letter(
    desk: Desk, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    key(browser, channel="letter")
    assert main(["case", "list", "--state", str(desk.paths.state)]) == 0
    assert " letter\n" in capsys.readouterr().out


def test_a_desk_without_a_key_to_seal_to_keeps_everything_on_the_page(
    desk: Desk, browser: Browser, clock: Clock
) -> None:
    clock.now = datetime(2027, 9, 25, 9, 30, tzinfo=UTC)
    browser.sign_in()
    page = browser.post("/manual-entry", **CALL | {"day": "2027-09-25"}, report_id=desk.make_id())
    assert page.status_code == 409
    assert "no active sealing key" in page.text
    assert MARKER in page.text
    with desk.store.read() as connection:
        assert list_cases(connection) == []
