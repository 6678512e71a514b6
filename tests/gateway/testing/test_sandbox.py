"""The sandbox as a partner's tests use it: enrol, submit, be answered by the desk; never live, never a socket.

An example of everything that the agency sends about a case comes with its thread.
"""

import inspect
import json
import subprocess
import sys
from pathlib import Path
from unittest import mock

import msgspec
import pytest
import requests
from sqlalchemy import update

from gateway.config import utc_now
from gateway.desk.cases.model import CaseError
from gateway.desk.office.organisations import PartnerError
from gateway.desk.partners.account_changes import list_changes
from gateway.desk.store.schema import CASES
from gateway.testing import Sandbox, SandboxReport, agency, scenarios
from gateway.testing.agency import SandboxStepError
from gateway.testing.serving import _work
from gateway.web.rules import ENVIRONMENT_HEADER
from partner_sdk import Partner
from partner_sdk.client.account import enrol, examine, rotate_keys, send_registration
from partner_sdk.errors import (
    FormatError,
    MailboxError,
    NotAuthorisedError,
    OpeningError,
    UnavailableError,
)
from partner_sdk.report import parse_report
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode, to_base64url
from partner_sdk.wire.digest import parse_digest
from partner_sdk.wire.enrolment import TEMPLATE, parse_invitation
from partner_sdk.wire.evidence import PART_BYTES
from partner_sdk.wire.mailbox import InformationRequest, OutcomeNote, SetAsideNotice
from partner_sdk.wire.signing import get_active_sealing_key, parse_statement
from partner_sdk.wire.submission import ReportPost
from tests.builders import (
    EXAMPLE_REPORT,
    FULL_REPORT,
    StillClock,
    make_box,
    make_clear_fields,
    sign_for_envelope,
)
from tests.sdk.sdk_builders import make_digest

ROOT = Path(__file__).parents[3]
RAW = EXAMPLE_REPORT.read_bytes()


def test_partner_is_ready_after_one_call(sandbox: Sandbox, partner: Partner) -> None:
    caller = partner.status().caller
    assert caller is not None
    assert (caller.partner, caller.environment) == ("example-service", "sandbox")
    assert {one.verdict for one in examine(partner, now=utc_now(), environ={})} <= {"ok", "warning"}


def test_desk_opens_a_report_tells_its_outcome_asks_one_question_and_releases_a_digest(
    sandbox: Sandbox, partner: Partner
) -> None:
    first = partner.submit(RAW, priority="P2")
    assert partner.get_progress(first.report_id).stage == "received"
    sandbox.run_desk()
    progress = partner.get_progress(first.report_id)
    assert (progress.stage, progress.outcome) == ("opened", "used")
    delivery = partner.collect_mailbox()
    assert delivery.alarms == ()
    bodies = {one.message.kind: one.body for one in delivery.messages}
    of_reports = {"information-request", "digest", "outcome"}
    assert set(bodies) == of_reports | {"preservation-request", "terms-referral", "alert"}
    question = msgspec.json.decode(bodies["information-request"], type=InformationRequest)
    told = msgspec.json.decode(bodies["outcome"], type=OutcomeNote)
    assert (question.reference, told.reference, told.outcome) == (first.reference, first.reference, "used")
    digest = parse_digest(bodies["digest"])
    assert (digest.partner, digest.environment, digest.synthetic) == ("example-service", "sandbox", True)
    assert partner.digests() == [digest]


def test_step_that_fails_is_told_taken_again_and_hides_none_behind_it(
    sandbox: Sandbox, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_named: object) -> None:
        raise ModuleNotFoundError("No module named 'fpdf'")

    partner.submit(RAW, priority="P2")
    with monkeypatch.context() as broken:
        broken.setattr(agency, "ask_service", fail)
        with pytest.raises(
            SandboxStepError, match=r"could not ask a question \(No module named 'fpdf'\)\. It tries again"
        ):
            sandbox.run_desk()
    kinds = {one.message.kind for one in partner.collect_mailbox().messages}
    assert kinds == {"digest", "outcome", "preservation-request", "terms-referral", "alert"}
    sandbox.run_desk()
    assert [one.message.kind for one in partner.collect_mailbox().messages] == ["information-request"]


def test_desk_asks_each_partner_once_and_releases_one_digest_a_quarter(sandbox: Sandbox, partner: Partner) -> None:
    for _ in range(2):
        partner.submit(RAW, priority="P2")
        sandbox.run_desk()
    kinds = [one.message.kind for one in partner.collect_mailbox().messages]
    once = ["alert", "digest", "information-request", "preservation-request", "terms-referral"]
    assert sorted(kinds) == sorted([*once, "outcome", "outcome"])
    sandbox.run_desk()
    assert partner.collect_mailbox().messages == ()


def test_answer_to_the_question_is_read_and_brings_nothing_new(sandbox: Sandbox, partner: Partner) -> None:
    receipt = partner.submit(RAW, priority="P2")
    sandbox.run_desk()
    partner.collect_mailbox()
    (question,) = partner.questions()
    answer = partner.answer(question.request_id, RAW, priority="P3")
    sandbox.run_desk()
    assert [one.state for one in partner.questions()] == ["answered"]
    assert partner.get_progress(answer.report_id).stage == "opened"
    assert sandbox.reports[-1].clear.earlier_reference == receipt.reference
    assert sandbox.reports[-1].report.answers_request == question.request_id
    assert partner.collect_mailbox().messages == ()


def test_report_can_be_looked_at_as_it_would_be_read(sandbox: Sandbox, partner: Partner) -> None:
    receipt = partner.submit(FULL_REPORT.read_bytes(), priority="P1")
    (stored,) = sandbox.reports
    assert stored.report == parse_report(FULL_REPORT.read_bytes(), priority="P1")
    assert (stored.doubt, stored.clear.priority, stored.reference) == (None, "P1", receipt.reference)
    assert stored.sealed is not None
    assert stored.sealed.clear == stored.clear == receipt.statement.clear


def test_progress_is_what_the_test_says(sandbox: Sandbox, partner: Partner) -> None:
    opened, held = (partner.submit(RAW, priority="P2").report_id for _ in range(2))
    sandbox.set_progress(opened, stage="opened", outcome="needs_more")
    sandbox.set_progress(held, stage="set_aside", set_aside_reason="unreadable")
    progress = [partner.get_progress(one) for one in (opened, held)]
    assert [(one.stage, one.outcome, one.set_aside_reason) for one in progress] == [
        ("opened", "needs_more", None),
        ("set_aside", None, "unreadable"),
    ]
    for wrong in (
        {"stage": "set_aside"},
        {"stage": "opened", "set_aside_reason": "unreadable"},
        {"stage": "collected", "outcome": "used"},
    ):
        with pytest.raises(ValueError, match="only `opened` has an outcome"):
            sandbox.set_progress(opened, **wrong)
    with pytest.raises(KeyError):
        sandbox.set_progress("019ab3c5-7340-7ff3-b7d7-b412be473e63", stage="opened")


def test_question_message_and_digest_arrive_checked_and_in_order(sandbox: Sandbox, partner: Partner) -> None:
    receipt = partner.submit(RAW, priority="P2")
    request_id = sandbox.send_question(receipt.reference, "From which port?")
    first = sandbox.send_message({"text": "hello"})
    digest = make_digest(environment="sandbox", partner="example-service")
    second = sandbox.send_digest(digest)
    delivery = partner.collect_mailbox()
    assert delivery.alarms == ()
    assert [one.message.message_id for one in delivery.messages][1:] == [first, second]
    assert msgspec.json.decode(delivery.messages[1].body) == {"text": "hello"}
    assert [(one.request_id, one.text) for one in partner.questions()] == [(request_id, "From which port?")]
    assert partner.digests() == [digest]
    with pytest.raises(CaseError):
        sandbox.send_question("TEST-K7QF-2M9TX-D", "From which port?")


def test_partner_is_approved_by_the_desk_and_not_before(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(PartnerError):
        sandbox.send_message({"text": "hello"}, partner="later")
    enrol(sandbox.invite("later"), folder=tmp_path / "later", session=sandbox.session())
    partner = sandbox.open_partner(tmp_path / "later")
    with pytest.raises(NotAuthorisedError):
        partner.status()
    sandbox.run_desk()
    assert partner.status().caller is not None
    with pytest.raises(PartnerError):
        sandbox.invite("agency")


def test_box_that_does_not_open_gets_a_receipt_and_is_set_aside(sandbox: Sandbox, partner: Partner) -> None:
    stored = send_unreadable(sandbox, partner)
    assert (stored.sealed, stored.doubt) == (None, "does-not-open")
    with pytest.raises(OpeningError):
        _ = stored.report
    sandbox.run_desk()
    (told,) = partner.collect_mailbox().messages
    assert msgspec.json.decode(told.body, type=SetAsideNotice).reason == "not-opened"


def send_unreadable(sandbox: Sandbox, partner: Partner) -> SandboxReport:
    box = make_box(get_active_sealing_key(partner.refresh_key_set(), now=utc_now()))
    clear = make_clear_fields("example-service", environment="sandbox")
    signed = sign_for_envelope(clear, box, private_key=partner.state.load_submission_key())
    body = encode(ReportPost(envelope=to_base64url(box), statement=parse_statement(signed)))
    partner.transport.send("POST", "/v1/reports", body=body)
    return sandbox.reports[-1]


def test_every_answer_says_that_it_is_not_a_report(sandbox: Sandbox) -> None:
    session = sandbox.session()
    answers = [session.get(f"{sandbox.origin}{path}") for path in ("/v1/keys", "/v1/status", "/v1/none", "/v1/mailbox")]
    assert {answer.status_code for answer in answers} == {200, 401, 404}
    assert {answer.headers[ENVIRONMENT_HEADER] for answer in answers} == {"sandbox; NOT A REPORT"}
    assert "NOT A REPORT" in repr(sandbox)


def test_there_is_no_way_to_ask_for_live() -> None:
    names = {
        name for method in (Sandbox, Sandbox.invite, Sandbox.enrol) for name in inspect.signature(method).parameters
    }
    assert not {name for name in names if "environment" in name or "key" in name or "live" in name}
    with pytest.raises(TypeError):
        Sandbox(environment="live")  # type: ignore[call-arg]  # what must not work


def test_session_of_the_sandbox_reaches_no_other_address(sandbox: Sandbox) -> None:
    assert sandbox.origin.endswith(".invalid")  # RFC 6761 §6.4
    session = sandbox.session()
    for address in ("https://report.example/v1/status", f"{sandbox.origin}.example/v1/status"):
        with pytest.raises(requests.exceptions.ConnectionError):
            session.get(address)
    assert sandbox.requests == []


def test_folder_is_gone_and_sessions_are_closed_at_the_end(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        folder = Path(sandbox._folder.name)
        sandbox.enrol(tmp_path / "partner").submit(RAW, priority="P2")
        assert (folder / "desk" / "keys").is_dir()
        closed: list[bool] = []
        sandbox.session().close = lambda: closed.append(True)  # type: ignore[method-assign]  # to see it called
    assert closed == [True]
    assert not folder.exists()


def test_next_sandbox_holds_nothing_of_the_one_before(sandbox: Sandbox, partner: Partner) -> None:
    partner.submit(RAW, priority="P2")
    with Sandbox() as other:
        assert other.reports == []
        assert other.requests == []
        with pytest.raises(PartnerError):
            other.send_message({"text": "hello"})
    assert len(sandbox.reports) == 1


def test_revoked_key_is_not_authorised_and_its_report_waits(sandbox: Sandbox, partner: Partner) -> None:
    sandbox.revoke_key()
    with pytest.raises(NotAuthorisedError):
        partner.submit(RAW, priority="P2")
    assert sandbox.reports == []
    assert len(partner.state.list_undelivered()) == 1


def test_report_sealed_to_the_former_key_is_still_read(sandbox: Sandbox, partner: Partner) -> None:
    before = partner.submit(RAW, priority="P2")
    sandbox.rotate_sealing_key()
    partner.submit(RAW, priority="P2")
    partner.refresh_key_set()
    partner.submit(RAW, priority="P2")
    assert [one.doubt for one in sandbox.reports] == [None] * 3
    assert sandbox.reports[0].reference == before.reference


def test_digest_of_fixed_figures_is_the_same_message_until_the_quarter_ends(tmp_path: Path) -> None:
    clock = StillClock()
    with Sandbox(clock=clock) as sandbox:
        partner = sandbox.enrol(tmp_path / "partner")
        first = sandbox.send_digest()
        clock.advance(days=1)
        assert sandbox.send_digest() == first
        clock.advance(days=60)
        assert sandbox.send_digest() != first
        partner.collect_mailbox()
        assert {one.period for one in partner.digests()} == {"2026-Q3", "2026-Q4"}


def test_sandbox_needs_neither_opendp_nor_a_server_and_ends_without_a_warning() -> None:
    code = """
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from gateway.testing import Sandbox

with TemporaryDirectory() as folder, Sandbox() as sandbox:
    partner = sandbox.enrol(Path(folder) / "partner")
    partner.submit(Path("partner_sdk/examples/report.json").read_bytes(), priority="P2")
    sandbox.run_desk()
    print(len(partner.collect_mailbox().messages))
print(*{name.partition(".")[0] for name in sys.modules})
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
    count, loaded = done.stdout.splitlines()
    assert count == "6"
    assert "gateway" in loaded.split()
    assert set(loaded.split()) & {"opendp", "numpy", "granian", "pytest"} == set()


def test_rotation_is_approved_by_the_desk_and_what_waited_still_counts(sandbox: Sandbox, partner: Partner) -> None:
    sandbox.next_requests(scenarios.problem(problems.STORAGE_UNAVAILABLE, path="/v1/reports"), times=5)
    with pytest.raises(UnavailableError):
        partner.submit(RAW, priority="P2")
    before = partner.transport.key_id
    assert not rotate_keys(partner, now=utc_now()).is_done
    sandbox.run_desk()
    assert rotate_keys(partner, now=utc_now()).is_done
    caller = partner.status().caller
    assert caller is not None
    assert caller.key_id != before
    (attempt,) = partner.resume()
    assert attempt.receipt is not None
    sandbox.send_message({"text": "hello"})
    assert len(partner.collect_mailbox().messages) == 1


def test_registration_is_accepted_by_the_desk(sandbox: Sandbox, partner: Partner) -> None:
    send_registration(partner, TEMPLATE, now=utc_now())
    sandbox.run_desk()
    with sandbox._agency.desk.store.read() as connection:
        assert [one.state for one in list_changes(connection, with_decided=True)] == ["accepted"]


def test_change_signed_by_a_key_that_has_just_ended_stops_nothing_else(sandbox: Sandbox, partner: Partner) -> None:
    assert not rotate_keys(partner, now=utc_now()).is_done
    send_registration(partner, TEMPLATE, now=utc_now())
    sandbox.run_desk()
    assert rotate_keys(partner, now=utc_now()).is_done


@pytest.fixture
def with_files(tmp_path: Path) -> tuple[bytes, dict[str, Path]]:
    """The full report without the hashes of its files, and a file for each."""
    report = json.loads(FULL_REPORT.read_bytes())
    paths = {}
    for place, row in enumerate(report["files"]):
        for name in ("hashes", "size_bytes"):
            row.pop(name, None)
        paths[row["file_id"]] = tmp_path / f"{row['file_id']}.bin"
        paths[row["file_id"]].write_bytes(bytes([place + 1]) * (1 if place else PART_BYTES + 5))
    return json.dumps(report).encode(), paths


@pytest.mark.parametrize(("priority", "reports"), [("P1", 2), ("P2", 1)])
def test_files_arrive_sealed_and_can_be_read_by_the_test(
    sandbox: Sandbox, partner: Partner, with_files: tuple[bytes, dict[str, Path]], priority: str, reports: int
) -> None:
    raw, paths = with_files
    done = partner.submit(raw, priority=priority, evidence=paths)  # type: ignore[call-overload]  # a row of the table
    assert done.is_complete
    assert [one.doubt for one in sandbox.reports] == [None] * reports
    sealed = sandbox.reports[-1].sealed
    assert sealed is not None
    assert {one.file_id for one in sealed.evidence} == set(paths)
    for one in sealed.evidence:
        assert sandbox.read_evidence(one.evidence_id) == paths[one.file_id].read_bytes()


def test_evidence_that_has_not_come_or_is_not_named_is_not_there(
    sandbox: Sandbox, partner: Partner, with_files: tuple[bytes, dict[str, Path]]
) -> None:
    raw, paths = with_files
    sandbox.next_requests(scenarios.problem(problems.EVIDENCE_QUOTA, path="/v1/evidence/*"), times=50)
    done = partner.submit(raw, priority="P1", evidence=paths)
    assert done.error is not None
    assert (done.is_complete, done.error.reason) == (False, "evidence-quota")
    (stored,) = sandbox.reports
    assert stored.sealed is not None
    for one in stored.sealed.evidence:
        with pytest.raises(OpeningError):
            sandbox.read_evidence(one.evidence_id)
    with pytest.raises(KeyError):
        sandbox.read_evidence("019ab3c5-7340-7ff3-b7d7-b412be473e63")


def test_scenarios_that_are_cancelled_never_happen(sandbox: Sandbox, partner: Partner) -> None:
    sandbox.next_requests(scenarios.problem(problems.STORAGE_UNAVAILABLE, path="/v1/reports"), times=5)
    sandbox.cancel_scenarios()
    assert sandbox.waiting_scenarios == []
    partner.submit(EXAMPLE_REPORT.read_bytes(), priority="P2")
    assert sandbox.waits == []


def test_file_that_is_no_sealed_report_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(FormatError):
        sandbox.import_file(b"{}")


BY = "Sergeant Anna Example"
KINDS = ("information-request", "preservation-request", "terms-referral", "alert", "package")


@pytest.mark.parametrize("kind", KINDS)
def test_example_arrives_is_answered_and_its_thread_is_at_the_desk(
    sandbox: Sandbox, partner: Partner, kind: str
) -> None:
    partner.submit(RAW, priority="P3")
    message_id = sandbox.send_example(kind)
    assert partner.collect_mailbox().alarms == ()
    (thread,) = partner.threads.read(kind).threads
    assert (thread.message_id, thread.state) == (message_id, "open")
    sandbox.write_to_thread(message_id, "question", "Since when?")
    partner.collect_mailbox()
    assert partner.threads.read(kind).threads[0].is_asked
    partner.threads.write(message_id, kind="acknowledge", by=BY)
    partner.threads.write(message_id, kind="answer", by=BY, text="Since Monday.")
    assert {(one.direction, one.kind, one.text) for one in sandbox.read_thread(message_id)} == {
        ("out", "question", "Since when?"),
        ("in", "acknowledge", ""),
        ("in", "answer", "Since Monday."),
    }


def test_package_of_the_sandbox_opens_and_its_outcome_reaches_the_desk(
    sandbox: Sandbox, partner: Partner, tmp_path: Path
) -> None:
    partner.submit(RAW, priority="P3")
    message_id = sandbox.send_example("package")
    partner.collect_mailbox()
    opened = partner.threads.open_package(message_id, tmp_path / "case")
    assert (opened.manifest.environment, opened.manifest.recipient) == ("sandbox", "example-service")
    assert b"NOT A REPORT" in (tmp_path / "case" / "page.html").read_bytes()
    partner.threads.write(message_id, kind="outcome", by=BY, outcome="no_crime")
    (entry,) = sandbox.read_thread(message_id)
    assert (entry.kind, entry.outcome, entry.by) == ("outcome", "no_crime", BY)
    sandbox.write_to_thread(message_id, "recall", "A slip.")
    partner.collect_mailbox()
    with pytest.raises(MailboxError) as caught:
        partner.threads.open_package(message_id, tmp_path / "again")
    assert caught.value.reason == "recalled"


def test_example_is_about_the_case_that_the_oldest_report_was_added_to(sandbox: Sandbox, partner: Partner) -> None:
    receipt = partner.submit(RAW, priority="P3")
    request_id = sandbox.send_question(receipt.reference, "From which port?")
    partner.collect_mailbox()
    partner.answer(request_id, RAW, priority="P3")
    assert [one.clear.kind for one in sandbox.reports] == ["initial", "response"]
    # Two reports of one second are in no order: their ids are random within a millisecond.
    with sandbox._agency.desk.store.write() as connection:
        connection.execute(
            update(CASES).where(CASES.c.joined_to.is_not(None)).values(received_at="2026-01-01T00:00:00Z")
        )
    assert sandbox.send_example("package")


def test_example_without_a_report_or_for_a_body_without_packages_is_refused(
    sandbox: Sandbox, partner: Partner, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="submit a report first"):
        sandbox.send_example("package")
    sandbox.send_example("alert")
    sandbox.enrol(tmp_path / "third", "third-service")
    partner.submit(RAW, priority="P3")
    with pytest.raises(ValueError, match="example-police"):
        sandbox.send_example("package", partner="third-service")


def test_invitation_is_followed_whenever_in_a_round_its_partner_was_approved(sandbox: Sandbox, tmp_path: Path) -> None:
    enrol(sandbox.invite("sandbox-1"), folder=tmp_path / "first", session=sandbox.session())
    sandbox.run_desk()  # in the second half of a round, when it has already looked for answered invitations
    _work(sandbox._agency, tmp_path / "invitation.json", mock.Mock(wait=mock.Mock(side_effect=[False, True])))
    assert parse_invitation((tmp_path / "invitation.json").read_bytes()).partner == "sandbox-2"
