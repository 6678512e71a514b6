"""Whether the parts that are here are the evidence that a partner names: all of them, in size, order and digest.

Never trusts what the partner says of a part: size and digest are those of the bytes that came.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from gateway.store.evidence import PartRow
from partner_sdk.errors import FieldFault
from partner_sdk.wire.evidence import (
    LEAST_SEALED_BYTES,
    PADDED_TO_BYTES,
    PART_BYTES,
    SEGMENT_BYTES,
    TAG_BYTES,
    CompletePost,
    evidence_digest,
)

MAX_FAULTS: Final = 50


def is_part_size(size_bytes: int) -> bool:
    """Return whether a part can have so many bytes: whole segments, and at most one that is padded."""
    if not LEAST_SEALED_BYTES <= size_bytes <= PART_BYTES:
        return False
    rest = size_bytes % SEGMENT_BYTES
    return rest == 0 or (rest > TAG_BYTES and (rest - TAG_BYTES) % PADDED_TO_BYTES == 0)


def find_faults(parts: list[PartRow], *, post: CompletePost) -> tuple[FieldFault, ...]:
    """Return what is missing or wrong, at most 50 of it; nothing when it is complete."""
    missing = tuple(islice(_find_missing(parts, post=post), MAX_FAULTS))
    return missing or tuple(islice(_find_wrong(parts, post=post), MAX_FAULTS))


def _find_missing(parts: list[PartRow], *, post: CompletePost) -> Iterator[FieldFault]:
    there = {row.part for row in parts}
    for number in range(post.parts):
        if number not in there:
            yield FieldFault(f"#/parts/{number}", "This part is not here: send it.")


def _find_wrong(parts: list[PartRow], *, post: CompletePost) -> Iterator[FieldFault]:
    if len(parts) > post.parts:
        yield FieldFault("#/parts", "More parts are here: begin anew with a new id.")
        return
    for row in parts[:-1]:
        if row.size_bytes != PART_BYTES:
            yield FieldFault(f"#/parts/{row.part}", "Only the last part may be shorter: begin anew with a new id.")
    if sum(row.size_bytes for row in parts) != post.size_bytes:
        yield FieldFault("#/size_bytes", "The parts here have another size together.")
    elif evidence_digest([row.sha256 for row in parts], size_bytes=post.size_bytes).hex() != post.digest:
        yield FieldFault("#/digest", "The parts here have another digest.")
