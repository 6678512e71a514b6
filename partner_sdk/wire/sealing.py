"""Sealing: the only place where anything is encrypted to a public key (WIRE.md §3).

Base mode proves nothing about the sender (RFC 9180 §9.1): origin comes from the signed statement beside the box.
"""

from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PublicKey, Suite

from partner_sdk.errors import FormatError, SealingError
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.envelope import KEY_ID_BYTES, SUITE_NAME, Envelope, SealContext, pad
from partner_sdk.wire.keys import XWING_PUBLIC_KEY_BYTES, SealingKey, sealing_key_id

_MLKEM_PUBLIC_KEY_BYTES = 1184


def seal(plaintext: bytes, *, key: SealingKey, context: SealContext) -> Envelope:
    """Pad and seal `plaintext` to `key`, bound to `context`.

    Raises `SealingError` (`bad-key`) for a key that is not what it claims, `FormatError` (`too-large`) for a text
    that does not fit its padding.
    """
    public_key, key_id = _load_public_key(key.public_key, key.key_id, key.suite)
    padded = pad(plaintext, purpose=context.purpose, sender=context.sender)
    try:
        # RFC 9180 §6.1: single shot, base mode; all context is in `info`, because the library has no `aad` argument.
        box = make_suite().encrypt(padded, public_key, info=context.info(key_id=key_id))
    except ValueError:
        raise SealingError("The library refuses to seal to this key.", reason="bad-key") from None
    return Envelope(key_id=key_id, box=box)


@lru_cache(maxsize=1)
def make_suite() -> Suite:
    """Return the one suite of the wire: MLKEM768-X25519 (X-Wing), HKDF-SHA256, AES-256-GCM (WIRE.md §1)."""
    return Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@lru_cache(maxsize=64)
def _load_public_key(public_key: str, key_id: str, suite: str) -> tuple[MLKEM768X25519PublicKey, bytes]:
    try:
        raw = parse_base64url(public_key, length=XWING_PUBLIC_KEY_BYTES)
        claimed = parse_base64url(key_id, length=KEY_ID_BYTES)
        loaded = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_PUBLIC_KEY_BYTES]),
            X25519PublicKey.from_public_bytes(raw[_MLKEM_PUBLIC_KEY_BYTES:]),
        )
    except (FormatError, ValueError):
        raise SealingError("The sealing key cannot be read.", reason="bad-key") from None
    if suite != SUITE_NAME or claimed != sealing_key_id(raw):
        raise SealingError("The sealing key does not have the id or the suite that it claims.", reason="bad-key")
    return loaded, claimed
