"""A package is built from a case: suggested bodies first, laws for the body, a preview of the exact page, a draft.

The boxes of a package: the safe ways themselves, a meeting with its place, and no word that only the desk knows.

Legal bases and handling conditions: data that offers every body of the register at least one law.
"""

import html
import io
import re
import zipfile
from typing import Any

import pytest
from sqlalchemy import select

from gateway.desk.cases.actions.destinations import load_register
from gateway.desk.cases.actions.ledger import open_body
from gateway.desk.cases.model import get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.reading.labels import PUBLIC_WORDS
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk
from gateway.desk.outgoing.package_archive import unpack
from gateway.desk.outgoing.package_content import Line, load_handling, load_legal_bases
from gateway.desk.outgoing.package_gathering import OF_REPORTER, PUBLIC_LEFT_OUT, make_public_parts
from gateway.desk.store.schema import AUDIT, CASE_ACTIONS, CASE_STEPS, METADATA
from gateway.exchange.public_report import Meeting
from partner_sdk.wire.mailbox import Package, parse_body
from tests.desk.outgoing.packages.package_forms import (
    FORM,
    MAKER,
    MARKER,
    add_urgent,
    draft,
    fill,
    give_mailbox,
    post,
    read_passed_on,
)
from tests.desk.view_builders import Browser, add_sealed_case
from tests.desk.work_builders import assess
from tests.public_report_builders import make_contact, make_known_person, make_public_report

TYPED = ("Why-Marker", "Summary-Marker", "Necessity-Marker", "Handling-Marker", "Guidance-Marker")


@pytest.fixture
def case_id(desk: Desk) -> str:
    """An urgent case that its maker has read and assessed."""
    return add_urgent(desk)


@pytest.fixture
def maker(desk: Desk, case_id: str) -> Browser:
    """The maker's browser, on the page of the case."""
    browser = Browser(desk).sign_in(MAKER)
    browser.get(f"/cases/{case_id}")
    return browser


# A new answer of the form is added here, or to `OF_REPORTER` if it tells who reported (package_gathering.py).
PASSED_ON = {
    *("age_band", "country", "danger", "feels", "kinds", "language", "pictures", "region", "reporter_age_band"),
    *("signposted", "still", "story", "submitted_at", "there_too", "told", "under_18", "when", "who"),
    *(f"child.{name}" for name in ("already_told", "birth", "child_knows", "is_with_you", "name", "place", "school")),
    *(f"clear.{name}" for name in ("earlier_reference", "kind", "priority", "report_id")),
    *("meeting.place", "meeting.when"),
    *(f"person.{name}" for name in ("age", "app", "handle", "how_met", "in_real_life", "knows", "names", "near")),
}


def test_answer_goes_to_police_only_if_somebody_chose_it() -> None:
    assert set(PUBLIC_WORDS) - {*OF_REPORTER, *PUBLIC_LEFT_OUT} == PASSED_ON


def count_actions(desk: Desk) -> int:
    with desk.store.read() as connection:
        return len(connection.execute(select(CASE_ACTIONS.c.action_id)).all())


def test_urgent_case_shows_the_builder_as_its_next_step(maker: Browser, case_id: str) -> None:
    page = html.unescape(maker.get(f"/cases/{case_id}").text)
    assert "Next: make the package." in page
    assert f'action="/cases/{case_id}/package/start"' in page


def test_builder_suggests_the_force_of_the_place_and_is_recorded(maker: Browser, desk: Desk, case_id: str) -> None:
    page = html.unescape(maker.post(f"/cases/{case_id}/package/start").text)
    groups = page.split("<optgroup")
    assert 'label="Suggested"' in groups[1]
    assert "West Yorkshire Police" in groups[1]
    assert "Reasons-Marker" in page, "the summary starts from the reasons of the assessment"
    assert '<option value="west_yorkshire" selected' not in page, "a person decides"
    assert 'value="harm_reduction"' not in page, "it takes no packages"
    with desk.store.read() as connection:
        acts = connection.execute(select(AUDIT.c.actor).where(AUDIT.c.action == "gather-case")).scalars().all()
    assert acts == [MAKER]


# Each is refused, so one desk serves them all.
FAULTS: tuple[tuple[str, Any], ...] = (
    *((name, "") for name in ("destination", "why", "summary", "necessity", "reporter", "officer_telephone")),
    ("destination", "atlantis"),
    ("destination", "harm_reduction"),
    ("legal", []),
    ("legal", ["a_law_of_nobody"]),
    ("legal", ["overseas_case"]),
    ("handling", ["a_condition_of_nobody"]),
    ("reports", []),
    ("reports", ["another-case"]),
    ("evidence", ["another-file"]),
    ("evidence_as", "by_pigeon"),
    ("officer", "n-nobody"),
    ("summary", "x" * 4_001),
    ("guidance", "a\x07b"),
)


@pytest.mark.parametrize("step", ["preview", "draft"])
def test_fault_stands_at_its_field_and_no_typed_text_is_lost(
    maker: Browser, desk: Desk, case_id: str, step: str
) -> None:
    for field, value in FAULTS:
        answer = post(maker, case_id, step, **{field: value})
        page = html.unescape(answer.text)
        marks = (f'id="{field}-fault"', f'<a href="#{field}">', f'id="{field}"')
        assert (field, answer.status_code, [one for one in marks if one not in page]) == (field, 409, [])
        named = {"why": "Why", "summary": "Summary", "necessity": "Necessity", "guidance": "Guidance"}.get(field, "-")
        assert (field, [one for one in TYPED if one not in page and not one.startswith(named)]) == (field, [])
    assert count_actions(desk) == 0


def test_preview_is_the_page_of_the_archive_and_keeps_nothing(maker: Browser, desk: Desk, case_id: str) -> None:
    page = html.unescape(post(maker, case_id, "preview").text)
    assert "This is the page that the officer reads" in page
    for text in (*TYPED[1:], MARKER, "Crime and Courts Act 2013, section 7(4)", "Kent Police", "0000 111"):
        assert text in page.partition('class="sheet package-page"')[2], text
    assert "Why-Marker" not in page.partition('class="sheet package-page"')[2].partition("</section>")[0]
    assert "as a sealed file" in page, "no channel was agreed with this body"
    assert count_actions(desk) == 0


def test_draft_is_stored_sealed_alone_and_waits_for_a_second_person(maker: Browser, desk: Desk, case_id: str) -> None:
    action = draft(desk, maker, case_id)
    assert (action.kind, action.state, action.recipient, action.way) == ("package", "drafted", "kent", "sealed-file")
    assert action.covers == 1
    page = html.unescape(maker.get(f"/actions/{action.action_id}").text)
    assert "Waits for a second person's signature" in page
    assert MARKER not in page
    opened = html.unescape(maker.post(f"/actions/{action.action_id}/read").text)
    assert MARKER in opened
    assert "You prepared this" in opened
    with desk.store.read() as connection:
        rows = [repr(tuple(row)) for table in METADATA.sorted_tables for row in connection.execute(table.select())]
    assert len(rows) > 10
    assert [row for row in rows if any(one in row for one in (*TYPED, MARKER))] == []
    timeline = html.unescape(maker.post(f"/cases/{case_id}/read").text)
    assert timeline.count("drafted a package to Kent Police") == 1
    assert "drafted an action" not in timeline
    assert "Why-Marker" in timeline


def test_mailbox_body_is_the_archive_that_was_previewed(desk: Desk, maker: Browser, case_id: str) -> None:
    give_mailbox(desk)
    action = draft(desk, maker, case_id)
    assert action.way == "mailbox"
    message = parse_body(open_body(desk, action, actor=MAKER), body=Package)
    assert message.urgent
    assert message.title == "A stranger in a game"
    with zipfile.ZipFile(io.BytesIO(message.read_archive())) as archive:
        names = archive.namelist()
        page = archive.read("page.html")
    assert {"manifest.json", "page.html", "page.pdf", "case.jsonld", "reports/r1.json"} <= set(names)
    assert unpack(action.way, open_body(desk, action, actor=MAKER)).page == page
    assert MARKER in page.decode()


def test_reporter_who_is_left_out_is_in_no_byte_that_leaves(desk: Desk, maker: Browser, case_id: str) -> None:
    action = draft(desk, maker, case_id, reporter="left_out")
    body = open_body(desk, action, actor=MAKER).decode()
    for secret in (f"Sam {MARKER}", f"0000 {MARKER}", f"word {MARKER}", f"nobody {MARKER}"):
        assert secret not in body, secret
    page = html.unescape(maker.post(f"/actions/{action.action_id}/read").text)
    assert "The person who reported is not named here" in page
    assert "Someone asks me to write elsewhere" in page, "the story goes"


def test_preview_names_the_withheld_words_that_are_still_on_the_page(desk: Desk, maker: Browser, case_id: str) -> None:
    clean = html.unescape(post(maker, case_id, "preview", reporter="left_out").text)
    assert "these words of theirs are still on the page" not in clean
    leaking = post(maker, case_id, "preview", reporter="left_out", summary=f"Sam {MARKER} asks for help.")
    page = html.unescape(leaking.text)
    assert "these words of theirs are still on the page" in page
    assert f"<bdi>Sam {MARKER}</bdi>" in page


def test_case_that_is_unread_unassessed_or_stale_has_no_builder(desk: Desk, maker: Browser, case_id: str) -> None:
    unread = add_sealed_case(desk, marker="")
    for step in ("start", "draft"):
        answer = maker.post(f"/cases/{unread}/package/{step}", **fill(unread))
        assert answer.status_code == 409
        assert "No package can be made yet" in answer.text or "still unread" in answer.text
    assert count_actions(desk) == 0


def test_case_of_another_person_is_refused_with_their_name(desk: Desk, maker: Browser, case_id: str) -> None:
    other = Browser(desk).sign_in("o-other", [Role.ANALYST])
    other.get(f"/cases/{case_id}")
    answer = post(other, case_id, "draft", **read_passed_on(post(other, case_id, "preview").text))
    assert answer.status_code == 409
    assert "has had this case since" in answer.text
    assert "Summary-Marker" in answer.text
    assert count_actions(desk) == 0


def test_redirect_needs_the_law_of_agreement_and_a_body_that_takes_it(desk: Desk, maker: Browser, case_id: str) -> None:
    page = html.unescape(maker.post(f"/cases/{case_id}/package/start", kind="redirect").text)
    assert "Redirect the report" in page
    assert 'value="nca_disclosure"' not in page
    refused = post(maker, case_id, "draft", kind="redirect", destination="iwf")
    assert 'id="legal-fault"' in refused.text
    assert (
        'id="destination-fault"'
        in post(maker, case_id, "draft", kind="redirect", destination="garda", legal=["agreed"]).text
    )
    action = draft(desk, maker, case_id, kind="redirect", destination="iwf", legal=["agreed"])
    assert (action.kind, action.recipient, action.covers) == ("redirect", "iwf", None)


def test_step_has_the_codes_of_the_choice_and_none_of_its_words(desk: Desk, maker: Browser, case_id: str) -> None:
    action = draft(desk, maker, case_id)
    with desk.store.read() as connection:
        row = connection.execute(select(CASE_STEPS).where(CASE_STEPS.c.kind == "choose-body")).one()
    assert f'"action_id":"{action.action_id}"' in row.detail
    assert f'"reports":"{case_id}"' in row.detail
    assert FORM["why"] not in row.detail


def test_draft_is_the_form_that_was_previewed_and_a_second_press_makes_no_second_one(
    desk: Desk, maker: Browser, case_id: str
) -> None:
    passed_on = read_passed_on(post(maker, case_id, "preview").text)
    changed = post(maker, case_id, "draft", **passed_on, summary="Another-Marker: other words.")
    assert changed.status_code == 409
    assert "This changed after you checked it" in changed.text
    assert "Another-Marker" in changed.text
    assert count_actions(desk) == 0
    first, second = (post(maker, case_id, "draft", **passed_on) for _ in range(2))
    assert (first.status_code, first.location) == (303, second.location)
    assert count_actions(desk) == 1


def test_typed_text_waits_while_the_case_is_assessed_again(desk: Desk, maker: Browser, case_id: str) -> None:
    with desk.store.read() as connection:
        reference = get_case(connection, case_id).reference
    open_case(desk, add_sealed_case(desk, marker="", adds_to=reference, reply_owed=False), actor=MAKER)
    for step in ("preview", "draft"):
        answer = post(maker, case_id, step)
        page = html.unescape(answer.text)
        assert answer.status_code == 409
        assert "Nothing was kept yet" in page
        assert "Assess the case again" in page
        assert [one for one in TYPED if one not in page] == []
    kept: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', answer.text):
        kept.setdefault(name, []).append(html.unescape(value))
    del kept["csrf_token"]
    assert kept["handling"] == FORM["handling"]
    assess(desk, case_id, actor=MAKER, urgent_dissemination="yes")
    again = maker.post(f"/cases/{case_id}/package/preview", **kept)
    assert "This is the page that the officer reads" in again.text


def preview(desk: Desk, **changes: Any) -> str:
    Browser(desk).sign_in(MAKER, [Role.ANALYST])
    case_id = open_case(desk, add_sealed_case(desk, marker="", **changes), actor=MAKER).case.case_id
    assess(desk, case_id, actor=MAKER, urgent_dissemination="yes", immediate_risk="yes", age_band="13_15")
    page = html.unescape(post(Browser(desk).sign_in(MAKER), case_id, "preview").text)
    return page.partition('class="sheet package-page"')[2]


AT_SCHOOL = make_contact(ways=("school",), school="Ask for Sam at Example School", phone="0000 12")


def test_box_has_the_only_way_and_the_telephone_of_the_officer(desk: Desk) -> None:
    page = preview(desk, report={"contact": AT_SCHOOL})
    box = page.partition("Safe contact")[2].partition("<dl>")[0]
    assert "Reach them only in this way:\nThe child, at school: Ask for Sam at Example School\n" in box
    assert "Do not phone, write or leave a note unless this page says so." in box
    assert "If this cannot be done, call" in box
    assert "0000 111" in box
    assert "0000 12" not in box.replace("0000 111", "")


def test_urgent_box_says_when_and_where_and_whom_to_call(desk: Desk) -> None:
    meeting = Meeting(place="By the cinema in Canterbury", when="today")
    page = preview(desk, report={"meeting": meeting, "signals": ("danger-called",)})
    box = page.partition("<strong>Urgent</strong>")[2].partition("</div>")[0]
    assert "A meeting today (said on " in box
    assert "): By the cinema in Canterbury\n" in box
    assert "They told the agency that they called 999." in box
    assert "0000 111" in box


def test_doubt_about_the_form_is_part_of_the_assessment(desk: Desk) -> None:
    page = preview(desk, flagged=True)
    assert "It may still be a child." in page.partition("<h2>Assessment by this desk")[2].partition("<h2>")[0]
    assert "program" not in page


def test_factor_that_the_assessment_answers_is_left_out(desk: Desk) -> None:
    page = preview(desk, factors="age_unsaid still_going_on")
    assert "Still going on" in page
    assert "age is not known" not in page


def test_words_of_the_desk_are_those_of_an_outsider() -> None:
    parts = make_public_parts(make_public_report(who="me", contact=AT_SCHOOL), number=1)
    text = "\n".join(f"{line.label}: {line.text}" for line in parts.safe_contact)
    assert [one for one in (" we ", "May we", "They were not asked") if one in text] == []
    assert "Nobody asked them: leave no note" in text
    assert "say that the police or the agency calls?" in text


@pytest.mark.parametrize("is_proven", [True, False])
def test_way_that_any_report_bars_or_nobody_proved_is_no_safe_way(is_proven: bool) -> None:
    report = make_public_report(who="friend", contact=make_contact(ways=("call", "text"), phone="0000 12"))
    near = make_public_report(who="friend", person=make_known_person(near="yes"))
    parts = make_public_parts(report, number=1, barred_by=(report, near), is_proven=is_proven)
    safe = (Line(label="The person who reported, by a call", text="0000 12", of_reporter=True),)
    assert parts.safe_ways == (safe if is_proven else ())
    assert "Text (do not use)" in [line.label for line in parts.safe_contact]


def test_time_that_is_none_stays_as_it_was_sent() -> None:
    for sent, shown in (("2026-11-25T08:30:00Z", "25 Nov 2026, 08:30 GMT"), ("soon", "soon")):
        report = make_public_report(who="me", submitted_at=sent, meeting=Meeting(place="the park", when="today"))
        parts = make_public_parts(report, number=1)
        assert parts.urgent == (f"A meeting today (said on {shown}): the park",)
        assert shown in [line.text for section in parts.sections for line in section.lines]


PASSED = {"package", "crisis", "referral"}


def test_every_body_that_takes_a_package_has_a_law_that_needs_nobodys_agreement() -> None:
    takers = {one.group for one in load_register().values() if PASSED & set(one.takes)}
    assert len(takers) >= 5
    lawful = {group for one in load_legal_bases().values() if not one.agreed for group in one.groups}
    assert takers - lawful == set()


def test_every_body_that_takes_a_redirected_report_takes_it_by_agreement() -> None:
    takers = {one.group for one in load_register().values() if "redirect" in one.takes}
    assert len(takers) >= 2
    agreed = {group for one in load_legal_bases().values() if one.agreed for group in one.groups}
    assert takers - agreed == set()


def test_every_entry_is_worded_for_the_page_and_for_its_reader() -> None:
    bases, handling = load_legal_bases(), load_handling()
    assert len(bases) >= 5
    assert len(handling) >= 5
    assert {one.title for one in bases.values() if not (one.say.endswith(".") and one.law and one.asks)} == set()
    assert {one.title for one in handling.values() if not one.say.endswith(".")} == set()
    assert any(one.usual for one in handling.values())
    assert any(not one.usual for one in handling.values())
