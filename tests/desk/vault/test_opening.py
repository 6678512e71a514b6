"""The vault opens its four kinds of box, in the very context that was sealed, and nothing else."""

import os
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.desk.vault.key_folder import KeyFolder
from partner_sdk.errors import LocalStateError, OpeningError
from partner_sdk.key_files import KeyRole, load_xwing_private_key, write_key_file
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.sealing import ENC_BYTES, Envelope, SealContext, seal
from tests.builders import make_key, sealing_key_of
from tests.builders.vault import make_vault

KEY_FILE = make_key(KeyRole.SEALING, name="vault")
KEY = sealing_key_of(KEY_FILE)
VAULT = make_vault(KEY_FILE)
CONTEXT = SealContext(
    environment="live",
    purpose="report",
    sender="example-chat",
    recipient="agency",
    id="01a211d3-7340-7100-bd26-c4bfe4e0f4c1",
    kind="initial",
    priority="P2",
    schema_version="1",
)
OTHER = {
    "environment": "sandbox",
    "sender": "other-chat",
    "recipient": "other",
    "id": "01a211d3-7340-7100-bd26-c4bfe4e0f4c2",
    "kind": "retraction",
    "priority": "P1",
    "schema_version": "2",
}


def with_context(**changes: str) -> SealContext:
    return msgspec.structs.replace(CONTEXT, **changes)


@pytest.mark.parametrize("size", [0, 1, 4091, 4092, 4093, 16_380, 16_381, 70_000])
def test_report_comes_out_byte_for_byte(size: int) -> None:
    plain = os.urandom(size)
    assert VAULT.open_report(seal(plain, key=KEY, context=CONTEXT), context=CONTEXT) == plain


def test_context_and_enrolment_have_doors_of_their_own() -> None:
    for purpose, door in (("context", VAULT.open_context), ("enrol", VAULT.open_enrolment)):
        context = with_context(purpose=purpose)
        assert door(seal(b"plain", key=KEY, context=context), context=context) == b"plain"


def test_door_refuses_every_other_purpose() -> None:
    doors = {
        "report": VAULT.open_report,
        "context": VAULT.open_context,
        "enrol": VAULT.open_enrolment,
        "reply": VAULT.open_reply_copy,
    }
    tried = 0
    for purpose in ("report", "context", "enrol", "mailbox", "reply"):
        context = with_context(purpose=purpose)
        envelope = seal(b"plain", key=KEY, context=context)
        for own, door in doors.items():
            if own != purpose:
                with pytest.raises(OpeningError) as caught:
                    door(envelope, context=context)
                assert caught.value.reason == "wrong-purpose"
                tried += 1
    assert tried == 16


def test_only_a_reply_that_is_addressed_to_the_agency_opens() -> None:
    own = with_context(purpose="reply", sender="agency", kind="copy")
    assert VAULT.open_reply_copy(seal(b"plain", key=KEY, context=own), context=own) == b"plain"
    childs = msgspec.structs.replace(own, recipient="K7QF-2M9TX-D")
    with pytest.raises(OpeningError) as caught:
        VAULT.open_reply_copy(seal(b"plain", key=KEY, context=childs), context=childs)
    assert caught.value.reason == "wrong-recipient"


@pytest.mark.parametrize("field", sorted(OTHER))
def test_box_does_not_open_in_another_context(field: str) -> None:
    envelope = seal(b"plain", key=KEY, context=CONTEXT)
    with pytest.raises(OpeningError) as caught:
        VAULT.open_report(envelope, context=with_context(**{field: OTHER[field]}))
    assert caught.value.reason == "does-not-open"


def test_every_field_of_the_context_is_covered_here() -> None:
    assert set(OTHER) | {"purpose"} == set(SealContext.__struct_fields__)


def test_box_for_another_key_names_the_key_as_unknown() -> None:
    other = sealing_key_of(make_key(KeyRole.SEALING, name="another"))
    with pytest.raises(OpeningError) as caught:
        VAULT.open_report(seal(b"plain", key=other, context=CONTEXT), context=CONTEXT)
    assert caught.value.reason == "unknown-key"


@given(place=st.integers(min_value=0, max_value=ENC_BYTES + 4096 + 15), bit=st.integers(min_value=0, max_value=7))
@settings(max_examples=60, deadline=None)
def test_one_changed_bit_does_not_open(place: int, bit: int) -> None:
    envelope = seal(b"plain", key=KEY, context=CONTEXT)
    box = bytearray(envelope.box)
    box[place] ^= 1 << bit
    with pytest.raises(OpeningError) as caught:
        VAULT.open_report(Envelope(key_id=envelope.key_id, box=bytes(box)), context=CONTEXT)
    assert caught.value.reason == "does-not-open"


@pytest.mark.parametrize("box", [b"", b"\0", bytes(ENC_BYTES), bytes(ENC_BYTES + 16), bytes(ENC_BYTES + 4112)])
def test_short_and_zero_boxes_do_not_open(box: bytes) -> None:
    with pytest.raises(OpeningError) as caught:
        VAULT.open_report(Envelope(key_id=parse_base64url(KEY.key_id), box=box), context=CONTEXT)
    assert caught.value.reason == "does-not-open"


@pytest.mark.parametrize(
    "padded",
    [b"", b"\0\0\0\1", bytes(4095), bytes(8192), b"\0\0\0\5plain" + bytes(4086) + b"\1", b"\xff" * 4096],
    ids=["empty", "no-text", "wrong-size", "two-steps-for-nothing", "not-zero", "length-beyond-end"],
)
def test_padding_in_another_spelling_is_refused(padded: bytes) -> None:
    private_key = load_xwing_private_key(parse_base64url(KEY_FILE.secret))
    key_id = parse_base64url(KEY.key_id)
    suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    box = suite.encrypt(padded, private_key.public_key(), info=CONTEXT.info(key_id=key_id))
    with pytest.raises(OpeningError) as caught:
        VAULT.open_report(Envelope(key_id=key_id, box=box), context=CONTEXT)
    assert caught.value.reason == "bad-padding"


def test_folder_gives_every_sealing_key_and_refuses_a_key_of_another_role(tmp_path: Path) -> None:
    write_key_file(tmp_path / "sealing-2026-Q4.key", KEY_FILE)
    write_key_file(tmp_path / "sealing-2027-Q1.key", make_key(KeyRole.SEALING, name="next"))
    write_key_file(tmp_path / "feed.key", make_key(KeyRole.FEED, name="vault"))
    assert len(KeyFolder(tmp_path).list_sealing_keys()) == 2
    write_key_file(tmp_path / "sealing-2027-Q2.key", make_key(KeyRole.MAILBOX, name="vault"))
    with pytest.raises(LocalStateError) as caught:
        KeyFolder(tmp_path).list_sealing_keys()
    assert caught.value.reason == "wrong-key-role"


def test_vault_says_nothing_of_its_keys() -> None:
    assert KEY_FILE.secret not in repr(VAULT) + str(VAULT)
