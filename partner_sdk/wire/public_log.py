"""The public log of accepted reports: an RFC 6962 tree as C2SP tlog-tiles, under a signed checkpoint (WIRE.md §6.8).

An entry is the time of its batch and 32 bytes: the digest of a receipt, or random bytes. Only a holder of the receipt
can tell them apart, because the receipt contains a signature and the digest of a box that nobody else can compute. The
digest of a release of the form begins with a mark, so that no release is logged unseen.

Needs the standard library and `cryptography` alone, so that a check from outside loads little of this package.
https://c2sp.org/tlog-tiles https://c2sp.org/tlog-checkpoint https://c2sp.org/signed-note
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

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


TIME_BYTES: Final = 8
ENTRY_BYTES: Final = TIME_BYTES + HASH_BYTES
BUNDLED_BYTES: Final = 2 + ENTRY_BYTES  # an entry in a tile of entries, behind its length
MAX_TILE_BYTES: Final = TILE_WIDTH * BUNDLED_BYTES
MAX_CHECKPOINT_BYTES: Final = 16 * 1024
MAX_SIZE: Final = 2**62
# From the receipt to the entry of its batch, in seconds; and a batch by the clock of another gateway may seem earlier.
LOGGED_WITHIN_SECONDS: Final = 60
CLOCK_SKEW_SECONDS: Final = 60
LARGEST_BATCH: Final = 4096  # entries
# A checkpoint that contradicts the remembered one is kept in `log.contradiction-SIZE-ROOT`; so many, the first ones.
CONTRADICTION_FILE: Final = "log.contradiction"
MAX_CONTRADICTIONS: Final = 32
MAX_LATE_TILES: Final = 256  # how far a search goes on behind that, to tell a late entry from none

_RECEIPT_LABEL: Final = b"report-abuse log entry v1\0"
_RELEASE_LABEL: Final = b"report-abuse release v1\0"
_RELEASE_MARK: Final = b"release:"  # one in 2^64 of the other entries begins so
_LENGTH: Final = ENTRY_BYTES.to_bytes(2, "big")
_ED25519: Final = b"\x01"  # signed-note, "Signature types"
_SIGNATURE: Final = re.compile("\N{EM DASH} ([^ +\n]+) ([A-Za-z0-9+/]+={0,2})")
_CHECKPOINT: Final = re.compile(r"([^ +\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n((?:[^\n]+\n)*)")

Fetch = Callable[[str, int], bytes]
"""Returns a file of the log by its path below the log, e.g. `tile/0/000.p/7`, of at most so many bytes."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The size and root hash of a log at one moment; `origin` is the log's name, e.g. `report.example/log`."""

    origin: str
    size: int
    root: bytes


def origin_of(public_origin: str) -> str:
    """Return the log's name for the address of a gateway, e.g. `report.example/log`."""
    return f"{urlsplit(public_origin).netloc}/log"


# Entries


def digest_receipt(receipt: bytes) -> bytes:
    """Return the digest of a signed intake statement, by which the log holds it."""
    return digest_logged(hashlib.sha256(receipt).digest())


def digest_logged(receipt_sha256: bytes) -> bytes:
    """Return that digest from the receipt's SHA-256."""
    return hashlib.sha256(_RECEIPT_LABEL + receipt_sha256).digest()


def digest_release(manifest: bytes) -> bytes:
    """Return the digest by which the log holds a release of the form, from the bytes of its manifest."""
    digest = hashlib.sha256(_RELEASE_LABEL + hashlib.sha256(manifest).digest()).digest()
    return (_RELEASE_MARK + digest)[:HASH_BYTES]


def is_release(entry: bytes) -> bool:
    """Return whether an entry is of a release of the form."""
    return entry[TIME_BYTES:].startswith(_RELEASE_MARK)


def time_of(entry: bytes) -> int:
    """Return the time of an entry's batch, in seconds since 1970."""
    return int.from_bytes(entry[:TIME_BYTES], "big")


def parse_bundle(raw: bytes, *, width: int) -> tuple[bytes, ...]:
    """Return the entries of a tile; raises `LogError` (`malformed`)."""
    found = split(raw, BUNDLED_BYTES)
    if len(raw) != width * BUNDLED_BYTES or any(one[:2] != _LENGTH for one in found):
        raise LogError("A tile of entries has another form.", reason="malformed")
    return tuple(one[2:] for one in found)


# Tiles


def format_tile_path(level: int | None, tile: int, *, width: int = TILE_WIDTH) -> str:
    """Return the path of a tile below the log, e.g. `tile/0/x001/x234/067.p/8`; level None is the entries."""
    digits = f"{tile:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    *before, last = (digits[i : i + 3] for i in range(0, len(digits), 3))
    name = "/".join([*(f"x{part}" for part in before), last])
    return f"tile/{'entries' if level is None else level}/{name}{'' if width == TILE_WIDTH else f'.p/{width}'}"


class Tiles:
    """The tiles of one log at one size, each fetched once. Proves nothing: roots computed from them do."""

    def __init__(self, fetch: Fetch, *, size: int) -> None:
        self.size = size
        self._fetch = fetch
        self._kept: dict[tuple[int | None, int], tuple[bytes, ...]] = {}
        self._nodes: dict[tuple[int, int], bytes] = {}

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree; raises `LogError` and the errors of `fetch`."""
        kept = self._nodes.get((level, index))
        if kept is None:
            kept = self._nodes[level, index] = self._fold_node(level, index)
        return kept

    def _fold_node(self, level: int, index: int) -> bytes:
        first = index << (level % TILE_HEIGHT)
        offset = first % TILE_WIDTH
        hashes = self._get(level // TILE_HEIGHT, first // TILE_WIDTH)
        return fold(list(hashes[offset : offset + (1 << (level % TILE_HEIGHT))]))

    def get_entries(self, tile: int) -> tuple[bytes, ...]:
        """Return the entries of a tile; raises `LogError` and the errors of `fetch`."""
        return self._get(None, tile)

    def get_time(self, index: int) -> int:
        """Return the time of an entry's batch."""
        return time_of(self.get_entries(index // TILE_WIDTH)[index % TILE_WIDTH])

    def _get(self, level: int | None, tile: int) -> tuple[bytes, ...]:
        kept = self._kept.get((level, tile))
        if kept is None:
            width = min(TILE_WIDTH, (self.size >> (TILE_HEIGHT * (level or 0))) - tile * TILE_WIDTH)
            raw = self._fetch(format_tile_path(level, tile, width=width), MAX_TILE_BYTES)
            if level is None:
                kept = parse_bundle(raw, width=width)
            elif len(raw) == width * HASH_BYTES:
                kept = tuple(split(raw, HASH_BYTES))
            else:
                raise LogError("A tile has another length.", reason="malformed")
            self._kept[level, tile] = kept
        return kept


# Checkpoints


def make_key_name(origin: str, public_key: bytes) -> bytes:
    """Return the four bytes that name a key of a log (signed-note, "Signatures")."""
    return hashlib.sha256(f"{origin}\n".encode() + _ED25519 + public_key).digest()[:4]


def format_verifier(origin: str, public_key: bytes) -> str:
    """Return a log's public key as one line, e.g. `report.example/log+1a2b3c4d+AZ...`, as witnesses take it."""
    key = base64.b64encode(_ED25519 + public_key).decode()
    return f"{origin}+{make_key_name(origin, public_key).hex()}+{key}"


def peek_checkpoint(raw: bytes) -> Checkpoint:
    """Read a checkpoint without believing it; raises `LogError` (`malformed`)."""
    return _parse_note(raw)[0]


def verify_checkpoint(raw: bytes, *, origin: str, public_keys: Collection[bytes]) -> Checkpoint:
    """Return a checkpoint of this log that one of its keys has signed.

    Signatures by others, e.g. witnesses, are ignored. Raises `LogError`: `malformed`, `wrong-origin`, `unknown-key`,
    `bad-signature`.
    """
    checkpoint, text, signatures = _parse_note(raw)
    if checkpoint.origin != origin:
        raise LogError("The checkpoint belongs to another log.", reason="wrong-origin")
    known = {make_key_name(origin, key): key for key in public_keys}
    if not any(_is_signed(text, encoded, known=known) for name, encoded in signatures if name == origin):
        raise LogError("The checkpoint is not signed by a known key of the log.", reason="unknown-key")
    return checkpoint


def find_contradiction_file(path: Path, note: bytes, *, origin: str, public_keys: Collection[bytes]) -> Path | None:
    """Return the file for a checkpoint that contradicts another, e.g. `log.contradiction-48-1f0c6a5e1f0c6a5e`.

    None if it proves nothing, because no key of the log has signed it, or if it or 32 others are kept already.
    """
    try:
        found = verify_checkpoint(note, origin=origin, public_keys=public_keys)
    except LogError:
        return None
    own = path.with_name(f"{path.name}-{found.size}-{found.root.hex()[:16]}")
    is_full = sum(1 for _ in path.parent.glob(f"{path.name}-*")) >= MAX_CONTRADICTIONS
    return None if own.exists() or is_full else own


def _parse_note(raw: bytes) -> tuple[Checkpoint, str, list[tuple[str, str]]]:
    """Return the checkpoint, the text that is signed, and name and base64 of each signature."""
    try:
        text, _, rest = raw.decode().partition("\n\n")
    except UnicodeDecodeError:
        text, rest = "", ""
    found = _CHECKPOINT.fullmatch(f"{text}\n")
    signatures = [_SIGNATURE.fullmatch(line) for line in rest.removesuffix("\n").split("\n")]
    is_whole = rest.endswith("\n") and None not in signatures and len(raw) <= MAX_CHECKPOINT_BYTES
    if found is None or not is_whole or int(found[2]) > MAX_SIZE:
        raise LogError("This is not a checkpoint.", reason="malformed")
    checkpoint = Checkpoint(found[1], int(found[2]), _decode(found[3]))
    return checkpoint, f"{text}\n", [(line[1], line[2]) for line in signatures if line is not None]


def _is_signed(text: str, encoded: str, *, known: Mapping[bytes, bytes]) -> bool:
    signature = _decode(encoded)
    key = known.get(signature[:4])
    if key is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature[4:], text.encode())
    except (InvalidSignature, ValueError):
        raise LogError("The checkpoint's signature is not valid.", reason="bad-signature") from None
    return True


def _decode(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raw = b""
    if base64.b64encode(raw).decode() != text:
        raise LogError("This is not a checkpoint.", reason="malformed")
    return raw


# Checks


def check_extends(older: Checkpoint, newer: Checkpoint, *, tiles: Tiles) -> None:
    """Raise `LogError` unless the newer tree, whose `tiles` these are, begins with all of the older one.

    Reasons: `rolled-back`, `forked`; `malformed` for tiles that do not give the newer root.
    """
    if newer.size < older.size:
        raise LogError(f"The log had {older.size} entries, and has {newer.size} now.", reason="rolled-back")
    if newer.size == older.size and newer.root != older.root:
        raise LogError(f"The log shows two histories of {older.size} entries.", reason="forked")
    if newer == older or older.size == 0:
        return
    if compute_root(tiles.node, newer.size, through=(older.size,)) != newer.root:
        raise LogError("The log's tiles do not give the hash of its checkpoint.", reason="malformed")
    if compute_root(tiles.node, older.size) != older.root:
        raise LogError(f"The log has changed among its first {older.size} entries.", reason="forked")


def check_included(index: int, entry: bytes, checkpoint: Checkpoint, *, tiles: Tiles) -> None:
    """Raise `LogError` (`not-included`) unless the tree has this entry at this place."""
    own = hash_leaf(entry)

    def node(level: int, place: int) -> bytes:
        return own if (level, place) == (0, index) else tiles.node(level, place)

    if compute_root(node, checkpoint.size, through=(index, index + 1)) != checkpoint.root:
        raise LogError("The log's tiles do not give the hash of its checkpoint.", reason="not-included")


def find_entry(digest: bytes, *, received_at: int, tiles: Tiles) -> tuple[int, bytes] | None:
    """Return place and bytes of the entry with this digest, near the time of its receipt or late; None if missing."""
    first = _count_before(received_at - CLOCK_SKEW_SECONDS, tiles=tiles) // TILE_WIDTH
    for tile in range(first, min(first + MAX_LATE_TILES, -(-tiles.size // TILE_WIDTH))):
        for place, entry in enumerate(tiles.get_entries(tile)):
            if entry[TIME_BYTES:] == digest:
                return tile * TILE_WIDTH + place, entry
    return None


def _count_before(since: int, *, tiles: Tiles) -> int:
    """Return how many entries are older than that time: the place of the first that is not."""
    low, high = 0, tiles.size  # times in a log never go back
    while low < high:
        middle = (low + high) // 2
        if tiles.get_time(middle) < since:
            low = middle + 1
        else:
            high = middle
    return low


def check_in_time(entry: bytes, *, received_at: int, went_on_at: int, behind: int) -> None:
    """Raise `LogError` for an entry that came long after the time that its receipt states.

    `went_on_at` is the time of the first batch that came too late to keep the promise, and `behind` counts the entries
    between its first one and this. `late`: the log stood still until then, and holds the entry since. `passed-over`: a
    batch with room for it came in between, and the receipt may be dated back.
    """
    late = time_of(entry) - received_at
    if late <= LOGGED_WITHIN_SECONDS:
        return
    stood_still = went_on_at - received_at > 2 * LOGGED_WITHIN_SECONDS
    # More may wait after a pause than a batch holds.
    after_full = LOGGED_WITHIN_SECONDS if behind >= LARGEST_BATCH else 0
    is_first = time_of(entry) - went_on_at <= after_full
    raise LogError(
        f"The log holds it {late} seconds after the time that its receipt states.",
        reason="late" if stood_still and is_first else "passed-over",
    )


@dataclass(frozen=True, slots=True)
class LogView:
    """A log at its newest checkpoint, which extends the one that was remembered. `note` is to be remembered now."""

    note: bytes
    checkpoint: Checkpoint
    tiles: Tiles
    remembered_size: int = 0

    def find_fault(self, receipt: bytes, *, received_at: int) -> LogError | None:
        """Return the fault of a receipt's entry, or None if it stands in the log as it must.

        Reasons: `not-included`; `passed-over`; `wrong-time` for an entry that is older than one before it; and two that
        are no alarm: `late` (`check_in_time`), and `pre-log` for one that is there, received before the log began: its
        time is not proved. Raises the errors of fetching.
        """
        try:
            found = find_entry(digest_receipt(receipt), received_at=received_at, tiles=self.tiles)
            if found is None:
                return LogError("The public log has no entry for this receipt.", reason="not-included")
            check_included(*found, self.checkpoint, tiles=self.tiles)
            self._check_order(*found)
            first = self._get_proved(0)
            if received_at < time_of(first):
                return LogError("The log began after this receipt: it does not prove its time.", reason="pre-log")
            went_on = _count_before(received_at + LOGGED_WITHIN_SECONDS + 1, tiles=self.tiles)
            proved = self._get_proved(went_on) if went_on < found[0] else found[1]
            behind = found[0] - went_on
            check_in_time(found[1], received_at=received_at, went_on_at=time_of(proved), behind=behind)
        except LogError as error:
            return error
        return None

    def _check_order(self, index: int, entry: bytes) -> None:
        """Raise `LogError` (`wrong-time`) if the entry before, or the last one remembered, is of a later time."""
        before = {index - 1, self.remembered_size - 1} if index >= self.remembered_size else {index - 1}
        for place in before:
            if place >= 0 and time_of(self._get_proved(place)) > time_of(entry):
                raise LogError("The times of the log go back at this entry.", reason="wrong-time")

    def _get_proved(self, index: int) -> bytes:
        entry = self.tiles.get_entries(index // TILE_WIDTH)[index % TILE_WIDTH]
        check_included(index, entry, self.checkpoint, tiles=self.tiles)
        return entry


def view_log(fetch: Fetch, *, origin: str, public_keys: Collection[bytes], remembered: bytes | None) -> LogView:
    """Return the log if its checkpoint is signed by one of its keys and extends the remembered one.

    Raises `LogError` as `verify_checkpoint` and `check_extends` do, and the errors of `fetch`.
    """
    note = fetch("checkpoint", MAX_CHECKPOINT_BYTES)
    checkpoint = verify_checkpoint(note, origin=origin, public_keys=public_keys)
    tiles = Tiles(fetch, size=checkpoint.size)
    remembered_size = 0
    if remembered is not None:
        older = peek_checkpoint(remembered)
        if older.origin == origin:
            check_extends(older, checkpoint, tiles=tiles)
            remembered_size = older.size
    return LogView(note, checkpoint, tiles, remembered_size)
