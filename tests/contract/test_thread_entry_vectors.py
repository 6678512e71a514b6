"""The vectors of entries in a thread: opened by the desk's vault, checked by the wire, and one of them by hand."""

import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.desk.cases.actions.ledger import open_entry
from partner_sdk.key_files import KeyRole, new_key
from partner_sdk.wire.canonical import encode, parse_base64url, to_base64url
from partner_sdk.wire.mailbox import MAX_ENTRY_ENVELOPE_BYTES, ThreadEntry, entry_context
from partner_sdk.wire.sealing import Envelope
from partner_sdk.wire.signing import key_id_of
from tests.builders.vault import make_vault
from tests.contract.vector_files import FILES, bytes_of, cases_of, result_of

FILE = FILES["thread-entry"]
KEYS = {key_id_of(key): key for key in map(parse_base64url, FILE["submission_keys"])}
VAULT = make_vault(
    new_key(KeyRole.SEALING, environment="live", created_at="2026-11-25T08:30:00Z", seed=parse_base64url(FILE["seed"]))
)


def read_entry(raw: bytes) -> ThreadEntry:
    return open_entry(
        raw, keys=KEYS, environment=FILE["environment"], partner=FILE["partner"], entry_id=FILE["entry_id"]
    )


def open_box(raw: bytes) -> bytes:
    context = entry_context(environment=FILE["environment"], partner=FILE["partner"], entry_id=FILE["entry_id"])
    return VAULT.open_entry(Envelope.parse(raw, max_bytes=MAX_ENTRY_ENVELOPE_BYTES), context=context)


@pytest.mark.parametrize("case", cases_of("thread-entry", having="envelope"))
def test_box_gives_its_expected_result(case: dict[str, Any]) -> None:
    def read() -> None:
        assert json.loads(encode(read_entry(open_box(bytes_of(case, "envelope"))))) == FILE["entry"]

    assert result_of(read) == case["expect"]


@pytest.mark.parametrize("case", cases_of("thread-entry", having="statement"))
def test_statement_gives_its_expected_result(case: dict[str, Any]) -> None:
    assert result_of(lambda: read_entry(bytes_of(case, "statement"))) == case["expect"]


def test_first_box_opens_and_verifies_by_hand() -> None:
    """WIRE.md §3.2, §4 and §9.6 typed out: the context bound into the box, and the signature inside it."""
    box = bytes_of(FILE["cases"][0], "envelope")
    named = entry_context(environment="live", partner="example-police", entry_id=FILE["entry_id"])
    parts = [
        *(b"live", box[1:9], bytes.fromhex("647a00010002"), b"thread", b"example-police", b"agency"),
        *(b"019ab9f0-0000-7000-8000-000000000004", b"entry", b"none", b"1"),
    ]
    by_hand = b"report-abuse envelope\x01" + b"".join(len(one).to_bytes(2, "big") + one for one in parts)
    assert named.info(key_id=box[1:9]) == by_hand
    signed = json.loads(open_box(box))
    payload, public_key = parse_base64url(signed["payload"]), parse_base64url(FILE["submission_keys"][0])
    (signature,) = signed["signatures"]
    assert signature["keyid"] == to_base64url(hashlib.sha256(public_key).digest()[:8])
    kind = b"application/vnd.report-abuse.thread-entry.v1+json"
    message = b"DSSEv1 %d " % len(kind) + kind + b" " + str(len(payload)).encode() + b" " + payload
    Ed25519PublicKey.from_public_bytes(public_key).verify(parse_base64url(signature["sig"]), message)
    assert json.loads(payload) == FILE["entry"]
