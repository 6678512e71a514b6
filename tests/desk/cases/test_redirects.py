"""Out of remit is no dead end: closing names the body that helps (R7), and IWF matters go there (R6)."""

import dataclasses
import re
from typing import Any

import pytest
from sqlalchemy import select

from gateway.desk.cases.assessing import find_assessment
from gateway.desk.cases.closing import Closing
from gateway.desk.cases.model import OUTCOMES, REDIRECTS, get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.office.wiring import Desk
from gateway.desk.store.schema import AUDIT
from tests.desk.view_builders import Browser, add_sealed_case
from tests.desk.work_builders import assess, assess_and_close, refused

CLOSING = Closing(outcome="out_of_remit")
ANSWERS = {"outcome": "out_of_remit"}


def add_opened(desk: Desk, **report: Any) -> str:
    case_id = add_sealed_case(desk, marker="", report=report)
    return open_case(desk, case_id, actor="test").case.case_id


def close(desk: Desk, case_id: str, **changes: Any) -> None:
    assess_and_close(desk, case_id, dataclasses.replace(CLOSING, **changes), actor="test")


@pytest.mark.parametrize("redirect", REDIRECTS)
def test_out_of_remit_closes_with_each_destination_and_that_is_noted(desk: Desk, redirect: str) -> None:
    case_id = add_opened(desk)
    close(desk, case_id, redirected_to=redirect)
    with desk.store.read() as connection:
        assert get_case(connection, case_id).redirected_to == redirect
        noted = connection.execute(select(AUDIT.c.detail).where(AUDIT.c.action == "close-case")).scalar_one()
    assert f'"redirected_to":"{redirect}"' in noted


def test_out_of_remit_without_a_destination_does_not_close(desk: Desk) -> None:
    case_id = add_opened(desk)
    with refused("no-redirect"):
        close(desk, case_id)
    with desk.store.read() as connection:
        assert get_case(connection, case_id).closed_at is None


@pytest.mark.parametrize(
    ("outcome", "redirect"), [("out_of_remit", "the moon"), *((one, "childline") for one in OUTCOMES[:3])]
)
def test_a_destination_is_one_of_the_list_and_goes_with_out_of_remit_alone(
    desk: Desk, outcome: str, redirect: str
) -> None:
    case_id = add_opened(desk)
    with refused("bad-code"):
        close(desk, case_id, outcome=outcome, redirected_to=redirect)


def test_report_of_content_alone_closes_with_the_iwf_as_best_placed(desk: Desk) -> None:
    case_id = add_opened(desk, kinds=("saw_picture",), pictures="website", signposted=("iwf",))
    assess(desk, case_id, actor="test", best_placed="iwf")
    close(desk, case_id, redirected_to="iwf")
    with desk.store.read() as connection:
        closed = get_case(connection, case_id)
        current = find_assessment(connection, closed)
    assert current is not None
    assert (current.best_placed, closed.redirected_to, closed.outcome) == ("iwf", "iwf", "out_of_remit")


def test_page_asks_where_they_were_sent_and_keeps_every_answer(desk: Desk, browser: Browser) -> None:
    case_id = add_opened(desk)
    assess(desk, case_id, actor="a-assessor")
    browser.get(f"/cases/{case_id}")
    refused = browser.post(f"/cases/{case_id}/close", **ANSWERS)
    assert refused.status_code == 409
    assert "This is out of remit" in refused.text
    assert '<option value="out_of_remit" selected>' in refused.text
    assert browser.post(f"/cases/{case_id}/close", **ANSWERS, redirected_to="school_and_app").status_code == 303
    page = browser.get(f"/cases/{case_id}").text
    assert re.search(r"<dt>Sent to</dt><dd>Their school and the app</dd>", page)


def test_destination_that_is_left_over_from_another_outcome_is_no_answer(desk: Desk, browser: Browser) -> None:
    case_id = add_opened(desk)
    assess(desk, case_id, actor="a-assessor")
    browser.get(f"/cases/{case_id}")
    answers = {**ANSWERS, "outcome": "used", "redirected_to": "childline"}
    assert browser.post(f"/cases/{case_id}/close", **answers).status_code == 303
    with desk.store.read() as connection:
        assert get_case(connection, case_id).redirected_to is None
