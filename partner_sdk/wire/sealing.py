"""Sealing: the box, the context that is bound into it, and its padding (WIRE.md §3).

The only place where anything is encrypted to a public key. Never opens a box: opening is the desk's, and a partner's
for its own mailbox. Padding hides the length of the text as far as it can (§3.3). Base mode proves nothing about the
sender (RFC 9180 §9.1): origin comes from the signed statement beside the box.
"""

import hashlib
import struct
from functools import lru_cache
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PublicKey, Suite

from partner_sdk.errors import EnvelopeError, FormatError, OpeningError, SealingError
from partner_sdk.wire.canonical import parse_base64url

ENVELOPE_VERSION = 1
# RFC 9180 code points: X-Wing (draft-connolly-cfrg-xwing-kem), HKDF-SHA256, AES-256-GCM.
KEM_ID, KDF_ID, AEAD_ID = 0x647A, 0x0001, 0x0002
SUITE_NAME = "MLKEM768-X25519-HKDF-SHA256-AES-256-GCM"
SUITE_BYTES = struct.pack(">HHH", KEM_ID, KDF_ID, AEAD_ID)

XWING_PUBLIC_KEY_BYTES = 1216  # ML-KEM-768 encapsulation key (1184), then X25519 (32)
ENC_BYTES = 1120  # encapsulated key: ML-KEM-768 ciphertext (1088), then an X25519 public key (32)
TAG_BYTES = 16  # AES-GCM tag (RFC 9180 §7.3)
KEY_ID_BYTES = 8
_HEADER = struct.Struct(">B8sHHH")
HEADER_BYTES = _HEADER.size
OVERHEAD_BYTES = HEADER_BYTES + ENC_BYTES + TAG_BYTES
MAX_ENVELOPE_BYTES = 4 * 1024 * 1024 + OVERHEAD_BYTES

_INFO_LABEL = b"report-abuse envelope"
_PURPOSES = frozenset({"report", "context", "mailbox", "reply", "enrol", "thread"})


SealingState = Literal["pending", "active", "retired", "destroyed"]


class SealingKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A public X-Wing key of the agency (or of a partner's mailbox); times as on the wire."""

    key_id: str
    suite: str
    public_key: str
    not_before: str
    seal_until: str
    open_until: str
    state: SealingState


class Envelope(msgspec.Struct, frozen=True):
    """A sealed box: the key it is sealed to, and `box` = encapsulated key followed by ciphertext."""

    key_id: bytes
    box: bytes

    def to_bytes(self) -> bytes:
        """Return the bytes that travel and are stored."""
        return _HEADER.pack(ENVELOPE_VERSION, self.key_id, KEM_ID, KDF_ID, AEAD_ID) + self.box

    def sha256(self) -> bytes:
        """Return the digest that statements name."""
        return hashlib.sha256(self.to_bytes()).digest()

    @classmethod
    def parse(cls, raw: bytes, *, max_bytes: int = MAX_ENVELOPE_BYTES) -> "Envelope":
        """Read a box of at most 4 MiB and its overhead, or raise `EnvelopeError`.

        Its reasons are `too-large`, `truncated`, `unknown-version` and `unknown-suite`.
        """
        if len(raw) > max_bytes:
            raise EnvelopeError(f"The envelope is larger than {max_bytes} bytes.", reason="too-large")
        if len(raw) < HEADER_BYTES:
            raise EnvelopeError("The envelope is shorter than its header.", reason="truncated")
        version, key_id, kem, kdf, aead = _HEADER.unpack_from(raw)
        if version != ENVELOPE_VERSION:
            raise EnvelopeError("The envelope has an unknown version.", reason="unknown-version")
        if (kem, kdf, aead) != (KEM_ID, KDF_ID, AEAD_ID):
            raise EnvelopeError("The envelope has an unknown suite.", reason="unknown-suite")
        if len(raw) < OVERHEAD_BYTES:
            raise EnvelopeError("The envelope is shorter than its encapsulated key and tag.", reason="truncated")
        return cls(key_id=key_id, box=raw[HEADER_BYTES:])


class SealContext(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Facts about a box that are not secret but must not be exchanged.

    It goes into HPKE's `info` (RFC 9180 §5.1), because the library has no `aad` argument. Only a report has a priority.
    """

    environment: str
    purpose: str
    sender: str
    recipient: str
    id: str
    kind: str
    priority: str = "none"
    schema_version: str = "1"

    def info(self, *, key_id: bytes) -> bytes:
        """Return the `info` bytes of WIRE.md §3.2: label, version, then fields with a uint16 length before each."""
        if self.purpose not in _PURPOSES:
            raise EnvelopeError("The purpose of a box must be one of the six known ones.", reason="unknown-purpose")
        rest = (self.purpose, self.sender, self.recipient, self.id, self.kind, self.priority, self.schema_version)
        fields = (self.environment.encode(), key_id, SUITE_BYTES, *(text.encode() for text in rest))
        if any(len(field) > 0xFFFF for field in fields):
            raise EnvelopeError("A field of the context is longer than 65,535 bytes.", reason="too-large")
        return b"".join([_INFO_LABEL, bytes([ENVELOPE_VERSION]), *(struct.pack(">H", len(f)) + f for f in fields)])


PUBLIC_PADDED_BYTES = 64 * 1024
STEP_BYTES = 4 * 1024
STEPPED_UP_TO_BYTES = 16 * 1024
CONTEXT_STEP_BYTES = 1024
CONTEXT_MAX_BYTES = 4 * 1024
MAX_PADDED_BYTES = MAX_ENVELOPE_BYTES - OVERHEAD_BYTES
PUBLIC_ENVELOPE_BYTES = PUBLIC_PADDED_BYTES + OVERHEAD_BYTES

_LENGTH = struct.Struct(">I")
MAX_PUBLIC_REPORT_BYTES = PUBLIC_PADDED_BYTES - _LENGTH.size
MAX_CONTEXT_STATEMENT_BYTES = CONTEXT_MAX_BYTES - _LENGTH.size


def pad(plaintext: bytes, *, purpose: str, sender: str) -> bytes:
    """Return a uint32 length, the plaintext, and zeros up to the size that its purpose allows.

    A public report always has one size; contexts grow in steps of 1 KiB up to 4 KiB; all else in steps of 4 KiB up to
    16 KiB, then as Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files", PoPETs 2019, §4).
    Raises `FormatError` (`too-large`) if it does not fit.
    """
    needed = _LENGTH.size + len(plaintext)
    target = padded_bytes(needed, purpose=purpose, sender=sender)
    return _LENGTH.pack(len(plaintext)) + plaintext + bytes(target - needed)


def padded_bytes(needed: int, *, purpose: str, sender: str) -> int:
    """Return the padded size for `needed` bytes (length field included), or raise `FormatError` (`too-large`)."""
    if purpose == "report" and sender == "public":
        target, most = PUBLIC_PADDED_BYTES, PUBLIC_PADDED_BYTES
    elif purpose == "context":
        target, most = _stepped(needed, CONTEXT_STEP_BYTES), CONTEXT_MAX_BYTES
    elif needed <= STEPPED_UP_TO_BYTES:
        target, most = _stepped(needed, STEP_BYTES), STEPPED_UP_TO_BYTES
    else:
        target, most = _padme(needed), MAX_PADDED_BYTES
    if needed > most or target > most:
        raise FormatError(f"The text is too long to seal: at most {most - _LENGTH.size} bytes.", reason="too-large")
    return target


def unpad(padded: bytes, *, purpose: str, sender: str) -> bytes:
    """Return the plaintext, or raise `OpeningError` (`bad-padding`) unless `pad` would give the same bytes."""
    if len(padded) < _LENGTH.size:
        raise OpeningError("The padding is too short to hold a length.", reason="bad-padding")
    (length,) = _LENGTH.unpack_from(padded)
    end = _LENGTH.size + length
    if end > len(padded) or padded.count(0, end) != len(padded) - end:
        raise OpeningError("The padded text is not a length, a text and zeros.", reason="bad-padding")
    try:
        expected = padded_bytes(end, purpose=purpose, sender=sender)
    except FormatError:
        expected = -1
    if expected != len(padded):
        raise OpeningError("The padding has a size that its purpose does not allow.", reason="bad-padding")
    return padded[_LENGTH.size : end]


def _stepped(needed: int, step: int) -> int:
    return -(-needed // step) * step


def _padme(needed: int) -> int:
    exponent = needed.bit_length() - 1
    mantissa_bits = exponent.bit_length()
    mask = (1 << (exponent - mantissa_bits)) - 1
    return (needed + mask) & ~mask


_MLKEM_PUBLIC_KEY_BYTES = 1184


def sealing_key_id(public_key: bytes) -> bytes:
    """Return the first 8 bytes of SHA-256(suite || public key): one id cannot name a key under two suites.

    WIRE.md §3.1.
    """
    return hashlib.sha256(SUITE_BYTES + public_key).digest()[:KEY_ID_BYTES]


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
