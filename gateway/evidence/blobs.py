"""Where the bytes of parts lie: what a place for them must do, whatever it is made of.

Never overwritten: a blob's name holds the digest of its bytes, so other bytes are another blob. Which one counts, the
row in the store says.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from partner_sdk.wire.canonical import check_report_id
from partner_sdk.wire.evidence import MAX_PARTS
from partner_sdk.wire.submission import check_partner_id

SHA256_BYTES = 32


@dataclass(frozen=True, slots=True)
class BlobName:
    """What names a blob; raises `FormatError` or `ValueError` for anything that is not in its one spelling.

    A path is built from these alone.
    """

    partner: str
    evidence_id: str
    part: int
    sha256: bytes

    def __post_init__(self) -> None:
        """Check every piece."""
        check_partner_id(self.partner)
        check_report_id(self.evidence_id)
        if not 0 <= self.part < MAX_PARTS or len(self.sha256) != SHA256_BYTES:
            raise ValueError("A blob has the number of a part and a SHA-256.")


class NewBlob(Protocol):
    """Bytes on their way in; what is not kept by the end of the block is gone."""

    def write(self, piece: bytes) -> None:
        """Add bytes; raises `StorageUnavailableError`."""

    def keep(self) -> None:
        """Put bytes and name on the disk; raises `StorageUnavailableError`."""


class Blobs(Protocol):
    """A place for blobs. Every call raises `StorageUnavailableError` when the place cannot be used."""

    def new_blob(self, name: BlobName, *, is_first: bool) -> AbstractContextManager[NewBlob]:
        """Begin a blob. `is_first` unless a part of this evidence is here already, durably."""

    def has_blob(self, name: BlobName, *, size_bytes: int) -> bool:
        """Return whether these bytes are here, in full length."""

    def read_blob(self, name: BlobName) -> bytes:
        """Return the bytes."""

    def remove_blobs(self, names: list[BlobName]) -> None:
        """Delete blobs; one that is gone is no fault."""

    def list_old_blobs(self, *, before: datetime) -> Iterator[list[BlobName]]:
        """Yield what was written before `before`, one piece of evidence at a time; delete what was never whole."""

    def measure_free_share(self) -> float:
        """Return which share of the disk is free, 0 to 1."""
