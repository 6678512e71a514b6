"""Replies: signed by the agency, sealed to the key of a return code, in one spelling."""

from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from gateway.exchange.public_report import (
    MAX_BODY_CHARACTERS,
    MAX_REPLY_ENVELOPE_BYTES,
    MAX_SIGNED_BYTES,
    SIGNED_REPLY,
    ReplyMessage,
    make_reply_key,
    place_context,
    reply_context,
)
from partner_sdk.errors import FormatError, SealingError
from partner_sdk.key_files import KeyRole, load_signing_key, load_xwing_private_key, xwing_public_bytes
from partner_sdk.wire.canonical import encode, make_report_id, parse_base64url, to_base64url
from partner_sdk.wire.sealing import Envelope, make_suite, seal, unpad
from partner_sdk.wire.signing import StatementKind, key_id_of, public_bytes, sign_statement
from tests.builders import NOW, Agency

AGENCY = Agency()
SIGNING_KEY = load_signing_key(AGENCY.key(KeyRole.MAILBOX_SIGNING))
KEYS = {key_id_of(public_bytes(SIGNING_KEY)): public_bytes(SIGNING_KEY)}
REFERENCE = "K7QF-2M9TX-D"
SANDBOX_REFERENCE = f"TEST-{REFERENCE}"
MESSAGE_ID = make_report_id(NOW, b"0123456789")
SEED = bytes(range(32))
REPLY_KEY = to_base64url(xwing_public_bytes(SEED))


def make_message(**changes: Any) -> ReplyMessage:
    settings: dict[str, Any] = {
        "body": "We have read what you wrote. You did the right thing.",
        "environment": "live",
        "issued_at": "2026-11-25T08:30:00Z",
        "kind": "reply",
        "message_id": MESSAGE_ID,
        "reference": REFERENCE,
        **changes,
    }
    return ReplyMessage(**settings)


def sign(message: ReplyMessage) -> bytes:
    return SIGNED_REPLY.sign(message, SIGNING_KEY)


def test_message_that_is_signed_opens_again_and_can_be_peeked_at() -> None:
    for message in (make_message(), make_message(kind="read", body="")):
        assert SIGNED_REPLY.open(sign(message), keys=KEYS) == message
        assert SIGNED_REPLY.peek(sign(message)) == message


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"message_id": "1"}, "malformed"),
        ({"issued_at": "today"}, "malformed"),
        ({"reference": "k7qf2m9txd"}, "bad-reference"),
        ({"reference": "K7QF-2M9TX-6"}, "bad-reference"),
        ({"reference": SANDBOX_REFERENCE}, "malformed"),
        ({"environment": "sandbox"}, "malformed"),
        ({"body": ""}, "malformed"),
        ({"kind": "read"}, "malformed"),
        ({"body": "x" * (MAX_BODY_CHARACTERS + 1)}, "too-large"),
    ],
)
def test_message_that_is_not_in_its_one_spelling_is_neither_signed_nor_opened(
    changes: dict[str, str], reason: str
) -> None:
    with pytest.raises(FormatError) as caught:
        sign(make_message(**changes))
    assert caught.value.reason == reason
    signed = sign_statement(make_message(**changes), kind=StatementKind.REPLY, private_keys=(SIGNING_KEY,))
    with pytest.raises(FormatError):
        SIGNED_REPLY.open(signed, keys=KEYS)


def test_sandbox_message_names_a_sandbox_reference() -> None:
    message = make_message(environment="sandbox", reference=SANDBOX_REFERENCE)
    assert SIGNED_REPLY.open(sign(message), keys=KEYS) == message


@pytest.mark.parametrize(("letter", "fits"), [("a", True), ("ŵ", True), ("\U0001f642", False)])
def test_four_thousand_letters_fit_and_what_does_not_is_said(letter: str, fits: bool) -> None:
    message = make_message(body=letter * MAX_BODY_CHARACTERS)
    if not fits:
        with pytest.raises(FormatError) as caught:
            sign(message)
        assert caught.value.reason == "too-large"
        return
    signed = sign(message)
    assert len(signed) <= MAX_SIGNED_BYTES
    context = reply_context(environment="live", reference=REFERENCE, message_id=MESSAGE_ID)
    assert len(seal(signed, key=make_reply_key(REPLY_KEY), context=context).to_bytes()) <= MAX_REPLY_ENVELOPE_BYTES


def test_reply_opens_with_the_seed_and_info_typed_out_by_hand() -> None:
    signed = sign(make_message())
    context = reply_context(environment="live", reference=REFERENCE, message_id=MESSAGE_ID)
    envelope = seal(signed, key=make_reply_key(REPLY_KEY), context=context)
    fields = (
        b"live",
        envelope.key_id,
        b"\x64\x7a\x00\x01\x00\x02",
        b"reply",
        b"agency",
        b"K7QF-2M9TX-D",
        MESSAGE_ID.encode(),
        b"message",
        b"none",
        b"1",
    )
    info = b"report-abuse envelope\x01" + b"".join(len(field).to_bytes(2, "big") + field for field in fields)
    padded = make_suite().decrypt(envelope.box, load_xwing_private_key(SEED), info=info)
    assert padded[:4] == len(signed).to_bytes(4, "big")
    assert unpad(padded, purpose="reply", sender="agency") == signed
    assert len(padded) == 4096


def test_box_of_a_place_and_box_of_a_reply_cannot_be_exchanged() -> None:
    place = place_context(environment="live", reference=REFERENCE)
    assert (place.sender, place.recipient, place.id, place.kind) == ("gateway", REFERENCE, REFERENCE, "place")
    envelope = seal(b"{}", key=make_reply_key(REPLY_KEY), context=place)
    private_key = load_xwing_private_key(SEED)
    for other in (
        reply_context(environment="live", reference=REFERENCE, message_id=REFERENCE),
        place_context(environment="sandbox", reference=REFERENCE),
        place_context(environment="live", reference="0000-00000-1"),
    ):
        with pytest.raises(InvalidTag):
            make_suite().decrypt(envelope.box, private_key, info=other.info(key_id=envelope.key_id))
    assert make_suite().decrypt(envelope.box, private_key, info=place.info(key_id=envelope.key_id))


@pytest.mark.parametrize("text", ["", "AA", REPLY_KEY + "A", REPLY_KEY[:-1], "not a key", "=" * 1622])
def test_what_is_no_key_of_a_code_is_a_sealing_error(text: str) -> None:
    with pytest.raises(SealingError) as caught:
        make_reply_key(text)
    assert caught.value.reason == "bad-key"


def test_key_of_a_code_that_no_library_takes_is_a_sealing_error() -> None:
    context = place_context(environment="live", reference=REFERENCE)
    with pytest.raises(SealingError):
        seal(b"{}", key=make_reply_key(to_base64url(b"\xff" * 1216)), context=context)


def test_envelope_and_keys_have_the_sizes_that_the_wire_names() -> None:
    assert len(parse_base64url(REPLY_KEY)) == 1216
    assert len(REPLY_KEY) == 1622
    envelope = seal(encode({}), key=make_reply_key(REPLY_KEY), context=place_context(environment="live", reference="x"))
    assert Envelope.parse(envelope.to_bytes()) == envelope
