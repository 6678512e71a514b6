"""The vectors of a sealed page context: read by the SDK, opened by the desk's vault, checked by hand."""

import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.exchange.page_contexts import parse_context_token, verify_page_context
from partner_sdk.key_files import KeyRole, new_key
from partner_sdk.wire.button import MAX_TOKEN_CHARACTERS, PageContext, SealedPageContext, context_seal_context
from partner_sdk.wire.canonical import encode, parse_base64url, to_base64url
from partner_sdk.wire.signing import key_id_of
from tests.builders.vault import make_vault
from tests.contract.vector_files import FILES, bytes_of, cases_of, result_of

FILE = FILES["page-context"]
KEYS = {key_id_of(key): key for key in map(parse_base64url, FILE["context_keys"])}
VAULT = make_vault(
    new_key(KeyRole.SEALING, environment="live", created_at="2026-11-25T08:30:00Z", seed=parse_base64url(FILE["seed"]))
)


def verify(raw: bytes) -> PageContext:
    return verify_page_context(
        raw,
        keys=KEYS,
        partner=FILE["partner"],
        context_id=FILE["context_id"],
        environment=FILE["environment"],
    )


def open_box(sealed: SealedPageContext) -> bytes:
    context = context_seal_context(
        environment=FILE["environment"], partner=sealed.partner, context_id=sealed.context_id
    )
    return VAULT.open_context(sealed.envelope, context=context)


def check_facts(case: dict[str, Any], context: PageContext) -> None:
    facts = case.get("facts", FILE["facts"])
    if facts is not None:
        assert json.loads(encode(context)) == facts


@pytest.mark.parametrize("case", cases_of("page-context", having="token"))
def test_token_gives_its_expected_result(case: dict[str, Any]) -> None:
    token = case["token"][:-1000] + case["token"][-1000:] * case.get("repeat", 1)

    def read() -> None:
        sealed = parse_context_token(token)
        assert sealed.to_token() == token
        check_facts(case, verify(open_box(sealed)))

    assert result_of(read) == case["expect"]
    if "repeat" in case:
        assert len(token) > 900_000


@pytest.mark.parametrize("case", cases_of("page-context", having="statement"))
def test_statement_gives_its_expected_result(case: dict[str, Any]) -> None:
    raw = bytes_of(case, "statement")
    assert result_of(lambda: check_facts(case, verify(raw))) == case["expect"]


def test_largest_token_of_the_file_is_the_largest_that_there_is() -> None:
    (case,) = (case for case in FILE["cases"] if case["name"] == "as much as 4 KiB hold")
    longest_names = MAX_TOKEN_CHARACTERS - (64 + 36) + len(FILE["partner"]) + len(FILE["context_id"])
    assert len(case["token"]) == longest_names


def test_first_token_opens_and_verifies_by_hand() -> None:
    """WIRE.md §3.2, §4 and §8.2 typed out: the context bound into the box, and the signature inside it."""
    spelling, partner, context_id, encoded = FILE["cases"][0]["token"].split(".")
    box = parse_base64url(encoded)
    assert (spelling, partner, context_id) == ("1", "example-chat", "019ab9f0-0000-7000-8000-000000000001")
    named = context_seal_context(environment="live", partner=partner, context_id=context_id)
    parts = [
        *(b"live", box[1:9], bytes.fromhex("647a00010002"), b"context", b"example-chat", b"agency"),
        *(context_id.encode(), b"page", b"none", b"1"),
    ]
    by_hand = b"report-abuse envelope\x01" + b"".join(len(one).to_bytes(2, "big") + one for one in parts)
    assert named.info(key_id=box[1:9]) == by_hand
    signed = json.loads(open_box(parse_context_token(FILE["cases"][0]["token"])))
    payload = parse_base64url(signed["payload"])
    public_key = parse_base64url(FILE["context_keys"][0])
    (signature,) = signed["signatures"]
    assert signature["keyid"] == to_base64url(hashlib.sha256(public_key).digest()[:8])
    kind = b"application/vnd.report-abuse.page-context.v1+json"
    message = b"DSSEv1 %d " % len(kind) + kind + b" " + str(len(payload)).encode() + b" " + payload
    Ed25519PublicKey.from_public_bytes(public_key).verify(parse_base64url(signature["sig"]), message)
    assert json.loads(payload) == FILE["facts"]
