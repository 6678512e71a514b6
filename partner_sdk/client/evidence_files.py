"""Files of evidence on this machine: what may be handed over, what is in it, and that it is still the same.

Reads by offset into a buffer of the caller's, never through `mmap`: a file that is cut while it is mapped kills the
process (SIGBUS), and mapped pages count as this process's memory.
"""

import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.poly1305 import Poly1305

from partner_sdk.errors import EvidenceError
from partner_sdk.wire.evidence import MAX_FILE_BYTES, SEGMENT_TEXT_BYTES, count_plain_segments

_MARK_KEY_BYTES: Final = 32
_MARK_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file held when it was read through: its size, its SHA-256, and a mark of each segment.

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
        raise EvidenceError("The name of a file is not UTF-8: give it another one.", reason="bad-name") from None
    with opened(path) as descriptor:
        return os.fstat(descriptor).st_size


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Yield a descriptor of a regular file of at most 10 GiB; raises `EvidenceError` as `check_file` does."""
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for somebody to write into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise EvidenceError(f"There is no file {path}.", reason="no-such-file") from None
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "not a name"
        raise EvidenceError(f"{path} can not be read: {said}.", reason="unreadable") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise EvidenceError(f"{path} is not a file: name each file of a folder.", reason="not-a-file")
        if found.st_size > MAX_FILE_BYTES:
            raise EvidenceError(f"{path} has more than 10 GiB: cut it into files.", reason="too-large")
        yield descriptor
    finally:
        os.close(descriptor)


def measure_file(path: Path, *, on_bytes: Callable[[int], None] = lambda _: None) -> FileFacts:
    """Read a file through, once, and return what it holds; `on_bytes` hears how many bytes were read more.

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
            raise EvidenceError(f"{path} can not be read: {error.strerror}.", reason="unreadable") from None
        if not count:
            raise make_changed(path)
        done += count
    return wanted


def read_same_segment(descriptor: int, counter: int, *, facts: FileFacts, buffer: memoryview) -> memoryview:
    """Read one segment, which must be what was measured; raises `EvidenceError` (`file-changed`)."""
    text = read_segment(descriptor, counter, size_bytes=facts.size_bytes, buffer=buffer, path=facts.path)
    mark = facts.marks[counter * _MARK_BYTES : (counter + 1) * _MARK_BYTES]
    if Poly1305.generate_tag(facts.mark_key, text) != mark:
        raise make_changed(facts.path)
    return text


def make_changed(path: Path) -> EvidenceError:
    """Return the error for a file that is not what it was."""
    return EvidenceError(
        f"{path} changed while it was read: hand it over when nothing writes it.", reason="file-changed"
    )
