"""The tree of the public log: RFC 6962 §2.1 over complete subtrees, kept in tiles of 256 hashes (WIRE.md §6.8).

Needs nothing but the standard library.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from typing import Final

from partner_sdk.errors import LogError

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 256
HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256().digest()

Node = Callable[[int, int], bytes]
"""Returns the hash of a complete subtree: of 2^level entries, the index-th of its level."""


def split(raw: bytes, size: int) -> list[bytes]:
    """Return bytes in pieces of one size."""
    return [raw[start : start + size] for start in range(0, len(raw), size)]


def hash_leaf(entry: bytes) -> bytes:
    """Return the hash of an entry."""
    return hashlib.sha256(b"\0" + entry).digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\1" + left + right).digest()


def compute_root(node: Node, size: int, *, through: Collection[int] = (), start: int = 0) -> bytes:
    """Return the hash of the entries from `start` to `size`, from complete subtrees.

    A subtree with a place of `through` inside is computed from its parts. Roots of the same parts prove something:
    through the size of an older tree, that the newer one extends it (RFC 6962 §2.1.2); through an entry, that the tree
    contains it (§2.1.1).
    """
    count = size - start
    if count == 0:
        return EMPTY_ROOT
    level = count.bit_length() - 1
    if count == 1 << level and not any(start < place < size for place in through):
        return node(level, start >> level)
    middle = start + (1 << (level if count > 1 << level else level - 1))
    left = compute_root(node, middle, through=through, start=start)
    return hash_children(left, compute_root(node, size, through=through, start=middle))


def fold(hashes: list[bytes]) -> bytes:
    """Return the root of a complete subtree."""
    while len(hashes) > 1:
        hashes = [hash_children(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]


class GrowingTree:
    """The right edge of a tree: enough to add entries and to compute its root.

    `edge` has the hashes of the tile on each level that is not full yet, lowest level first. `changed` collects the
    hashes of each tile, by level and number, that an entry was added to.
    """

    def __init__(self, size: int = 0, edge: Sequence[bytes] = ()) -> None:
        """Raise `LogError` (`malformed`) for an edge that does not belong to a tree of this size."""
        widths = [(size >> (TILE_HEIGHT * level)) % TILE_WIDTH for level in range(count_levels(size))]
        if [len(hashes) for hashes in edge] != [width * HASH_BYTES for width in widths]:
            raise LogError("The edge of the tree does not belong to its size.", reason="malformed")
        self.size = size
        self.edge = list(edge)
        self.changed: dict[tuple[int, int], bytes] = {}

    def add_entry(self, entry: bytes) -> None:
        """Add an entry at the end."""
        added, count = hash_leaf(entry), self.size
        self.size += 1
        for level in range(count_levels(self.size)):
            if level == len(self.edge):
                self.edge.append(b"")
            self.edge[level] += added
            self.changed[level, count // TILE_WIDTH] = self.edge[level]
            if len(self.edge[level]) < TILE_WIDTH * HASH_BYTES:
                break
            added, count = fold(split(self.edge[level], HASH_BYTES)), count // TILE_WIDTH
            self.edge[level] = b""

    def compute_root(self) -> bytes:
        """Return the root hash."""
        return compute_root(self._node, self.size)

    def _node(self, level: int, index: int) -> bytes:
        within = 1 << (level % TILE_HEIGHT)
        first = (index * within) % TILE_WIDTH
        hashes = split(self.edge[level // TILE_HEIGHT], HASH_BYTES)
        return fold(hashes[first : first + within])


def count_levels(size: int) -> int:
    """Return how many levels of tiles a tree of this size has."""
    return -(-size.bit_length() // TILE_HEIGHT)
