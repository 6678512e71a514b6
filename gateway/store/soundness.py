"""Checks the storage: writes and reads back a row the size of a report, and reads every page.

Writes at most once in PROBE_SECONDS, however often a load balancer asks. Recovers by itself: the next check writes
again, so a door reopens once the disk has space.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.databases.failures import (
    FailureReason,
    StorageUnavailableError,
)
from gateway.store.store import Store
from gateway.web.logs import log_event, log_failure

PROBE_SECONDS: Final = 5.0


class Soundness:
    """The state of the storage, as one process knows it. A file shares the result of the last page check."""

    def __init__(self, store: Store, *, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._elapsed = elapsed
        self._probing = threading.Lock()
        self._probed_at: float | None = None
        self._fault: FailureReason | None = None

    @property
    def _mark_of_damage(self) -> Path:
        return self._store.path.with_suffix(".damaged")

    def find_fault(self) -> FailureReason | None:
        """Return the reason why nothing can be stored, or None if a recent test write succeeded."""
        # While one thread writes, the others return the last result, so that no queue grows behind a slow disk.
        if self._probing.acquire(blocking=self._probed_at is None):
            try:
                if self._probed_at is None or self._elapsed() - self._probed_at >= PROBE_SECONDS:
                    self._fault = self._probe()
                    self._probed_at = self._elapsed()
            finally:
                self._probing.release()
        return self._fault

    def look_for_damage(self) -> bool:
        """Check every page of the database, share the result with all processes, and return whether one is damaged.

        Raises StorageUnavailableError.
        """
        is_damaged = self._store.has_damage()
        try:
            if is_damaged:
                log_event("storage-damaged", level=logging.ERROR, reason="quick-check")
                self._mark_of_damage.touch(mode=0o600)
            else:
                self._mark_of_damage.unlink(missing_ok=True)
        except OSError as error:
            log_failure(error, event="storage-check-not-kept")
        return is_damaged

    def is_damaged(self) -> bool:
        """Return whether the last page check, by any process, found damage."""
        return self._mark_of_damage.exists()

    def _probe(self) -> FailureReason | None:
        try:
            self._store.check()
        except StorageUnavailableError as error:
            if error.reason != self._fault:
                log_failure(error, event="storage-unavailable")
            return error.reason
        if self._fault is not None:
            log_event("storage-available")
        return None
