"""Writes a picture of a page anew with at most 256 colours, so that the documentation stays light. No tests here.

Reads Chromium's pictures (PNG of 8 bits, RGB or RGBA, not interlaced), and nothing else.
"""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Final

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
CHANNELS: Final = {2: 3, 6: 4}  # colour type: bytes of a pixel
MOST_COLOURS: Final = 256


def shrink_png(raw: bytes) -> bytes:
    """Return the same picture, its colours rounded to the 256 that stand there most."""
    width, height, rows = _read(raw)
    counted = Counter(pixel for row in rows for pixel in row)
    palette = [colour for colour, _ in counted.most_common(MOST_COLOURS)]
    places = {colour: palette.index(min(palette, key=lambda one: _distance(one, colour))) for colour in counted}
    lines = b"".join(b"\0" + bytes(places[pixel] for pixel in row) for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    body = (("IHDR", header), ("PLTE", b"".join(map(bytes, palette))), ("IDAT", zlib.compress(lines, 9)), ("IEND", b""))
    return SIGNATURE + b"".join(_chunk(name.encode(), data) for name, data in body)


def _distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _list_chunks(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(SIGNATURE)
    while place < len(raw):
        (size,) = struct.unpack_from(">I", raw, place)
        yield raw[place + 4 : place + 8], raw[place + 8 : place + 8 + size]
        place += size + 12


def _read(raw: bytes) -> tuple[int, int, list[list[tuple[int, ...]]]]:
    """Return width, height and the rows of pixels, without transparency."""
    chunks = list(_list_chunks(raw))
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    if depth != 8 or kind not in CHANNELS or interlaced:
        raise ValueError("This is no picture as Chromium writes it.")
    data = zlib.decompress(b"".join(part for name, part in chunks if name == b"IDAT"))
    size, stride = CHANNELS[kind], width * CHANNELS[kind]
    before, rows = bytearray(stride), []
    for start in range(0, height * (stride + 1), stride + 1):
        before = _unfilter(data[start], bytearray(data[start + 1 : start + 1 + stride]), before, size)
        rows.append([tuple(before[place : place + 3]) for place in range(0, stride, size)])
    return width, height, rows


def _unfilter(kind: int, line: bytearray, above: bytearray, size: int) -> bytearray:
    """Undo the filter of one row (PNG, third edition, 9.2)."""
    for place in range(len(line)):
        left = line[place - size] if place >= size else 0
        corner = above[place - size] if place >= size else 0
        line[place] = (line[place] + _predict(kind, left, above[place], corner)) & 0xFF
    return line


def _predict(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 4:
        return min((left, up, corner), key=lambda one: abs(left + up - corner - one))
    return (0, left, up, (left + up) // 2)[kind]
