"""Open matters of a case: all that it still owes, and all that the other sides wait for, in one list."""

from typing import Any

import pytest
from sqlalchemy import update

from gateway.desk.cases.actions.ledger import EntryText, InKind, end_action, record_entry, record_sent
from gateway.desk.cases.actions.model import Action
from gateway.desk.cases.closing import Closing, close_case, list_open, record_child_outcome
from gateway.desk.cases.model import get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.office.wiring import Desk
from gateway.desk.store.schema import CASES
from tests.desk.action_builders import add_assessed, draft, release
from tests.desk.desk_loop import ACTOR
from tests.desk.view_builders import Browser, add_sealed_case
from tests.desk.work_builders import refused


def find_open(desk: Desk, case_id: str) -> dict[str, str]:
    with desk.store.read() as connection:
        return {one.reason: str(one) for one in list_open(desk, connection, get_case(connection, case_id))}


def send(desk: Desk, case_id: str, **changes: Any) -> Action:
    action = release(desk, draft(desk, case_id, **changes))
    with desk.store.write() as connection:
        return record_sent(desk, connection, action.action_id, actor=ACTOR)


def take(desk: Desk, action: Action, kind: InKind) -> None:
    text = EntryText(text="Which school?", by="DC Example")
    with desk.store.write() as connection:
        record_entry(desk, connection, action.action_id, kind=kind, text=text, actor=ACTOR)


@pytest.fixture
def case_id(desk: Desk) -> str:
    return add_assessed(desk, reply_owed=False)


REQUEST: dict[str, Any] = {"kind": "information-request", "recipient": "example-chat", "way": "letter", "due_at": None}


@pytest.mark.parametrize(
    ("changes", "who"), [({}, "Kent Police"), (REQUEST, "Example Chat")], ids=["police", "service"]
)
def test_question_of_a_body_or_a_service_keeps_the_case_open(
    desk: Desk, case_id: str, changes: dict[str, Any], who: str
) -> None:
    action = send(desk, case_id, **changes)
    take(desk, action, "answer")
    assert "question-open" not in find_open(desk, case_id)
    take(desk, action, "question")
    assert find_open(desk, case_id)["question-open"] == f"{who} asked something and has no answer yet."
    with refused("question-open"):
        close_case(desk, case_id, Closing("used"), actor=ACTOR)
    with desk.store.write() as connection:
        end_action(desk, connection, action.action_id, actor=ACTOR)
    assert "question-open" not in find_open(desk, case_id)


def test_outcome_keeps_the_case_open_until_it_is_recorded(desk: Desk, case_id: str) -> None:
    take(desk, send(desk, case_id), "outcome")
    assert find_open(desk, case_id)["outcome-unrecorded"] == "Kent Police told an outcome for the child: record it."
    with refused("outcome-unrecorded"):
        close_case(desk, case_id, Closing("used"), actor=ACTOR)
    record_child_outcome(desk, case_id, outcome="safeguarded", told_by="DC Example", actor=ACTOR)
    assert "outcome-unrecorded" not in find_open(desk, case_id)
    close_case(desk, case_id, Closing("used"), actor=ACTOR)


def test_question_about_a_closed_case_is_open_too(desk: Desk, case_id: str) -> None:
    action = send(desk, case_id)
    close_case(desk, case_id, Closing("used"), actor=ACTOR)
    take(desk, action, "question")
    assert set(find_open(desk, case_id)) == {"question-open"}


def test_draft_is_open_and_has_not_left_the_house(desk: Desk, case_id: str) -> None:
    draft(desk, case_id)
    assert find_open(desk, case_id)["draft-waits"] == "Package to Kent Police is a draft: it has not left."
    browser = Browser(desk).sign_in()
    page = browser.get(f"/cases/{case_id}").text
    assert "What has not left the house" in page
    assert ">What left the house<" not in page
    send(desk, case_id)
    before, _, after = browser.get(f"/cases/{case_id}").text.partition(">What has not left the house<")
    assert before.count(">Sent</span>") == after.count(">Draft</span>") == 1
    assert ">Draft</span>" not in before


def test_later_words_of_the_person_are_open_until_they_are_read_and_answered(desk: Desk, case_id: str) -> None:
    with desk.store.read() as connection:
        reference = get_case(connection, case_id).reference
    later = add_sealed_case(desk, marker="", adds_to=reference, reply_owed=True)
    for _ in ("unread", "read and still owed a reply"):
        assert find_open(desk, case_id)["later-open"].startswith("Came later, and is open: ")
        open_case(desk, later, actor=ACTOR)
    with desk.store.write() as connection:
        connection.execute(update(CASES).where(CASES.c.case_id == later).values(reply_code="replied_by_call"))
        connection.execute(update(CASES).where(CASES.c.case_id == case_id).values(requests="see"))
    assert set(find_open(desk, case_id)) == {"assessment-stale", "request-open"}
