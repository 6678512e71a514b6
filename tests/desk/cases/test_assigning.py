"""Ticked cases of the list are handed to one person in one go; each is checked as a single hand-over is."""

import re

import pytest

from gateway.desk.cases.holding import MOST_ASSIGNED, assign_cases, claim_case
from gateway.desk.cases.model import get_case, list_steps, open_texts
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.people.register import end_person
from gateway.desk.office.wiring import Desk
from tests.builders import NOW
from tests.desk.cases.test_industry_cases import CLOSING
from tests.desk.desk_loop import ACTOR
from tests.desk.people_builders import ensure_person
from tests.desk.view_builders import Browser, add_sealed_case
from tests.desk.work_builders import assess_and_close, refused

SUPERVISOR, ANALYST, OTHER, DUTY = "s-supervisor", "a-analyst", "b-analyst", "d-duty"
WHY = "Her shift <i>begins</i>."


@pytest.fixture
def people(desk: Desk) -> None:
    with desk.store.write() as connection:
        ensure_person(connection, SUPERVISOR, [Role.SUPERVISOR])
        ensure_person(connection, ANALYST, [Role.ANALYST])
        ensure_person(connection, OTHER, [Role.ANALYST])
        ensure_person(connection, DUTY, [Role.DUTY_OFFICER])


def add_case(desk: Desk, *, crisis: bool = False) -> str:
    return add_sealed_case(desk, marker="M", crisis=crisis)


def get_holder(desk: Desk, case_id: str) -> str | None:
    with desk.store.read() as connection:
        return get_case(connection, case_id).holder


def close(desk: Desk) -> str:
    case_id = add_case(desk)
    browser = Browser(desk).sign_in("c-closer", [Role.ANALYST])
    browser.post(f"/cases/{case_id}/read")
    assess_and_close(desk, case_id, CLOSING, actor="c-closer")
    return case_id


@pytest.mark.usefixtures("people")
def test_each_case_is_checked_alone_and_the_answer_names_those_that_were_not_assigned(desk: Desk) -> None:
    free, own, held, closed = add_case(desk), add_case(desk), add_case(desk), close(desk)
    claim_case(desk, own, actor=SUPERVISOR)
    claim_case(desk, held, actor=OTHER)
    done = assign_cases(desk, [free, held, closed, own, "XX", free], person=ANALYST, reason=WHY, actor=SUPERVISOR)
    assert [case.case_id for case in done.cases] == [free, own]
    assert [error.reason for _, error in done.refused] == ["held", "already-closed", "unknown-case"]
    assert [get_holder(desk, one) for one in (free, own, held, closed)] == [ANALYST, ANALYST, OTHER, None]
    with desk.store.read() as connection:
        case = get_case(connection, free)
        steps = list_steps(connection, case)
    assert [(step.kind, step.by, step.detail["person"]) for step in steps] == [("hand-over", SUPERVISOR, ANALYST)]
    assert WHY.encode() not in (steps[0].box or b"")
    assert [text.reason for text in open_texts(desk, case, steps, actor=ACTOR).values()] == [WHY]


@pytest.mark.usefixtures("people")
def test_a_duty_officer_gets_cases_of_the_crisis_lane_alone(desk: Desk) -> None:
    crisis, other = add_case(desk, crisis=True), add_case(desk)
    done = assign_cases(desk, [crisis, other], person=DUTY, reason=WHY, actor=SUPERVISOR)
    assert [case.case_id for case in done.cases] == [crisis]
    assert [str(error) for _, error in done.refused] == ["Nobody with this handle works on cases of this lane."]
    assert get_holder(desk, other) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"wanted": []}, "none-chosen"),
        ({"wanted": ["x"] * 1 + [str(number) for number in range(MOST_ASSIGNED)]}, "too-many"),
        ({"person": "nobody"}, "no-recipient"),
        ({"person": ""}, "no-recipient"),
        ({"person": OTHER}, "no-recipient"),
        ({"person": SUPERVISOR}, "own-person"),
        ({"reason": " "}, "reason-missing"),
        ({"reason": "x" * 301}, "reason-too-long"),
    ],
)
@pytest.mark.usefixtures("people")
def test_a_fault_of_all_of_them_assigns_none(desk: Desk, changes: dict[str, object], reason: str) -> None:
    case_id = add_case(desk)
    with desk.store.write() as connection:
        end_person(connection, OTHER, actor=ACTOR, now=NOW)
    settings: dict[str, object] = {"wanted": [case_id], "person": ANALYST, "reason": WHY} | changes
    with refused(reason):
        assign_cases(desk, **settings, actor=SUPERVISOR)  # type: ignore[arg-type]  # each of its own type
    assert get_holder(desk, case_id) is None


@pytest.mark.usefixtures("people")
def test_a_supervisor_ticks_cases_of_the_list_without_script(desk: Desk) -> None:
    free, held = add_case(desk), add_case(desk)
    claim_case(desk, held, actor=OTHER)
    browser = Browser(desk).sign_in(SUPERVISOR, [Role.SUPERVISOR])
    page = browser.get("/?sort=oldest").text
    assert set(re.findall(r'name="case" value="([^"]+)" form="assign"', page)) == {free, held}
    assert 'action="/assign?page=1&amp;sort=oldest"' in page
    assert '<option value="b-analyst">B Analyst (b-analyst), has 1</option>' in page
    faulty = browser.post("/assign?sort=oldest", case=[free], assign_person=ANALYST, assign_reason="")
    assert faulty.status_code == 409
    assert '<a href="#assign_reason">' in faulty.text
    assert f'value="{free}" form="assign" aria-label="Choose' in faulty.text
    assert faulty.text.count(" checked>") == 1
    answer = browser.post("/assign?sort=oldest", case=[free, held], assign_person=ANALYST, assign_reason=WHY)
    assert answer.status_code == 200
    assert "1 case assigned to <bdi>A Analyst (a-analyst)</bdi>" in answer.text
    assert "B Analyst (b-analyst) has had this case since" in answer.text
    assert f'href="/cases/{free}?sort=oldest"' in answer.text
    assert " checked>" not in answer.text
    assert (get_holder(desk, free), get_holder(desk, held)) == (ANALYST, OTHER)


@pytest.mark.usefixtures("people")
def test_only_who_assigns_is_shown_a_tick(desk: Desk) -> None:
    case_id = add_case(desk)
    analyst = Browser(desk).sign_in(ANALYST, [Role.ANALYST])
    assert "/assign" not in analyst.get("/").text
    assert 'name="case"' not in analyst.get("/").text
    supervisor = Browser(desk).sign_in(SUPERVISOR, [Role.SUPERVISOR])
    assert 'name="case"' not in supervisor.get(f"/cases/{case_id}").text  # beside a case, the list is only a list
    assert 'name="case"' not in supervisor.get("/?lane=closed").text
