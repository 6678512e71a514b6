"""The released files of the button as they lie in `widget/`: bytes, integrity, and what each is served as.

A folder of `widget/` whose name is a version is a release; a new version is a new folder. What was released never
changes, so its address is kept for a year and its integrity stands in partners' pages.
"""

import base64
import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

import brotli  # type: ignore[import-untyped] # its wheel has no types

SCRIPT = "report-abuse-button.js"
ICON = "button.svg"
MEDIA_TYPES: Mapping[str, str] = {SCRIPT: "text/javascript; charset=utf-8", ICON: "image/svg+xml"}
BROTLI_QUALITY = 11
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


@dataclass(frozen=True, slots=True)
class ReleasedFile:
    """One released file. `bodies` holds its bytes under the name of each content coding, best first.

    `sha256` is in hexadecimal; `integrity` is the value of a page's attribute (Subresource Integrity §3.3).
    """

    version: str
    name: str
    bodies: Mapping[str, bytes]
    sha256: str
    integrity: str

    @property
    def raw(self) -> bytes:
        """The file as it lies in its folder."""
        return self.bodies["identity"]

    @property
    def media_type(self) -> str:
        """The content type; nobody may guess another."""
        return MEDIA_TYPES[self.name]


def load_released_files(folder: Traversable | None = None) -> tuple[ReleasedFile, ...]:
    """Load every release, the oldest first; one without its script or its icon, or none at all, raises `OSError`."""
    releases = sorted(_list_releases(folder or files("widget")), key=lambda one: _order(one.name))
    if not releases:
        raise FileNotFoundError("No version of the button lies in widget/.")
    return tuple(_load(release, name=name) for release in releases for name in sorted(MEDIA_TYPES))


def _list_releases(folder: Traversable) -> Iterator[Traversable]:
    return (entry for entry in folder.iterdir() if entry.is_dir() and _VERSION.fullmatch(entry.name))


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _load(release: Traversable, *, name: str) -> ReleasedFile:
    raw = release.joinpath(name).read_bytes()
    bodies = {
        "br": brotli.compress(raw, quality=BROTLI_QUALITY),
        "gzip": gzip.compress(raw, 9, mtime=0),
        "identity": raw,
    }
    return ReleasedFile(
        version=release.name,
        name=name,
        bodies=bodies,
        sha256=hashlib.sha256(raw).hexdigest(),
        integrity=f"sha384-{base64.b64encode(hashlib.sha384(raw).digest()).decode()}",
    )
