"""The SDK and the real gateway, without a socket: enrolment, reports, receipts, mailbox, refusals, wrong clocks."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.desk.partners.enrolments import check_enrolment
from gateway.exchange.feed import RegisterEntry
from gateway.store.items import put_invitation
from gateway.testing.transport import WsgiTransport
from partner_sdk.client.account import enrol, examine
from partner_sdk.client.partner import Partner as Client
from partner_sdk.errors import NotAuthorisedError, RefusedError, SealingError, TransportError, UnavailableError
from partner_sdk.key_files import KeyRole
from partner_sdk.report import parse_sealed_report
from partner_sdk.wire.canonical import encode, format_time, make_report_id, parse_base64url, to_base64url
from partner_sdk.wire.enrolment import enrolment_context, secret_sha256
from partner_sdk.wire.mailbox import message_sha256
from partner_sdk.wire.sealing import Envelope
from partner_sdk.wire.signing import key_id_of
from partner_sdk.wire.submission import SIGNED_SUBMISSION, report_context
from tests.builders import (
    DAY,
    EXAMPLE_REPORT,
    NOW,
    PUBLIC_ORIGIN,
    House,
    Partner,
    StillClock,
    make_house,
    make_industry_report,
    seal_report,
    sealing_key_of,
)
from tests.builders.vault import make_vault
from tests.sdk.mailbox_builders import make_chain, make_post, post_to
from tests.sdk.sdk_builders import ScriptedGateway, make_digest, make_invitation, make_state, session_for

RAW = EXAMPLE_REPORT.read_bytes()


@pytest.fixture
def wire(house: House) -> WsgiTransport:
    return WsgiTransport(house.open_app("industry"))


@pytest.fixture
def client(house: House, wire: WsgiTransport, tmp_path: Path) -> Client:
    make_state(tmp_path / "partner", agency=house.agency)
    return open_client(tmp_path / "partner", wire, house.clock)


def open_client(folder: Path, wire: WsgiTransport, clock: StillClock, **settings: Any) -> Client:
    return Client.open(folder, session=session_for(wire), clock=clock, sleep=lambda _: None, **settings)


def test_report_is_stored_and_opens_at_the_desk_word_for_word(client: Client, house: House) -> None:
    receipt = client.submit(RAW, priority="P1")
    with house.open_gateway().store.read() as connection:
        envelope, submission = connection.exec_driver_sql("SELECT envelope, submission FROM reports").one()
    saved = client.state.find_submission(receipt.report_id)
    assert saved is not None
    assert encode(saved[1].statement) == submission
    opened = make_vault(house.agency.key(KeyRole.SEALING)).open_report(
        Envelope.parse(envelope), context=report_context(SIGNED_SUBMISSION.peek(saved[1].statement))
    )
    assert parse_sealed_report(opened).report == make_industry_report()
    assert receipt.statement.door == "industry"


def test_receipt_verifies_and_progress_names_the_stage(client: Client) -> None:
    receipt = client.submit(RAW, priority="P2")
    assert client.check_receipt(receipt.raw) == receipt
    progress = client.get_progress(receipt.report_id)
    assert (progress.stage, progress.outcome) == ("received", None)


def test_same_submission_again_gets_the_stored_receipt(client: Client, house: House) -> None:
    receipt = client.submit(RAW, priority="P2")
    house.clock.advance(minutes=3)
    assert client.deliver(receipt.report_id).raw == receipt.raw
    assert len(house.rows("reports")) == 1


def test_lost_reply_is_repeated_and_stored_once(client: Client, house: House, wire: WsgiTransport) -> None:
    """The gateway stored the report, and the reply was lost on the way."""
    lost: list[str] = []
    original = wire.send

    def lose_first(request: Any, **settings: Any) -> Any:
        response = original(request, **settings)
        if request.path_url == "/v1/reports" and not lost:
            lost.append(request.path_url)
            raise TimeoutError
        return response

    wire.send = lose_first
    receipt = client.submit(RAW, priority="P1")
    assert lost == ["/v1/reports"]
    assert client.state.find_receipt(receipt.report_id) == receipt.raw
    assert len(house.rows("reports")) == 1


def test_enrolled_partner_can_submit_once_the_register_names_it(
    house: House, wire: WsgiTransport, tmp_path: Path
) -> None:
    newcomer = Partner(partner="new-chat")
    hashed = secret_sha256(bytes(32))
    with house.open_gateway().store.write() as connection:
        put_invitation(connection, secret_sha256=hashed, partner="new-chat", expires_at=NOW + 7 * DAY)
    invitation = make_invitation(house.agency, newcomer)
    for _ in range(2):  # a lost reply: the same box again is no fault
        enrol(invitation, folder=tmp_path / "new", session=session_for(wire), clock=house.clock)
    client = open_client(tmp_path / "new", wire, house.clock)
    with pytest.raises(NotAuthorisedError):
        client.status()
    with house.open_gateway().store.read() as connection:
        (envelope,) = connection.exec_driver_sql("SELECT envelope FROM items").one()
    text = to_base64url(hashed)
    opened = make_vault(house.agency.key(KeyRole.SEALING)).open_enrolment(
        Envelope.parse(envelope),
        context=enrolment_context(environment="live", partner="new-chat", hashed_secret=text),
    )
    keys = check_enrolment(opened, environment="live", invited={text: "new-chat"})
    entry = RegisterEntry(
        context_key=keys.context_key,
        environment="live",
        key_id=key_id_of(parse_base64url(keys.submission_key)),
        mailbox_key=sealing_key_of(client.state.read_key(KeyRole.MAILBOX)),
        name="New Chat",
        partner="new-chat",
        state="active",
        submission_key=keys.submission_key,
    )
    house.publish(Partner().entry(), entry, serial=2)
    caller = client.status().caller
    assert caller is not None
    assert (caller.partner, caller.environment) == ("new-chat", "live")
    assert client.submit(RAW, priority="P2").statement.clear.partner == "new-chat"


def test_mailbox_brings_each_digest_once_and_keeps_it(client: Client, house: House, wire: WsgiTransport) -> None:
    bodies = [encode(make_digest(period=quarter)) for quarter in ("2026-Q2", "2026-Q3")]
    first = make_post(1, body=to_base64url(bodies[0]), kind="digest")
    second = make_post(2, message_sha256(first.signed), body=to_base64url(bodies[1]), kind="digest")
    post_to(house, first, second)
    delivery = client.collect_mailbox()
    assert [one.body for one in delivery.messages] == bodies
    assert delivery.alarms == ()
    asked = [(request.method, request.path_url.split("/")[-1]) for request in wire.requests if "mailbox" in request.url]
    assert asked == [("GET", "mailbox"), ("POST", "ack"), ("POST", "ack"), ("GET", "mailbox")]
    assert client.collect_mailbox().messages == ()
    assert [digest.period for digest in client.digests()] == ["2026-Q2", "2026-Q3"]


def test_mailbox_longer_than_one_answer_is_fetched_whole(client: Client, house: House) -> None:
    post_to(house, *make_chain(60))
    assert [one.message.number for one in client.collect_mailbox().messages] == list(range(1, 61))


def test_message_for_another_key_is_not_acknowledged(client: Client, house: House) -> None:
    post_to(house, make_post(1, sealed_to=Partner(partner="other-chat")))
    for _ in range(2):  # it stays, and the alarm with it
        delivery = client.collect_mailbox()
        assert [alarm.reason for alarm in delivery.alarms] == ["wrong-key"]
        assert delivery.messages == ()


@pytest.mark.parametrize(
    "wrong", [timedelta(hours=-7), timedelta(minutes=-6), timedelta(minutes=2), timedelta(hours=23)]
)
def test_report_gets_through_with_a_wrong_clock(
    house: House, wire: WsgiTransport, tmp_path: Path, wrong: timedelta
) -> None:
    make_state(tmp_path / "partner", agency=house.agency)
    client = open_client(tmp_path / "partner", wire, StillClock(NOW + wrong))
    client.submit(RAW, priority="P1")
    posts = [request for request in wire.requests if request.path_url == "/v1/reports"]
    assert len(posts) == 2
    assert client.transport.clock_offset_seconds == -int(wrong.total_seconds())
    client.status()
    assert len(wire.requests) == 4


def test_clock_that_is_days_off_is_not_corrected(house: House, wire: WsgiTransport, tmp_path: Path) -> None:
    make_state(tmp_path / "partner", agency=house.agency)
    client = open_client(tmp_path / "partner", wire, StillClock(NOW + timedelta(days=3)))
    with pytest.raises(NotAuthorisedError):
        client.submit(RAW, priority="P1")
    assert client.transport.clock_offset_seconds == 0
    (finding,) = [one for one in examine(client, now=NOW, environ={}) if one.name == "clock"]
    assert finding.verdict == "fault"
    assert "259200 seconds ahead of the gateway, more than a day, which is not corrected" in finding.detail


def test_doctor_names_a_wrong_clock_and_says_that_it_is_corrected(
    house: House, wire: WsgiTransport, tmp_path: Path
) -> None:
    make_state(tmp_path / "partner", agency=house.agency)
    clock = StillClock(NOW + timedelta(minutes=20))
    client = open_client(tmp_path / "partner", wire, clock)
    (found,) = [one for one in examine(client, now=clock(), environ={}) if one.name == "clock"]
    assert found.verdict == "warning"
    assert "1200 seconds ahead" in found.detail
    assert "corrected" in found.detail


def test_doctor_finds_nothing_when_all_is_well(client: Client) -> None:
    client.submit(RAW, priority="P2")
    findings = list(examine(client, now=NOW, environ={}))
    assert len(findings) >= 9
    assert {one.verdict for one in findings} == {"ok"}


def test_suspended_partner_is_not_authorised_and_its_report_waits(client: Client, house: House) -> None:
    house.publish(Partner().entry(state="suspended"), serial=2)
    with pytest.raises(NotAuthorisedError):
        client.submit(RAW, priority="P2")
    assert len(client.state.list_undelivered()) == 1
    house.publish(Partner().entry(), serial=3)
    (attempt,) = client.resume()
    assert attempt.receipt is not None


def test_gateway_without_keys_is_unavailable_and_can_be_asked_again(tmp_path: Path, partner: Partner) -> None:
    bare = make_house(tmp_path / "bare")
    wire = WsgiTransport(bare.open_app("industry"))
    make_state(tmp_path / "partner", agency=bare.agency)
    client = open_client(tmp_path / "partner", wire, bare.clock)
    with pytest.raises(UnavailableError) as caught:
        client.refresh_key_set()
    assert caught.value.retry_after_seconds is not None
    with pytest.raises(SealingError, match="Nothing was sealed or saved") as unsealed:
        client.submit(RAW, priority="P2")
    assert unsealed.value.reason == "nothing-saved"
    assert client.state.list_undelivered() == []


def test_report_of_somebody_else_is_not_found(client: Client) -> None:
    with pytest.raises(RefusedError) as caught:
        client.get_progress(make_report_id(NOW, b"0123456789"))
    assert caught.value.reason == "not-found"
    assert caught.value.request_id is not None


def test_submission_saved_during_an_outage_is_taken_later(client: Client, house: House, wire: WsgiTransport) -> None:
    client.refresh_key_set()
    down = ScriptedGateway(*[TimeoutError()] * 6)
    offline = Client.open(client.state.folder, session=session_for(down), clock=house.clock, sleep=lambda _: None)
    with pytest.raises(TransportError):
        offline.submit(RAW, priority="P1")
    down.check_used(6)
    house.clock.advance(days=2)
    (attempt,) = client.resume()
    assert attempt.receipt is not None
    assert attempt.receipt.statement.received_at == format_time(NOW + 2 * DAY)
    assert PUBLIC_ORIGIN in str(wire.requests[-1].url)


def test_faults_of_a_statement_reach_the_caller_with_their_places(
    client: Client, house: House, partner: Partner
) -> None:
    sealed = seal_report(partner, key=house.agency.sealing_key, environment="sandbox")
    with pytest.raises(RefusedError) as caught:
        client.transport.send("POST", "/v1/reports", body=sealed.body)
    assert caught.value.reason == "statement-refused"
    (fault,) = caught.value.faults
    assert fault.pointer == "#/statement/payload/environment"
    assert fault.detail == "Give the environment of your enrolment, live or sandbox."
