"""The vault signs ten kinds of statement and requests to the feed, each with its role's key, and nothing else."""

from dataclasses import replace

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.desk.office.wiring import Desk
from gateway.desk.vault import HashKind, MakeKey, Sign, SignRequest, VaultError
from gateway.desk.vault.doors import SIGNED_HERE, FeedKey, get_signing_role
from gateway.exchange.desk_statements import AlertNotice
from gateway.exchange.public_report import ReplyMessage
from partner_sdk.errors import FormatError, LocalStateError, ReportAbuseError, SignatureProfileError
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import encode, parse_base64url
from partner_sdk.wire.signing import StatementKind, open_statement

NOTICE = AlertNotice(
    count=1,
    danger_today=0,
    environment="live",
    first_at="2026-11-25T09:30:00Z",
    issued_at="2026-11-25T09:31:00Z",
    target="desk",
)


def test_list_of_signed_statements_is_complete_and_each_kind_has_one_payload() -> None:
    assert {kind.name: get_signing_role(kind).name for kind in SIGNED_HERE} == {
        "ALERT": "MAILBOX_SIGNING",
        "AUDIT_ANCHOR": "MAILBOX_SIGNING",
        "DESK_RECEIPT": "MAILBOX_SIGNING",
        "DESTRUCTION": "MAILBOX_SIGNING",
        "FORGET": "MAILBOX_SIGNING",
        "KEY_SET": "KEY_SET",
        "MAILBOX_MESSAGE": "MAILBOX_SIGNING",
        "PACKAGE": "MAILBOX_SIGNING",
        "REGISTER": "REGISTER",
        "REPLY": "MAILBOX_SIGNING",
        "STAFFING": "MAILBOX_SIGNING",
    }
    assert len({one.payload for one in SIGNED_HERE.values()}) == len(SIGNED_HERE)


def test_statement_is_signed_with_the_key_of_its_role(desk: Desk) -> None:
    signed = desk.load_signer().sign(NOTICE)
    key = desk.read_key(KeyRole.MAILBOX_SIGNING)
    keys = {key.key_id: parse_base64url(key.public_key)}
    assert open_statement(signed, kind=StatementKind.ALERT, keys=keys, payload_type=AlertNotice) == NOTICE


@pytest.mark.parametrize("kind", sorted(set(StatementKind) - set(SIGNED_HERE), key=lambda kind: kind.name))
def test_no_kind_of_another_party_is_signed(desk: Desk, kind: StatementKind) -> None:
    with pytest.raises(VaultError) as caught:
        desk.find_holder()(Sign(kind=kind, payload=encode(NOTICE)))
    assert caught.value.reason == "not-signed-here"


@pytest.mark.parametrize("kind", sorted(SIGNED_HERE, key=lambda kind: kind.name))
def test_payload_of_another_kind_and_other_spellings_are_refused(desk: Desk, kind: StatementKind) -> None:
    other = encode(NOTICE) if kind is not StatementKind.ALERT else b'{"body":""}'
    for payload in (other, b"", b"{}", b"DSSEv1 0  0 ", encode(NOTICE) + b" ", b" " + encode(NOTICE)):
        with pytest.raises(FormatError):
            desk.find_holder()(Sign(kind=kind, payload=payload))


def test_statement_of_another_environment_is_refused(desk: Desk) -> None:
    for environment in ("sandbox",):
        elsewhere = ReplyMessage(
            body="Hello",
            environment=environment,
            issued_at="2026-11-25T09:31:00Z",
            kind="reply",
            message_id=desk.make_id(),
            reference="K7QF-2M9TX-D",
        )
        with pytest.raises(VaultError) as caught:
            desk.load_signer().sign(elsewhere)
        assert caught.value.reason == "wrong-environment"


def test_request_to_the_feed_is_signed_and_its_key_has_no_bytes(desk: Desk) -> None:
    key = make_feed_key(desk)
    base = make_base(desk)
    key.public_key().verify(key.sign(base), base)
    with pytest.raises(InvalidSignature):
        key.public_key().verify(key.sign(base), base + b" ")
    for ask in (key.private_bytes_raw, key.private_bytes):
        with pytest.raises(VaultError):
            ask()


@pytest.mark.parametrize(
    "change",
    [
        ("http://127.0.0.1:8001", "http://127.0.0.2:8001"),
        ("http://127.0.0.1:8001/", "http://127.0.0.1:8001.other.example/"),
        ('tag="report-abuse"', 'tag="other"'),
        ('"@method": GET', '"@method": GET\n"@method": GET'),
        (' "content-type" "content-digest"', ""),
        ("ed25519", "hmac-sha256"),
        ('"@method"', "DSSEv1"),
    ],
)
def test_base_that_is_no_request_to_this_feed_is_not_signed(desk: Desk, change: tuple[str, str]) -> None:
    text = make_base(desk, has_body=True).decode()
    assert change[0] in text
    with pytest.raises(SignatureProfileError):
        desk.find_holder()(SignRequest(base=text.replace(*change).encode(), key="feed"))
    assert desk.find_holder()(SignRequest(base=text.encode(), key="feed"))


@given(base=st.binary(max_size=400))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_other_bytes_are_signed_for_the_feed(desk: Desk, base: bytes) -> None:
    with pytest.raises(SignatureProfileError):
        desk.find_holder()(SignRequest(base=base, key="feed"))


@pytest.mark.parametrize(
    "name",
    ["", "register", "feed", "key-set", "root", "../root/root", "sealing-2026-Q5", "sealing-2026-Q4-01"],
)
def test_no_key_is_made_under_a_name_of_the_callers_choice(desk: Desk, name: str) -> None:
    before = sorted(desk.paths.state.rglob("*.key"))
    with pytest.raises(VaultError) as caught:
        desk.find_holder()(MakeKey(name=name))
    assert caught.value.reason == "unknown-name"
    assert sorted(desk.paths.state.rglob("*.key")) == before


def test_key_is_made_once_and_its_secret_is_not_in_the_answer(desk: Desk) -> None:
    made = desk.load_signer().make_key("register.next")
    assert desk.load_signer().make_key("register.next") == made
    assert not hasattr(made, "secret")
    assert (desk.paths.keys / "register.next.key").is_file()


def test_hash_is_the_same_for_one_text_and_differs_by_kind_and_by_desk(desk: Desk) -> None:
    signer, kinds = desk.load_signer(), tuple[HashKind, ...](("address", "domain", "note"))
    first = [signer.hash_text(kind, "sam@mail.example") for kind in kinds]
    assert first == [signer.hash_text(kind, "sam@mail.example") for kind in kinds]
    assert len({*first, signer.hash_text("address", "kim@mail.example")}) == 4
    (desk.paths.keys / "address-mac.key").unlink()
    assert signer.hash_text("address", "sam@mail.example") not in first


def test_missing_and_exposed_keys_are_named(desk: Desk) -> None:
    path = desk.paths.keys / "mailbox-signing.key"
    path.chmod(0o644)
    with pytest.raises(LocalStateError) as caught:
        desk.load_signer().sign(NOTICE)
    assert caught.value.reason == "open-to-others"
    path.unlink()
    with pytest.raises(LocalStateError) as caught:
        desk.load_signer().sign(NOTICE)
    assert caught.value.reason == "no-key-file"


def test_answer_to_another_question_is_refused(desk: Desk) -> None:
    wrong = replace(desk.load_signer(), ask=lambda _: desk.load_signer().get_status())
    for ask in (lambda: wrong.sign(NOTICE), lambda: wrong.make_key("feed.next"), lambda: wrong.hash_text("note", "x")):
        with pytest.raises(VaultError) as caught:
            ask()
        assert caught.value.reason == "wrong-answer"
    assert issubclass(VaultError, ReportAbuseError)


def make_feed_key(desk: Desk) -> FeedKey:
    return desk.load_signer().load_feed_key()


def make_base(desk: Desk, *, has_body: bool = False) -> bytes:
    body = '"content-type": application/json\n"content-digest": sha-256=:' + "A" * 43 + "=:\n" if has_body else ""
    covered = '"@method" "@target-uri"' + (' "content-type" "content-digest"' if has_body else "")
    return (
        f'"@method": GET\n"@target-uri": {desk.config.feed_url}/feed/items/report?after=0&limit=50\n{body}'
        f'"@signature-params": ({covered});created=1764065400;keyid="{desk.read_key(KeyRole.FEED).key_id}"'
        ';alg="ed25519";nonce="AAAAAAAAAAAAAAAAAAAAAA";tag="report-abuse"'
    ).encode()
