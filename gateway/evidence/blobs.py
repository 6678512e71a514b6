"""The interface of a place for the bytes of parts: a folder (`local_blobs.py`) or a bucket (`bucket.py`).

Never overwrites: every upload of a part is a new blob with a random name, e.g. `9f86d081884c7d659a2feaa0c55ad015`, and
a row in the store names the blob that counts. So a name says nothing to a reader of the place, and the bytes of a name
that no row has after a day can be deleted without a lock.
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from typing import Final, Protocol

from gateway.databases.failures import StorageUnavailableError, make_storage_error

_NAME_BYTES: Final = 16
_PROBE: Final = b"a probe of a gateway"
_OTHER_PROBE: Final = b"bytes that must not replace it"
_NAME: Final = re.compile(r"[0-9a-f]{32}")


def make_blob_name() -> str:
    """Return a new random name."""
    return secrets.token_hex(_NAME_BYTES)


def is_blob_name(name: str) -> bool:
    """Return whether `make_blob_name` can have made this name."""
    return _NAME.fullmatch(name) is not None


def check_blob_name(name: str) -> None:
    """Raise `StorageUnavailableError` for the name in a row that was altered by hand."""
    if not is_blob_name(name):
        raise make_storage_error("broken")


class NewBlob(Protocol):
    """A blob being written; discarded at the end of the block unless kept."""

    def write(self, piece: bytes) -> None:
        """Add bytes; raises `StorageUnavailableError`."""

    def keep(self) -> None:
        """Make bytes and name durable; raises `StorageUnavailableError`."""


class Blobs(Protocol):
    """A place for blobs. Every call raises `StorageUnavailableError` when the place cannot be used."""

    def new_blob(self, name: str) -> AbstractContextManager[NewBlob]:
        """Begin a blob; refuses a name that is taken, at the latest in `keep`."""

    def measure_blobs(self, names: Sequence[str]) -> dict[str, int]:
        """Return the size in bytes of each of these blobs that exists."""

    def read_blob(self, name: str) -> bytes:
        """Return the bytes."""

    def remove_blobs(self, names: Sequence[str]) -> None:
        """Delete blobs; ignores missing ones."""

    def list_old_blobs(self, *, before: datetime) -> Iterator[list[str]]:
        """Yield blobs written before `before`, whole or not, some hundreds at a time."""

    def find_free_share(self) -> float | None:
        """Return the free share of the place, 0 to 1; None if it has no end that can be seen."""


def check_blobs(blobs: Blobs) -> None:
    """Store a probe, read it, try to overwrite it, list, delete; raises `StorageUnavailableError`.

    The reason is `unsafe` if the place overwrites blobs, or belongs to another gateway.
    """
    next(blobs.list_old_blobs(before=datetime.fromtimestamp(0, UTC)), None)
    name = make_blob_name()
    _put(blobs, name, _PROBE)
    try:
        with suppress(StorageUnavailableError):
            _put(blobs, name, _OTHER_PROBE)
        if blobs.read_blob(name) != _PROBE:
            raise make_storage_error("unsafe")
    finally:
        blobs.remove_blobs([name])
    if blobs.measure_blobs([name]):
        raise make_storage_error("read-only")


def _put(blobs: Blobs, name: str, raw: bytes) -> None:
    with blobs.new_blob(name) as blob:
        blob.write(raw)
        blob.keep()
