"""`Partner`: sealed and saved before it is sent, the same bytes at each try, and nothing believed unverified."""

import hashlib
import random
from pathlib import Path

import msgspec
import pytest
import requests

from partner_sdk.client.mailbox import OpenedMessage, read_digest
from partner_sdk.client.partner import Partner as Client
from partner_sdk.errors import (
    ConflictError,
    FormatError,
    LocalStateError,
    MailboxError,
    ReportError,
    SealingError,
    StatementError,
    TransportError,
)
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.report import parse_sealed_report
from partner_sdk.wire.canonical import encode, format_time, parse_base64url, to_base64url
from partner_sdk.wire.mailbox import MailboxMessage
from partner_sdk.wire.receipts import FIRST_PREVIOUS, SIGNED_INTAKE, IntakeStatement
from partner_sdk.wire.sealing import Envelope
from partner_sdk.wire.submission import SIGNED_SUBMISSION, ReportPost, clear_fields_of, report_context
from tests.builders import (
    DAY,
    EXAMPLE_REPORT,
    NOW,
    Agency,
    Partner,
    StillClock,
    make_industry_report,
    make_key,
    verify_key_of,
)
from tests.builders.vault import make_vault
from tests.sdk.sdk_builders import Answer, ScriptedGateway, make_digest, make_state, session_for

AGENCY = Agency()
PARTNER = Partner()
RECEIPT_KEY = make_key(KeyRole.RECEIPT, name="gateway")
KEYS: Answer = (200, {}, AGENCY.bundle(receipt_keys=(verify_key_of(RECEIPT_KEY),)))
RAW = EXAMPLE_REPORT.read_bytes()


def sign_receipt(post: ReportPost, **changes: object) -> bytes:
    submission = SIGNED_SUBMISSION.peek(post.statement)
    settings = {
        "clear": clear_fields_of(submission),
        "door": "industry",
        "envelope_sha256": submission.envelope_sha256,
        "environment": "live",
        "epoch": "epoch",
        "instance": "gateway-test",
        "key_set_serial": 1,
        "placement": None,
        "previous": FIRST_PREVIOUS,
        "received_at": format_time(NOW),
        "reference": "K7QF-2M9TX-D",
        "sequence": 1,
        "submission_sha256": hashlib.sha256(encode(post.statement)).hexdigest(),
        **changes,
    }
    return SIGNED_INTAKE.sign(IntakeStatement(**settings), load_signing_key(RECEIPT_KEY))


class ReceivingGateway(ScriptedGateway):
    """Answers from a script; once that is used up, it gives a report its receipt, as the real one does."""

    def __init__(self, *answers: Answer, **changes: object) -> None:
        super().__init__(*answers)
        self.changes = changes

    def send(self, request: requests.PreparedRequest, **settings: object) -> requests.Response:
        if not self.answers and request.path_url == "/v1/keys":
            self.answers.append(KEYS)
        if not self.answers and request.path_url == "/v1/reports":
            post = msgspec.json.decode(request.body or b"", type=ReportPost)
            self.answers.append((201, {}, sign_receipt(post, **self.changes)))
        return super().send(request, **settings)


def make_digest_message(**changes: object) -> OpenedMessage:
    message = MailboxMessage(
        body=to_base64url(encode(make_digest(**changes))),
        environment="live",
        issued_at=format_time(NOW),
        kind="digest",
        message_id="01a211d3-7340-7ff3-b7d7-b412be473e63",
        number=1,
        previous=FIRST_PREVIOUS,
        recipient="example-chat",
    )
    return OpenedMessage(message=message, signed=b"")


def open_client(folder: Path, gateway: ScriptedGateway, *, clock: StillClock | None = None, **settings: object):
    if not folder.exists():
        make_state(folder)
    clock = clock or StillClock()
    return Client.open(folder, session=session_for(gateway), clock=clock, sleep=lambda _: None, **settings)


def posts_of(gateway: ScriptedGateway) -> list[requests.PreparedRequest]:
    return [request for request in gateway.requests if request.path_url == "/v1/reports"]


def test_report_opens_at_the_desk_with_every_word_and_the_clear_fields(tmp_path: Path) -> None:
    gateway = ReceivingGateway(KEYS)
    receipt = open_client(tmp_path / "p", gateway).submit(RAW, priority="P1")
    gateway.check_used(2)
    post = msgspec.json.decode(posts_of(gateway)[0].body or b"", type=ReportPost)
    envelope = parse_base64url(post.envelope)
    keys = {PARTNER.entry().key_id: parse_base64url(PARTNER.entry().submission_key)}
    statement = SIGNED_SUBMISSION.open(encode(post.statement), keys=keys)
    opened = make_vault(AGENCY.key(KeyRole.SEALING)).open_report(
        Envelope.parse(envelope), context=report_context(statement)
    )
    sealed = parse_sealed_report(opened)
    assert sealed.report == make_industry_report()
    assert sealed.clear == clear_fields_of(statement)
    assert (statement.partner, statement.priority, statement.environment) == ("example-chat", "P1", "live")
    assert receipt.reference == "K7QF-2M9TX-D"


def test_model_and_bytes_are_both_taken(tmp_path: Path) -> None:
    client = open_client(tmp_path / "p", ReceivingGateway(KEYS))
    assert (
        client.submit(make_industry_report(), priority="P3").report_id
        != client.submit(RAW, priority="P3", again=True).report_id
    )


def test_submission_is_on_disk_before_it_is_sent(tmp_path: Path) -> None:
    seen: list[int] = []

    class Watcher(ReceivingGateway):
        def send(self, request: requests.PreparedRequest, **settings: object) -> requests.Response:
            if request.path_url == "/v1/reports":
                saved = [path.read_bytes() for path in (tmp_path / "p" / "submissions").glob("*.json")]
                seen.append(saved.count(request.body or b""))
            return super().send(request, **settings)

    open_client(tmp_path / "p", Watcher(KEYS)).submit(RAW, priority="P2")
    assert seen == [1]


def test_each_try_sends_the_same_bytes_under_a_new_signature(tmp_path: Path) -> None:
    lost: Answer = requests.ConnectionError()
    gateway = ReceivingGateway(KEYS, lost, (503, {"Retry-After": "1"}, b""), (429, {}, b""))
    lines: list[str] = []
    open_client(tmp_path / "p", gateway, notify=lines.append).submit(RAW, priority="P2")
    posts = posts_of(gateway)
    assert len(posts) == 4
    assert len({request.body for request in posts}) == 1
    assert len({request.headers["Signature"] for request in posts}) == 4
    assert len(lines) == 3


def test_undelivered_report_stays_and_resume_sends_the_same_bytes(tmp_path: Path) -> None:
    down = ScriptedGateway(KEYS, *[requests.ConnectTimeout()] * 5)
    with pytest.raises(TransportError):
        open_client(tmp_path / "p", down).submit(RAW, priority="P1")
    down.check_used(6)
    gateway = ReceivingGateway()
    client = open_client(tmp_path / "p", gateway)
    (attempt,) = client.resume()
    assert attempt.receipt is not None
    assert attempt.priority == "P1"
    assert posts_of(gateway)[0].body == posts_of(down)[0].body
    assert client.resume() == []


def test_resume_sends_p1_first_and_goes_on_after_a_refusal(tmp_path: Path) -> None:
    make_state(tmp_path / "p")
    sealer = open_client(tmp_path / "p", ScriptedGateway(KEYS))
    for priority in ("P3", "P1", "P2"):
        sealer.seal_report(make_industry_report(), priority=priority)
    gateway = ReceivingGateway((422, {}, b""))
    attempts = open_client(tmp_path / "p", gateway).resume()
    assert [(one.priority, one.receipt is None) for one in attempts] == [("P1", True), ("P2", False), ("P3", False)]
    assert attempts[0].error is not None
    assert len(sealer.state.list_undelivered()) == 1


def test_conflict_is_raised_and_the_report_counts_as_undelivered(tmp_path: Path) -> None:
    gateway = ScriptedGateway(KEYS, (409, {}, b""))
    client = open_client(tmp_path / "p", gateway)
    with pytest.raises(ConflictError):
        client.submit(RAW, priority="P2")
    assert len(client.state.list_undelivered()) == 1
    gateway.check_used(2)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"submission_sha256": "0" * 64}, "receipt-mismatch"),
        ({"envelope_sha256": "0" * 64}, "receipt-mismatch"),
        ({"environment": "sandbox"}, "wrong-environment"),
        ({"received_at": format_time(NOW - 30 * DAY)}, "unknown-key"),
    ],
)
def test_receipt_of_something_else_is_no_delivery(tmp_path: Path, changes: dict[str, object], reason: str) -> None:
    gateway = ReceivingGateway(KEYS, **changes)
    client = open_client(tmp_path / "p", gateway)
    with pytest.raises(StatementError) as caught:
        client.submit(RAW, priority="P2")
    assert caught.value.reason == reason
    assert client.receipts() == []
    assert len(client.state.list_undelivered()) == 1


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>thank you</html>"])
def test_answer_that_is_no_receipt_is_no_delivery(tmp_path: Path, body: bytes) -> None:
    client = open_client(tmp_path / "p", ScriptedGateway(KEYS, (201, {}, body)))
    with pytest.raises(FormatError):
        client.submit(RAW, priority="P2")
    assert len(client.state.list_undelivered()) == 1


def test_receipt_of_a_younger_key_is_checked_against_a_renewed_key_set(tmp_path: Path) -> None:
    old_keys: Answer = (200, {}, AGENCY.bundle())
    new_keys: Answer = (200, {}, AGENCY.bundle(serial=2, receipt_keys=(verify_key_of(RECEIPT_KEY),)))
    gateway = ReceivingGateway(old_keys)
    client = open_client(tmp_path / "p", gateway)
    report_id = client.seal_report(make_industry_report(), priority="P2")
    post = client.state.find_submission(report_id)
    assert post is not None
    gateway.answers.extend([(201, {}, sign_receipt(post[1])), new_keys])
    assert client.deliver(report_id).report_id == report_id
    gateway.check_used(3)


def test_faulty_report_is_refused_before_anything_is_fetched_or_saved(tmp_path: Path) -> None:
    gateway = ScriptedGateway()
    client = open_client(tmp_path / "p", gateway)
    with pytest.raises(ReportError) as caught:
        client.submit(b'{"schema_version":"1"}', priority="P2")
    assert caught.value.faults
    assert client.state.list_undelivered() == []
    gateway.check_used(0)


def test_priority_that_does_not_exist_is_refused_before_sealing(tmp_path: Path) -> None:
    client = open_client(tmp_path / "p", ScriptedGateway())
    with pytest.raises(FormatError):
        client.submit(RAW, priority="P9")
    assert client.state.list_undelivered() == []


def test_report_is_sealed_and_saved_while_the_gateway_is_down(tmp_path: Path) -> None:
    open_client(tmp_path / "p", ScriptedGateway(KEYS)).refresh_key_set()
    lines: list[str] = []
    gateway = ScriptedGateway(requests.ConnectionError())
    client = open_client(tmp_path / "p", gateway, notify=lines.append)
    client.seal_report(make_industry_report(), priority="P1")
    assert len(client.state.list_undelivered()) == 1
    assert "serial 1" in lines[0]


@pytest.mark.parametrize(
    "answer",
    [(200, {}, Agency(name="impostor").bundle()), (200, {}, AGENCY.bundle(serial=1)), (200, {}, b"{}")],
)
def test_refused_key_set_is_not_used_and_the_saved_one_is(tmp_path: Path, answer: Answer) -> None:
    make_state(tmp_path / "p").accept_key_set(AGENCY.bundle(serial=2), now=NOW)
    lines: list[str] = []
    client = open_client(tmp_path / "p", ScriptedGateway(answer), notify=lines.append)
    client.seal_report(make_industry_report(), priority="P2")
    assert "serial 2" in lines[0]


def test_no_active_key_is_named(tmp_path: Path) -> None:
    client = open_client(tmp_path / "p", ScriptedGateway((200, {}, AGENCY.bundle(sealing_keys=()))))
    with pytest.raises(SealingError) as caught:
        client.submit(RAW, priority="P2")
    assert caught.value.reason == "no-active-key"


def test_key_set_is_fetched_once_in_ten_minutes(tmp_path: Path) -> None:
    clock = StillClock()
    gateway = ScriptedGateway(KEYS, KEYS)
    client = open_client(tmp_path / "p", gateway, clock=clock)
    for minutes in (0, 9, 2):
        clock.advance(minutes=minutes)
        client.seal_report(make_industry_report(), priority="P2", again=True)
    gateway.check_used(2)


def test_saved_receipt_is_verified_offline(tmp_path: Path) -> None:
    raw = open_client(tmp_path / "p", ReceivingGateway(KEYS)).submit(RAW, priority="P2").raw
    offline = ScriptedGateway()
    client = open_client(tmp_path / "p", offline, clock=StillClock(NOW + 500 * DAY))
    assert client.check_receipt(raw).raw == raw
    assert [one.raw for one in client.receipts()] == [raw]
    offline.check_used(0)


def test_altered_or_foreign_receipt_does_not_verify(tmp_path: Path) -> None:
    client = open_client(tmp_path / "p", ReceivingGateway(KEYS))
    raw = client.submit(RAW, priority="P2").raw
    (tmp_path / "q").mkdir()
    other = open_client(tmp_path / "q" / "p", ReceivingGateway(KEYS)).submit(RAW, priority="P2").raw
    with pytest.raises(StatementError) as caught:
        client.check_receipt(other)
    assert caught.value.reason == "receipt-mismatch"
    source = random.Random(1)
    refused = 0
    for place in source.sample(range(len(raw)), 60):
        altered = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises((FormatError, StatementError)):
            client.check_receipt(altered)
        refused += 1
    assert refused == 60


@pytest.mark.parametrize("changes", [{"partner": "other-chat"}, {"environment": "sandbox"}])
def test_digest_of_another_partner_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    client = open_client(tmp_path / "p", ScriptedGateway())
    assert read_digest(make_digest_message(), profile=client.profile).partner == "example-chat"
    with pytest.raises(MailboxError):
        read_digest(make_digest_message(**changes), profile=client.profile)


def test_partner_opens_only_an_enrolled_folder(tmp_path: Path) -> None:
    with pytest.raises(LocalStateError):
        Client.open(tmp_path / "none")
