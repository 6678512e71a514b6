"""Runs the store's clean-up beside the servers: drafts that have had their hour, envelopes 30 days after collection.

Never stops serving: a round that the storage refuses is logged, and the next one goes on.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from gateway.store import StorageUnavailableError, Store
from gateway.store.housekeeping import clean_store
from gateway.web.logs import log_failure

ROUND_SECONDS: Final = 60.0


@contextmanager
def housekeeping(
    store: Store, *, clock: Callable[[], datetime], round_seconds: float = ROUND_SECONDS
) -> Iterator[threading.Event]:
    """Clean `store` at once and then every `round_seconds`, in a thread, until the block ends.

    Yields an event that is set after each round.
    """
    stopping, done = threading.Event(), threading.Event()

    def run() -> None:
        while not stopping.is_set():
            try:
                clean_store(store, now=clock())
            except StorageUnavailableError as error:
                log_failure(error, event="housekeeping-failed")
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
