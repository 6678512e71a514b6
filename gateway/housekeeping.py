"""Deletes expired data in rounds beside the servers, and checks all database pages every six hours.

- Drafts and return places: when they expire. Collected envelopes: 30 days after the desk acknowledged them.
- Evidence that no report names: all of it, 14 days after its newest part.
- Evidence that the desk acknowledged 30 days ago: its parts. Its digest stays.
- Blobs without a row: after a day. A process died between writing the blob and the row, or deleting them.

Rows go first; blobs go last and outside the writers' lock, because the name of a blob is random: no later row can have
it. Wiped and replaced drafts remain in the write-ahead log, so each round truncates the log if anything was written
since the last. Never deletes data that the desk has not acknowledged, never holds the writers' lock for long, and never
stops serving: a failed step is logged, and the next round runs.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.evidence.blobs import Blobs
from gateway.store import Store
from gateway.store.evidence import forget_collected, forget_unreferenced, list_named_blobs
from gateway.store.items import sweep_drafts, sweep_return_places
from gateway.store.reports import delete_collected
from gateway.store.store import Soundness
from gateway.web.logs import log_failure

KEEP_UNREFERENCED: Final = timedelta(days=14)
KEEP_UNNAMED: Final = timedelta(days=1)  # longer than any upload of a part

Forget = Callable[..., list[str] | None]
KEEP_COLLECTED = timedelta(days=30)  # long enough for a desk to notice a loss
ROUND_SECONDS: Final = 60.0
# Lists every blob.
UNNAMED_EVERY: Final = timedelta(hours=1)
# Reads the whole database.
PAGES_EVERY: Final = timedelta(hours=6)


def sweep_evidence(store: Store, *, blobs: Blobs, now: datetime) -> int:
    """Delete expired evidence and return the number of pieces deleted. Safe to run from any process.

    Raises `StorageUnavailableError`; blobs that it leaves behind are deleted a day later.
    """
    unreferenced = _sweep(store, blobs=blobs, before=now - KEEP_UNREFERENCED, forget=forget_unreferenced)
    return unreferenced + _sweep(store, blobs=blobs, before=now - KEEP_COLLECTED, forget=forget_collected)


def sweep_unnamed(store: Store, *, blobs: Blobs, now: datetime) -> int:
    """Delete blobs without a row and return their number; raises `StorageUnavailableError`.

    A row follows its blob within an hour (`gateway.evidence.keeper.MAX_UPLOAD`), so after a day none can follow.
    """
    removed = 0
    for names in blobs.list_old_blobs(before=now - KEEP_UNNAMED):
        with store.read() as connection:
            named = list_named_blobs(connection, names)
        unnamed = [name for name in names if name not in named]
        blobs.remove_blobs(unnamed)
        removed += len(unnamed)
    return removed


def _sweep(store: Store, *, blobs: Blobs, before: datetime, forget: Forget) -> int:
    swept = 0
    while True:
        with store.write(alone=True) as connection:
            names = forget(connection, before=before)
        if names is None:
            return swept
        blobs.remove_blobs(names)
        swept += 1


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The number of rows that one round deleted."""

    drafts: int
    envelopes: int
    places: int


def clean_store(store: Store, *, now: datetime) -> Forgotten:
    """Delete expired rows and truncate the log. Safe to run at any time and from any process.

    Raises StorageUnavailableError; the next round continues from there.
    """
    forgotten = Forgotten(
        drafts=sweep_drafts(store, now=now),
        envelopes=delete_collected(store, before=now - KEEP_COLLECTED),
        places=sweep_return_places(store, now=now),
    )
    if store.has_deleted_bytes():
        store.erase_deleted_bytes()
    return forgotten


class Rounds:
    """The rounds of one process."""

    def __init__(self, store: Store, *, blobs: Blobs | None, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._done_at: dict[str, datetime] = {}
        soundness = Soundness(store)
        # The name of each step, how long it rests, and the step.
        self._steps: list[tuple[str, timedelta, Callable[[datetime], object]]] = [
            ("store", timedelta(0), lambda now: clean_store(store, now=now)),
            ("pages", PAGES_EVERY, lambda _: soundness.look_for_damage()),
        ]
        if blobs is not None:
            self._steps[1:1] = [
                ("evidence", timedelta(0), lambda now: sweep_evidence(store, blobs=blobs, now=now)),
                ("unnamed", UNNAMED_EVERY, lambda now: sweep_unnamed(store, blobs=blobs, now=now)),
            ]

    def run(self) -> None:
        """Run one round; logs a failed step and runs the others."""
        for name, rest, step in self._steps:
            now = self._clock()
            if name in self._done_at and now - self._done_at[name] < rest:
                continue
            try:
                step(now)
                self._done_at[name] = now
            except Exception as error:  # noqa: BLE001 - one corrupt row must not stop all cleaning
                log_failure(error, event="housekeeping-failed")


@contextmanager
def rounds_in_thread(name: str, run: Callable[[], float], *, store: Store) -> Iterator[threading.Event]:
    """Run rounds in a thread until the block ends, and close its store then; each returns the seconds to the next.

    Yields an event that is set after each round.
    """
    stopping, done = threading.Event(), threading.Event()

    def run_all() -> None:
        wait = 0.0
        while not stopping.wait(wait):
            wait = run()
            done.set()

    thread = threading.Thread(target=run_all, name=name, daemon=True)
    thread.start()
    try:
        yield done
    finally:
        stopping.set()
        thread.join()
        store.close()


@contextmanager
def housekeeping(
    store: Store, *, blobs: Blobs | None, clock: Callable[[], datetime], round_seconds: float = ROUND_SECONDS
) -> Iterator[threading.Event]:
    """Clean `store` and `blobs` in a thread, now and then every `round_seconds`, until the block ends.

    The form alone has no evidence, so no blobs. Yields an event that is set after each round.
    """
    rounds = Rounds(store, blobs=blobs, clock=clock)

    def run() -> float:
        rounds.run()
        return round_seconds

    with rounds_in_thread("housekeeping", run, store=store) as done:
        yield done
