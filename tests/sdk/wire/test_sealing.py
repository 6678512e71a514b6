"""Sealing: a box opens with suite and `info` bytes typed out by hand, and with nothing else."""

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from partner_sdk.errors import FormatError, SealingError
from partner_sdk.key_files import KeyRole, load_xwing_private_key
from partner_sdk.wire.canonical import parse_base64url, to_base64url
from partner_sdk.wire.sealing import PUBLIC_ENVELOPE_BYTES, Envelope, SealContext, SealingKey, seal, sealing_key_id
from tests.builders import Agency

AGENCY = Agency()
KEY = AGENCY.sealing_key
PRIVATE_KEY = load_xwing_private_key(parse_base64url(AGENCY.key(KeyRole.SEALING).secret))
KEY_ID = parse_base64url(KEY.key_id)
CONTEXT = SealContext(
    environment="live",
    purpose="report",
    sender="public",
    recipient="agency",
    id="01a211d3-7340-7ff3-b7d7-b412be473e63",
    kind="initial",
    priority="P2",
    schema_version="1",
)


def open_by_hand(envelope: Envelope, info: bytes) -> bytes:
    suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    return suite.decrypt(envelope.to_bytes()[15:], PRIVATE_KEY, info=info)


def test_box_opens_with_info_typed_out_by_hand() -> None:
    info = (
        b"report-abuse envelope\x01\x00\x04live\x00\x08"
        + KEY_ID
        + b"\x00\x06\x64\x7a\x00\x01\x00\x02\x00\x06report\x00\x06public\x00\x06agency"
        + b"\x00\x2401a211d3-7340-7ff3-b7d7-b412be473e63\x00\x07initial\x00\x02P2\x00\x011"
    )
    envelope = seal(b"hello", key=KEY, context=CONTEXT)
    assert envelope.to_bytes()[:15] == b"\x01" + KEY_ID + b"\x64\x7a\x00\x01\x00\x02"
    opened = open_by_hand(envelope, info)
    assert opened[:9] == b"\x00\x00\x00\x05hello"
    assert opened[9:].strip(b"\x00") == b""


@pytest.mark.parametrize("field", ["environment", "purpose", "sender", "recipient", "id", "kind", "priority"])
def test_box_does_not_open_in_another_context(field: str) -> None:
    envelope = seal(b"hello", key=KEY, context=CONTEXT)
    other = msgspec.structs.replace(CONTEXT, **{field: "reply" if field == "purpose" else "other"})
    with pytest.raises(InvalidTag):
        open_by_hand(envelope, other.info(key_id=KEY_ID))


def test_same_text_sealed_twice_gives_two_boxes() -> None:
    assert seal(b"hello", key=KEY, context=CONTEXT) != seal(b"hello", key=KEY, context=CONTEXT)


def test_one_word_and_5000_emoji_have_one_size() -> None:
    sizes = {len(seal(text.encode(), key=KEY, context=CONTEXT).to_bytes()) for text in ("help", "\U0001f600" * 5000)}
    assert sizes == {PUBLIC_ENVELOPE_BYTES}


def test_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(FormatError) as caught:
        seal(bytes(70_000), key=KEY, context=CONTEXT)
    assert caught.value.reason == "too-large"


RAW = parse_base64url(KEY.public_key)


@pytest.mark.parametrize(
    "changes",
    [
        {"key_id": to_base64url(b"other id")},
        {"key_id": to_base64url(b"short")},
        {"key_id": "!"},
        {"suite": "P256-HKDF-SHA256-AES-256-GCM"},
        {"public_key": to_base64url(RAW[:-1])},
        {"public_key": to_base64url(RAW[:-1] + bytes([RAW[-1] ^ 1]))},
        {"public_key": to_base64url(b"\xff" * 1216)},
        {"public_key": ""},
    ],
)
def test_key_that_is_not_what_it_claims_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(SealingError) as caught:
        seal(b"hello", key=msgspec.structs.replace(KEY, **changes), context=CONTEXT)
    assert caught.value.reason == "bad-key"


def test_key_with_an_all_zero_x25519_half_is_refused() -> None:
    public = RAW[:1184] + bytes(32)
    weak = msgspec.structs.replace(KEY, public_key=to_base64url(public), key_id=to_base64url(sealing_key_id(public)))
    assert isinstance(weak, SealingKey)
    with pytest.raises(SealingError):
        seal(b"hello", key=weak, context=CONTEXT)
