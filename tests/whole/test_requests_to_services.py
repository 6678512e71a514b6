"""A service answers requests through the SDK in time, and a third service learns of neither."""

from pathlib import Path

import pytest

from gateway.desk.actions.ledger import list_entries, open_entries
from gateway.desk.actions.model import get_action, list_actions
from gateway.desk.cases.model import get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.notices.service_requests import ask_service, list_answers
from partner_sdk.errors import ReportAbuseError
from tests.builders import EXAMPLE_REPORT
from tests.desk.asking_builders import make_asking, make_preservation
from tests.desk.people_builders import ACTOR
from tests.desk.work_builders import assess
from tests.whole.whole_loop import make_whole_loop

RAW = EXAMPLE_REPORT.read_bytes()
KINDS = ("information-request", "preservation-request")


def test_requests_are_answered_through_the_sdk_and_a_third_service_learns_of_neither(tmp_path: Path) -> None:
    whole = make_whole_loop(tmp_path)
    desk = whole.loop.desk
    service = whole.add_partner("mild-chat", name="Mild Chat")
    third = whole.add_partner("mild-game", name="Mild Game")
    receipt = service.submit(RAW, priority="P2")
    whole.work(minutes=1)
    case_id = open_case(desk, receipt.reference, actor=ACTOR).case.case_id
    assess(desk, case_id)
    kept = ask_service(desk, case_id, make_preservation(whole.loop, recipient="mild-chat"), actor=ACTOR)
    asked = ask_service(desk, case_id, make_asking(whole.loop, recipient="mild-chat"), actor=ACTOR)
    whole.work(minutes=1)

    service.collect_mailbox()
    listed = {one.message_id for one in service.threads.read(*KINDS).threads}
    assert listed == {kept.action_id, asked.action_id}
    service.threads.write(kept.action_id, kind="answer", by="Robin Example", text="Kept from today.")
    service.answer(asked.action_id, RAW, priority="P3")
    whole.work(days=2)

    with desk.store.read() as connection:
        actions = list_actions(connection, case_id=case_id)
        answers = list_answers(connection, get_action(connection, asked.action_id))
        entries = list_entries(connection, kept.action_id)
        lead = get_case(connection, case_id)
    assert [(one.state, (one.answered_at or "") < (one.due_at or "")) for one in actions] == [("answered", True)] * 2
    assert [one.joined_to for one in answers] == [lead.case_id]
    (entry,) = [one for one in entries if one.direction == "in"]
    texts = open_entries(desk, kept, [entry], actor=ACTOR)
    assert (texts[entry.entry_id].text, texts[entry.entry_id].by) == ("Kept from today.", "Robin Example")

    assert third.collect_mailbox().messages == ()
    assert third.threads.read(*KINDS).threads == ()
    for message_id in (kept.action_id, asked.action_id):
        with pytest.raises(ReportAbuseError):
            third.threads.write(message_id, kind="answer", by="Eve Example", text="Ours.")
        with pytest.raises(ReportAbuseError):
            third.answer(message_id, RAW, priority="P3")
    with pytest.raises(ReportAbuseError):
        third.get_progress(receipt.report_id)
