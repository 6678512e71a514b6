"""A child's case without a reply closes only once a second person has signed the reason, as it stands."""

import hashlib
import json
import re
from datetime import timedelta

import pytest
from sqlalchemy import text, update

from gateway.desk.cases.closing import Closing, list_refusals
from gateway.desk.cases.model import NO_SAFE_CONTACT, get_case
from gateway.desk.cases.replies import GivenReply, describe_no_reply, find_reply_step, record_reply
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.people.releases import NO_REPLY, list_open, verify_release
from gateway.desk.office.wiring import Desk
from gateway.desk.store.schema import CASE_STEPS, METADATA
from tests.desk.view_builders import Browser, Clock, add_sealed_case
from tests.desk.work_builders import make_talk, make_talk_form

FIRST, SECOND = "a-okafor", "b-singh"
WHY = "The phone is shared"


@pytest.fixture
def case_id(desk: Desk) -> str:
    """A read case of a child whose reply a first person judged to be unsafe."""
    made = add_sealed_case(desk, marker="x", under_18="yes", opened_at="2026-11-25T09:00:00Z")
    Browser(desk).sign_in(FIRST, [Role.ANALYST])
    record_reply(desk, made, GivenReply(NO_SAFE_CONTACT, WHY), actor=FIRST)
    return made


def list_reasons(desk: Desk, case_id: str) -> list[str | None]:
    with desk.store.read() as connection:
        found = get_case(connection, case_id)
        refusals = list_refusals(desk, connection, found, Closing("actioned"), actor=FIRST)
        return [one.reason for one in refusals if "reply" in str(one.reason)]


def find_begin(page: str) -> str:
    found = re.search(r'data-begin="(/releases/[0-9]+/begin)"', page)
    assert found is not None
    return found[1]


@pytest.mark.databases("sqlite", "postgresql")
def test_reason_is_in_no_table_and_is_read_with_the_open_report(desk: Desk, case_id: str) -> None:
    with desk.store.read() as connection:
        rows = [repr(tuple(row)) for table in METADATA.sorted_tables for row in connection.execute(table.select())]
    assert len(rows) > 5
    assert [row for row in rows if WHY in row] == []
    second, path = Browser(desk).sign_in(SECOND, [Role.ANALYST]), f"/cases/{case_id}"
    closed, opened = second.get(path).text, second.post(f"{path}/read").text
    assert WHY not in closed
    assert "You sign the reason, so open the report first." in closed
    assert "data-begin" not in closed
    assert opened.count(WHY) == 2, "beside the reply, and once in the timeline"
    assert opened.count("recorded the reply: ") == 1
    assert find_begin(opened)


def test_second_person_signs_and_the_case_may_close(desk: Desk, case_id: str) -> None:
    assert list_reasons(desk, case_id) == ["no-reply-unsigned"]
    second = Browser(desk).sign_in(SECOND, [Role.ANALYST])
    page = second.post(f"/cases/{case_id}/read").text
    assert "A Okafor (a-okafor)</bdi> prepared this" in page
    assert second.step_up(find_begin(page), f"/cases/{case_id}/no-reply").status_code == 303
    assert list_reasons(desk, case_id) == []
    assert "Signed by <bdi>B Singh (b-singh)</bdi>" in second.get(f"/cases/{case_id}").text
    with desk.store.read() as connection:
        assert verify_release(connection, 1).kind == NO_REPLY


@pytest.mark.databases("sqlite", "postgresql")
def test_decision_waits_in_a_lane_of_those_who_may_sign_it(desk: Desk, case_id: str) -> None:
    lane = re.compile(r'href="/\?lane=unsigned"[^>]*>([^<]+)<b>(\d+)</b>')

    def find_lane(person: str, role: Role) -> list[tuple[str, str]]:
        return lane.findall(Browser(desk).sign_in(person, [role]).get("/").text)

    assert find_lane(FIRST, Role.ANALYST) == []  # the own decision is another person's to sign
    assert find_lane("d-adviser", Role.ADVISER) == []
    assert find_lane(SECOND, Role.ANALYST) == [("No reply: to sign ", "1")]
    second = Browser(desk).sign_in(SECOND)
    assert f"/cases/{case_id}?lane=unsigned" in second.get("/?lane=unsigned").text
    begin = find_begin(second.post(f"/cases/{case_id}/read").text)
    assert second.step_up(begin, f"/cases/{case_id}/no-reply").status_code == 303
    assert find_lane(SECOND, Role.ANALYST) == []
    record_reply(desk, case_id, GivenReply(NO_SAFE_CONTACT, "The school is closed"), actor=FIRST)
    assert find_lane(SECOND, Role.ANALYST) == [("No reply: to sign ", "1")]
    record_reply(desk, case_id, make_talk(desk), actor=FIRST)
    assert find_lane(SECOND, Role.ANALYST) == []


def test_reply_that_was_given_after_all_is_recorded_on_the_page(desk: Desk, case_id: str) -> None:
    first = Browser(desk).sign_in(FIRST)
    page = first.post(f"/cases/{case_id}/read").text
    assert "If you know a safe way, record a reply instead" in page
    assert "Answered after all" in page
    assert f'action="/cases/{case_id}/reply"' in page
    assert first.post(f"/cases/{case_id}/reply", **make_talk_form(desk)).status_code == 303
    assert list_reasons(desk, case_id) == []
    assert "Answered after all" not in first.get(f"/cases/{case_id}").text


@pytest.mark.parametrize("reason", ["", "a\x07", "x" * 301])
def test_reason_that_is_none_or_cannot_be_shown_is_a_fault_of_its_field(desk: Desk, case_id: str, reason: str) -> None:
    first = Browser(desk).sign_in(FIRST)
    refused = first.post(f"/cases/{case_id}/reply", code=NO_SAFE_CONTACT, reason=reason)
    assert refused.status_code == 409
    assert '<li><a href="#reason">' in refused.text
    assert 'id="reason-fault"' in refused.text


def test_first_person_cannot_sign_it(desk: Desk, case_id: str) -> None:
    first = Browser(desk).sign_in(FIRST)
    page = first.get(f"/cases/{case_id}").text
    assert "You prepared this" in page
    assert "data-begin" not in page
    assert first.post("/releases/1/begin").status_code == 409
    assert list_reasons(desk, case_id) == ["no-reply-unsigned"]


def test_reason_that_changed_since_needs_a_new_signature(desk: Desk, case_id: str) -> None:
    second = Browser(desk).sign_in(SECOND, [Role.ANALYST])
    begin = find_begin(second.post(f"/cases/{case_id}/read").text)
    begun = second.begin(begin)
    record_reply(desk, case_id, GivenReply(NO_SAFE_CONTACT, "The school is closed"), actor=FIRST)
    answer = second.passkey.step_up(begun["options"])
    refused = second.post(f"/cases/{case_id}/no-reply", statement=begun["statement"], answer=answer)
    assert "Nothing was changed" in refused.text
    assert list_reasons(desk, case_id) == ["no-reply-unsigned"]
    with desk.store.read() as connection:
        assert len(list_open(connection, NO_REPLY)) == 2


def test_person_who_did_not_open_the_reason_signs_nothing(desk: Desk, case_id: str, clock: Clock) -> None:
    second = Browser(desk).sign_in(SECOND, [Role.ANALYST])
    second.get(f"/cases/{case_id}")
    refused = second.step_up("/releases/1/begin", f"/cases/{case_id}/no-reply")
    assert (refused.status_code, "you sign the reason, which opens with it" in refused.text) == (409, True)
    assert list_reasons(desk, case_id) == ["no-reply-unsigned"]
    clock.now += timedelta(minutes=1)
    record_reply(desk, case_id, GivenReply(NO_SAFE_CONTACT, "The school is closed"), actor=FIRST)
    refused = second.step_up("/releases/2/begin", f"/cases/{case_id}/no-reply")
    assert refused.status_code == 409, "the refusal opened the page again, before this reason"


def test_signature_is_for_the_sealed_box_of_its_own_step(desk: Desk, case_id: str) -> None:
    second = Browser(desk).sign_in(SECOND, [Role.ANALYST])
    begin = find_begin(second.post(f"/cases/{case_id}/read").text)
    assert second.step_up(begin, f"/cases/{case_id}/no-reply").status_code == 303
    with desk.store.read() as connection:
        found = get_case(connection, case_id)
        step, signed = find_reply_step(connection, found), describe_no_reply(connection, found)
    assert step is not None
    assert step.box is not None
    assert json.loads(signed) == {
        "at": found.reply_recorded_at,
        "box_sha256": hashlib.sha256(step.box).hexdigest(),
        "case": case_id,
        "step": step.step_id,
    }
    with desk.store.write() as connection:
        connection.execute(text("DROP TRIGGER case_steps_no_update"))
        connection.execute(update(CASE_STEPS).where(CASE_STEPS.c.step_id == step.step_id).values(box=b"another"))
    assert list_reasons(desk, case_id) == ["no-reply-unsigned"]


def test_reply_after_all_needs_no_signature(desk: Desk, case_id: str) -> None:
    record_reply(desk, case_id, make_talk(desk), actor=FIRST)
    assert list_reasons(desk, case_id) == []


def test_role_without_the_permission_cannot_sign(desk: Desk, case_id: str) -> None:
    adviser = Browser(desk).sign_in("d-adviser", [Role.ADVISER])
    adviser.get(f"/cases/{case_id}")
    assert adviser.post("/releases/1/begin").status_code == 403
    assert adviser.post(f"/cases/{case_id}/no-reply").status_code == 403
