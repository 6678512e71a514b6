"""The sealed parts of evidence on this desk's disk: `evidence/<partner>/<evidence id>/<number>.part`.

Never opens a byte. Paths are built only from ids in canonical form.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from partner_sdk.durable_files import make_private_folder, sync_folder, write_durably
from partner_sdk.errors import LocalStateError
from partner_sdk.wire.canonical import check_report_id
from partner_sdk.wire.evidence import SEGMENT_BYTES, count_sealed_parts, size_of_sealed_part
from partner_sdk.wire.submission import check_partner_id

_SUFFIX: Final = ".part"
_READ_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SealedParts:
    """The parts of one piece of evidence."""

    folder: Path

    def prepare(self) -> None:
        """Make the folder, on disk, and remove half-written files from a crash. Raises `LocalStateError`."""
        for folder in (self.folder.parent, self.folder):
            if not folder.is_dir():
                make_private_folder(folder)
                sync_folder(folder.parent)
        try:
            for entry in os.scandir(self.folder):
                if not entry.name.endswith(_SUFFIX) or entry.name.startswith("."):
                    Path(entry.path).unlink(missing_ok=True)
        except OSError as error:
            raise LocalStateError(f"Cannot read {self.folder}: {error.strerror}.", reason="unreadable") from None

    def clear(self) -> None:
        """Delete every part: their bytes contradict a report. Raises `LocalStateError`."""
        try:
            for entry in os.scandir(self.folder) if self.folder.is_dir() else ():
                Path(entry.path).unlink(missing_ok=True)
        except OSError as error:
            raise LocalStateError(f"Cannot read {self.folder}: {error.strerror}.", reason="unreadable") from None

    def remove(self) -> None:
        """Delete every part and the folder: its case was destroyed. Raises `LocalStateError`."""
        self.clear()
        if self.folder.is_dir():
            self.folder.rmdir()
            sync_folder(self.folder.parent)

    def has_part(self, number: int, *, sha256: bytes) -> bool:
        """Return whether this exact part is here; reads all of it. Raises `LocalStateError`."""
        digest = hashlib.sha256()
        try:
            with self._path(number).open("rb") as handle:
                while piece := handle.read(_READ_BYTES):
                    digest.update(piece)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise LocalStateError(f"Cannot read {self.folder}: {error.strerror}.", reason="unreadable") from None
        return digest.digest() == sha256

    def write_part(self, number: int, raw: bytes) -> None:
        """Write a part; on return its bytes and its name are on disk. Raises `LocalStateError` (`not-saved`)."""
        write_durably(self._path(number), raw)

    def is_whole(self, *, size_bytes: int) -> bool:
        """Return whether every part is here in its full length; its bytes are not read."""
        try:
            return all(
                self._path(number).stat().st_size == size_of_sealed_part(number, sealed_bytes=size_bytes)
                for number in range(count_sealed_parts(size_bytes))
            )
        except OSError:
            return False

    def read_segments(self, *, size_bytes: int) -> Iterator[bytes]:
        """Yield the sealed segments in order, one at a time. Raises `LocalStateError` (`unreadable`)."""
        for number in range(count_sealed_parts(size_bytes)):
            left = size_of_sealed_part(number, sealed_bytes=size_bytes)
            try:
                with self._path(number).open("rb") as handle:
                    while left:
                        segment = handle.read(min(SEGMENT_BYTES, left))
                        if not segment:
                            raise LocalStateError(
                                ("A part of this file is cut short at this desk."), reason="unreadable"
                            )
                        left -= len(segment)
                        yield segment
            except OSError:
                raise LocalStateError("A part of this file is unreadable at this desk.", reason="unreadable") from None

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:04}{_SUFFIX}"


def get_parts(root: Path, *, partner: str, evidence_id: str) -> SealedParts:
    """Return the place of one piece of evidence; raises `FormatError` for an id that is not in canonical form."""
    check_partner_id(partner)
    check_report_id(evidence_id)
    return SealedParts(root / partner / evidence_id)


@contextmanager
def hold_alone(root: Path) -> Iterator[bool]:
    """Yield True if no other process of this desk is collecting evidence, else False, without waiting."""
    make_private_folder(root)
    # Beside the partners' folders, never among them: a partner may have the id `lock`.
    descriptor = os.open(root.with_name(f"{root.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        _clear_former_lock(root / "lock")
        yield True
    finally:
        os.close(descriptor)


def _clear_former_lock(path: Path) -> None:
    # The lock's former place: a file there would keep a partner with that id from having its folder.
    if path.is_file():
        path.unlink()
