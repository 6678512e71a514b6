"""The keys of the vault process: read at the first request, and again when a file of them has changed."""

from collections.abc import Callable
from datetime import datetime
from threading import Lock
from typing import Final

from gateway.desk.vault import PublicKey, Status
from gateway.desk.vault.key_folder import KeyFolder
from gateway.desk.vault.opening import SealingKeys

# Two changes within one tick of the file system's clock have the same times (4 ms on Linux): keys that were read so
# soon after a change are read once more.
SETTLED_AFTER_NS: Final = 50_000_000


class WatchedKeys:
    """The keys of one folder, for every thread of the vault."""

    def __init__(self, folder: KeyFolder, *, clock: Callable[[], datetime], is_memory_locked: bool = False) -> None:
        self._folder, self._clock = folder, clock
        self._is_memory_locked = is_memory_locked
        self._lock = Lock()
        self._stamp: tuple[tuple[str, int, int, int, int], ...] | None = None
        self._loaded: SealingKeys | None = None

    def get_folder(self) -> KeyFolder:
        """Return the folder."""
        return self._folder

    def get_sealing_keys(self) -> SealingKeys:
        """Return the sealing keys as their files are now. Raises `LocalStateError`."""
        stamp = self._folder.get_stamp()
        with self._lock:
            if self._loaded is None or stamp != self._stamp:
                read_at = int(self._clock().timestamp() * 1_000_000_000)
                self._loaded = SealingKeys(self._folder.list_sealing_keys())
                newest = max((max(times) for _, *times, _, _ in stamp), default=0)
                self._stamp = stamp if read_at - newest > SETTLED_AFTER_NS else None
            return self._loaded

    def get_public(self, name: str) -> PublicKey:
        """Return the public part of a key."""
        return self._folder.read_public(name)

    def get_status(self) -> Status:
        """Return the state for other processes. Raises `LocalStateError`."""
        return Status(key_ids=self.get_sealing_keys().key_ids, is_memory_locked=self._is_memory_locked)
