"""Blobs in a local folder: `evidence/<name>`, readable only by their owner.

Never confirms half a blob: its bytes are synced, then the folder, and only then does the caller store the row that
names it. A file of a process that died earlier has no row.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

from gateway.databases.failures import get_system_reason, make_storage_error
from gateway.evidence.blobs import check_blob_name, is_blob_name
from partner_sdk.durable_files import sync_folder

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
