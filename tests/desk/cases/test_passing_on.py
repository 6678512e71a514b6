"""A body outside takes a case: its officer and the reason are recorded sealed; only then an urgent case closes."""

import html

import pytest
from sqlalchemy import select

from gateway.desk.cases.closing import Closing, close_case
from gateway.desk.cases.model import CaseError, get_case, list_steps
from gateway.desk.cases.opening import open_case
from gateway.desk.office.wiring import Desk
from gateway.desk.store.schema import AUDIT, CASE_STEPS
from tests.desk.desk_loop import ACTOR
from tests.desk.view_builders import Browser, add_sealed_case
from tests.desk.work_builders import assess, pass_case_on, refused

MARKER = "Marker-of-an-officer-4471"


def add_urgent(desk: Desk, *, actor: str = ACTOR) -> str:
    case_id = open_case(desk, add_sealed_case(desk, marker=""), actor=actor).case.case_id
    assess(desk, case_id, actor=actor, urgent_dissemination="yes")
    return case_id


def refuse(desk: Desk, case_id: str, **changes: str) -> str:
    with pytest.raises(CaseError) as caught:
        pass_case_on(desk, case_id, **changes)
    with desk.store.read() as connection:
        assert list_steps(connection, get_case(connection, case_id), kinds=("pass-on",)) == []
    return caught.value.reason


def test_urgent_case_closes_once_a_body_took_it(desk: Desk) -> None:
    case_id = add_urgent(desk)
    with refused("package-owed"):
        close_case(desk, case_id, Closing("used"), actor=ACTOR)
    pass_case_on(desk, case_id)
    assert close_case(desk, case_id, Closing("used"), actor=ACTOR).closed_at


def test_report_that_is_read_later_has_to_be_passed_on_too(desk: Desk) -> None:
    case_id = add_urgent(desk)
    pass_case_on(desk, case_id)
    with desk.store.read() as connection:
        reference = get_case(connection, case_id).reference
    open_case(desk, add_sealed_case(desk, marker="", adds_to=reference, reply_owed=False), actor=ACTOR)
    assess(desk, case_id, urgent_dissemination="yes")
    with refused("package-owed"):
        close_case(desk, case_id, Closing("used"), actor=ACTOR)
    pass_case_on(desk, case_id)
    assert close_case(desk, case_id, Closing("used"), actor=ACTOR).closed_at


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"destination": "atlantis"}, "unknown-destination"),
        ({"destination": ""}, "unknown-destination"),
        ({"means": "fax"}, "bad-code"),
        ({"taken_by": " "}, "note-missing"),
        ({"taken_by": "x" * 4001}, "note-too-long"),
        ({"reason": ""}, "reason-missing"),
        ({"reason": "a\nb"}, "unprintable"),
    ],
)
def test_bad_record_is_refused_and_nothing_is_kept(desk: Desk, changes: dict[str, str], reason: str) -> None:
    assert refuse(desk, add_urgent(desk), **changes) == reason


def test_body_that_retired_takes_nothing(desk: Desk) -> None:
    own = '[kent]\nretired_on = 2026-01-01\nchecked_on = 2026-11-28\nsource = "a letter"\n'
    desk.paths.destinations.write_text(own, "utf-8")
    assert refuse(desk, add_urgent(desk)) == "retired-destination"


def test_case_that_is_unread_unassessed_or_closed_is_not_passed_on(desk: Desk) -> None:
    unread = add_sealed_case(desk, marker="")
    assert refuse(desk, unread) == "not-opened"
    open_case(desk, unread, actor=ACTOR)
    assert refuse(desk, unread) == "not-assessed"
    assess(desk, unread)
    close_case(desk, unread, Closing("used"), actor=ACTOR)
    assert refuse(desk, unread) == "already-closed"


def test_case_of_somebody_else_is_not_passed_on(desk: Desk) -> None:
    case_id = add_urgent(desk)
    assess(desk, case_id, actor=ACTOR)
    with refused("held"):
        pass_case_on(desk, case_id, actor="another-person")


def test_name_of_the_officer_is_stored_sealed_alone(desk: Desk) -> None:
    case_id = add_urgent(desk)
    pass_case_on(desk, case_id, taken_by=MARKER, reason=MARKER)
    with desk.store.read() as connection:
        stored = [*connection.execute(select(CASE_STEPS)), *connection.execute(select(AUDIT))]
    values = [value for row in stored for value in row]
    assert not [one for one in values if isinstance(one, bytes) and MARKER.encode() in one]
    assert not [one for one in values if MARKER in str(one)]
    assert any(row.action == "pass-on-case" for row in stored if hasattr(row, "action"))


def test_page_records_it_and_tells_it_with_the_report(desk: Desk, browser: Browser) -> None:
    case_id = add_urgent(desk, actor="a-assessor")
    page = html.unescape(browser.get(f"/cases/{case_id}").text)
    assert "Record who took the case" in page
    typed = {"pass_to": "kent", "pass_means": "phoned", "pass_taken_by": MARKER, "pass_reason": f"{MARKER} town"}
    for missing, field in (("pass_to", "pass_to"), ("pass_means", "pass_means"), ("pass_reason", "pass_reason")):
        refused = browser.post(f"/cases/{case_id}/pass-on", **(typed | {missing: ""}))
        assert refused.status_code == 409
        assert f'id="{field}-fault"' in refused.text
        assert MARKER in refused.text, "nothing typed is lost"
    assert browser.post(f"/cases/{case_id}/pass-on", **typed).status_code == 303
    closed = browser.get(f"/cases/{case_id}").text
    assert "passed the case on to Kent Police by phone; they took it" in closed
    assert MARKER not in closed
    assert MARKER in browser.post(f"/cases/{case_id}/read").text


@pytest.mark.parametrize("body", ["specialist_support", "harm_reduction", "iwf", "crimestoppers"])
def test_body_that_protects_no_child_itself_does_not_let_an_urgent_case_close(desk: Desk, body: str) -> None:
    case_id = add_urgent(desk)
    pass_case_on(desk, case_id, destination=body)
    with refused("package-owed"):
        close_case(desk, case_id, Closing("used"), actor=ACTOR)
    pass_case_on(desk, case_id)
    pass_case_on(desk, case_id, destination=body)  # a later one takes nothing back
    assert close_case(desk, case_id, Closing("used"), actor=ACTOR).closed_at


@pytest.mark.parametrize(
    "body", ["children_wales", "nca_operations", "garda", "nca_international", "british_transport_police"]
)
def test_police_of_any_kind_and_childrens_services_let_it_close(desk: Desk, body: str) -> None:
    case_id = add_urgent(desk)
    pass_case_on(desk, case_id, destination=body)
    assert close_case(desk, case_id, Closing("used"), actor=ACTOR).closed_at
