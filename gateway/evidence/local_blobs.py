"""Blobs in a local folder: `evidence/<partner>/<evidence id>/<part>-<sha256>`, readable only by their owner.

Never leaves half a blob under its name: bytes go to a temporary file, which is synced and renamed; then the folder is
synced.
"""

import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from gateway.databases.failures import get_system_reason, make_storage_error
from gateway.evidence.blobs import BlobName
from partner_sdk.durable_files import sync_folder
from partner_sdk.errors import FormatError

_BLOB = re.compile(r"(0|[1-9][0-9]{0,3})-([0-9a-f]{64})")
_UNFINISHED = re.compile(r"\.[0-9]{1,4}-[0-9a-f]{16}\.new")
_TOKEN_BYTES = 8


FreeShare = Callable[[Path], float]


def measure_free_share(folder: Path) -> float:
    """Return the share of a folder's disk that is free for its users, 0 to 1; raises `OSError`."""
    found = os.statvfs(folder)
    return found.f_bavail / found.f_blocks if found.f_blocks else 0.0


class LocalBlobs:
    """The blobs under one folder, which is made with the first blob."""

    def __init__(self, folder: Path, *, measure: FreeShare = measure_free_share) -> None:
        self._folder = folder
        self._measure = measure

    @contextmanager
    def new_blob(self, name: BlobName, *, is_first: bool) -> Iterator["LocalBlob"]:
        """Begin a blob in a temporary file; when the block ends, the file is a whole blob or deleted."""
        with _as_storage_error():
            self._make_folders(name, is_first=is_first)
            blob = LocalBlob(self._path(name))
        try:
            yield blob
        finally:
            blob.close()

    def has_blob(self, name: BlobName, *, size_bytes: int) -> bool:
        """Return whether the file exists in full length."""
        with _as_storage_error():
            try:
                return os.stat(self._path(name)).st_size == size_bytes  # noqa: PTH116 - under the writers' lock
            except FileNotFoundError:
                return False

    def read_blob(self, name: BlobName) -> bytes:
        """Return the contents of the file."""
        with _as_storage_error():
            return self._path(name).read_bytes()

    def remove_blobs(self, names: list[BlobName]) -> None:
        """Delete files, and their folders once empty."""
        with _as_storage_error():
            for name in names:
                self._path(name).unlink(missing_ok=True)
            for folder in {self._path(name).parent for name in names}:
                _remove_if_empty(folder)
                _remove_if_empty(folder.parent)

    def list_old_blobs(self, *, before: datetime) -> Iterator[list[BlobName]]:
        """Yield old blobs folder by folder; deletes unfinished files and empty folders."""
        newest = before.timestamp()
        with _as_storage_error():
            for partner in _list_folders(self._folder):
                for evidence in _list_folders(partner):
                    old = [entry for entry in _list_entries(evidence) if _is_older(entry, newest)]
                    for entry in old:
                        if _UNFINISHED.fullmatch(entry.name):
                            Path(entry.path).unlink(missing_ok=True)
                    yield list(_read_names(old, partner=partner.name, evidence_id=evidence.name))
                    if not old:
                        _remove_if_empty(evidence)

    def measure_free_share(self) -> float:
        """Return the free share of the disk under the folder."""
        with _as_storage_error():
            return self._measure(self._folder if self._folder.exists() else self._folder.parent)

    def _path(self, name: BlobName) -> Path:
        return self._folder / name.partner / name.evidence_id / f"{name.part}-{name.sha256.hex()}"

    def _make_folders(self, name: BlobName, *, is_first: bool) -> None:
        partner = self._folder / name.partner
        evidence = partner / name.evidence_id
        if not is_first and evidence.is_dir():
            return
        for folder in (self._folder, partner, evidence):
            folder.mkdir(mode=0o700, exist_ok=True)
        # Another process may have made the folders without syncing them yet: every writer syncs until a row exists.
        for folder in (self._folder.parent, self._folder, partner):
            sync_folder(folder)


class LocalBlob:
    """A blob being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        part = path.name.partition("-")[0]
        self._beside = path.with_name(f".{part}-{secrets.token_hex(_TOKEN_BYTES)}.new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor: int | None = os.open(self._beside, flags, 0o600)
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
        """Sync the bytes, rename the file, sync the folder; raises `StorageUnavailableError`."""
        if self._descriptor is None:
            raise ValueError("This blob is closed.")
        with _as_storage_error():
            os.fsync(self._descriptor)
            self._beside.rename(self._path)
            self._is_kept = True
            sync_folder(self._path.parent)

    def close(self) -> None:
        """Close the file; deletes it unless `keep` was called."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
        if not self._is_kept:
            # A file that cannot be deleted now is deleted a day later.
            with suppress(OSError):
                self._beside.unlink()


@contextmanager
def _as_storage_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise make_storage_error(get_system_reason(error)) from error


def _list_entries(folder: Path) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _list_folders(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in _list_entries(folder) if entry.is_dir(follow_symlinks=False)]


def _is_older(entry: "os.DirEntry[str]", newest: float) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_mtime < newest
    except FileNotFoundError:
        return False


def _read_names(entries: "list[os.DirEntry[str]]", *, partner: str, evidence_id: str) -> Iterator[BlobName]:
    """Yield the names of blobs; ignores other files, which are not ours to delete."""
    for entry in entries:
        found = _BLOB.fullmatch(entry.name)
        if found is None:
            continue
        try:
            yield BlobName(partner, evidence_id, int(found[1]), bytes.fromhex(found[2]))
        except (FormatError, ValueError):
            continue


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
