"""Makes statement.json: submission statements."""

import json
from typing import Any

from partner_sdk.wire.canonical import encode, format_time, parse_base64url, to_base64url
from partner_sdk.wire.signing import (
    SignedStatement,
    StatementKind,
    key_id_of,
    parse_statement,
    public_bytes,
    sign_statement,
)
from partner_sdk.wire.submission import SubmissionStatement
from tests.contract.vector_makers.seeds import NOW, REPORT_ID, signing_key


def make_statements() -> dict[str, Any]:
    key = signing_key("submission key")
    stranger = signing_key("a stranger's key")
    payload = SubmissionStatement(
        created_at=format_time(NOW),
        earlier_reference=None,
        environment="live",
        envelope_sha256="0" * 64,
        evidence_ids=(),
        kind="initial",
        partner="example-chat",
        priority="P2",
        report_id=REPORT_ID,
        schema_version="1",
    )
    good = sign_statement(payload, kind=StatementKind.SUBMISSION, private_keys=(key,))
    parsed = parse_statement(good)
    body = parse_base64url(parsed.payload)

    def with_payload(raw: bytes) -> bytes:
        signed = b"DSSEv1 %d %b %d %b" % (
            len(parsed.payloadType),
            parsed.payloadType.encode(),
            len(raw),
            raw,
        )
        signature = {"keyid": key_id_of(public_bytes(key)), "sig": to_base64url(key.sign(signed))}
        return encode({"payload": to_base64url(raw), "payloadType": parsed.payloadType, "signatures": [signature]})

    def altered(**changes: Any) -> bytes:
        return encode(SignedStatement(**({n: getattr(parsed, n) for n in parsed.__struct_fields__} | changes)))

    cases = [
        ("signed here", "success", good),
        ("signed by a stranger", "unknown-key", sign_statement(payload, kind=StatementKind.SUBMISSION, private_keys=(stranger,))),
        ("payload changed after signing", "bad-signature", altered(payload=to_base64url(body.replace(b'"P2"', b'"P1"')))),
        ("another kind", "wrong-kind", sign_statement(payload, kind=StatementKind.INTAKE, private_keys=(key,))),
        ("kind renamed after signing", "wrong-kind", altered(payloadType=StatementKind.INTAKE.value)),
        ("no signature", "wrong-signature-count", altered(signatures=())),
        ("two signatures", "wrong-signature-count", sign_statement(payload, kind=StatementKind.SUBMISSION, private_keys=(key, stranger))),
        ("white space around the envelope", "not-canonical", good + b" "),
        ("white space in a signed payload", "not-canonical", with_payload(body.replace(b",", b", ", 1))),
        ("a key twice in a signed payload", "not-canonical", with_payload(b'{"created_at":"2026-11-25T08:30:00Z",' + body[1:])),
        ("a field that is not known", "malformed", with_payload(body[:-1] + b',"zone":"x"}')),
        ("a priority that does not exist", "malformed", with_payload(body.replace(b'"P2"', b'"P4"'))),
        ("an id that is no UUIDv7", "malformed", with_payload(body.replace(b"-7000-", b"-4000-"))),
        ("a digest in capitals", "malformed", with_payload(body.replace(b"0" * 64, b"A" * 64))),
        ("cut in the middle", "malformed", good[: len(good) // 2]),
    ]  # fmt: skip
    return {
        "about": "Submission statements (DSSE, Ed25519). One key is known.",
        "keys": {key_id_of(public_bytes(key)): to_base64url(public_bytes(key))},
        "payload": json.loads(body),
        "cases": [
            {"name": name, "expect": expect, "statement": to_base64url(statement)} for name, expect, statement in cases
        ],
    }
