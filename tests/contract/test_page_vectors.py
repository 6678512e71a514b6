"""The vectors of the alert notice: accepted and refused by the receiver on duty."""

import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.exchange.desk_statements import SIGNED_ALERT
from partner_sdk.wire.canonical import encode, parse_base64url, parse_time, to_base64url
from tests.builders.alerts import open_alert
from tests.contract.vector_files import FILES, bytes_of, cases_of, known_keys_of, result_of

FILE = FILES["page"]


@pytest.mark.parametrize("case", cases_of("page"))
def test_page_gives_its_expected_result(case: dict[str, Any]) -> None:
    raw, now = bytes_of(case, "page"), (FILE | case)["now"]

    def read() -> None:
        keys = known_keys_of(FILE, issued_at=SIGNED_ALERT.peek(raw).issued_at, now=now)
        notice = open_alert(raw, keys=keys, environment=FILE["environment"], target=FILE["target"], now=parse_time(now))
        assert json.loads(encode(notice)) == FILE["notice"] | case.get("notice", {})

    assert result_of(read) == case["expect"]


def test_first_page_verifies_by_hand() -> None:
    """WIRE.md §4 typed out: nothing of ours but base64url is used."""
    signed = json.loads(bytes_of(FILE["cases"][0], "page"))
    payload = parse_base64url(signed["payload"])
    kind = b"application/vnd.report-abuse.page.v1+json"
    public_key = parse_base64url(FILE["mailbox_keys"][0]["public_key"])
    (signature,) = signed["signatures"]
    assert signature["keyid"] == to_base64url(hashlib.sha256(public_key).digest()[:8])
    message = b"DSSEv1 41 " + kind + b" " + str(len(payload)).encode() + b" " + payload
    Ed25519PublicKey.from_public_bytes(public_key).verify(parse_base64url(signature["sig"]), message)
    assert json.loads(payload) == FILE["notice"]
