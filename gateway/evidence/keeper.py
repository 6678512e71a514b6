"""Stores the parts that partners upload: bytes first, then the row, then the answer.

Never confirms a part before its bytes, name and row are durable. A failure before that leaves at most a blob without a
row, which the sweep deletes. Never waits for the place of the blobs while it holds the writers' lock, because reports
wait for that lock.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from gateway.databases.failures import make_storage_error
from gateway.evidence.blobs import Blobs, make_blob_name
from gateway.store import StorageUnavailableError, Store
from gateway.store.evidence import (
    ConflictingEvidenceError,
    PartRow,
    StoredEvidence,
    add_part,
    complete_evidence,
    count_held_bytes,
    find_evidence,
    find_part,
    is_part_here,
    list_parts,
)
from partner_sdk.errors import FieldFault
from partner_sdk.wire.canonical import check_report_id
from partner_sdk.wire.evidence import PART_BYTES, CompletePost, EvidenceState, StoredPart, evidence_digest

MAX_FAULTS: Final = 50
# Far longer than any upload, far shorter than the day after which the sweep deletes a blob without a row.
MAX_UPLOAD: Final = timedelta(hours=1)

CopyBody = Callable[[Callable[[bytes], object]], None]
"""Passes each piece of a body to a function; raises unless the body matches the signed digest."""


class EvidenceQuotaError(Exception):
    """The partner's quota is used up."""


class EvidencePausedError(Exception):
    """The disk is nearly full: evidence is paused, reports are still accepted."""


class IncompleteEvidenceError(Exception):
    """The stored parts do not match what the partner declared complete; `faults` name the differences."""

    def __init__(self, faults: tuple[FieldFault, ...]) -> None:
        super().__init__("The stored parts do not match the evidence.")
        self.faults = faults


@dataclass(frozen=True, slots=True)
class EvidenceLimits:
    """The quota of one partner, and the share of the disk kept free for reports."""

    partner_bytes: int
    least_free_share: float


class EvidenceKeeper:
    """The evidence of one gateway. Every call raises `StorageUnavailableError` when the storage cannot be used."""

    def __init__(self, store: Store, *, blobs: Blobs, limits: EvidenceLimits, clock: Callable[[], datetime]) -> None:
        self.blobs = blobs
        self.limits = limits
        self._store = store
        self._clock = clock

    def put_part(self, part: PartRow, *, partner: str, evidence_id: str, copy_body: CopyBody) -> bool:
        """Store a part durably; return True, or False if the same bytes are already stored. `part` names no blob yet.

        Raises `FormatError` for an id that is not canonical, `ConflictingEvidenceError`, `EvidencePausedError`,
        `EvidenceQuotaError`, and any error of `copy_body`.
        """
        check_report_id(evidence_id)
        with self._store.read() as connection:
            found = find_evidence(connection, partner=partner, evidence_id=evidence_id)
            stored = None if found is None else find_part(connection, position=found.position, part=part.part)
            held_bytes = count_held_bytes(connection, partner=partner)
        lost = None
        if stored is not None and is_part_here(found, stored, part=part):
            if self._list_there([stored]):
                copy_body(_ignore)
                return False
            lost = stored.blob
        elif held_bytes + part.size_bytes > self.limits.partner_bytes:
            raise EvidenceQuotaError("The partner's evidence quota is used up.")
        free_share = self.blobs.find_free_share()
        if free_share is not None and free_share < self.limits.least_free_share:
            raise EvidencePausedError("The disk is nearly full.")
        part, began_at = replace(part, blob=make_blob_name()), self._clock()
        with self.blobs.new_blob(part.blob) as blob:
            copy_body(blob.write)
            blob.keep()
        return self._add_row(part, partner=partner, evidence_id=evidence_id, lost=lost, began_at=began_at)

    def find_state(self, *, partner: str, evidence_id: str) -> EvidenceState | None:
        """Return the stored parts, and the digest once complete; None if the evidence is not this partner's.

        Leaves out a part whose bytes were lost, e.g. after a restore of the database alone; it can be sent again.
        """
        with self._store.read() as connection:
            found = find_evidence(connection, partner=partner, evidence_id=evidence_id)
            parts = [] if found is None else list_parts(connection, position=found.position)
        if found is None:
            return None
        there = self._list_there(parts)
        return EvidenceState(
            digest=None if found.digest is None else found.digest.hex(),
            parts=tuple(StoredPart(part=row.part, sha256=row.sha256.hex()) for row in there),
        )

    def complete(self, post: CompletePost, *, partner: str, evidence_id: str) -> str | None:
        """Mark evidence as complete and return the digest; None if the evidence is not this partner's.

        Raises `IncompleteEvidenceError`, or `ConflictingEvidenceError` if it is complete with another digest.
        """
        with self._store.read() as connection:
            found = find_evidence(connection, partner=partner, evidence_id=evidence_id)
            parts = [] if found is None else list_parts(connection, position=found.position)
        if found is None:
            return None
        if _is_complete(found, post=post):
            return post.digest
        # Check the bytes before taking the lock that all writers wait for, and the rows again inside it.
        there = self._list_there(parts)
        _check_complete(there, post=post)
        with self._store.write() as connection:
            found = find_evidence(connection, partner=partner, evidence_id=evidence_id)
            if found is None:
                return None
            if not _is_complete(found, post=post):
                _check_complete(list_parts(connection, position=found.position), post=post)
                complete_evidence(
                    connection,
                    position=found.position,
                    digest=bytes.fromhex(post.digest),
                    size_bytes=post.size_bytes,
                    now=self._clock(),
                )
        return post.digest

    def read_part(self, *, partner: str, evidence_id: str, part: int) -> bytes | None:
        """Return a part of complete evidence for the desk, which checks it; None if it is missing."""
        with self._store.read() as connection:
            found = find_evidence(connection, partner=partner, evidence_id=evidence_id)
            if found is None or found.digest is None:
                return None
            stored = find_part(connection, position=found.position, part=part)
        if stored is None:
            return None
        return self.blobs.read_blob(stored.blob)

    def _add_row(self, part: PartRow, *, partner: str, evidence_id: str, lost: str | None, began_at: datetime) -> bool:
        """Store the row that names the blob; deletes the blob if other bytes, or the same ones, were stored first."""
        is_named = False
        try:
            with self._store.write() as connection:
                now = self._clock()
                if now - began_at > MAX_UPLOAD:  # e.g. this machine was asleep: the sweep may have taken the blob
                    raise make_storage_error("missing")
                is_named = add_part(connection, partner=partner, evidence_id=evidence_id, part=part, lost=lost, now=now)
        except ConflictingEvidenceError:
            self._discard(part.blob)
            raise
        if not is_named:
            self._discard(part.blob)
        return is_named

    def _discard(self, blob: str) -> None:
        with suppress(StorageUnavailableError):  # then the sweep deletes it a day later
            self.blobs.remove_blobs([blob])

    def _list_there(self, parts: list[PartRow]) -> list[PartRow]:
        sizes = self.blobs.measure_blobs([row.blob for row in parts])
        return [row for row in parts if sizes.get(row.blob) == row.size_bytes]


def _is_complete(found: StoredEvidence, *, post: CompletePost) -> bool:
    if found.digest is None:
        return False
    if found.digest.hex() != post.digest:
        raise ConflictingEvidenceError("The evidence is already complete with another digest.")
    return True


def _check_complete(parts: list[PartRow], *, post: CompletePost) -> None:
    faults = list_evidence_faults(parts, post=post)
    if faults:
        raise IncompleteEvidenceError(faults)


def _ignore(_piece: bytes) -> None:
    """Discard bytes that are already stored; their digest is still checked."""


def list_evidence_faults(parts: Sequence[PartRow], *, post: CompletePost) -> tuple[FieldFault, ...]:
    """Return at most 50 missing or wrong parts; none when `parts`, by number, match `post`."""
    missing = tuple(islice(_list_missing(parts, post=post), MAX_FAULTS))
    return missing or tuple(islice(_list_wrong(parts, post=post), MAX_FAULTS))


def _list_missing(parts: Sequence[PartRow], *, post: CompletePost) -> Iterator[FieldFault]:
    there = {one.part for one in parts}
    for number in range(post.parts):
        if number not in there:
            yield FieldFault(f"#/parts/{number}", "This part is not here: send it.")


def _list_wrong(parts: Sequence[PartRow], *, post: CompletePost) -> Iterator[FieldFault]:
    if len(parts) > post.parts:
        yield FieldFault("#/parts", "There are more parts here: start again with a new id.")
        return
    for one in parts[:-1]:
        if one.size_bytes != PART_BYTES:
            yield FieldFault(f"#/parts/{one.part}", "Only the last part may be shorter: start again with a new id.")
    if sum(one.size_bytes for one in parts) != post.size_bytes:
        yield FieldFault("#/size_bytes", "The parts here have a different total size.")
    elif evidence_digest([one.sha256 for one in parts], size_bytes=post.size_bytes).hex() != post.digest:
        yield FieldFault("#/digest", "The parts here have a different digest.")
