"""A ZIP file with one spelling (docs/package.md): nothing is packed, no clock, and every byte follows from the files.

Python's `zipfile` writes version numbers and attributes that differ between its releases; a signed archive may not.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

# APPNOTE.TXT 6.3.10: §4.3.7 local header, §4.3.12 central header, §4.3.14 to §4.3.16 the ends, §4.5.3 ZIP64.
_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END64: Final = struct.Struct("<4sQ2H2I4Q")
_LOCATOR: Final = struct.Struct("<4sIQI")
_END: Final = struct.Struct("<4s4H2IH")
_PLAIN: Final = 20  # version 2.0 reads it
_ZIP64: Final = 45
_MOST: Final = 0xFFFFFFFF
_DATE: Final = 0x0021  # 1 January 1980, the first day that the format knows

Open = Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the archive; `open` yields exactly `size_bytes` bytes with this CRC-32."""

    name: str
    size_bytes: int
    crc32: int
    open: Open


def write_zip(entries: Sequence[Entry]) -> Iterator[bytes]:
    """Yield the archive with the files in their order."""
    offset, offsets = 0, []
    for entry in entries:
        offsets.append(offset)
        head = _make_local(entry)
        yield head
        yield from entry.open()
        offset += len(head) + entry.size_bytes
    central = b"".join(_make_central(entry, at) for entry, at in zip(entries, offsets, strict=True))
    yield central + _make_end(len(entries), offset=offset, size=len(central))


def count_zip_bytes(entries: Sequence[Entry]) -> int:
    """Return the size of the archive without reading a file."""
    offset, central = 0, 0
    for entry in entries:
        central += len(_make_central(entry, offset))
        offset += len(_make_local(entry)) + entry.size_bytes
    return offset + central + len(_make_end(len(entries), offset=offset, size=central))


def _make_local(entry: Entry) -> bytes:
    name = entry.name.encode("ascii")
    is_large = entry.size_bytes >= _MOST
    size = _MOST if is_large else entry.size_bytes
    extra = struct.pack("<2H2Q", 1, 16, entry.size_bytes, entry.size_bytes) if is_large else b""
    version = _ZIP64 if is_large else _PLAIN
    fields = (version, 0, 0, 0, _DATE, entry.crc32, size, size, len(name), len(extra))
    return _LOCAL.pack(b"PK\3\4", *fields) + name + extra


def _make_central(entry: Entry, offset: int) -> bytes:
    name = entry.name.encode("ascii")
    large = [*([entry.size_bytes] * 2 if entry.size_bytes >= _MOST else []), *([offset] if offset >= _MOST else [])]
    extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    version = _ZIP64 if large else _PLAIN
    size = min(entry.size_bytes, _MOST)
    fields = (version, version, 0, 0, 0, _DATE, entry.crc32, size, size, len(name), len(extra), 0, 0, 0, 0)
    return _CENTRAL.pack(b"PK\1\2", *fields, min(offset, _MOST)) + name + extra


def _make_end(count: int, *, offset: int, size: int) -> bytes:
    end = _END.pack(b"PK\5\6", 0, 0, count, count, min(size, _MOST), min(offset, _MOST), 0)
    if offset < _MOST:
        return end
    end64 = _END64.pack(b"PK\6\6", _END64.size - 12, _ZIP64, _ZIP64, 0, 0, count, count, size, offset)
    return end64 + _LOCATOR.pack(b"PK\6\7", 0, offset + size, 1) + end
