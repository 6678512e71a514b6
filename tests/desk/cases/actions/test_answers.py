"""Entries of the other side: each is kept, and the state that follows is reached once."""

from datetime import timedelta

import pytest

from gateway.desk.cases.actions.ledger import (
    EntryText,
    InKind,
    list_entries,
    open_entries,
    record_entry,
    record_sent,
    withdraw_action,
    write_entry,
)
from gateway.desk.cases.actions.model import Action, ActionError, get_action
from gateway.desk.cases.closing import Closing, close_case
from gateway.desk.cases.model import CaseError, add_step, get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.office.wiring import Desk
from tests.desk.action_builders import add_assessed, draft, release, reread
from tests.desk.desk_loop import ACTOR
from tests.desk.view_builders import Clock, add_sealed_case
from tests.desk.work_builders import assess

OFFICER = EntryText(by="DC Example", text="Thank you.")


@pytest.fixture
def case_id(desk: Desk) -> str:
    """A case that police need urgently."""
    case_id = add_assessed(desk)
    assess(desk, case_id, urgent_dissemination="yes")
    return case_id


def send(desk: Desk, case_id: str, **changes: str) -> Action:
    """Send a package with the first report of a case."""
    one = release(desk, draft(desk, case_id, **changes))
    codes = {"action_id": one.action_id, "reports": case_id}
    with desk.store.write() as connection:
        add_step(desk, connection, case_id, "choose-body", actor=ACTOR, codes=codes)
        return record_sent(desk, connection, one.action_id, actor=ACTOR)


def record(desk: Desk, action: Action, kind: InKind, text: EntryText = OFFICER) -> Action:
    with desk.store.write() as connection:
        return record_entry(desk, connection, action.action_id, kind=kind, text=text, actor=ACTOR)


def close(desk: Desk, case_id: str) -> str | None:
    try:
        close_case(desk, case_id, Closing("used"), actor=ACTOR)
    except CaseError as error:
        return error.reason
    return None


def test_urgent_case_closes_once_police_acknowledged_its_package(desk: Desk, case_id: str) -> None:
    one = send(desk, case_id)
    assert close(desk, case_id) == "package-owed"
    assert record(desk, one, "question").state == "sent"
    assert close(desk, case_id) == "package-owed"
    assert record(desk, one, "acknowledge").state == "acknowledged"
    assert close(desk, case_id) == "question-open"
    with desk.store.write() as connection:
        write_entry(desk, connection, get_action(connection, one.action_id), kind="answer", text="Kent.", actor=ACTOR)
    assert close(desk, case_id) is None


def test_package_to_another_body_or_without_a_later_report_does_not_let_it_close(desk: Desk, case_id: str) -> None:
    record(desk, send(desk, case_id, recipient="iwf"), "acknowledge")
    assert close(desk, case_id) == "package-owed"
    first = send(desk, case_id)
    with desk.store.read() as connection:
        reference = get_case(connection, case_id).reference
    open_case(desk, add_sealed_case(desk, marker="", adds_to=reference, reply_owed=False), actor=ACTOR)
    assess(desk, case_id, urgent_dissemination="yes")
    record(desk, first, "acknowledge")
    assert close(desk, case_id) == "package-owed"
    record(desk, send(desk, case_id), "acknowledge")
    assert close(desk, case_id) is None


def test_package_that_was_recalled_no_longer_counts(desk: Desk, case_id: str) -> None:
    one = record(desk, send(desk, case_id), "acknowledge")
    with desk.store.write() as connection:
        withdraw_action(desk, connection, one.action_id, reason="Sent in error.", actor=ACTOR)
    assert close(desk, case_id) == "package-owed"


def test_acknowledgement_counts_once_and_the_first_stays(desk: Desk, case_id: str, clock: Clock) -> None:
    first = record(desk, send(desk, case_id), "acknowledge")
    clock.now += timedelta(hours=1)
    again = record(desk, first, "acknowledge", EntryText(by="DS Other"))
    assert again == first
    with desk.store.read() as connection:
        entries = list_entries(connection, first.action_id)
    opened = open_entries(desk, first, entries, actor="b-reader")
    assert [opened[one.entry_id].by for one in entries] == ["DC Example", "DS Other"]
    with desk.store.read() as connection:
        assert {one.read_by for one in list_entries(connection, first.action_id)} == {"b-reader"}


@pytest.mark.parametrize("kind", ["answer", "outcome", "decline"])
def test_answer_may_come_before_the_acknowledgement(desk: Desk, case_id: str, kind: InKind, clock: Clock) -> None:
    answered = record(desk, send(desk, case_id), kind)
    assert (answered.state, answered.acknowledged_at) == ("answered", None)
    clock.now += timedelta(hours=1)
    late = record(desk, answered, "acknowledge")
    assert (late.state, late.answered_at) == ("answered", answered.answered_at)
    assert late.acknowledged_at is not None


def test_nothing_is_written_down_that_did_not_go_or_names_nobody(desk: Desk, case_id: str) -> None:
    def refuse(action: Action, kind: InKind, text: EntryText) -> str:
        with pytest.raises(ActionError) as caught:
            record(desk, action, kind, text)
        return caught.value.reason

    one = draft(desk, case_id)
    assert refuse(one, "acknowledge", OFFICER) == "not-sent"
    sent = send(desk, case_id)
    assert refuse(sent, "acknowledge", EntryText(by=" ")) == "name-missing"
    assert refuse(sent, "question", EntryText(by="DC Example")) == "words-missing"
    assert reread(desk, sent).state == "sent"
