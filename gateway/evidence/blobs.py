"""The bytes of evidence in a folder of this machine, and how they are copied into a bucket.

Never overwrites: every upload of a part is a new blob with a random name, e.g. `9f86d081884c7d659a2feaa0c55ad015`, and
a row in the store names the blob that counts. So a name says nothing to a reader of the place, and the bytes of a name
that no row has after a day can be deleted without a lock.

In the folder, `evidence/<name>` is readable only by its owner. Never confirms half a blob: its bytes are synced, then
the folder, and only then does the caller store the row that names it. A file of a process that died earlier has no row.

Copying never deletes, and never copies bytes that differ from their row. Safe to run while the gateway serves, and to
repeat: blobs that are in the bucket already are left as they are, because a store takes an object whole or not at all.
"""

import hashlib
import os
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from gateway.databases.failures import StorageUnavailableError, get_system_reason, make_storage_error
from gateway.store import Store
from gateway.store.evidence import PartRow, list_parts_by_blob
from partner_sdk.durable_files import sync_folder

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


_BATCH: Final = 500

FreeShare = Callable[[Path], float]


def measure_free_share(folder: Path) -> float:
    """Return the share of a folder's disk that is free for its users, 0 to 1; raises `OSError`."""
    found = os.statvfs(folder)
    return found.f_bavail / found.f_blocks if found.f_blocks else 0.0


class LocalBlobs:
    """The blobs in one folder, which is made with the first blob."""

    def __init__(self, folder: Path, *, measure: FreeShare = measure_free_share) -> None:
        self._folder = folder
        self._measure = measure
        self._is_made = False

    @contextmanager
    def new_blob(self, name: str) -> Iterator["LocalBlob"]:
        """Begin a blob; when the block ends, the file is whole or deleted."""
        with _as_storage_error():
            self._make_folder()
            blob = LocalBlob(self._path(name))
        try:
            yield blob
        finally:
            blob.close()

    def measure_blobs(self, names: Sequence[str]) -> dict[str, int]:
        """Return the size of each file that exists."""
        sizes = {}
        for name in names:
            with _as_storage_error(), suppress(FileNotFoundError):
                sizes[name] = self._path(name).stat().st_size
        return sizes

    def read_blob(self, name: str) -> bytes:
        """Return the contents of the file."""
        with _as_storage_error():
            return self._path(name).read_bytes()

    def remove_blobs(self, names: Sequence[str]) -> None:
        """Delete files."""
        with _as_storage_error():
            for name in names:
                self._path(name).unlink(missing_ok=True)

    def list_old_blobs(self, *, before: datetime) -> Iterator[list[str]]:
        """Yield the names of old files; ignores other files, which are not ours to delete."""
        newest = before.timestamp()
        with _as_storage_error(), suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            old = (entry.name for entry in entries if is_blob_name(entry.name) and _is_older(entry, newest))
            while names := list(islice(old, _BATCH)):
                yield names

    def find_free_share(self) -> float | None:
        """Return the free share of the disk under the folder."""
        with _as_storage_error():
            return self._measure(self._folder if self._folder.exists() else self._folder.parent)

    def _make_folder(self) -> None:
        if self._is_made and self._folder.is_dir():
            return
        self._folder.mkdir(mode=0o700, exist_ok=True)
        # Also when it exists: another process may have made it and not synced it yet.
        sync_folder(self._folder.parent)
        self._is_made = True

    def _path(self, name: str) -> Path:
        check_blob_name(name)
        return self._folder / name


class LocalBlob:
    """A blob being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor: int | None = os.open(path, flags, 0o600)
        self._is_kept = False

    def write(self, piece: bytes) -> None:
        """Add bytes; raises `StorageUnavailableError`."""
        if self._descriptor is None:
            raise ValueError("This blob is closed.")
        with _as_storage_error():
            left = memoryview(piece)
            while left:
                left = left[os.write(self._descriptor, left) :]

    def keep(self) -> None:
        """Sync the bytes, then the folder; raises `StorageUnavailableError`."""
        if self._descriptor is None:
            raise ValueError("This blob is closed.")
        with _as_storage_error():
            os.fsync(self._descriptor)
            sync_folder(self._path.parent)
            self._is_kept = True

    def close(self) -> None:
        """Close the file; deletes it unless `keep` was called."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
        if not self._is_kept:
            # A file that cannot be deleted now is deleted a day later.
            with suppress(OSError):
                self._path.unlink()


@contextmanager
def _as_storage_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise make_storage_error(get_system_reason(error)) from error


def _is_older(entry: "os.DirEntry[str]", newest: float) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_mtime < newest
    except FileNotFoundError:
        return False


_COPIED_AT_ONCE: Final = 200


def copy_blobs(store: Store, *, source: Blobs, target: Blobs) -> Counter[str]:
    """Return how many parts were `copied`, `there` already, `missing` from the folder or `damaged` in it.

    Raises `StorageUnavailableError` if the store or the target cannot be used.
    """
    counted: Counter[str] = Counter()
    after = ""
    while True:
        with store.read() as connection:
            parts = list_parts_by_blob(connection, after=after, limit=_COPIED_AT_ONCE)
        if not parts:
            return counted
        after = parts[-1].blob
        there = target.measure_blobs([part.blob for part in parts])
        for part in parts:
            is_there = there.get(part.blob) == part.size_bytes
            counted["there" if is_there else _copy(part, source=source, target=target)] += 1


def _copy(part: PartRow, *, source: Blobs, target: Blobs) -> str:
    try:
        raw = source.read_blob(part.blob)
    except StorageUnavailableError:
        return "missing"
    if hashlib.sha256(raw).digest() != part.sha256:
        return "damaged"
    with target.new_blob(part.blob) as blob:
        blob.write(raw)
        blob.keep()
    return "copied"
