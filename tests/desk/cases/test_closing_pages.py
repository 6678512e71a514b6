"""The forms that close a case: every reason at once, by permission, and a heading that is true."""

import pytest

from gateway.desk.cases.opening import open_case
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.wiring import Desk
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import file, find, read
from tests.desk.people_builders import ensure_person
from tests.desk.view_builders import Browser, add_sealed_case
from tests.desk.work_builders import ANSWERS, assess

ASSESS_AND_CLOSE = ANSWERS | {"then": "close", "seen_step": "0", "outcome": "actioned"}


def add_read(desk: Desk, **changes: object) -> str:
    return open_case(desk, add_sealed_case(desk, marker="", **changes), actor=ACTOR).case.case_id


def test_assessment_is_said_to_be_recorded_if_its_case_may_not_close_yet(desk: Desk, browser: Browser) -> None:
    case_id = add_read(desk, reply_owed=True)
    urgent = ASSESS_AND_CLOSE | {"urgent_dissemination": "yes", "urgency": "each"}
    answer = browser.post(f"/cases/{case_id}/assess", **urgent)
    assert answer.status_code == 409
    assert "<h2>The assessment is recorded. The case stays open</h2>" in answer.text
    assert "Nothing was changed yet" not in answer.text
    for field in ("code", "close-title"):
        assert f'<li><a href="#{field}">' in answer.text
        assert f'id="{field}"' in answer.text
    # The outcome is still there; the reasons are recorded, and no second assessment begins from them.
    assert '<option value="actioned" selected>' in answer.text
    written = answer.text.partition('<textarea id="assess_reasons"')[2].partition("</textarea>")[0]
    assert ANSWERS["assess_reasons"] not in written
    blank = browser.post(f"/cases/{case_id}/close", outcome="")
    assert "<h2>Nothing was changed yet</h2>" in blank.text
    assert [field for field in ("code", "close-title", "outcome") if f'<li><a href="#{field}">' not in blank.text] == []


@pytest.mark.parametrize("beside", [{"release_outcome": "yes"}, {"cluster": "01a211d3-7340-7100-bd26-c4bfe4e0f4c1"}])
def test_duty_officer_who_closes_neither_informs_a_partner_nor_links_cases(loop: Loop, beside: dict[str, str]) -> None:
    case = read(loop)
    with loop.desk.store.write() as connection:
        connection.exec_driver_sql("UPDATE cases SET crisis = TRUE")
        ensure_person(connection, "d-duty", [Role.DUTY_OFFICER])
    officer = Browser(loop.desk).sign_in("d-duty", [Role.DUTY_OFFICER])
    page = officer.post(f"/cases/{case.case_id}/read").text
    assert "Record it and close the case" in page
    assert [name for name in ("release_outcome", "cluster") if f'name="{name}"' in page] == []
    refused = officer.post(f"/cases/{case.case_id}/assess", **ASSESS_AND_CLOSE, **beside)
    assert refused.status_code == 403
    assert find(loop, case.reference).holder is None  # nor was the assessment recorded
    assess(loop.desk, case.reference, actor="d-duty")
    assert officer.post(f"/cases/{case.case_id}/close", outcome="actioned", **beside).status_code == 403
    assert officer.post(f"/cases/{case.case_id}/close", outcome="actioned").status_code == 303
    page = Browser(loop.desk).sign_in().post(f"/cases/{read(loop).case_id}/read").text
    assert [name for name in ("release_outcome", "cluster") if f'name="{name}"' not in page] == []


def test_page_of_a_joined_report_names_the_case_that_it_closes_with(loop: Loop) -> None:
    first = read(loop)
    later = file(loop, kind="supplement", earlier_reference=first.reference)
    page = Browser(loop.desk).sign_in().get(f"/cases/{later.case_id}").text
    closing = page.partition('<h2 id="close-title">')[2].partition("</section>")[0]
    assert "Read it first. It closes with" in closing
    assert f'href="/cases/{first.case_id}#close-title">{first.reference}</a>' in closing
    assert "the same form closes it" not in closing


def test_priority_that_an_assessment_raised_is_not_said_to_be_the_senders(desk: Desk, browser: Browser) -> None:
    case_id = add_read(desk, priority="P3")
    assess(desk, case_id, priority="P1")
    page = browser.get(f"/cases/{case_id}").text
    assert "<dt>Priority</dt><dd>Most urgent (P1)</dd>" in page
