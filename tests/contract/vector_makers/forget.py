"""Makes forget.json: lists of reports that the gateway forgets (WIRE.md §10.5)."""

import json
from datetime import timedelta
from typing import Any

from gateway.exchange.desk_statements import SIGNED_FORGET_LIST, ForgetList, ForgottenEvidence, ForgottenReport
from partner_sdk.wire.canonical import encode, format_time, to_base64url
from partner_sdk.wire.signing import StatementKind, sign_statement
from tests.contract.vector_makers.seeds import NOW, REPORT_ID, signing_key
from tests.contract.vector_makers.signed import make_verify_key, mix, rewrite, sign_raw


def make_forget() -> dict[str, Any]:
    """Return the file: every case is a list, laid down at `now`."""
    key, stranger = signing_key("mailbox-signing key"), signing_key("a stranger's key")

    def make(**changes: Any) -> ForgetList:
        fields: dict[str, Any] = {
            "destruction_id": "019ab0f2-5c00-7000-8000-000000000001",
            "environment": "live",
            "evidence": (
                ForgottenEvidence(evidence_id="019ab0f2-5c00-7000-8000-000000000002", partner="example-chat"),
            ),
            "issued_at": format_time(NOW),
            "reports": (
                ForgottenReport(partner="example-chat", reference="C5H6-6S35C-3", report_id=REPORT_ID),
                ForgottenReport(partner="public", reference="0000-00000-H", report_id=REPORT_ID),
            ),
        }
        return ForgetList(**(fields | changes))

    def sign(signer: Any = key, **changes: Any) -> bytes:
        return SIGNED_FORGET_LIST.sign(make(**changes), signer)

    good, body = sign(), encode(make())

    def raw(old: bytes, new: bytes) -> bytes:
        return sign_raw(rewrite(body, old, new), kind=StatementKind.FORGET, private_key=key)

    cases = [
        ("two reports and a file", "success", good),
        ("no file", "success", sign(evidence=())),
        ("sent 80 days late, by a key that was in use then", "success", sign(issued_at=format_time(NOW - timedelta(80)))),
        ("of the other environment", "wrong-environment", sign(environment="sandbox")),
        ("issued before the key was in use", "unknown-key", sign(issued_at=format_time(NOW - timedelta(91)))),
        ("signed by a stranger", "unknown-key", sign(stranger)),
        ("signed by a stranger under the key's id", "bad-signature", mix(sign(stranger), key_of=good)),
        ("reports of another list", "bad-signature", mix(sign(evidence=()), payload_of=good)),
        ("another kind", "wrong-kind", sign_statement(make(), kind=StatementKind.REGISTER, private_keys=(key,))),
        ("two signatures", "wrong-signature-count", sign_statement(make(), kind=StatementKind.FORGET, private_keys=(key, stranger))),
        ("a report without its reference", "malformed", raw(b'"reference":"C5H6-6S35C-3",', b"")),
        ("a field more", "malformed", raw(b'"reports"', b'"reason":"due","reports"')),
        ("white space in the signed payload", "not-canonical", raw(b",", b", ")),
    ]  # fmt: skip
    return {
        "about": "Lists of reports that a gateway is told to forget, at `now`. `mailbox_keys` are those of the key set.",
        "environment": "live",
        "now": format_time(NOW),
        "mailbox_keys": [
            json.loads(encode(make_verify_key(key, not_before=NOW - timedelta(90), use_until=NOW + timedelta(275))))
        ],
        "list": json.loads(body),
        "cases": [
            {"name": name, "expect": expect, "statement": to_base64url(signed)} for name, expect, signed in cases
        ],
    }
