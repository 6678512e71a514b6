"""A case of many megabytes does not stop the desk: its page is cut, with the amount, and a form shows all."""

import re

import msgspec
import pytest

from gateway.desk.cases import case_files, opening
from gateway.desk.cases.case_page import MOST_COMPARED_BYTES
from gateway.desk.cases.reading.industry_report import make_report_sections
from gateway.desk.cases.reading.partner_case import PAGE_BYTES, PageBudget
from partner_sdk.report import (
    IndustryReport,
    SealedIndustryReport,
    encode_sealed_report,
    list_given,
    make_sealed_report,
)
from partner_sdk.report.model import Child
from partner_sdk.wire.sealing import seal
from partner_sdk.wire.submission import report_context
from tests.builders import make_clear_fields
from tests.builders.reports import SealedReport, sign_for_envelope
from tests.desk.desk_loop import Loop
from tests.desk.evidence_builders import make_film, tell_of
from tests.desk.industry_builders import find, make_full_report
from tests.desk.view_builders import Browser

MESSAGES = 6000
FILMS = [make_film(b"x", file_id=f"f-{number}") for number in range(60)]


def make_content(**clear: str) -> SealedIndustryReport:
    """Return a report with one very long thread, and with all the films."""
    report = make_full_report(files=tuple(tell_of(film) for film in FILMS))
    thread = list_given(report.conversations)[0]
    thread = msgspec.structs.replace(thread, messages=thread.messages[:1] * MESSAGES)
    references = tuple(film.reference for film in FILMS)
    fields = make_clear_fields(
        "example-chat", evidence_ids=tuple(one.evidence_id for one in references), priority="P2", **clear
    )
    changed = msgspec.structs.replace(report, conversations=(thread,))
    return make_sealed_report(changed, clear=fields, evidence=references)


def send_heavy(loop: Loop, **clear: str) -> str:
    """Send a heavy report; return its reference."""
    content = make_content(**clear)
    envelope = seal(
        encode_sealed_report(content), key=loop.sealing_key(), context=report_context(content.clear)
    ).to_bytes()
    statement = sign_for_envelope(content.clear, envelope, private_key=loop.partner.submission_key)
    return loop.send_industry(SealedReport(clear=content.clear, envelope=envelope, statement=statement)).reference


def test_page_of_a_case_of_many_megabytes_stays_small_and_says_what_is_left_out(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = send_heavy(loop)
    later = [send_heavy(loop, kind="supplement", earlier_reference=first) for _ in range(4)]
    loop.collect()
    opened: list[str] = []
    for module in (opening, case_files):
        name = "open_case" if module is opening else "open_report"
        real = getattr(module, name)

        def note(desk: object, wanted: object, real: object = real, **settings: object) -> object:
            opened.append(getattr(wanted, "case_id", str(wanted)))
            return real(desk, wanted, **settings)  # type: ignore[operator]  # it is the function above

        monkeypatch.setattr(module, name, note)
    page = Browser(loop.desk).sign_in().post(f"/cases/{find(loop, first).case_id}/read").text
    assert len(page.encode()) <= 2_000_000
    left_out = re.findall(r"Left out or shortened: .*messages ([0-9,]+)", page)
    assert 0 < int(left_out[0].replace(",", "")) < MESSAGES
    assert "Read the whole report as plain text" in page
    assert len(opened) == len(set(opened)) < len(later)  # each once, and not all of them
    assert "reports of this case open on their own pages" in page
    assert "too large to compare on a page" in page
    assert [one for one in later if one not in page] == []


def test_length_hides_neither_why_a_report_is_urgent_nor_how_many_children_it_names() -> None:
    content = make_content()
    report = content.report
    child = msgspec.structs.replace(list_given(report.children)[0], at_risk_now="yes")
    place = list_given(report.incident.places)[0]
    incident = msgspec.structs.replace(report.incident, places=(place,) * 400)
    long = msgspec.structs.replace(report, children=(child,) * 6, incident=incident)
    content = msgspec.structs.replace(content, report=long)
    cut = msgspec.structs.replace(content, report=PageBudget(2000).cut_report(long))
    assert len(list_given(cut.report.children)) < 6
    shown = {one.name: one for one in make_report_sections(cut, whole=long)}
    whole = {one.name: one for one in make_report_sections(content)}
    assert shown["urgency"] == whole["urgency"]
    assert (shown["children"].count, shown["places"].count) == ("6", "400")


def read_with_additions(loop: Loop, report: IndustryReport, *, count: int) -> str:
    """Send a report and additions of the same content; return the page on which all are open."""
    first = ""
    for number in range(count):
        clear = make_clear_fields(
            "example-chat", priority="P1", **({"kind": "supplement", "earlier_reference": first} if number else {})
        )
        sealed = encode_sealed_report(make_sealed_report(report, clear=clear))
        envelope = seal(sealed, key=loop.sealing_key(), context=report_context(clear)).to_bytes()
        statement = sign_for_envelope(clear, envelope, private_key=loop.partner.submission_key)
        sent = loop.send_industry(SealedReport(clear=clear, envelope=envelope, statement=statement))
        first = first or sent.reference
    loop.collect()
    return Browser(loop.desk).sign_in().post(f"/cases/{find(loop, first).case_id}/read").text


def test_long_texts_fill_no_page(loop: Loop) -> None:
    report = make_full_report()
    incident = msgspec.structs.replace(report.incident, narrative="'" * 90_000)
    page = read_with_additions(loop, msgspec.structs.replace(report, incident=incident), count=12)
    assert len(page.encode()) <= 2_000_000
    assert re.search(r"Left out or shortened: .*narrative 1", page)


def test_what_is_urgent_fills_no_page_itself(loop: Loop) -> None:
    report = make_full_report()
    at_risk = msgspec.structs.replace(list_given(report.children)[0], username="[name]", at_risk_now="yes")
    children = (*[Child(username="A" * 300, at_risk_now="no")] * 6000, at_risk)
    page = read_with_additions(loop, msgspec.structs.replace(report, children=children), count=2)
    assert len(page.encode()) <= 2_000_000
    assert "Child 6001: [name]: at risk now?" in page
    assert re.search(r"Left out or shortened: .*why it is urgent [0-9,]+", page)


def test_whole_report_is_plain_text_that_nothing_keeps_or_runs(loop: Loop) -> None:
    reference = send_heavy(loop)
    loop.collect()
    answer = Browser(loop.desk).sign_in().post(f"/cases/{find(loop, reference).case_id}/whole")
    assert answer.content_type == "text/plain; charset=utf-8"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.text.count('"message_id": ') == MESSAGES
    assert '"secret"' not in answer.text


def test_small_reports_are_never_cut() -> None:
    report, budget = make_full_report(), PageBudget()
    assert budget.cut_report(report) == report
    assert not +budget.left_out
    assert 0 < budget.left < PAGE_BYTES


def test_long_thread_leaves_room_for_what_stands_behind_it() -> None:
    whole, budget = make_content().report, PageBudget(left=400_000)
    cut = budget.cut_report(whole)
    (thread,) = list_given(cut.conversations)
    assert budget.left_out["messages"] + len(thread.messages) == MESSAGES
    assert (cut.children, cut.reporter) == (whole.children, whole.reporter)


def test_page_without_room_counts_everything_and_keeps_the_first_of_each_list() -> None:
    whole, budget = make_content().report, PageBudget(left=0)
    cut = budget.cut_report(whole)
    assert len(list_given(cut.files)) == len(list_given(cut.conversations)[0].messages) == 1
    assert (budget.left_out["files"], budget.left_out["messages"]) == (len(FILMS) - 1, MESSAGES - 1)


def test_supplement_that_is_small_is_opened_beside_a_large_one(loop: Loop) -> None:
    assert MOST_COMPARED_BYTES >= 1_000_000
    first = send_heavy(loop)
    for _ in range(3):
        send_heavy(loop, kind="supplement", earlier_reference=first)
    content = make_sealed_report(
        make_full_report(change_reason="It was an error."),
        clear=make_clear_fields("example-chat", kind="retraction", earlier_reference=first, priority="P2"),
    )
    envelope = seal(
        encode_sealed_report(content), key=loop.sealing_key(), context=report_context(content.clear)
    ).to_bytes()
    statement = sign_for_envelope(content.clear, envelope, private_key=loop.partner.submission_key)
    loop.send_industry(SealedReport(clear=content.clear, envelope=envelope, statement=statement))
    loop.collect()
    page = Browser(loop.desk).sign_in().post(f"/cases/{find(loop, first).case_id}/read").text
    assert 'Reason: <bdi class="words">It was an error.</bdi>' in page
