"""Evidence files on this machine, and the journal of unfinished ones: enough to continue after a crash.

Files are read by offset into a buffer of the caller's, never through `mmap`: a file that is cut while it is mapped
kills the process (SIGBUS), and mapped pages count as this process's memory.

`evidence/REPORT_ID.json` (0600, in a folder of 0700) holds, for one report: its evidence secret, the ids of the
evidence, where the files lie, their digests, and the cover of the supplement to come (report/evidence_cover.py).

**The secret**: each report has its own, 32 random bytes. With the SHA-256 of a file it opens the sealed copy of that
file (WIRE.md §6.6). It lies here in the clear until the evidence is complete and the supplement is delivered, or the
report with its digests is saved in sealed form; then the entry forgets it. It guards only the copy at the gateway: the
same files lie in the clear on this machine. The bytes on the disk are freed, not scrubbed.

The journal does not record which parts the gateway holds: the gateway is asked, and each part is compared by its
digest.
"""

import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec
from cryptography.hazmat.primitives.poly1305 import Poly1305
from msgspec import structs

from partner_sdk.client._partner_state import find_document
from partner_sdk.durable_files import make_private_folder, sync_folder, write_durably
from partner_sdk.errors import EvidenceError, LocalStateError
from partner_sdk.report import IndustryReport
from partner_sdk.wire.canonical import Sha256Hex, check_report_id, encode, parse_base64url, to_base64url
from partner_sdk.wire.evidence import (
    MAX_FILE_BYTES,
    SECRET_BYTES,
    SEGMENT_TEXT_BYTES,
    EvidenceReference,
    PlainSize,
    count_plain_segments,
)
from partner_sdk.wire.submission import Priority

_MARK_KEY_BYTES: Final = 32
_MARK_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The content of a file when it was read through: its size, its SHA-256, and a mark of each segment.

    A mark is a Poly1305 tag under a key that never leaves this process. One key encrypts one byte string, ever: what no
    longer has its mark is never sealed. SHA-256 would do as well, at five times the price.
    """

    path: Path
    size_bytes: int
    sha256: bytes
    marks: bytes
    mark_key: bytes

    @property
    def segments(self) -> int:
        """How many segments it has; an empty file has one."""
        return count_plain_segments(self.size_bytes)


def check_file(path: Path) -> None:
    """Refuse a file that may not be handed over, before a byte of it is read; raises as `size_of_file`."""
    size_of_file(path)


def size_of_file(path: Path) -> int:
    """Return the size of a file that may be handed over, in bytes.

    Raises `EvidenceError`: `no-such-file`, `not-a-file`, `unreadable`, `too-large`, `bad-name`.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise EvidenceError("A file name is not UTF-8: rename the file.", reason="bad-name") from None
    with opened(path) as descriptor:
        return os.fstat(descriptor).st_size


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Yield a descriptor of a regular file of at most 10 GiB; raises `EvidenceError` as `check_file` does."""
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise EvidenceError(f"There is no file {path}.", reason="no-such-file") from None
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "not a name"
        raise EvidenceError(f"Cannot read {path}: {said}.", reason="unreadable") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise EvidenceError(f"{path} is not a file: give each file of a folder.", reason="not-a-file")
        if found.st_size > MAX_FILE_BYTES:
            raise EvidenceError(f"{path} is larger than 10 GiB: split it into smaller files.", reason="too-large")
        yield descriptor
    finally:
        os.close(descriptor)


def measure_file(path: Path, *, on_bytes: Callable[[int], None] = lambda _: None) -> FileFacts:
    """Read a file through, once, and return its facts; `on_bytes` gets the number of bytes of each step.

    Raises `EvidenceError`, also `file-changed` when it grew, shrank or was written meanwhile.
    """
    with opened(path) as descriptor:
        before = os.fstat(descriptor)
        hashed, mark_key, marks = hashlib.sha256(), secrets.token_bytes(_MARK_KEY_BYTES), bytearray()
        buffer = memoryview(bytearray(min(before.st_size, SEGMENT_TEXT_BYTES)))
        for counter in range(count_plain_segments(before.st_size)):
            text = read_segment(descriptor, counter, size_bytes=before.st_size, buffer=buffer, path=path)
            hashed.update(text)
            marks += Poly1305.generate_tag(mark_key, text)
            on_bytes(len(text))
        after = os.fstat(descriptor)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise make_changed(path)
    return FileFacts(
        path=path, size_bytes=before.st_size, sha256=hashed.digest(), marks=bytes(marks), mark_key=mark_key
    )


def read_segment(descriptor: int, counter: int, *, size_bytes: int, buffer: memoryview, path: Path) -> memoryview:
    """Read one segment of a file of `size_bytes` into the start of `buffer`, and return that part of it.

    Raises `EvidenceError` (`file-changed`) if the file ends before that, `unreadable` if the disk fails.
    """
    start = counter * SEGMENT_TEXT_BYTES
    wanted = buffer[: min(SEGMENT_TEXT_BYTES, size_bytes - start)]
    done = 0
    while done < len(wanted):
        try:
            count = os.preadv(descriptor, [wanted[done:]], start + done)
        except OSError as error:
            raise EvidenceError(f"Cannot read {path}: {error.strerror}.", reason="unreadable") from None
        if not count:
            raise make_changed(path)
        done += count
    return wanted


def read_same_segment(descriptor: int, counter: int, *, facts: FileFacts, buffer: memoryview) -> memoryview:
    """Read one segment, which must be as measured; raises `EvidenceError` (`file-changed`)."""
    text = read_segment(descriptor, counter, size_bytes=facts.size_bytes, buffer=buffer, path=facts.path)
    mark = facts.marks[counter * _MARK_BYTES : (counter + 1) * _MARK_BYTES]
    if Poly1305.generate_tag(facts.mark_key, text) != mark:
        raise make_changed(facts.path)
    return text


def make_changed(path: Path) -> EvidenceError:
    """Return the error for a file that has changed."""
    return EvidenceError(
        f"{path} changed while it was read: hand it over when no program is writing to it.", reason="file-changed"
    )


FOLDER: Final = "evidence"
MAX_ENTRY_BYTES: Final = 8 * 1024 * 1024  # MAX_EVIDENCE_IDS files with the longest paths


class JournalFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file: its ids in the report and at the gateway, and its facts. `digest` once it is complete.

    `has_new_id`: the report, sealed before, names another evidence id than this one.
    """

    digest: Sha256Hex | None
    evidence_id: str
    file_id: str
    has_new_id: bool
    path: str
    sha256: Sha256Hex
    size_bytes: PlainSize


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The evidence of one report. `secret` and `cover` are null once all is done.

    `report_id` is the report's own, `supplement_id` that of the supplement that may have to follow: both are settled
    before anything is sent, so that nothing is sealed twice.
    """

    begun_at: str
    cover: IndustryReport | None
    files: tuple[JournalFile, ...]
    priority: Priority
    report_id: str
    secret: str | None
    supplement_id: str
    type: Literal["report-abuse/evidence"] = "report-abuse/evidence"

    @property
    def is_done(self) -> bool:
        """Whether all is handed over, and the secret forgotten."""
        return self.secret is None

    @property
    def waiting(self) -> tuple[JournalFile, ...]:
        """The files that the gateway does not hold whole yet."""
        return tuple(file for file in self.files if file.digest is None)

    def get_secret(self) -> bytes:
        """Return the 32 bytes; raises `LocalStateError` (`forgotten`) once they are forgotten."""
        if self.secret is None:
            raise LocalStateError("This evidence has been handed over, and its secret was deleted.", reason="forgotten")
        return parse_base64url(self.secret, length=SECRET_BYTES)

    def make_references(self) -> tuple[EvidenceReference, ...]:
        """Return the references to these files for a sealed report."""
        secret = to_base64url(self.get_secret())
        return tuple(
            EvidenceReference(
                digest=file.digest,
                evidence_id=file.evidence_id,
                file_id=file.file_id,
                secret=secret,
                sha256=file.sha256,
                size_bytes=file.size_bytes,
            )
            for file in self.files
        )

    def with_file(self, changed: JournalFile) -> "JournalEntry":
        """Return the entry with one file changed, found by its `file_id`."""
        return structs.replace(
            self, files=tuple(changed if file.file_id == changed.file_id else file for file in self.files)
        )


@dataclass(frozen=True, slots=True)
class EvidenceJournal:
    """The entries of one partner's folder."""

    state_folder: Path

    def save(self, entry: JournalEntry) -> None:
        """Put an entry on disk."""
        path = self._path(entry.report_id)
        make_private_folder(path.parent)
        write_durably(path, encode(entry))

    def find(self, report_id: str) -> JournalEntry | None:
        """Return the entry of a report, or None; raises `LocalStateError` (`damaged-state`)."""
        return find_document(self._path(report_id), kind=JournalEntry, max_bytes=MAX_ENTRY_BYTES)

    def get(self, report_id: str) -> JournalEntry:
        """Return the entry of a report; raises `LocalStateError` (`no-such-evidence`)."""
        entry = self.find(report_id)
        if entry is None:
            raise LocalStateError("There is no evidence for this report here.", reason="no-such-evidence")
        return entry

    def list_ids(self) -> list[str]:
        """Return the ids of the reports that have an entry, the oldest first."""
        return sorted(path.stem for path in (self.state_folder / FOLDER).glob("[0-9a-f]*.json"))

    def forget(self, entry: JournalEntry) -> None:
        """Keep of an entry only that it is done: secret and cover go."""
        self.save(structs.replace(entry, cover=None, secret=None))
        self._path(entry.report_id).with_suffix(".lock").unlink(missing_ok=True)

    def discard(self, report_id: str) -> None:
        """Delete an entry with its secret: this partner can never again open the gateway's copy."""
        for name in (self._path(report_id), self._path(report_id).with_suffix(".lock")):
            name.unlink(missing_ok=True)
        sync_folder(self.state_folder / FOLDER)

    @contextmanager
    def holding(self, report_id: str) -> Iterator[None]:
        """Hold an entry against other processes and threads; raises `LocalStateError` (`in-use`) at once if it is held.

        Never waits: the holder may be sending ten gigabytes. Released when a process dies.
        """
        path = self._path(report_id).with_suffix(".lock")
        make_private_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise LocalStateError("Another process is sending this evidence now.", reason="in-use") from None
            yield
        finally:
            os.close(descriptor)

    def check_free(self, report_id: str) -> None:
        """Raise `LocalStateError` (`in-use`) while another process sends the evidence of this report."""
        if self._path(report_id).exists():
            with self.holding(report_id):
                pass

    def _path(self, report_id: str) -> Path:
        check_report_id(report_id)  # a file name is never built from anything else
        return self.state_folder / FOLDER / f"{report_id}.json"
