"""The outcome for the child: recorded also of a closed case, taken back in the open, and counted in the figures."""

import html
import re

import pytest
from sqlalchemy import select

from gateway.desk.cases.closing import (
    CHILD_OUTCOMES,
    Closing,
    close_case,
    list_child_outcomes,
    record_child_outcome,
    take_back_child_outcome,
)
from gateway.desk.cases.model import CaseError, get_case, list_steps
from gateway.desk.cases.opening import open_case
from gateway.desk.digests.figures import count_child_outcomes
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk
from gateway.desk.store.schema import AUDIT, CASE_STEPS
from tests.builders import NOW
from tests.desk.desk_loop import ACTOR
from tests.desk.view_builders import Browser, add_sealed_case
from tests.desk.work_builders import assess, refused

TOLD = "Told-Marker: DC Example of Kent Police, by phone"


@pytest.fixture
def case_id(desk: Desk) -> str:
    """A read case that an adult reported."""
    return open_case(desk, add_sealed_case(desk, marker=""), actor=ACTOR).case.case_id


def list_codes(desk: Desk, case_id: str) -> list[str]:
    with desk.store.read() as connection:
        return [one.code for one in list_child_outcomes(list_steps(connection, get_case(connection, case_id)))]


def count(desk: Desk) -> dict[str, int]:
    with desk.store.read() as connection:
        return {
            title: number for title, number in count_child_outcomes(connection, since=NOW.replace(year=2020)) if number
        }


@pytest.mark.databases("sqlite", "postgresql")
def test_case_has_several_outcomes_also_once_it_is_closed(desk: Desk, case_id: str) -> None:
    assess(desk, case_id)
    record_child_outcome(desk, case_id, outcome="located", told_by=TOLD, actor=ACTOR)
    close_case(desk, case_id, Closing("used"), actor=ACTOR)
    record_child_outcome(desk, case_id, outcome="safeguarded", told_by=TOLD, actor=ACTOR)
    assert list_codes(desk, case_id) == ["located", "safeguarded"]
    assert count(desk) == {"The child is located": 1, "The child is safeguarded": 1}
    take_back_child_outcome(desk, case_id, outcome="located", reason="Another child.", actor=ACTOR)
    assert list_codes(desk, case_id) == ["safeguarded"]
    assert count(desk) == {"The child is safeguarded": 1}


@pytest.mark.parametrize(
    ("outcome", "told", "reason"),
    [("happy", TOLD, "bad-code"), ("", TOLD, "bad-code"), ("located", " ", "note-missing")],
)
def test_bad_outcome_is_refused(desk: Desk, case_id: str, outcome: str, told: str, reason: str) -> None:
    with refused(reason):
        record_child_outcome(desk, case_id, outcome=outcome, told_by=told, actor=ACTOR)
    assert list_codes(desk, case_id) == []


def test_outcome_of_an_unread_case_is_refused(desk: Desk) -> None:
    with refused("not-opened"):
        record_child_outcome(desk, add_sealed_case(desk, marker=""), outcome="located", told_by=TOLD, actor=ACTOR)


def test_same_outcome_twice_and_one_that_is_not_there_are_refused(desk: Desk, case_id: str) -> None:
    record_child_outcome(desk, case_id, outcome="located", told_by=TOLD, actor=ACTOR)
    with pytest.raises(CaseError) as twice:
        record_child_outcome(desk, case_id, outcome="located", told_by=TOLD, actor=ACTOR)
    with pytest.raises(CaseError) as absent:
        take_back_child_outcome(desk, case_id, outcome="charged", reason=TOLD, actor=ACTOR)
    reasons = [twice.value.reason, absent.value.reason]
    assert reasons == ["outcome-recorded", "outcome-not-recorded"]


def test_page_records_it_and_the_name_of_the_officer_is_stored_sealed_alone(desk: Desk, case_id: str) -> None:
    browser = Browser(desk).sign_in("o-officer", [Role.OPERATIONS])
    path = f"/cases/{case_id}"
    with desk.store.write() as connection:
        connection.exec_driver_sql("UPDATE cases SET faculty = 'operations'")
    assert "Nothing is known yet" in browser.get(path).text
    refused = browser.post(f"{path}/child-outcome", child_outcome="", child_told_by=TOLD)
    assert refused.status_code == 409
    assert 'id="child_outcome-fault"' in refused.text
    assert TOLD in refused.text, "nothing typed is lost"
    assert 'id="child_told_by-fault"' in browser.post(f"{path}/child-outcome", child_outcome="located").text
    assert browser.post(f"{path}/child-outcome", child_outcome="located", child_told_by=TOLD).status_code == 303
    closed = html.unescape(browser.get(path).text)
    assert re.search(r"<strong>The child is located</strong> <span class=\"small\">recorded", closed)
    assert "recorded the outcome for the child: The child is located" in closed
    assert TOLD not in closed
    assert TOLD in html.unescape(browser.post(f"{path}/read").text)
    with desk.store.read() as connection:
        stored = [*connection.execute(select(CASE_STEPS)), *connection.execute(select(AUDIT))]
    assert not [row for row in stored if TOLD in str(tuple(row)) or TOLD.encode() in repr(tuple(row)).encode()]
    figures = Browser(desk).sign_in("s-super", [Role.SUPERVISOR]).get("/figures").text
    assert re.search(r'<th scope="row">The child is located</th><td data-title="Cases">1</td>', figures)
    back = browser.post(
        f"{path}/child-outcome", child_outcome="located", child_told_by="Another child.", child_in_error="yes"
    )
    assert back.status_code == 303
    assert "recorded the outcome for the child as taken back: The child is located" in html.unescape(
        browser.get(path).text
    )


def test_codes_are_those_of_the_requirement() -> None:
    assert len(CHILD_OUTCOMES) == 9
