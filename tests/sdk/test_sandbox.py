"""The sandbox as a partner's tests use it: enrol, submit, look at what would be read; never live, never a socket."""

import inspect
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from gateway.clock import utc_now
from partner_sdk import Partner
from partner_sdk._commands.doctor import examine
from partner_sdk.client.account import enrol
from partner_sdk.client.mailbox import OpenedMessage
from partner_sdk.client.transport import Transport, make_session
from partner_sdk.errors import FormatError, KeySetError, NotAuthorisedError, OpeningError, RefusedError, TransportError
from partner_sdk.report import parse_report
from partner_sdk.sandbox import Sandbox, SandboxReport
from partner_sdk.wire.canonical import encode, parse_time, to_base64url
from partner_sdk.wire.enrolment import INVITATION_LIFETIME
from partner_sdk.wire.keys import Pin, verify_bundle
from partner_sdk.wire.problems import ENVIRONMENT_HEADER
from partner_sdk.wire.statements import parse_statement
from partner_sdk.wire.submission import ReportPost
from tests.builders import (
    DAY,
    EXAMPLE_REPORT,
    FULL_REPORT,
    NOW,
    Agency,
    StillClock,
    make_box,
    make_clear_fields,
    seal_report,
    sign_for_envelope,
)
from tests.builders import Partner as Service
from tests.sdk.sdk_builders import make_digest, make_state

RAW = EXAMPLE_REPORT.read_bytes()
SERVICE = Service("example-service", environment="sandbox")


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture
def partner(sandbox: Sandbox, tmp_path: Path) -> Partner:
    return sandbox.enrol(tmp_path / "partner")


def test_partner_is_ready_after_one_call(sandbox: Sandbox, partner: Partner) -> None:
    caller = partner.status().caller
    assert caller is not None
    assert (caller.partner, caller.environment) == ("example-service", "sandbox")
    assert partner.profile.environment == "sandbox"
    assert {one.verdict for one in examine(partner, now=utc_now(), environ={})} <= {"ok", "warning"}


def test_report_can_be_looked_at_as_it_would_be_read(sandbox: Sandbox, partner: Partner) -> None:
    receipt = partner.submit(FULL_REPORT.read_bytes(), priority="P1")
    (stored,) = sandbox.reports
    assert stored.report == parse_report(FULL_REPORT.read_bytes(), priority="P1")
    assert stored.doubt is None
    assert (stored.clear.priority, stored.reference) == ("P1", receipt.reference)
    assert stored.sealed is not None
    assert stored.sealed.clear == stored.clear == receipt.statement.clear


def test_receipt_is_a_real_one_and_holds_offline(partner: Partner) -> None:
    receipts = [partner.submit(RAW, priority="P2") for _ in range(2)]
    assert [partner.check_receipt(one.raw).reference for one in receipts] == [one.reference for one in receipts]
    assert all(one.reference.startswith("TEST-") for one in receipts)
    assert [one.statement.sequence for one in receipts] == [1, 2]
    assert partner.get_progress(receipts[0].report_id).stage == "received"


def test_progress_and_outcome_are_what_the_test_says(sandbox: Sandbox, partner: Partner) -> None:
    receipt = partner.submit(RAW, priority="P2")
    sandbox.set_progress(receipt.report_id, stage="opened", outcome="used")
    progress = partner.get_progress(receipt.report_id)
    assert (progress.stage, progress.outcome) == ("opened", "used")
    with pytest.raises(KeyError):
        sandbox.set_progress("019ab3c5-7340-7ff3-b7d7-b412be473e63", stage="opened")


def test_message_and_digest_arrive_checked_and_in_order(sandbox: Sandbox, partner: Partner) -> None:
    first = sandbox.send_message({"text": "hello"})
    digest = make_digest(environment="sandbox", partner="example-service")
    second = sandbox.send_digest(digest)
    assert not sandbox.is_acknowledged(first)
    delivery = partner.collect_mailbox()
    assert delivery.alarms == ()
    assert [one.message.message_id for one in delivery.messages] == [first, second]
    assert bodies(delivery.messages[0]) == {"text": "hello"}
    assert partner.digests() == [digest]
    assert sandbox.is_acknowledged(first)
    assert partner.collect_mailbox().messages == ()


def test_mailbox_shows_fifty_messages_at_once_and_all_of_them_arrive(sandbox: Sandbox, partner: Partner) -> None:
    ids = [sandbox.send_message({"text": "hello"}) for _ in range(52)]
    delivery = partner.collect_mailbox()
    assert [one.message.message_id for one in delivery.messages] == ids
    asked = [request for request in sandbox.requests if (request.method, request.path) == ("GET", "/v1/mailbox")]
    assert len(asked) == 3  # fifty, two, and none


def bodies(opened: OpenedMessage) -> object:
    return msgspec.json.decode(opened.body)


def test_two_partners_see_nothing_of_each_other(sandbox: Sandbox, tmp_path: Path) -> None:
    first, second = (sandbox.enrol(tmp_path / name, partner=name) for name in ("first", "second"))
    receipt = first.submit(RAW, priority="P2")
    sandbox.send_message({"text": "hello"}, partner="first")
    with pytest.raises(RefusedError) as caught:
        second.get_progress(receipt.report_id)
    assert caught.value.reason == "not-found"
    assert second.collect_mailbox().messages == ()
    assert len(first.collect_mailbox().messages) == 1


def test_partner_is_not_approved_before_it_answers(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        sandbox.send_message({"text": "hello"}, partner="nobody")
    invitation = sandbox.invite("later")
    assert invitation.environment == "sandbox"
    enrol(invitation, folder=tmp_path / "later", session=sandbox.session())
    assert sandbox.open_partner(tmp_path / "later").status().caller is not None
    with pytest.raises(FormatError):
        sandbox.invite("agency")


def test_invitation_of_the_sandbox_lives_as_long_as_one_of_the_agency() -> None:
    invitation = Sandbox(clock=StillClock()).invite("later")
    lifetime = parse_time(invitation.expires_at) - NOW
    assert lifetime == INVITATION_LIFETIME == 14 * DAY


def test_box_that_opens_for_nobody_is_stored_and_doubted(sandbox: Sandbox, partner: Partner) -> None:
    """A gateway cannot tell, so neither does the sandbox refuse it; a test sees what the desk would see."""
    stored = send_unreadable(sandbox, partner)
    assert stored.sealed is None
    assert "does not open" in str(stored.doubt)
    with pytest.raises(OpeningError):
        _ = stored.report


def send_unreadable(sandbox: Sandbox, partner: Partner) -> SandboxReport:
    box = make_box(sandbox.key_set.sealing_keys[0])
    clear = make_clear_fields("example-service", environment="sandbox")
    signed = sign_for_envelope(clear, box, private_key=partner.state.load_submission_key())
    body = encode(ReportPost(envelope=to_base64url(box), statement=parse_statement(signed)))
    partner.transport.send("POST", "/v1/reports", body=body)
    return sandbox.reports[-1]


@pytest.mark.parametrize(
    "changes",
    [{"earlier_reference": "TEST-K7QF-2M9TX-D"}, {"evidence_ids": ("019ab3c5-7340-7ff3-b7d7-b412be473e63",)}],
    ids=["earlier reference", "evidence"],
)
def test_report_that_says_another_thing_inside_is_doubted(
    sandbox: Sandbox, partner: Partner, changes: dict[str, Any]
) -> None:
    key = partner.state.load_submission_key()
    sealed = seal_report(SERVICE, key=sandbox.key_set.sealing_keys[0], signed_by=key)
    other = msgspec.structs.replace(sealed.clear, **changes)
    signed = sign_for_envelope(other, sealed.envelope, private_key=key)
    body = encode(ReportPost(envelope=to_base64url(sealed.envelope), statement=parse_statement(signed)))
    partner.transport.send("POST", "/v1/reports", body=body)
    assert "clear fields inside the seal are others" in str(sandbox.reports[0].doubt)
    assert sandbox.reports[0].report.category == "grooming"


def test_evidence_that_the_report_does_not_explain_is_doubted(sandbox: Sandbox, partner: Partner) -> None:
    key = partner.state.load_submission_key()
    named = "019ab3c5-7340-7ff3-b7d7-b412be473e63"
    sealed = seal_report(SERVICE, key=sandbox.key_set.sealing_keys[0], signed_by=key, evidence_ids=(named,))
    partner.transport.send("POST", "/v1/reports", body=sealed.body)
    assert "evidence" in str(sandbox.reports[0].doubt)
    assert not sandbox.evidence[named].is_complete


def test_every_answer_says_that_it_is_not_a_report(sandbox: Sandbox, partner: Partner) -> None:
    session = sandbox.session()
    answers = [session.get(f"{sandbox.origin}{path}") for path in ("/v1/keys", "/v1/status", "/v1/none", "/v1/mailbox")]
    assert {answer.status_code for answer in answers} == {200, 401, 404}
    assert {answer.headers[ENVIRONMENT_HEADER] for answer in answers} == {"sandbox; NOT A REPORT"}
    assert "NOT A REPORT" in repr(sandbox)
    assert partner.profile.environment == "sandbox"


def test_there_is_no_way_to_ask_for_live() -> None:
    names = {
        name for method in (Sandbox, Sandbox.invite, Sandbox.enrol) for name in inspect.signature(method).parameters
    }
    assert not {name for name in names if "environment" in name or "key" in name or "live" in name}
    with pytest.raises(TypeError):
        Sandbox(environment="live")  # type: ignore[call-arg]  # what must not work


def test_partner_of_a_live_agency_gets_nowhere_in_the_sandbox(sandbox: Sandbox, tmp_path: Path) -> None:
    state = make_state(tmp_path / "live", agency=Agency(), partner=Service())
    client = Partner.open(state.folder, session=sandbox.session(), clock=StillClock())
    with pytest.raises(TransportError):  # its address is another one, and the session reaches none but the sandbox's
        client.status()
    with pytest.raises(KeySetError):
        verify_bundle(sandbox._gateway.agency.bundle, pin=state.profile.pin, now=NOW)
    assert sandbox.requests == []


def test_key_set_of_a_sandbox_is_believed_by_no_other_sandbox(sandbox: Sandbox) -> None:
    pin = Pin(
        environment="sandbox",
        feed_key=None,
        next_root_fingerprint=None,
        root_fingerprint=Sandbox()._gateway.agency.root_fingerprint,
    )
    with pytest.raises(KeySetError) as caught:
        verify_bundle(sandbox._gateway.agency.bundle, pin=pin, now=NOW)
    assert caught.value.reason == "wrong-root"


def test_session_of_the_sandbox_reaches_no_other_address(sandbox: Sandbox) -> None:
    session = sandbox.session()
    for address in ("https://report.example/v1/status", "http://127.0.0.1:8700/v1/status"):
        with pytest.raises(requests.exceptions.ConnectionError):
            session.get(address)
    assert sandbox.requests == []


def test_address_of_the_sandbox_leads_nowhere_on_a_network(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sandbox.origin.endswith(".invalid")  # RFC 6761 §6.4
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(TransportError):
        Transport(sandbox.origin, session=make_session()).send("GET", "/v1/keys", is_signed=False)


def test_sessions_are_closed_at_the_end(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        sandbox.enrol(tmp_path / "partner").submit(RAW, priority="P2")
        assert len(sandbox.reports) == 1
        closed: list[bool] = []
        sandbox.session().close = lambda: closed.append(True)  # type: ignore[method-assign]  # to see it called
    assert closed == [True]


def test_clock_of_the_sandbox_can_be_given(tmp_path: Path) -> None:
    clock = StillClock()
    sandbox = Sandbox(clock=clock)
    partner = sandbox.enrol(tmp_path / "partner")
    clock.advance(days=2)
    assert partner.submit(RAW, priority="P2").statement.received_at == "2026-11-27T08:30:00Z"


def test_revoked_key_is_not_authorised_and_its_report_waits(sandbox: Sandbox, partner: Partner) -> None:
    sandbox.revoke_key()
    with pytest.raises(NotAuthorisedError):
        partner.submit(RAW, priority="P2")
    assert sandbox.reports == []
    sandbox.restore_key()
    (attempt,) = partner.resume()
    assert attempt.receipt is not None
