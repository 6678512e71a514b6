"""Evidence on the wire: how a file becomes sealed parts, their messages, and which parts count (WIRE.md §6.6).

Never seals or opens a byte: `client/_evidence_upload.py` seals, the desk opens. Never trusts the sender's description
of a part: size and digest are those of the bytes that came.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Meta

from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import Sha256Hex

TAG_BYTES: Final = 16
SEGMENT_BYTES: Final = 1_048_576  # of ciphertext
SEGMENT_TEXT_BYTES: Final = SEGMENT_BYTES - TAG_BYTES
PART_BYTES: Final = 8 * SEGMENT_BYTES
# A last segment is padded to this, so that an exact size does not identify a known file.
PADDED_TO_BYTES: Final = 64 * 1024
MAX_FILE_BYTES: Final = 10 * 1024**3
SECRET_BYTES: Final = 32
KEY_BYTES: Final = 32
# AES-256-GCM reaches 8 GB/s: four parts in flight keep a line busy, and bound what both sides hold in memory.
PARTS_IN_FLIGHT: Final = 4
MAX_COMPLETE_BYTES: Final = 512
MAX_STATE_BYTES: Final = 256 * 1024

_KEY_INFO: Final = b"report-abuse evidence key v1"
_DIGEST_LABEL: Final = b"report-abuse evidence v1\0"

PlainSize = Annotated[int, Meta(ge=0, le=MAX_FILE_BYTES)]


def count_plain_segments(plain_bytes: int) -> int:
    """Return the number of segments of a plain file; an empty file has one."""
    return max(1, -(-plain_bytes // SEGMENT_TEXT_BYTES))


def count_padded_bytes(plain_bytes: int) -> int:
    """Return how many bytes the text of a last segment has with its zeros behind it; it is never empty."""
    steps = max(1, -(-plain_bytes // PADDED_TO_BYTES))
    return min(steps * PADDED_TO_BYTES, SEGMENT_TEXT_BYTES)


def count_sealed_bytes(plain_bytes: int) -> int:
    """Return the sealed size of a plain file; raises `FormatError` (`too-large`) over 10 GiB."""
    if not 0 <= plain_bytes <= MAX_FILE_BYTES:
        raise FormatError("A file may have at most 10 GiB.", reason="too-large")
    # A last segment that is full stays the last: none is added behind it.
    before_last = count_plain_segments(plain_bytes) - 1
    return before_last * SEGMENT_BYTES + count_padded_bytes(plain_bytes - before_last * SEGMENT_TEXT_BYTES) + TAG_BYTES


def count_sealed_parts(sealed_bytes: int) -> int:
    """Return the number of parts of a sealed file."""
    return -(-sealed_bytes // PART_BYTES)


def count_parts_of_plain(plain_bytes: int) -> int:
    """Return the number of parts of a plain file once it is sealed; raises as `count_sealed_bytes`."""
    return count_sealed_parts(count_sealed_bytes(plain_bytes))


MAX_SEALED_BYTES: Final = count_sealed_bytes(MAX_FILE_BYTES)
MAX_PARTS: Final = count_sealed_parts(MAX_SEALED_BYTES)
LEAST_SEALED_BYTES: Final = PADDED_TO_BYTES + TAG_BYTES

SealedSize = Annotated[int, Meta(ge=LEAST_SEALED_BYTES, le=MAX_SEALED_BYTES, description="The number of sealed bytes.")]
PartNumber = Annotated[int, Meta(ge=0, lt=MAX_PARTS, description="The number of a part, from 0.")]


class EvidenceReference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sealed report's entry for one file that is handed over: the key that opens it and the digests that prove it.

    `secret` is that of the report (base64url); `sha256` and `size_bytes` are the plain file's. `digest` is that of the
    sealed bytes, null while they are not complete: a P1 goes first, and a supplement brings it.
    """

    digest: Sha256Hex | None
    evidence_id: str
    file_id: str
    secret: str
    sha256: Sha256Hex
    size_bytes: PlainSize


class StoredPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One part that the gateway holds: its number from 0, and the SHA-256 of its sealed bytes."""

    part: PartNumber
    sha256: Sha256Hex


class EvidenceState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /v1/evidence/{id}`: which parts are there, in order, and the digest once it is complete."""

    digest: Sha256Hex | None
    parts: Annotated[tuple[StoredPart, ...], Meta(description="The parts here, by number.")]


class CompletePost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /v1/evidence/{id}/complete`: how many parts and sealed bytes there are, and the digest over them."""

    digest: Sha256Hex
    parts: Annotated[int, Meta(ge=1, le=MAX_PARTS, description="The number of parts.")]
    size_bytes: SealedSize


class CompleteReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The gateway holds all of it, durably, under this digest."""

    digest: Sha256Hex


def derive_file_key(*, secret: bytes, sha256: bytes) -> bytes:
    """Return the AES-256 key of one file: one key encrypts one byte string, ever (HKDF-SHA256, RFC 5869).

    `secret` has 32 bytes, `sha256` is that of the plain file.
    """
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=sha256, info=_KEY_INFO).derive(secret)


def make_nonce(counter: int, *, is_last: bool) -> bytes:
    """Return the nonce of a segment: 7 zero bytes, the counter (uint32), 1 for the last segment (STREAM)."""
    return bytes(7) + counter.to_bytes(4, "big") + bytes((is_last,))


def evidence_digest(part_sha256: Sequence[bytes], *, size_bytes: int) -> bytes:
    """Return the SHA-256 over label, sealed size (uint64) and the digests of the parts in order."""
    return hashlib.sha256(_DIGEST_LABEL + size_bytes.to_bytes(8, "big") + b"".join(part_sha256)).digest()
