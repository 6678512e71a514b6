"""Publishes the public log: each 30 seconds one batch of a fixed size, real entries hidden among random ones.

An entry holds the digest of a receipt, which only its holders know, or random bytes; a batch is in the order of its
digests. So neither the size of the log nor a place in it counts reports. A batch that is too small for the reports of
its 30 seconds grows in steps of four, keeps that size until midnight (UTC), and begins to grow at a random number, so
that its size gives the number of reports only roughly (docs/decisions/0040). A new manifest of the form is in the next
batch (docs/decisions/0082).

The store's turn to write is held from the old head to the new one, so that several gateways on one database publish one
history. Never signs a head whose tiles do not give the root that was signed before.
"""

import base64
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection

from gateway.housekeeping import rounds_in_thread
from gateway.keys import find_signing_key
from gateway.store import Store
from gateway.store.published import (
    LogHead,
    get_head,
    get_tile,
    list_unlogged,
    put_batch,
    read_head,
    read_tile,
    take_next_release,
)
from gateway.web.logs import log_failure
from partner_sdk.errors import LogError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.public_log import (
    ENTRY_BYTES,
    HASH_BYTES,
    LARGEST_BATCH,
    TILE_HEIGHT,
    TILE_WIDTH,
    TIME_BYTES,
    Checkpoint,
    GrowingTree,
    count_levels,
    digest_logged,
    digest_release,
    format_tile_path,
    hash_leaf,
    make_key_name,
    split,
)

BATCH_SECONDS: Final = 30
SMALLEST_BATCH: Final = 16
BATCH_GROWTH: Final = 4
MAX_BATCH: Final = LARGEST_BATCH
# A batch is looked for this often, so that one that fails or is late still comes within a minute of each receipt.
POLL_SECONDS: Final = 5.0
# The next batch waits for a clock that went back by less than this; behind that, the old time was wrong.
MAX_CLOCK_WAIT_SECONDS: Final = 300
_DAY: Final = 24 * 3600


class LogPublisher:
    """Publishes one gateway's log. `random(n)` gives n secret random bytes."""

    def __init__(
        self,
        store: Store,
        *,
        origin: str,
        private_key: Ed25519PrivateKey,
        clock: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._origin = origin
        self._private_key = private_key
        self._clock = clock
        self._random = random

    def publish(self) -> bool:
        """Add a batch if one is due; return whether it was. Safe to call at any time and from any process.

        Raises StorageUnavailableError, and `LogError` (`malformed`) for stored tiles that were changed.
        """
        if not _is_due(read_head(self._store), now=self._read_clock()):
            return False
        with self._store.write() as connection:
            head, now = get_head(connection), self._read_clock()
            if not _is_due(head, now=now):  # another gateway was faster
                return False
            self._add_batch(connection, head, now=max(now, head.published_at))
        return True

    def _add_batch(self, connection: Connection, head: LogHead, *, now: int) -> None:
        manifest = take_next_release(connection, now=self._clock())
        releases = [] if manifest is None else [digest_release(manifest)]
        found = list_unlogged(connection, after=head.report_position, limit=MAX_BATCH - len(releases))
        waiting = len(found) + len(releases)
        batch = self._choose_size(waiting, head=head, now=now)
        dummies = [self._random(HASH_BYTES) for _ in range(batch - waiting)]
        digests = sorted([*(digest_logged(sha256) for _, sha256 in found), *releases, *dummies])
        added = [format_entry(at=now, digest=digest) for digest in digests]
        entries, tree = load_edge(connection, head)
        for entry in added:
            tree.add_entry(entry)
        checkpoint = Checkpoint(self._origin, tree.size, tree.compute_root())
        new_head = LogHead(
            size=tree.size,
            root=checkpoint.root,
            published_at=now,
            batch=batch,
            report_position=found[-1][0] if found else head.report_position,
            checkpoint=sign_checkpoint(checkpoint, private_key=self._private_key),
        )
        put_batch(connection, new_head, tiles=_list_changed(tree, entries + b"".join(added), first=head.size))

    def _choose_size(self, waiting: int, *, head: LogHead, now: int) -> int:
        size = head.batch if head.published_at // _DAY == now // _DAY else SMALLEST_BATCH
        while size < MAX_BATCH and waiting > size - self._draw(size // 2):
            size *= BATCH_GROWTH
        return size

    def _draw(self, most: int) -> int:
        return int.from_bytes(self._random(4), "big") % (most + 1)

    def _read_clock(self) -> int:
        return int(self._clock().timestamp())


def _is_due(head: LogHead, *, now: int) -> bool:
    is_later = now // BATCH_SECONDS > head.published_at // BATCH_SECONDS
    return is_later or now < head.published_at - MAX_CLOCK_WAIT_SECONDS


def load_edge(connection: Connection, head: LogHead) -> tuple[bytes, GrowingTree]:
    """Return the entries of the last tile that is not full, and the tree; raises `LogError` (`malformed`)."""
    edge = []
    for level in range(count_levels(head.size)):
        tile, width = divmod(head.size >> (TILE_HEIGHT * level), TILE_WIDTH)
        edge.append(get_tile(connection, level=level, tile=tile) if width else b"")
    entries = edge[0] if edge else b""
    tree = GrowingTree(head.size, [_hash_entries(entries), *edge[1:]][: len(edge)])
    if tree.compute_root() != head.root:
        raise LogError("The stored tiles of the log do not give the root that was signed.", reason="malformed")
    return entries, tree


def _hash_entries(entries: bytes) -> bytes:
    return b"".join(hash_leaf(entry) for entry in split(entries, ENTRY_BYTES))


def _list_changed(tree: GrowingTree, entries: bytes, *, first: int) -> dict[tuple[int, int], bytes]:
    """Return the changed tiles as they are stored; `entries` begin with the tile of the entry `first`."""
    contents = split(entries, TILE_WIDTH * ENTRY_BYTES)
    changed = {(0, first // TILE_WIDTH + number): content for number, content in enumerate(contents)}
    return changed | {key: hashes for key, hashes in tree.changed.items() if key[0] > 0}


def find_log_file(store: Store, path: str) -> bytes | None:
    """Return a file of the log by its path below it, e.g. `checkpoint`, or None if there is none.

    A tile that is full now also gives its partial ones. Raises StorageUnavailableError.
    """
    if path == "checkpoint":
        return read_head(store).checkpoint or None
    try:
        level, tile, width = parse_tile_path(path)
    except LogError:
        return None
    stored = read_tile(store, level=level or 0, tile=tile)
    wanted = stored[: width * (HASH_BYTES if level else ENTRY_BYTES)]
    if len(wanted) < width * (HASH_BYTES if level else ENTRY_BYTES):
        return None
    return bundle_entries(wanted) if level is None else wanted if level else _hash_entries(wanted)


def publish_log(
    store: Store, *, state: Path, origin: str, clock: Callable[[], datetime], random: Callable[[int], bytes]
) -> bool:
    """Add a batch if one is due, under the log key of `state`; return whether it was. False without a key.

    Raises `LocalStateError` for a bad key file, and as `LogPublisher.publish`.
    """
    key = find_signing_key(state, KeyRole.LOG)
    if key is None:
        return False
    private_key = load_signing_key(key)
    return LogPublisher(store, origin=origin, private_key=private_key, clock=clock, random=random).publish()


@contextmanager
def publishing(
    store: Store, *, state: Path, origin: str, clock: Callable[[], datetime], random: Callable[[int], bytes]
) -> Iterator[threading.Event]:
    """Publish the log in a thread until the block ends, under the log key of `state` as soon as there is one.

    Yields an event that is set after each round. A failed round is logged, and tried again after POLL_SECONDS.
    """

    def run() -> float:
        try:
            if publish_log(store, state=state, origin=origin, clock=clock, random=random):
                # Also if the clock says that one is due at once, because it was ahead before.
                return BATCH_SECONDS - POLL_SECONDS
        except Exception as error:  # noqa: BLE001 - a bad key or a full disk must not stop the servers
            log_failure(error, event="log-not-published")
        return POLL_SECONDS

    with rounds_in_thread("public-log", run, store=store) as done:
        yield done


def format_entry(*, at: int, digest: bytes) -> bytes:
    """Return an entry of the batch made `at` so many seconds since 1970."""
    return at.to_bytes(TIME_BYTES, "big") + digest


def bundle_entries(entries: bytes) -> bytes:
    """Return a tile of entries, each behind its length, from the entries alone (tlog-tiles, "Log entries")."""
    return b"".join(ENTRY_BYTES.to_bytes(2, "big") + entry for entry in split(entries, ENTRY_BYTES))


def parse_tile_path(path: str) -> tuple[int | None, int, int]:
    """Return level (None for entries), number and width of a tile; raises `LogError` (`malformed`)."""
    found = re.fullmatch(r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([0-9]{1,3}))?", path)
    if found is not None:
        level = None if found[1] == "entries" else int(found[1])
        tile, width = int(re.sub("[x/]", "", found[2])), int(found[3] or TILE_WIDTH)
        if width and format_tile_path(level, tile, width=width) == path:
            return level, tile, width
    raise LogError("No tile has this path.", reason="malformed")


def sign_checkpoint(checkpoint: Checkpoint, *, private_key: Ed25519PrivateKey) -> bytes:
    """Return the signed note of a checkpoint."""
    root = base64.b64encode(checkpoint.root).decode()
    text = f"{checkpoint.origin}\n{checkpoint.size}\n{root}\n"
    name = make_key_name(checkpoint.origin, private_key.public_key().public_bytes_raw())
    signature = base64.b64encode(name + private_key.sign(text.encode())).decode()
    return f"{text}\n\N{EM DASH} {checkpoint.origin} {signature}\n".encode()
