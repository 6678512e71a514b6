"""Seals a file of evidence part by part (WIRE.md §6.6): only this file encrypts evidence, and nothing here opens it.

Memory stays flat: one segment of plain text and one sealed part for each sealer, used again and again, whatever the
size of the file.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from partner_sdk.client.evidence_files import FileFacts, read_same_segment
from partner_sdk.wire.evidence import (
    PART_BYTES,
    SEGMENT_BYTES,
    SEGMENT_TEXT_BYTES,
    TAG_BYTES,
    count_padded_bytes,
    count_sealed_bytes,
    derive_file_key,
    make_nonce,
)

SEGMENTS_OF_A_PART: Final = PART_BYTES // SEGMENT_BYTES


@dataclass(frozen=True, slots=True)
class SealedPart:
    """One part. `content` is the sealer's own buffer: it holds until the next part is sealed."""

    number: int
    content: memoryview
    sha256: bytes


class PartSealer:
    """Seals parts of one file, in any order, for one thread.

    `descriptor` is open as long as the sealer is used. The same part of the same file is always the same bytes.
    """

    def __init__(self, facts: FileFacts, *, secret: bytes, descriptor: int) -> None:
        self._facts = facts
        self._descriptor = descriptor
        self._cipher = AESGCM(derive_file_key(secret=secret, sha256=facts.sha256))
        sealed_bytes = count_sealed_bytes(facts.size_bytes)
        self._text = memoryview(bytearray(min(SEGMENT_TEXT_BYTES, sealed_bytes)))
        self._sealed = memoryview(bytearray(min(PART_BYTES, sealed_bytes)))

    def seal(self, number: int) -> SealedPart:
        """Read, encrypt and hash one part, numbered from 0; raises `EvidenceError` if the file is not the same."""
        first = number * SEGMENTS_OF_A_PART
        done = 0
        for counter in range(first, min(first + SEGMENTS_OF_A_PART, self._facts.segments)):
            done += self._seal_segment(counter, into=self._sealed[done:])
        content = self._sealed[:done]
        return SealedPart(number=number, content=content, sha256=hashlib.sha256(content).digest())

    def _seal_segment(self, counter: int, *, into: memoryview) -> int:
        is_last = counter == self._facts.segments - 1
        text = read_same_segment(self._descriptor, counter, facts=self._facts, buffer=self._text)
        if is_last:
            text = self._pad(len(text))
        place = into[: len(text) + TAG_BYTES]
        return self._cipher.encrypt_into(make_nonce(counter, is_last=is_last), text, None, place)

    def _pad(self, length: int) -> memoryview:
        # An exact size would identify a known file.
        padded = count_padded_bytes(length)
        self._text[length:padded] = bytes(padded - length)
        return self._text[:padded]
