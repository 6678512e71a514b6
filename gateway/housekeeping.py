"""What the gateway forgets, and when, in rounds beside the servers; and every six hours the check of all pages.

- Expired drafts and return places: at once. Collected envelopes: 30 days after the desk acknowledged them.
- Evidence that no report has ever named, when its newest part is 14 days old: all of it.
- Evidence that the desk acknowledged 30 days ago: the parts. Its digest stays.
- Bytes that no row names, a day after they came: a process died between bytes and row, or between row and bytes.

Rows go first, bytes last. Other processes wipe and replace drafts all the time; what they took away is still in the
write-ahead log, which each round therefore empties if anything was written since the last. Never touches what the desk
has not acknowledged, never holds the writers' lock for long, and never stops serving: a step that fails is logged, and
the next round goes on.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from gateway.evidence.blobs import BlobName, Blobs
from gateway.store import Store
from gateway.store.boxes import sweep_drafts, sweep_return_places
from gateway.store.collection import delete_collected
from gateway.store.evidence import DeletedParts, find_evidence, forget_collected, forget_unreferenced, list_parts
from gateway.store.soundness import Soundness
from gateway.web.logs import log_failure

KEEP_UNREFERENCED: Final = timedelta(days=14)
KEEP_UNNAMED: Final = timedelta(days=1)  # no upload of a part takes as long
DELETE_BATCH: Final = 10  # files in one turn of the writers' lock: a child's report must not wait for housekeeping

Forget = Callable[..., DeletedParts | None]
KEEP_COLLECTED = timedelta(days=30)  # long enough for a desk to notice that it lost something
ROUND_SECONDS: Final = 60.0
# Looking for bytes that no row names reads every folder of evidence.
UNNAMED_EVERY: Final = timedelta(hours=1)
# Looking at every page reads the whole database.
PAGES_EVERY: Final = timedelta(hours=6)


def sweep_evidence(store: Store, *, blobs: Blobs, now: datetime) -> int:
    """Delete what has had its time, and return how many pieces of evidence that were. Safe to run from any process.

    Raises `StorageUnavailableError`; what is left then goes a day later, as bytes that no row names.
    """
    unreferenced = _sweep(store, blobs=blobs, before=now - KEEP_UNREFERENCED, forget=forget_unreferenced)
    return unreferenced + _sweep(store, blobs=blobs, before=now - KEEP_COLLECTED, forget=forget_collected)


def sweep_unnamed(store: Store, *, blobs: Blobs, now: datetime) -> int:
    """Delete bytes that no row names, and return how many blobs that were; raises `StorageUnavailableError`."""
    removed = 0
    for names in blobs.list_old_blobs(before=now - KEEP_UNNAMED):
        if names:
            with store.read() as connection:
                unnamed = _leave_out_named(connection, names)
            removed += _remove_unnamed(store, blobs=blobs, names=unnamed)
    return removed


def _sweep(store: Store, *, blobs: Blobs, before: datetime, forget: Forget) -> int:
    swept = 0
    while True:
        with store.write() as connection:
            deleted = forget(connection, before=before)
        if deleted is None:
            return swept
        names = [BlobName(deleted.partner, deleted.evidence_id, row.part, row.sha256) for row in deleted.parts]
        _remove_unnamed(store, blobs=blobs, names=names)
        swept += 1


def _remove_unnamed(store: Store, *, blobs: Blobs, names: list[BlobName]) -> int:
    """Delete blobs of one piece of evidence inside the writers' lock: no row can come to name them meanwhile."""
    removed = 0
    for start in range(0, len(names), DELETE_BATCH):
        batch = names[start : start + DELETE_BATCH]
        with store.write() as connection:
            unnamed = _leave_out_named(connection, batch)
            blobs.remove_blobs(unnamed)
        removed += len(unnamed)
    return removed


def _leave_out_named(connection: Connection, names: list[BlobName]) -> list[BlobName]:
    found = find_evidence(connection, partner=names[0].partner, evidence_id=names[0].evidence_id)
    rows = [] if found is None else list_parts(connection, position=found.position)
    named = {(row.part, row.sha256) for row in rows}
    return [name for name in names if (name.part, name.sha256) not in named]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much one round has deleted."""

    drafts: int
    envelopes: int
    places: int


def clean_store(store: Store, *, now: datetime) -> Forgotten:
    """Delete what has had its time, and empty the log; safe to run at any moment and from any process.

    Raises StorageUnavailableError; the next round goes on where this one stopped.
    """
    forgotten = Forgotten(
        drafts=sweep_drafts(store, now=now),
        envelopes=delete_collected(store, before=now - KEEP_COLLECTED),
        places=sweep_return_places(store, now=now),
    )
    if store.has_log():
        store.truncate_log()
    return forgotten


class Rounds:
    """The rounds of one process."""

    def __init__(self, store: Store, *, blobs: Blobs, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._looked_at: datetime | None = None
        self._soundness = Soundness(store)
        self._checked_at: datetime | None = None

    def run(self) -> None:
        """Clean once; a step that fails is logged, and keeps nothing else from being cleaned."""
        for step in (self._clean_store, self._sweep_evidence, self._sweep_unnamed, self._check_pages):
            try:
                step(self._clock())
            except Exception as error:  # noqa: BLE001 - a row altered by hand must not end all cleaning
                log_failure(error, event="housekeeping-failed")

    def _clean_store(self, now: datetime) -> None:
        clean_store(self._store, now=now)

    def _sweep_evidence(self, now: datetime) -> None:
        sweep_evidence(self._store, blobs=self._blobs, now=now)

    def _sweep_unnamed(self, now: datetime) -> None:
        if self._looked_at is None or now - self._looked_at >= UNNAMED_EVERY:
            sweep_unnamed(self._store, blobs=self._blobs, now=now)
            self._looked_at = now

    def _check_pages(self, now: datetime) -> None:
        if self._checked_at is None or now - self._checked_at >= PAGES_EVERY:
            self._soundness.look_for_damage()
            self._checked_at = now


@contextmanager
def housekeeping(
    store: Store, *, blobs: Blobs, clock: Callable[[], datetime], round_seconds: float = ROUND_SECONDS
) -> Iterator[threading.Event]:
    """Clean `store` and `blobs` at once and then every `round_seconds`, in a thread, until the block ends.

    Yields an event that is set after each round.
    """
    stopping, done = threading.Event(), threading.Event()
    rounds = Rounds(store, blobs=blobs, clock=clock)

    def run() -> None:
        while not stopping.is_set():
            rounds.run()
            done.set()
            stopping.wait(round_seconds)

    thread = threading.Thread(target=run, name="housekeeping", daemon=True)
    thread.start()
    try:
        yield done
    finally:
        stopping.set()
        thread.join()
        store.close()
