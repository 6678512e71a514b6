"""A report that its person asked to wipe: decided, drafted with every report of the person, signed, and gone."""

import pytest
from sqlalchemy import update

from gateway.desk.cases.model import get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.office.uk_times import get_day_start
from gateway.desk.office.wiring import Desk
from gateway.desk.retention.destruction import begin_destruction, finish_due
from gateway.desk.retention.lists import DUE, RetentionError, draft_destruction, draft_erasure
from gateway.desk.retention.rights_requests import ERASE, GRANTED, Decision, answer_request, list_due, record_request
from gateway.desk.store.schema import CASES
from gateway.desk.vault.destructions import STOP_WITHIN
from partner_sdk.errors import OpeningError
from tests.desk.retention_builders import FIRST, SECOND, close_all, confirm_forgetting, sign_list
from tests.desk.view_builders import Browser, Clock, add_sealed_case

ACTOR = "a-assessor"


def ask(desk: Desk, case_id: str, kind: str = "wipe") -> None:
    day = get_day_start(desk.clock()).date()
    record_request(desk, case_id, kind, way="phone", asked_on=day, note="Please.", actor=ACTOR)


def decide(desk: Desk, case_id: str, kind: str = "wipe", decision: str = ERASE) -> None:
    answer = Decision(
        kind=kind, decision=decision, ground="", identity="safe_word", told_by="phone", text="Yes.", note=""
    )
    answer_request(desk, case_id, answer, actor=ACTOR, message_id=desk.make_id())


def add_pair(desk: Desk) -> tuple[str, str]:
    """File a report and an addition that is proven to come from the same person."""
    first = add_sealed_case(desk, marker="marmalade", under_18="yes", reply_key_sha256="a")
    with desk.store.read() as connection:
        reference = get_case(connection, first).reference
    later = add_sealed_case(desk, marker="later", under_18="yes", reply_key_sha256="a", adds_to=reference)
    return first, later


@pytest.mark.databases("sqlite", "postgresql")
def test_every_report_of_the_person_is_gone_and_the_request_ends(desk: Desk, clock: Clock) -> None:
    first, later = add_pair(desk)
    open_case(desk, first, actor=ACTOR)
    ask(desk, later)
    decide(desk, later)
    close_all(desk)
    release = draft_erasure(desk, later, actor=FIRST)
    sign_list(desk, release)
    begin_destruction(desk, release.subject, actor=SECOND)
    with desk.store.read() as connection:
        assert list_due(connection, most=9) == []  # nothing of it is left to do
    confirm_forgetting(desk)
    clock.now += STOP_WITHIN
    assert finish_due(desk) == [release.subject]
    with desk.store.read() as connection:
        for case_id in (first, later):
            case = get_case(connection, case_id)
            assert case.destroyed_at is not None
            assert (case.requests, case.request_due) == ("", None)
    with pytest.raises(OpeningError):
        open_case(desk, first, actor=ACTOR)


@pytest.mark.parametrize("is_decided", [True, False])
def test_erasure_needs_a_decision_and_no_other_open_request(desk: Desk, is_decided: bool) -> None:
    first, later = add_pair(desk)
    ask(desk, first)
    ask(desk, later, "see")
    if is_decided:
        decide(desk, first)
    close_all(desk)
    with pytest.raises(RetentionError) as caught:
        draft_erasure(desk, first, actor=FIRST)
    assert caught.value.reason == ("other-requests" if is_decided else "not-decided")


def test_open_request_keeps_a_case_whose_time_is_over(desk: Desk) -> None:
    case_id = add_sealed_case(desk, marker="marmalade", under_18="yes")
    ask(desk, case_id, "see")
    close_all(desk)
    with desk.store.write() as connection:
        connection.execute(update(CASES).values(closed_at="2010-01-01T00:00:00Z"))
    with pytest.raises(RetentionError, match="asked to see"):
        draft_destruction(desk, [case_id], reason=DUE, actor=FIRST)
    decide(desk, case_id, "see", GRANTED)
    assert draft_destruction(desk, [case_id], reason=DUE, actor=FIRST).subject


def test_page_drafts_the_erasure_and_says_why_it_cannot(desk: Desk, browser: Browser) -> None:
    case_id = add_sealed_case(desk, marker="marmalade", under_18="yes")
    ask(desk, case_id)
    decide(desk, case_id)
    assert "Close the case first" in browser.get(f"/cases/{case_id}/requests").text
    assert "a report of it is open" in browser.post(f"/cases/{case_id}/erase").text
    close_all(desk)
    assert browser.post(f"/cases/{case_id}/erase").status_code == 303
    assert "asked for by the person" in browser.get("/retention").text
