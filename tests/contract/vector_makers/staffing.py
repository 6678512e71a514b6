"""Makes staffing.json: statements of when the desk is staffed (WIRE.md §10.4)."""

import json
from datetime import timedelta
from typing import Any

from gateway.guidance.agency import HOLDS_FOR, SIGNED_STAFFING, ReadWithin, Staffing
from partner_sdk.wire.canonical import encode, format_time, to_base64url
from partner_sdk.wire.signing import StatementKind, sign_statement
from tests.contract.vector_makers.seeds import NOW, signing_key
from tests.contract.vector_makers.signed import make_verify_key, mix, rewrite, sign_raw


def make_staffing() -> dict[str, Any]:
    """Return the file: every case is a statement, laid down at `now` unless it has its own."""
    key, stranger = signing_key("mailbox-signing key"), signing_key("a stranger's key")

    def make(**changes: Any) -> Staffing:
        fields: dict[str, Any] = {
            "environment": "live",
            "expires_at": format_time(NOW + HOLDS_FOR),
            "issued_at": format_time(NOW),
            "next_hour": "2026-11-26T09:00:00Z",
            "read_within": ReadWithin(crisis=60, other=240, urgent=60),
            "staffed_until": "2026-11-25T17:00:00Z",
        }
        return Staffing(**(fields | changes))

    def sign(signer: Any = key, **changes: Any) -> bytes:
        return SIGNED_STAFFING.sign(make(**changes), signer)

    good, body = sign(), encode(make())

    def raw(old: bytes, new: bytes) -> bytes:
        return sign_raw(rewrite(body, old, new), kind=StatementKind.STAFFING, private_key=key)

    def at(moment: Any, **more: Any) -> dict[str, Any]:
        return {"now": format_time(moment), **more}

    second = timedelta(seconds=1)
    cases: list[tuple[str, str, bytes, dict[str, Any]]] = [
        ("staffed", "success", good, {}),
        ("nobody reads now", "success", sign(staffed_until=None), {"staffing": {"staffed_until": None}}),
        ("in its last second", "success", good, at(NOW + HOLDS_FOR - second)),
        ("at its end", "stale", good, at(NOW + HOLDS_FOR)),
        ("as far ahead as is taken", "success", good, at(NOW - timedelta(minutes=1))),
        ("a second too far ahead", "stale", good, at(NOW - timedelta(minutes=1) - second)),
        ("the same again", "success", good, {"newest": to_base64url(good)}),
        ("older than the newest", "stale-serial", good, {"newest": to_base64url(sign(issued_at=format_time(NOW + second)))}),
        ("as old as the newest, with other words", "stale-serial", sign(staffed_until=None), {"newest": to_base64url(good)}),
        ("holds for longer than it may", "bad-lifetime", raw(b"08:35:00Z", b"08:35:01Z"), {}),
        ("ends before it begins", "bad-lifetime", raw(b"08:35:00Z", b"08:29:59Z"), {}),
        ("of the other environment", "wrong-environment", sign(environment="sandbox"), {}),
        ("signed by a stranger", "unknown-key", sign(stranger), {}),
        ("signed by a stranger under the key's id", "bad-signature", mix(sign(stranger), key_of=good), {}),
        ("words of another one", "bad-signature", mix(sign(staffed_until=None), payload_of=good), {}),
        ("another kind", "wrong-kind", sign_statement(make(), kind=StatementKind.ALERT, private_keys=(key,)), {}),
        ("two signatures", "wrong-signature-count", sign_statement(make(), kind=StatementKind.STAFFING, private_keys=(key, stranger)), {}),
        ("read within no time", "malformed", raw(b'"crisis":60', b'"crisis":0'), {}),
        ("read within more than a week", "malformed", raw(b'"other":240', b'"other":10081'), {}),
        ("no class of urgent reports", "malformed", raw(b',"urgent":60', b""), {}),
        ("without its end of staffed time", "malformed", raw(b',"staffed_until":"2026-11-25T17:00:00Z"', b""), {}),
        ("a field more", "malformed", raw(b'"staffed_until"', b'"people":2,"staffed_until"'), {}),
        ("a time with a fraction", "malformed", raw(b"09:00:00Z", b"09:00:00.0Z"), {}),
        ("white space in the signed payload", "not-canonical", raw(b",", b", "), {}),
    ]  # fmt: skip
    return {
        "about": (
            "Statements of staffing, laid down at `now` unless a case has its own, at a gateway that holds `newest`, if it "
            "has one. `mailbox_keys` are those of the key set."
        ),
        "environment": "live",
        "now": format_time(NOW),
        "mailbox_keys": [
            json.loads(encode(make_verify_key(key, not_before=NOW - timedelta(90), use_until=NOW + timedelta(275))))
        ],
        "staffing": json.loads(body),
        "cases": [
            {"name": name, "expect": expect, "statement": to_base64url(signed)} | more
            for name, expect, signed, more in cases
        ],
    }
