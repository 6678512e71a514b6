"""Opens one sealed evidence file, segment by segment (WIRE.md §6.6): the desk's only place that decrypts one.

Never stores a byte of the opened file: the caller chooses its destination. Yielded pieces are verified only once all of
them are: the SHA-256 of the whole comes last.
"""

import hashlib
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.desk.evidence.holdings import Held
from gateway.desk.evidence.sealed_parts import SealedParts
from partner_sdk.errors import FormatError, OpeningError
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.evidence import (
    SECRET_BYTES,
    SEGMENT_TEXT_BYTES,
    EvidenceReference,
    count_sealed_bytes,
    count_sealed_segments,
    derive_file_key,
    make_nonce,
)


def open_file(parts: SealedParts, held: Held, *, reference: EvidenceReference) -> Iterator[bytes]:
    """Yield the plain file in pieces of 1 MiB at most, exactly `reference.size_bytes` of it.

    `reference` comes from the opened report, with the digest from a later report if it has none. Raises `OpeningError`
    (`wrong-digest`, `wrong-size`, `does-not-open`, `bad-padding`, `wrong-hash`) and `LocalStateError` (`unreadable`).
    """
    _check_reference(held, reference)
    cipher = AESGCM(_derive_key(reference))
    whole = hashlib.sha256()
    left, last = reference.size_bytes, count_sealed_segments(held.size_bytes) - 1
    for counter, segment in enumerate(parts.read_segments(size_bytes=held.size_bytes)):
        try:
            text = cipher.decrypt(make_nonce(counter, is_last=counter == last), segment, None)
        except (InvalidTag, ValueError):
            raise OpeningError(
                ("The file does not open: its sealed bytes have changed since the sender sealed them."),
                reason="does-not-open",
            ) from None
        piece = text[: min(left, SEGMENT_TEXT_BYTES)]
        if any(text[len(piece) :]):
            raise OpeningError("The padding of the file is not all zeros.", reason="bad-padding")
        left -= len(piece)
        whole.update(piece)
        if piece:
            yield piece
    if left or whole.hexdigest() != reference.sha256:
        raise OpeningError("The file opens, but it does not match the report.", reason="wrong-hash")


def check_file(parts: SealedParts, held: Held, *, reference: EvidenceReference) -> None:
    """Open the whole file and discard it; raises as `open_file`."""
    for _ in open_file(parts, held, reference=reference):
        pass


def _check_reference(held: Held, reference: EvidenceReference) -> None:
    if reference.digest is not None and bytes.fromhex(reference.digest) != held.digest:
        raise OpeningError(
            ("The sealed bytes at this desk do not match the digest in the report."), reason="wrong-digest"
        )
    if count_sealed_bytes(reference.size_bytes) != held.size_bytes:
        raise OpeningError(
            "The sealed bytes at this desk do not match the file size in the report.", reason="wrong-size"
        )


def _derive_key(reference: EvidenceReference) -> bytes:
    try:
        secret = parse_base64url(reference.secret, length=SECRET_BYTES)
    except FormatError:
        raise OpeningError("The report has no secret to open this file.", reason="does-not-open") from None
    return derive_file_key(secret=secret, sha256=bytes.fromhex(reference.sha256))
