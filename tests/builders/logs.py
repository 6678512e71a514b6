"""A public log made plainly from its entries, by other code than the product's: for tests of its readers."""

import hashlib
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.public_log import sign_checkpoint
from partner_sdk.wire.public_log import Checkpoint

LOG = "report.example/log"
LOG_KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"log key of the tests").digest())
LOG_PUBLIC = LOG_KEY.public_key().public_bytes_raw()


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def root_of(entries: Sequence[bytes]) -> bytes:
    """Return the Merkle tree hash by its definition (RFC 6962 §2.1)."""
    if len(entries) < 2:
        return sha256(b"\0", entries[0]) if entries else sha256()
    middle = 1
    while middle * 2 < len(entries):
        middle *= 2
    return sha256(b"\1", root_of(entries[:middle]), root_of(entries[middle:]))


class PlainLog:
    """The files of a log with these entries; `asked` lists the paths that were fetched."""

    def __init__(self, entries: Sequence[bytes], *, key: Ed25519PrivateKey = LOG_KEY, origin: str = LOG) -> None:
        self.entries = list(entries)
        self.key = key
        self.origin = origin
        self.asked: list[str] = []
        self.changed: dict[str, bytes] = {}

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.origin, len(self.entries), root_of(self.entries))

    @property
    def note(self) -> bytes:
        return sign_checkpoint(self.checkpoint, private_key=self.key)

    def fetch(self, path: str, max_bytes: int) -> bytes:
        """Return one file of the log."""
        self.asked.append(path)
        raw = self.changed.get(path) or (self.note if path == "checkpoint" else self.make_tile(path))
        assert len(raw) <= max_bytes
        return raw

    def make_tile(self, path: str) -> bytes:
        """Return a tile of hashes or of entries."""
        _, level, *names = path.split("/")
        # The width of a partial tile is in a folder of its own, e.g. `000.p/7`.
        number, _, width = "".join(names).replace("x", "").partition(".p")
        first, count = int(number) * 256, int(width or 256)
        if level == "entries":
            return b"".join(b"\0\x28" + entry for entry in self.entries[first : first + count])
        span = 256 ** int(level)
        starts = range(first * span, (first + count) * span, span)
        return b"".join(root_of(self.entries[start : start + span]) for start in starts)


def make_entries(count: int, *, at: int = 1_000_000, batch: int = 16, seconds: int = 30) -> list[bytes]:
    """Return entries in batches of one size, with the times of a schedule."""
    return [
        (at + seconds * (number // batch)).to_bytes(8, "big") + sha256(b"entry %d" % number) for number in range(count)
    ]
