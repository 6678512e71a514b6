"""Questions of the agency from Python: objects, answered by a report that goes to no other case."""

from pathlib import Path

import pytest

from gateway.testing.transport import WsgiTransport
from partner_sdk import Partner
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.errors import ReportError
from partner_sdk.wire.mailbox import encode_body
from tests.builders import DAY, EXAMPLE_REPORT, NOW, House, StillClock, make_industry_report
from tests.sdk.commands.test_threads import collect, states_of
from tests.sdk.evidence_builders import EvidenceGateway, make_report, open_partner, write_plain
from tests.sdk.mailbox_builders import REFERENCE, REPORT_ID, REQUEST, make_asked, make_request, post_bodies
from tests.sdk.sdk_builders import ScriptedGateway, Terminal, session_for


@pytest.mark.parametrize("evidence", [None, {"file-1": Path("/dev/null")}])
def test_answer_to_a_question_about_another_report_is_not_sealed(
    line: Terminal, house: House, evidence: dict[str, Path] | None
) -> None:
    other = make_request(2, reference="0W3G-E1R70-Z")
    collect(line, house, other)
    session = session_for(WsgiTransport(house.open_app("industry")))
    client = Partner.open(line.folder, session=session, clock=StillClock())
    report = make_industry_report(answers_request=other.request_id)
    with pytest.raises(ReportError) as caught:
        client.submit(report, priority="P3", kind="response", earlier_reference=REFERENCE, evidence=evidence)
    assert caught.value.reason == "other-report"
    assert "This request is about your report 0W3G-E1R70-Z" in caught.value.faults[0].detail
    assert PartnerState.open(line.folder).list_undelivered() == []
    assert states_of(line) == {other.request_id: "open"}


def test_questions_are_objects_and_are_answered_from_python(line: Terminal, house: House, tmp_path: Path) -> None:
    collect(line, house, REQUEST)
    lines: list[str] = []
    session = session_for(WsgiTransport(house.open_app("industry")))
    client = Partner.open(line.folder, session=session, clock=StillClock(), notify=lines.append)
    (question,) = client.questions()
    assert question.text == REQUEST.question
    assert (question.request_id, question.reference) == (REQUEST.request_id, REFERENCE)
    assert question.due_at == NOW + 7 * DAY
    assert (question.state, question.is_overdue(NOW)) == ("open", False)
    handed = client.answer(question, EXAMPLE_REPORT.read_bytes(), priority="P3")
    assert handed.is_complete
    clear = handed.receipt.statement.clear
    assert (clear.kind, clear.earlier_reference) == ("response", REFERENCE)
    (answered,) = client.questions()
    assert (answered.state, answered.answers) == ("answered", (handed.report_id,))
    with pytest.raises(ReportError) as caught:
        client.answer(REQUEST.request_id, make_industry_report(), priority="P3")
    assert caught.value.reason == "not-open"
    with pytest.raises(ReportError) as caught:
        client.answer(question, make_industry_report(answers_request=REPORT_ID), priority="P3")
    assert (caught.value.reason, caught.value.faults[0].pointer) == ("other-request", "#/answers_request")
    assert lines == []


def test_answer_with_a_file_carries_its_digest(tmp_path: Path) -> None:
    gateway = EvidenceGateway()
    client = open_partner(tmp_path / "p", gateway)
    client.state.save_message(1, make_asked(REQUEST).signed)
    (question,) = client.questions()
    files = {"file-1": write_plain(tmp_path, "a", 5)}
    handed = client.answer(question, make_report("file-1"), priority="P2", evidence=files)
    assert handed.is_complete
    (sealed,) = gateway.read_posts()
    assert (sealed.report.answers_request, sealed.clear.kind) == (REQUEST.request_id, "response")
    assert sealed.evidence[0].digest is not None


def test_question_that_cannot_be_read_is_told_and_hides_no_other(line: Terminal, house: House) -> None:
    post_bodies(house, b'{"question":"x"}', encode_body(REQUEST))
    assert line.run("inbox") == 0
    lines: list[str] = []
    client = Partner.open(line.folder, session=session_for(ScriptedGateway()), notify=lines.append)
    assert [one.request_id for one in client.questions()] == [REQUEST.request_id]
    assert len(lines) == 1
    assert lines[0].startswith("The question in message 1 cannot be read")
