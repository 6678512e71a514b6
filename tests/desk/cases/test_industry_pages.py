"""The page of a partner's case: everything after it was opened and nothing before, the first report always whole."""

import html
import re
from datetime import date
from typing import get_args

import msgspec
import pytest

from gateway.desk.cases.closing import schedule_outcome
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.reading.labels import REPORT_KINDS, SOURCES, title_of
from partner_sdk.report import encode_sealed_report, list_given, make_sealed_report
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.submission import ReportKind, report_context
from tests.builders import make_clear_fields, make_industry_report
from tests.builders.reports import SealedReport, sign_for_envelope
from tests.desk.asking_builders import ask
from tests.desk.cases.test_industry_cases import CLOSING
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import (
    collect_and_send,
    file,
    find,
    make_full_report,
    make_fullest_report,
    open_page,
    read,
    send,
    set_partner,
)
from tests.desk.view_builders import Browser, has_fault_read_with
from tests.desk.work_builders import assess_and_close, make_ready

REASON = "Our moderator looked at a <test> account."


def test_words_of_a_report_are_on_the_page_after_it_was_opened_and_only_then(loop: Loop) -> None:
    report, words = make_fullest_report()
    case = file(loop, report)
    browser = Browser(loop.desk).sign_in()
    before = html.unescape(browser.get(f"/cases/{case.case_id}").text)
    assert [word for word in words if word in before] == []
    opened = browser.post(f"/cases/{case.case_id}/read")
    assert opened.headers["Cache-Control"] == "no-store"
    shown = html.unescape(opened.text)
    assert [word for word in words if word not in shown] == []
    assert not [word for word in words if word in opened.text]  # escaped: no word of a report becomes markup
    after = html.unescape(browser.get(f"/cases/{case.case_id}").text)
    assert [word for word in words if word in after] == []


def test_no_word_of_a_report_is_in_an_address_and_none_is_a_link(loop: Loop) -> None:
    report = make_full_report()
    page = open_page(loop, file(loop, report))
    addresses = re.findall(r'(?:href|action|formaction|src)="([^"]*)"', page)
    assert len(addresses) > 5
    assert [one for one in addresses if "example.com" in one or "example-" in one] == []
    assert re.findall(r"<script[^>]*>[^<]*", page) == ['<script src="/desk.js" defer>']
    assert " style=" not in page


def test_long_and_hard_parts_are_folded_and_why_it_is_urgent_is_not(loop: Loop) -> None:
    page = open_page(loop, file(loop, make_full_report()))
    parts = dict(re.findall(r'<details class="said part" id="r1-(\w+)"( open)?>', page))
    assert [name for name, is_open in parts.items() if is_open] == ["urgency", "elsewhere", "children", "suspects"]
    assert {"events", "conversations", "files", "traces"} <= set(parts)


def test_long_thread_folds_its_end_and_shows_every_message(loop: Loop) -> None:
    full = make_full_report()
    thread = list_given(full.conversations)[0]
    messages = tuple(msgspec.structs.replace(thread.messages[0], text=f"text {number}.") for number in range(65))
    report = make_full_report(conversations=(msgspec.structs.replace(thread, messages=messages),))
    page = open_page(loop, file(loop, report))
    assert "45 more messages" in page
    assert [number for number in range(65) if f"text {number}." not in page] == []


def retract(loop: Loop) -> tuple[str, str]:
    case = file(loop, make_full_report())
    loop.clock.advance(hours=1)
    report = make_full_report(change_reason=REASON, sub_label="none")
    return case.reference, file(loop, report, kind="retraction", earlier_reference=case.reference).reference


def test_retraction_is_said_aloud_and_the_first_report_stays_whole_before_it(loop: Loop) -> None:
    first, later = retract(loop)
    case = find(loop, first)
    closed_page = Browser(loop.desk).sign_in().get(f"/cases/{case.case_id}").text
    assert "The partner takes it back" in closed_page
    assert REASON not in html.unescape(closed_page)
    page = html.unescape(open_page(loop, case))
    loud = page[page.index('class="taken-back"') : page.index("</div>", page.index('class="taken-back"'))]
    assert REASON in loud
    assert "until a person closes it" in loud
    order = [page.index(words) for words in ("The partner takes it back", "The first report", f"Retraction: {later}")]
    assert order == sorted(order)
    whole = page[order[1] : order[2]]
    assert "Synthetic example. An adult account wrote to a child" in whole
    assert "Suspect 1: example_adult" in whole
    assert find(loop, first).closed_at is None
    assert ">Record it and close the case</button>" in page


def test_list_of_reports_names_kind_time_and_reason_in_order(loop: Loop) -> None:
    case = file(loop, make_full_report())
    kinds: tuple[ReportKind, ...] = ("supplement", "correction", "retraction")
    references = [case.reference]
    for kind in kinds:
        loop.clock.advance(hours=1)
        report = make_full_report(change_reason=f"Because of {kind}.")
        references.append(file(loop, report, kind=kind, earlier_reference=case.reference).reference)
    page = open_page(loop, case)
    timeline = page[page.index('<ol class="timeline">') :]
    timeline = timeline[: timeline.index("</ol>")]
    places = [timeline.index(reference) for reference in references]
    assert places == sorted(places)
    for words in ("a first report", *(f"a {title_of(kind).lower()}" for kind in kinds)):
        assert f"sent {words}, " in timeline
    moments = re.findall(r"25 Nov 2026, (\d\d:\d\d) GMT", timeline)
    assert sorted(set(moments)) == ["08:30", "09:30", "10:30", "11:30"]
    assert "Because of correction." in timeline


def test_correction_says_what_it_says_otherwise(loop: Loop) -> None:
    full = make_full_report()
    case = file(loop, full)
    suspect = msgspec.structs.replace(list_given(full.suspects)[0], username="example_other")
    report = make_full_report(suspects=(suspect,), change_reason="A slip.")
    file(loop, report, kind="correction", earlier_reference=case.reference)
    page = open_page(loop, case)
    changes = page[page.index("Differences from the first report") :]
    assert re.search(r"User name</th>.*example_adult.*example_other", changes[: changes.index("</table>")], re.DOTALL)


def test_supplement_shows_only_what_it_says_otherwise(loop: Loop) -> None:
    case = file(loop, make_full_report())
    file(loop, kind="supplement", earlier_reference=case.reference)  # a short report: it leaves most fields blank
    page = open_page(loop, case)
    changes = page[page.index("Differences from the first report") :]
    changes = changes[: changes.index("</table>")]
    assert 'data-title="This one"' in changes
    assert "Left blank" not in changes


def test_page_of_a_later_report_opens_that_one_and_leads_to_the_first(loop: Loop) -> None:
    case = file(loop, make_full_report())
    later = file(loop, kind="supplement", earlier_reference=case.reference)
    page = open_page(loop, later)
    assert f'Part of the case <a href="/cases/{case.case_id}">{case.reference}</a>' in page
    assert "Suspect 1: example_adult" not in page
    assert find(loop, case.reference).opened_at is None


def test_linked_reports_and_other_bodies_stand_above_the_report(loop: Loop) -> None:
    other = file(loop)
    case = file(loop, make_full_report(linked_reports=(other.reference, "K7QF-2M9TX-D")))
    page = open_page(loop, case)
    notice = page[page.index("The sender links it to other reports") :][:400]
    assert f'<a href="/cases/{other.case_id}">{other.reference}</a>' in notice
    assert "K7QF-2M9TX-D (not at this desk)" in notice
    assert (
        page.index("The sender links it to other reports")
        < page.index("NCMEC CyberTipline")
        < page.index('id="r1-children"')
    )


def test_unknown_earlier_report_is_a_doubt_on_the_page(loop: Loop) -> None:
    case = file(loop, kind="retraction", earlier_reference="K7QF-2M9TX-D")
    page = Browser(loop.desk).sign_in().get(f"/cases/{case.case_id}").text
    assert "K7QF-2M9TX-D is not at this desk." in page
    assert "The partner takes it back" in page


def test_senders_count_that_differs_is_shown_beside_the_desks(loop: Loop) -> None:
    clear = make_clear_fields("example-chat")
    sealed = make_sealed_report(make_industry_report(), clear=clear)
    assert sealed.completeness is not None
    said = msgspec.structs.replace(sealed, completeness=msgspec.structs.replace(sealed.completeness, score=99))
    envelope = seal(encode_sealed_report(said), key=loop.sealing_key(), context=report_context(clear)).to_bytes()
    statement = sign_for_envelope(clear, envelope, private_key=loop.partner.submission_key)
    accepted = loop.send_industry(SealedReport(clear=clear, envelope=envelope, statement=statement))
    loop.collect()
    page = open_page(loop, find(loop, accepted.reference))
    assert f"<b>{sealed.completeness.score} of 100</b>" in page
    assert "counted 99 of 100" in html.unescape(page)
    assert "Missing <span" in page


@pytest.mark.parametrize(("partner_type", "words"), SOURCES)
def test_agency_that_refers_a_case_is_its_source_on_list_and_page(loop: Loop, partner_type: str, words: str) -> None:
    set_partner(loop.desk, type=partner_type, country="IE", name="An agency")
    case = file(loop, make_full_report())
    listed = Browser(loop.desk).sign_in().get("/").text
    assert html.escape(f"{words}, IE") in listed
    page = open_page(loop, case)
    facts = page[page.index('<dl class="facts">') : page.index('id="report"')]
    assert f"<dd>{words}, IE</dd>" in facts
    assert "An agency (example-chat)" in facts
    assert "example-ticket-7" in facts  # the sender's own reference


def test_list_marks_what_is_new_and_what_was_taken_back(loop: Loop) -> None:
    case = read(loop)
    browser = Browser(loop.desk).sign_in()
    assert "New: " not in browser.get("/").text
    file(loop, kind="correction", earlier_reference=case.reference)
    assert "New: correction" in browser.get("/").text
    retract = file(loop, kind="retraction", earlier_reference=case.reference)
    text = browser.get("/").text
    assert ("Taken back by its sender" in text, "New: correction, retraction" in text) == (True, True)
    assert f">{retract.reference}<" not in text
    open_page(loop, find(loop, case.reference))
    assert "New: " not in browser.get("/").text


def test_answer_stands_beside_its_request(loop: Loop) -> None:
    case = read(loop)
    request_id = ask(loop, case.reference).action_id
    collect_and_send(loop)
    response = file(
        loop, make_industry_report(answers_request=request_id), kind="response", earlier_reference=case.reference
    )
    page = open_page(loop, case)
    assert f'<a href="/actions/{request_id}">Request for information to Example Chat</a>' in page
    request = Browser(loop.desk).sign_in().get(f"/actions/{request_id}").text
    assert f'Answered by <a href="/cases/{response.case_id}">{response.reference}</a>' in request


def test_outcome_is_told_held_and_taken_back_on_the_page(loop: Loop) -> None:
    case = read(loop)
    make_ready(loop.desk, case.reference, actor="a-assessor")
    browser = Browser(loop.desk).sign_in()
    path = f"/cases/{case.case_id}"
    nothing = browser.post(f"{path}/outcome", told_outcome="")
    assert (nothing.status_code, has_fault_read_with(nothing.text, "told_outcome")) == (409, True)
    assert browser.post(f"{path}/outcome", told_outcome="used", hold_until="soon").status_code == 409
    assert browser.post(f"{path}/outcome", told_outcome="used", hold_until="2026-12-24").status_code == 303
    page = browser.get(path).text
    assert ("held back until" in page, "2026-12-24" in page, "Take it back" in page) == (True, True, True)
    second = browser.post(f"{path}/outcome", told_outcome="actioned")
    assert (
        second.status_code,
        "An outcome is already waiting. Take it back before you choose another." in second.text,
    ) == (409, True)
    assert has_fault_read_with(second.text, "told_outcome")
    assert browser.post(f"{path}/outcome/take-back").status_code == 303
    assert "taken back" in browser.get(path).text
    assert browser.post(f"{path}/outcome/take-back").status_code == 409


def test_no_outcome_is_on_the_page_of_a_person_who_reported_and_none_works_there(loop: Loop) -> None:
    reference = loop.send_public(under_18="no").reference
    loop.collect()
    open_case(loop.desk, reference, actor=ACTOR)
    case = find(loop, reference)
    browser = Browser(loop.desk).sign_in()
    page = browser.get(f"/cases/{case.case_id}").text
    assert "told-title" not in page
    assert browser.post(f"/cases/{case.case_id}/outcome", told_outcome="used").status_code == 409
    assert loop.count("outcome_signals") == 0


def test_what_waits_for_its_day_is_said_when_a_case_is_closed_with_another_outcome(loop: Loop) -> None:
    case = read(loop)
    make_ready(loop.desk, case.reference, actor="a-assessor")
    hold = date(2026, 12, 24)
    schedule_outcome(loop.desk, case.reference, outcome="used", hold_until=hold, actor="a-assessor")
    answers = {"outcome": "used", "release_outcome": "yes"}
    answer = Browser(loop.desk).sign_in().post(f"/cases/{case.case_id}/close", **answers)
    assert answer.status_code == 409
    assert "An outcome is already waiting." in answer.text
    assert find(loop, case.reference).closed_at is None


def test_case_that_was_closed_says_so_on_the_page_of_what_came_after(loop: Loop) -> None:
    case = read(loop)
    assess_and_close(loop.desk, case.reference, CLOSING, actor=ACTOR)
    late = file(loop, kind="supplement", earlier_reference=case.reference)
    page = Browser(loop.desk).sign_in().get(f"/cases/{late.case_id}").text
    assert "which was closed before this arrived" in page


def test_report_that_does_not_open_keeps_the_others_readable(loop: Loop) -> None:
    case = file(loop, make_full_report())
    later = file(loop, kind="supplement", earlier_reference=case.reference)
    with loop.desk.store.write() as connection:
        connection.exec_driver_sql("UPDATE reports SET envelope = x'00' WHERE reference = ?", (later.reference,))
    page = open_page(loop, case)
    assert f"{later.reference} does not open." in page
    assert "Suspect 1: example_adult" in page


def test_addition_is_marked_as_new_on_the_first_page_after_the_case_was_read_and_once(loop: Loop) -> None:
    case = file(loop, make_full_report())
    assert "New since the case was read" not in open_page(loop, case)
    later = file(loop, kind="supplement", earlier_reference=case.reference)
    page = open_page(loop, find(loop, case.reference))
    heading = page[page.index(f"Supplement: {later.reference}") :]
    assert "New since the case was read" in heading[: heading.index("</h2>")]
    assert "New since the case was read" not in open_page(loop, find(loop, case.reference))


def test_blanks_of_a_report_are_folded_under_their_count(loop: Loop) -> None:
    page = open_page(loop, file(loop, make_full_report()))
    folded = re.findall(r'"blanks"><summary>Show what was left blank \((\d+)\)</summary>(.*?)</details>', page)
    assert folded
    assert all(int(count) == text.count(";") + 1 for count, text in folded)
    assert "Before you contact anyone" not in page  # that is of a person who reported


def test_every_kind_of_report_has_words() -> None:
    assert {code for code, _ in REPORT_KINDS} == set(get_args(ReportKind))


def test_case_with_very_many_reports_says_which_are_opened_on_their_own_pages(loop: Loop) -> None:
    case = file(loop)
    for _ in range(21):
        send(loop, kind="supplement", earlier_reference=case.reference)
    loop.collect()
    page = open_page(loop, case)
    assert "2 more reports of this case open on their own pages" in page
