"""The sealed box and the context that is bound into it (WIRE.md §3).

Never opens a box: opening is the desk's, and a partner's for its own mailbox.
"""

import hashlib
import struct
from dataclasses import dataclass

import msgspec

from partner_sdk.errors import EnvelopeError

ENVELOPE_VERSION = 1
# RFC 9180 code points: X-Wing (draft-connolly-cfrg-xwing-kem), HKDF-SHA256, AES-256-GCM.
KEM_ID, KDF_ID, AEAD_ID = 0x647A, 0x0001, 0x0002
SUITE_NAME = "MLKEM768-X25519-HKDF-SHA256-AES-256-GCM"
SUITE_BYTES = struct.pack(">HHH", KEM_ID, KDF_ID, AEAD_ID)

ENC_BYTES = 1120  # encapsulated key: ML-KEM-768 ciphertext (1088), then an X25519 public key (32)
TAG_BYTES = 16  # AES-GCM tag (RFC 9180 §7.3)
KEY_ID_BYTES = 8
_HEADER = struct.Struct(">B8sHHH")
HEADER_BYTES = _HEADER.size
OVERHEAD_BYTES = HEADER_BYTES + ENC_BYTES + TAG_BYTES
MAX_ENVELOPE_BYTES = 4 * 1024 * 1024 + OVERHEAD_BYTES

_INFO_LABEL = b"report-abuse envelope"
_PURPOSES = frozenset({"report", "context", "mailbox", "reply", "enrol"})


@dataclass(frozen=True, slots=True)
class Envelope:
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
        """Read a box, or raise `EnvelopeError`: `too-large`, `truncated`, `unknown-version`, `unknown-suite`."""
        if len(raw) > max_bytes:
            raise EnvelopeError(f"The envelope is larger than {max_bytes} bytes.", reason="too-large")
        if len(raw) < HEADER_BYTES:
            raise EnvelopeError("The envelope is shorter than its header.", reason="truncated")
        version, key_id, kem, kdf, aead = _HEADER.unpack_from(raw)
        if version != ENVELOPE_VERSION:
            raise EnvelopeError("The envelope has a version that this release does not know.", reason="unknown-version")
        if (kem, kdf, aead) != (KEM_ID, KDF_ID, AEAD_ID):
            raise EnvelopeError("The envelope has a suite that this release does not know.", reason="unknown-suite")
        if len(raw) < OVERHEAD_BYTES:
            raise EnvelopeError("The envelope is shorter than its encapsulated key and tag.", reason="truncated")
        return cls(key_id=key_id, box=raw[HEADER_BYTES:])


class SealContext(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about a box that is not secret but must not be exchanged.

    It goes into HPKE's `info` (RFC 9180 §5.1), because the library has no `aad` argument.
    """

    environment: str
    purpose: str
    sender: str
    recipient: str
    id: str
    kind: str
    priority: str
    schema_version: str

    def info(self, *, key_id: bytes) -> bytes:
        """Return the `info` bytes of WIRE.md §3.2: label, version, then fields with a uint16 length before each."""
        if self.purpose not in _PURPOSES:
            raise EnvelopeError("A box has one of five purposes.", reason="unknown-purpose")
        fields = (
            self.environment.encode(),
            key_id,
            SUITE_BYTES,
            self.purpose.encode(),
            self.sender.encode(),
            self.recipient.encode(),
            self.id.encode(),
            self.kind.encode(),
            self.priority.encode(),
            self.schema_version.encode(),
        )
        if any(len(field) > 0xFFFF for field in fields):
            raise EnvelopeError("A field of the context is longer than 65,535 bytes.", reason="too-large")
        return b"".join([_INFO_LABEL, bytes([ENVELOPE_VERSION]), *(struct.pack(">H", len(f)) + f for f in fields)])
