"""The interface of a place for the bytes of parts.

Never overwrites: a blob's name contains the digest of its bytes, so different bytes are another blob. The row in the
store names the one that counts.
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
    """The name of a blob; raises `FormatError` or `ValueError` unless it is canonical.

    Paths are built from these fields alone.
    """

    partner: str
    evidence_id: str
    part: int
    sha256: bytes

    def __post_init__(self) -> None:
        """Check every field."""
        check_partner_id(self.partner)
        check_report_id(self.evidence_id)
        if not 0 <= self.part < MAX_PARTS or len(self.sha256) != SHA256_BYTES:
            raise ValueError("A blob name needs a part number and a SHA-256.")


class NewBlob(Protocol):
    """A blob being written; discarded at the end of the block unless kept."""

    def write(self, piece: bytes) -> None:
        """Add bytes; raises `StorageUnavailableError`."""

    def keep(self) -> None:
        """Make bytes and name durable; raises `StorageUnavailableError`."""


class Blobs(Protocol):
    """A place for blobs. Every call raises `StorageUnavailableError` when the place cannot be used."""

    def new_blob(self, name: BlobName, *, is_first: bool) -> AbstractContextManager[NewBlob]:
        """Begin a blob. `is_first` is True unless a part of this evidence is already durable."""

    def has_blob(self, name: BlobName, *, size_bytes: int) -> bool:
        """Return whether the blob is stored in full length."""

    def read_blob(self, name: BlobName) -> bytes:
        """Return the bytes."""

    def remove_blobs(self, names: list[BlobName]) -> None:
        """Delete blobs; ignores missing ones."""

    def list_old_blobs(self, *, before: datetime) -> Iterator[list[BlobName]]:
        """Yield blobs written before `before`, one piece of evidence at a time; delete unfinished ones."""

    def measure_free_share(self) -> float:
        """Return the free share of the disk, 0 to 1."""
