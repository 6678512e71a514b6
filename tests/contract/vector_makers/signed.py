"""Makes signed statements that no honest signer makes: the vectors' refusals. Never used outside the vectors."""

from datetime import datetime, timedelta

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.wire.canonical import encode, format_time, to_base64url
from partner_sdk.wire.signing import SignedStatement, StatementKind, VerifyKey, key_id_of, public_bytes


def make_verify_key(key: Ed25519PrivateKey, *, not_before: datetime, use_until: datetime) -> VerifyKey:
    """Return the key-set entry of a signing key; its signatures are believed for a year after its use."""
    return VerifyKey(
        key_id=key_id_of(public_bytes(key)),
        public_key=to_base64url(public_bytes(key)),
        not_before=format_time(not_before),
        use_until=format_time(use_until),
        verify_until=format_time(use_until + timedelta(365)),
    )


def sign_raw(payload: bytes, *, kind: StatementKind, private_key: Ed25519PrivateKey) -> bytes:
    """Return a statement around bytes that need not be canonical, nor a payload of this kind."""
    signed = b"DSSEv1 %d %b %d %b" % (len(kind.value), kind.value.encode(), len(payload), payload)
    signature = {"keyid": key_id_of(public_bytes(private_key)), "sig": to_base64url(private_key.sign(signed))}
    return encode({"payload": to_base64url(payload), "payloadType": kind.value, "signatures": [signature]})


def mix(
    signed: bytes, *, payload_of: bytes | None = None, type_of: bytes | None = None, key_of: bytes | None = None
) -> bytes:
    """Return a statement with its signature, and with the payload, the type or the key id of another one."""
    own = msgspec.json.decode(signed, type=SignedStatement)
    payload = own.payload if payload_of is None else msgspec.json.decode(payload_of, type=SignedStatement).payload
    kind = own.payloadType if type_of is None else msgspec.json.decode(type_of, type=SignedStatement).payloadType
    signatures = own.signatures
    if key_of is not None:
        (other,) = msgspec.json.decode(key_of, type=SignedStatement).signatures
        signatures = tuple(msgspec.structs.replace(one, keyid=other.keyid) for one in signatures)
    return encode(SignedStatement(payload=payload, payloadType=kind, signatures=signatures))


def rewrite(text: bytes, old: bytes, new: bytes) -> bytes:
    """Return `text` with its first `old` replaced; the maker stops where there is none, so that no case is empty."""
    if old not in text:
        raise SystemExit(f"{old!r} is not in what is to be rewritten.")
    return text.replace(old, new, 1)
