"""The facts of an incident at closing, which a yearly digest counts: none has to be known, and none is made up."""

import dataclasses

import pytest

from gateway.desk.cases.choices import NOT_KNOWN, load_facts
from gateway.desk.cases.closing import Closing
from gateway.desk.cases.model import CaseRow
from gateway.desk.cases.opening import open_case
from gateway.desk.office.wiring import Desk
from tests.desk.view_builders import Browser, add_sealed_case
from tests.desk.work_builders import assess, assess_and_close, get, refused

CLOSING = Closing(outcome="used")


def add_opened(desk: Desk) -> str:
    return open_case(desk, add_sealed_case(desk, marker=""), actor="test").case.case_id


def read_facts(case: CaseRow) -> dict[str, str | None]:
    return {name: getattr(case, name) for name in load_facts()}


def test_a_form_that_is_left_as_it_is_knows_no_fact(desk: Desk) -> None:
    browser, case_id = Browser(desk).sign_in(), add_opened(desk)
    assess(desk, case_id, actor="a-assessor")
    page = browser.get(f"/cases/{case_id}").text
    assert page.count(f'<option value="">{NOT_KNOWN}</option>') == len(load_facts())
    for fact in load_facts().values():
        assert fact.question in page
    assert browser.post(f"/cases/{case_id}/close", outcome="used").status_code == 303
    assert read_facts(get(desk, case_id)) == dict.fromkeys(load_facts())


def test_facts_of_the_form_are_kept_with_the_case_and_shown(desk: Desk) -> None:
    browser, case_id = Browser(desk).sign_in(), add_opened(desk)
    assess(desk, case_id, actor="a-assessor")
    known = {"moved_to": "messenger", "blackmail": "with_money"}
    assert browser.post(f"/cases/{case_id}/close", outcome="used", **known).status_code == 303
    assert read_facts(get(desk, case_id)) == dict.fromkeys(load_facts()) | known
    page = browser.get(f"/cases/{case_id}").text
    assert [fact.answers[known[name]] in page for name, fact in load_facts().items() if name in known] == [True, True]
    assert load_facts()["posed_as"].title not in page


@pytest.mark.parametrize("facts", [{"moved_to": "the moon"}, {"moon": "messenger"}])
def test_an_unknown_fact_does_not_close_a_case(desk: Desk, facts: dict[str, str]) -> None:
    case_id = add_opened(desk)
    with refused("bad-code"):
        assess_and_close(desk, case_id, dataclasses.replace(CLOSING, facts=facts), actor="test")
    assert get(desk, case_id).closed_at is None
