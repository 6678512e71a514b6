"""Keeps the parts that partners hand over: bytes first, then the row, then the answer.

Never says that a part is here before its bytes, its name and its row are on the disk. Whatever goes wrong before that
leaves at most bytes that no row names: they count for nothing, and the sweep takes them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.evidence.blobs import BlobName, Blobs
from gateway.store import Store
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
from gateway.store.failures import make_storage_error
from partner_sdk.errors import FieldFault
from partner_sdk.wire.evidence import CompletePost, EvidenceState, StoredPart, list_evidence_faults

CopyBody = Callable[[Callable[[bytes], object]], None]
"""Hands every piece of a body to a function, and raises unless it is the body that was signed."""


class EvidenceQuotaError(Exception):
    """This partner holds as much here as it may."""


class EvidencePausedError(Exception):
    """Too little of the disk is free: evidence has to wait, reports do not."""


class IncompleteEvidenceError(Exception):
    """The stored parts do not match what the partner declared complete; `faults` name the differences."""

    def __init__(self, faults: tuple[FieldFault, ...]) -> None:
        super().__init__("The parts here are not the evidence that was named.")
        self.faults = faults


@dataclass(frozen=True, slots=True)
class EvidenceLimits:
    """How much one partner may hold here, and which share of the disk stays free for reports."""

    partner_bytes: int
    least_free_share: float


class EvidenceKeeper:
    """The evidence of one gateway. Everything raises `StorageUnavailableError` when the storage cannot be used."""

    def __init__(self, store: Store, *, blobs: Blobs, limits: EvidenceLimits, clock: Callable[[], datetime]) -> None:
        self.blobs = blobs
        self.limits = limits
        self._store = store
        self._clock = clock

    def put_part(self, part: PartRow, *, partner: str, evidence_id: str, copy_body: CopyBody) -> bool:
        """Store a part and return True; False when these very bytes are here. Both are durable by then.

        Raises `FormatError` for an id that is not in its one spelling, `ConflictingEvidenceError`,
        `EvidencePausedError`, `EvidenceQuotaError`, and what `copy_body` raises.
        """
        with self._store.read() as connection:
            found = find_evidence(connection, partner=partner, evidence_id=evidence_id)
            stored = None if found is None else find_part(connection, position=found.position, part=part.part)
            held_bytes = count_held_bytes(connection, partner=partner)
        name = BlobName(partner, evidence_id, part.part, part.sha256)
        if is_part_here(found, stored, part=part):
            if self.blobs.has_blob(name, size_bytes=part.size_bytes):
                copy_body(_ignore)
                return False
        elif held_bytes + part.size_bytes > self.limits.partner_bytes:
            raise EvidenceQuotaError("This partner holds as much here as it may.")
        if self.blobs.measure_free_share() < self.limits.least_free_share:
            raise EvidencePausedError("Too little of the disk is free.")
        with self.blobs.new_blob(name, is_first=found is None or not found.has_parts) as blob:
            copy_body(blob.write)
            blob.keep()
        return self._add_row(part, name=name)

    def find_state(self, *, partner: str, evidence_id: str) -> EvidenceState | None:
        """Return which parts are here, and the digest once it is complete; None for what is not this partner's.

        A part whose bytes were lost (a restore of the database alone) is not here: it can be sent again.
        """
        with self._store.read() as connection:
            found = find_evidence(connection, partner=partner, evidence_id=evidence_id)
            parts = [] if found is None else list_parts(connection, position=found.position)
        if found is None:
            return None
        there = self._list_there(parts, partner=partner, evidence_id=evidence_id)
        return EvidenceState(
            digest=None if found.digest is None else found.digest.hex(),
            parts=tuple(StoredPart(part=row.part, sha256=row.sha256.hex()) for row in there),
        )

    def complete(self, post: CompletePost, *, partner: str, evidence_id: str) -> str | None:
        """Note that all parts are here and return the digest; None for what is not this partner's.

        Raises `IncompleteEvidenceError`, and `ConflictingEvidenceError` for one that is complete with another digest.
        """
        with self._store.read() as connection:
            found = find_evidence(connection, partner=partner, evidence_id=evidence_id)
            parts = [] if found is None else list_parts(connection, position=found.position)
        if found is None:
            return None
        if _is_complete(found, post=post):
            return post.digest
        # The bytes are looked at before the lock that all writers wait for, the rows once more inside it.
        there = self._list_there(parts, partner=partner, evidence_id=evidence_id)
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
        """Return the bytes of a part of complete evidence, for the desk, which checks them; None if it is not here."""
        with self._store.read() as connection:
            found = find_evidence(connection, partner=partner, evidence_id=evidence_id)
            if found is None or found.digest is None:
                return None
            stored = find_part(connection, position=found.position, part=part)
        if stored is None:
            return None
        return self.blobs.read_blob(BlobName(partner, evidence_id, part, stored.sha256))

    def _add_row(self, part: PartRow, *, name: BlobName) -> bool:
        with self._store.write() as connection:
            # The sweep deletes inside this lock: bytes that are here now stay here.
            if not self.blobs.has_blob(name, size_bytes=part.size_bytes):
                raise make_storage_error("missing")
            try:
                return add_part(
                    connection, partner=name.partner, evidence_id=name.evidence_id, part=part, now=self._clock()
                )
            except ConflictingEvidenceError:
                # Another request was faster with other bytes: no row names these.
                self.blobs.remove_blobs([name])
                raise

    def _list_there(self, parts: list[PartRow], *, partner: str, evidence_id: str) -> list[PartRow]:
        return [
            row
            for row in parts
            if self.blobs.has_blob(BlobName(partner, evidence_id, row.part, row.sha256), size_bytes=row.size_bytes)
        ]


def _is_complete(found: StoredEvidence, *, post: CompletePost) -> bool:
    if found.digest is None:
        return False
    if found.digest.hex() != post.digest:
        raise ConflictingEvidenceError("This evidence is complete with another digest.")
    return True


def _check_complete(parts: list[PartRow], *, post: CompletePost) -> None:
    faults = list_evidence_faults(parts, post=post)
    if faults:
        raise IncompleteEvidenceError(faults)


def _ignore(_piece: bytes) -> None:
    """These bytes are here already; that they are the signed ones is checked all the same."""
