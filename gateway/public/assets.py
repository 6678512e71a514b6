"""The door's files: style sheets, optional scripts, icons, under content-based names.

Only these are compressed, because they contain no personal data. A page with a token and typed text never is (BREACH).
Comments and indentation stay in the sources: the first page must fit one round trip.
"""

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STATIC_FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
FILES_PATH = "/s/"
# 24 bits: a name need only differ from the same file's in another release, and every page repeats these names, which
# the first round trip must carry.
HASH_CHARACTERS = 6


@dataclass(frozen=True, slots=True)
class Asset:
    """One file in memory, plain and compressed, and its address."""

    path: str
    media_type: str
    plain: bytes
    compressed: bytes


def load_assets(folder: Path = STATIC_FOLDER) -> Mapping[str, Asset]:
    """Load every file of the folder; raises an error for an unknown file type."""
    return {path.name: _load(path) for path in sorted(folder.iterdir())}


def find_asset(assets: Mapping[str, Asset], *, name: str) -> Asset | None:
    """Find the file whose address ends in this name."""
    return next((one for one in assets.values() if one.path == f"{FILES_PATH}{name}"), None)


def _trim(text: bytes, *, media_type: str) -> bytes:
    """Drop comments and needless white space: in scripts only whole lines, because strings may contain slashes."""
    if media_type.startswith("text/css"):
        plain = re.sub(rb"/\*.*?\*/", b"", text, flags=re.DOTALL)
        return re.sub(rb"\s*([{};,])\s*", rb"\1", re.sub(rb"\s+", b" ", plain)).strip()
    if media_type.startswith("text/javascript"):
        return re.sub(rb"(?m)^\s*//.*\n|^\s+", b"", text)
    return text


def _load(path: Path) -> Asset:
    plain = _trim(path.read_bytes(), media_type=MEDIA_TYPES[path.suffix])
    digest = hashlib.sha256(plain).hexdigest()[:HASH_CHARACTERS]
    return Asset(
        path=f"{FILES_PATH}{path.stem}.{digest}{path.suffix}",
        media_type=MEDIA_TYPES[path.suffix],
        plain=plain,
        compressed=gzip.compress(plain, 9, mtime=0),
    )
