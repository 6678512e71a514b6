"""Runs the clean-up beside the servers, e.g. of drafts after their hour, and every six hours the check of all pages.

Expired drafts and return places go at once, collected envelopes after 30 days. Other processes wipe and replace drafts
all the time; what they took away is still in the write-ahead log, which each round therefore empties if anything was
written since the last. Never touches what the desk has not acknowledged, and never stops serving: a step that fails is
logged, and the next round goes on.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.evidence.blobs import Blobs
from gateway.evidence.sweeping import sweep_evidence, sweep_unnamed
from gateway.store import Store
from gateway.store.collection import delete_collected
from gateway.store.drafts import sweep_drafts
from gateway.store.return_places import sweep_return_places
from gateway.store.soundness import Soundness
from gateway.web.logs import log_failure

KEEP_COLLECTED = timedelta(days=30)  # long enough for a desk to notice that it lost something
ROUND_SECONDS: Final = 60.0
# Looking for bytes that no row names reads every folder of evidence.
UNNAMED_EVERY: Final = timedelta(hours=1)
# Looking at every page reads the whole database.
PAGES_EVERY: Final = timedelta(hours=6)


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
