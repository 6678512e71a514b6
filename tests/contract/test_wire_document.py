"""WIRE.md says what the code does: every kind, suite, limit and problem that it names exists, and none is missing."""

import re
from pathlib import Path

from partner_sdk import envelope, padding, signature_profile
from partner_sdk.keys import XWING_PUBLIC_KEY_BYTES
from partner_sdk.signature_profile import COVERED_WITH_BODY
from partner_sdk.statements import StatementKind

TEXT = (Path(__file__).resolve().parents[2] / "partner_sdk" / "WIRE.md").read_text(encoding="utf-8")


def test_every_statement_kind_is_in_the_document_and_no_other() -> None:
    assert set(re.findall(r"application/vnd\.report-abuse\.[a-z-]+\.v1\+json", TEXT)) == {
        k.value for k in StatementKind
    }


def test_numbers_of_the_document_are_those_of_the_code() -> None:
    assert f"`0x{envelope.KEM_ID:04X}`" in TEXT
    assert f"enc({envelope.ENC_BYTES})" in TEXT
    assert f"{XWING_PUBLIC_KEY_BYTES} bytes" in TEXT
    assert f"{padding.PUBLIC_PADDED_BYTES:,} bytes for a public report" in TEXT
    assert (
        f"at most {signature_profile.MAX_AGE_SECONDS} s old and at most {signature_profile.MAX_SKEW_SECONDS} s ahead"
        in TEXT
    )
    assert envelope.SUITE_NAME in TEXT


def test_signature_example_of_the_document_is_in_the_profile() -> None:
    covered = " ".join(f'"{name}"' for name in COVERED_WITH_BODY)
    line = next(line for line in TEXT.splitlines() if line.startswith("Signature-Input:"))
    headers = {
        "signature-input": line.removeprefix("Signature-Input: ")
        .replace('keyid="..."', 'keyid="AAAAAAAAAAA"')
        .replace('nonce="..."', 'nonce="AAAAAAAAAAAAAAAA"'),
        "signature": "sig1=:" + "A" * 86 + "==:",
        "content-type": "application/json",
        "content-digest": "sha-256=:" + "A" * 43 + "=:",
    }
    assert covered in headers["signature-input"]
    assert signature_profile.parse_signature_headers(headers).covers_body
