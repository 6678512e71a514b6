"""Makes key-set.json: key-set bundles against one pin."""

import hashlib
import json
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.desk.keyring.publication import make_bundle
from partner_sdk.key_files import xwing_public_bytes
from partner_sdk.wire.canonical import encode, format_time, to_base64url
from partner_sdk.wire.signing import (
    SIGNED_KEY_SET,
    Delegation,
    KeySet,
    Pin,
    RootChange,
    StatementKind,
    VerifyKey,
    fingerprint_of,
    key_id_of,
    make_sealing_key,
    public_bytes,
    sign_statement,
)
from tests.contract.vector_makers.seeds import NOW, seed_for, signing_key


def make_key_sets() -> dict[str, Any]:
    root, next_root, stranger = (signing_key(label) for label in ("root", "next root", "a stranger's root"))
    key_set_key = signing_key("key-set key")
    receipt = public_bytes(signing_key("receipt key"))
    verify_key = VerifyKey(
        key_id=key_id_of(receipt),
        public_key=to_base64url(receipt),
        not_before=format_time(NOW),
        use_until=format_time(NOW + timedelta(365)),
        verify_until=format_time(NOW + timedelta(365 * 7)),
    )

    def key_set(serial: int = 3, environment: Any = "live", **more: Any) -> KeySet:
        fields: dict[str, Any] = {
            "issued_at": format_time(NOW),
            "expires_at": format_time(NOW + timedelta(90)),
            "sealing_keys": (
                make_sealing_key(
                    xwing_public_bytes(seed_for("sealing key")),
                    not_before=NOW,
                    seal_until=NOW + timedelta(90),
                    open_until=NOW + timedelta(400),
                    state="active",
                ),
            ),
            "receipt_keys": (verify_key,),
            "mailbox_keys": (),
            "register_keys": (),
        }
        return KeySet(environment=environment, serial=serial, **(fields | more))

    def delegation(by: Ed25519PrivateKey) -> bytes:
        payload = Delegation(
            environment="live",
            root_key=to_base64url(public_bytes(by)),
            key_set_key=to_base64url(public_bytes(key_set_key)),
            not_before=format_time(NOW),
            not_after=format_time(NOW + timedelta(365)),
        )
        return sign_statement(payload, kind=StatementKind.DELEGATION, private_keys=(by,))

    def bundle(by: Ed25519PrivateKey = root, change: bytes | None = None, signer: Ed25519PrivateKey = key_set_key, **more: Any) -> bytes:  # fmt: skip
        return make_bundle(SIGNED_KEY_SET.sign(key_set(**more), signer), delegation=delegation(by), root_change=change)

    change = RootChange(
        environment="live",
        old_root_key=to_base64url(public_bytes(root)),
        new_root_key=to_base64url(public_bytes(next_root)),
        next_root_fingerprint=fingerprint_of(public_bytes(stranger)),
        changed_at=format_time(NOW),
    )

    def signed_change(*by: Ed25519PrivateKey) -> bytes:
        return sign_statement(change, kind=StatementKind.ROOT_CHANGE, private_keys=by)

    pin = Pin(
        environment="live",
        feed_key=None,
        root_fingerprint=fingerprint_of(public_bytes(root)),
        next_root_fingerprint=fingerprint_of(public_bytes(next_root)),
    )
    good = bundle()
    later = format_time(NOW + timedelta(91))
    cases: list[tuple[str, str, bytes, dict[str, Any]]] = [
        ("signed under the pinned root", "success", good, {}),
        ("the next root, signed by both", "success", bundle(next_root, signed_change(root, next_root)), {}),
        ("the next root without a change", "wrong-root", bundle(next_root), {}),
        ("the next root, signed by itself alone", "malformed", bundle(next_root, signed_change(next_root)), {}),
        ("the next root, signed in the wrong order", "bad-signature", bundle(next_root, signed_change(next_root, root)), {}),
        ("a stranger's root", "wrong-root", bundle(stranger), {}),
        ("a key set that its key did not sign", "bad-signature", bundle(signer=stranger), {}),
        ("another environment", "wrong-environment", bundle(environment="sandbox"), {}),
        ("an older serial", "stale-serial", good, {"highest_serial": 4}),
        ("the same serial, the same bytes", "success", good, {"highest_serial": 3, "highest_sha256": hashlib.sha256(good).hexdigest()}),
        ("the same serial, other bytes", "forked-serial", good, {"highest_serial": 3, "highest_sha256": "1" * 64}),
        ("after its expiry", "expired", good, {"now": later}),
        ("after its expiry, at the public door", "success", good, {"now": later, "allow_expired": True}),
        ("one key in two roles", "bad-key", bundle(register_keys=(verify_key,)), {}),
        ("a line break at the end", "malformed", good + b"\n", {}),
    ]  # fmt: skip
    return {
        "about": "Key-set bundles against one pin, at `now` unless a case has its own.",
        "pin": json.loads(encode(pin)),
        "now": format_time(NOW),
        "cases": [
            {"name": name, "expect": expect, "bundle": to_base64url(raw)} | more for name, expect, raw, more in cases
        ],
    }
