"""The boxes of a package: the safe ways themselves, a meeting with its place, and no word that only the desk knows."""

import html
from typing import Any

import pytest

from gateway.desk.cases.opening import open_case
from gateway.desk.packages.content import Line
from gateway.desk.packages.gathering import make_public_parts
from gateway.desk.people.permissions import Role
from gateway.desk.wiring import Desk
from gateway.exchange.public_report import Meeting
from tests.desk.packages.package_forms import MAKER, post
from tests.desk.view_builders import Browser, add_sealed_case
from tests.desk.work_builders import assess
from tests.public_report_builders import make_contact, make_known_person, make_public_report


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
