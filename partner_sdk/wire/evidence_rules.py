"""What a gateway takes as evidence: which sizes and numbers a part has, and when its parts are all (WIRE.md §6.6).

Never trusts the sender's description of a part: size and digest are those of the bytes that came.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, Protocol

from partner_sdk.errors import FieldFault, FormatError
from partner_sdk.wire.evidence import (
    LEAST_SEALED_BYTES,
    MAX_PARTS,
    PADDED_TO_BYTES,
    PART_BYTES,
    SEGMENT_BYTES,
    TAG_BYTES,
    CompletePost,
    evidence_digest,
)

MAX_FAULTS: Final = 50

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,3}")


class PartFacts(Protocol):
    """What is known of a part that is here: its number from 0, and size and SHA-256 of its sealed bytes."""

    @property
    def part(self) -> int:
        """The number, from 0."""

    @property
    def size_bytes(self) -> int:
        """How many sealed bytes came."""

    @property
    def sha256(self) -> bytes:
        """Their SHA-256, 32 bytes."""


def parse_part_number(text: str) -> int:
    """Return the number; raises `FormatError` for a leading zero or anything outside 0 to the last possible part."""
    if not _NUMBER.fullmatch(text) or int(text) >= MAX_PARTS:
        raise FormatError(f"A part has a number from 0 to {MAX_PARTS - 1}, without leading zeros.", reason="malformed")
    return int(text)


def check_part_size(sealed_bytes: int) -> None:
    """Raise `FormatError` for a size that no part has: whole segments, and at most the last of them padded."""
    rest = sealed_bytes % SEGMENT_BYTES
    is_padded = rest > TAG_BYTES and (rest - TAG_BYTES) % PADDED_TO_BYTES == 0
    if not LEAST_SEALED_BYTES <= sealed_bytes <= PART_BYTES or not (rest == 0 or is_padded):
        raise FormatError("A part is whole segments, at most the last of them padded.", reason="malformed")


def list_evidence_faults(parts: Sequence[PartFacts], *, post: CompletePost) -> tuple[FieldFault, ...]:
    """Return what is missing or wrong, at most 50 of it; nothing when `parts`, by number, are what `post` names."""
    missing = tuple(islice(_list_missing(parts, post=post), MAX_FAULTS))
    return missing or tuple(islice(_list_wrong(parts, post=post), MAX_FAULTS))


def _list_missing(parts: Sequence[PartFacts], *, post: CompletePost) -> Iterator[FieldFault]:
    there = {one.part for one in parts}
    for number in range(post.parts):
        if number not in there:
            yield FieldFault(f"#/parts/{number}", "This part is not here: send it.")


def _list_wrong(parts: Sequence[PartFacts], *, post: CompletePost) -> Iterator[FieldFault]:
    if len(parts) > post.parts:
        yield FieldFault("#/parts", "More parts are here: begin anew with a new id.")
        return
    for one in parts[:-1]:
        if one.size_bytes != PART_BYTES:
            yield FieldFault(f"#/parts/{one.part}", "Only the last part may be shorter: begin anew with a new id.")
    if sum(one.size_bytes for one in parts) != post.size_bytes:
        yield FieldFault("#/size_bytes", "The parts here have another size together.")
    elif evidence_digest([one.sha256 for one in parts], size_bytes=post.size_bytes).hex() != post.digest:
        yield FieldFault("#/digest", "The parts here have another digest.")
