"""Counts limits in the memory of one worker, for gateways without a shared store.

The library's own memory store starts a timer thread every 10 ms under load, which took a fifth of a report's time. This
one drops an expired count when it is next read, and sweeps all of them now and then.
"""

import threading
import time
from dataclasses import dataclass

from limits.storage import Storage

SCHEME = "process"
SWEEP_EVERY = 4096


@dataclass(slots=True)
class _Count:
    number: int
    expires_at: float


class ProcessStore(Storage):
    """A fixed-window store, registered with the library as `process://`."""

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012 - the library's way to register a store

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **options: float | str | bool) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions, **options)
        self._lock = threading.Lock()
        self._counts: dict[str, _Count] = {}
        self._until_sweep = SWEEP_EVERY

    @property
    def keys(self) -> frozenset[str]:
        """The keys that are currently counted."""
        with self._lock:
            return frozenset(self._counts)

    @property
    def base_exceptions(self) -> type[Exception]:
        """The exceptions that the store may raise."""
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a count and return it; starts a new window when the old one has passed."""
        now = time.time()
        with self._lock:
            self._sweep_when_due(now)
            count = self._counts.get(key)
            if count is None or count.expires_at <= now:
                count = self._counts[key] = _Count(number=0, expires_at=now + expiry)
            count.number += amount
            return count.number

    def get(self, key: str) -> int:
        """Return a count, or 0 once its window has passed."""
        with self._lock:
            count = self._counts.get(key)
            return 0 if count is None or count.expires_at <= time.time() else count.number

    def get_expiry(self, key: str) -> float:
        """Return the end of a key's window."""
        with self._lock:
            count = self._counts.get(key)
            return time.time() if count is None else count.expires_at

    def check(self) -> bool:
        """Return True: memory is always available."""
        return True

    def reset(self) -> int:
        """Forget every count and return their number."""
        with self._lock:
            number = len(self._counts)
            self._counts.clear()
            return number

    def clear(self, key: str) -> None:
        """Forget one count."""
        with self._lock:
            self._counts.pop(key, None)

    def _sweep_when_due(self, now: float) -> None:
        self._until_sweep -= 1
        if self._until_sweep > 0:
            return
        self._until_sweep = SWEEP_EVERY
        for key in [key for key, count in self._counts.items() if count.expires_at <= now]:
            del self._counts[key]
