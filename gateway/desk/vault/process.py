"""The keys of the vault process: locked until the passphrases came, and read again when a file of them has changed."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Final

from gateway.desk.vault import PublicKey, Status, VaultError
from gateway.desk.vault.key_folder import KeyFolder, make_locked_error, make_open_error
from gateway.desk.vault.opening import SealingKeys
from gateway.desk.vault.protection import (
    MAX_PASSPHRASE_BYTES,
    Secrets,
    find_protection,
    normalise_passphrase,
    open_protection,
    wipe,
)
from gateway.web.logs import log_event
from partner_sdk.errors import ReportAbuseError

# Two changes within one tick of the file system's clock have the same times (4 ms on Linux): keys that were read so
# soon after a change are read once more.
SETTLED_AFTER_NS: Final = 50_000_000
# Set by systemd for a unit with `LoadCredential=` (systemd.exec(5)); one file for each custodian, in their order.
CREDENTIALS_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
CREDENTIAL_FILES: Final = ("passphrase-1", "passphrase-2")


class WatchedKeys:
    """The keys of one folder, for every thread of the vault."""

    def __init__(self, folder: Path, *, clock: Callable[[], datetime], is_memory_locked: bool = False) -> None:
        self._path, self._clock = folder, clock
        self._is_memory_locked = is_memory_locked
        self._lock, self._unlocking = Lock(), Lock()
        self._secrets: Secrets | None = None
        self._loaded: SealingKeys | None = None
        self._stamp: tuple[tuple[str, int, int, int, int], ...] | None = None

    def get_folder(self) -> KeyFolder:
        """Return the folder. Raises `VaultError` (`locked`)."""
        secrets = self._secrets
        if secrets is None and find_protection(self._path) is not None:
            raise make_locked_error()
        return KeyFolder(self._path, secrets)

    def get_sealing_keys(self) -> SealingKeys:
        """Return the sealing keys as their files are now. Raises `LocalStateError`, `VaultError` (`locked`)."""
        with self._lock:
            # Asked inside the lock: keys that were read beside a `lock` would stay in memory after it.
            folder = self.get_folder()
            stamp = folder.get_stamp()
            if self._loaded is None or stamp != self._stamp:
                read_at = int(self._clock().timestamp() * 1_000_000_000)
                self._loaded = SealingKeys(folder.list_sealing_keys())
                newest = max((max(times) for _, *times, _, _ in stamp), default=0)
                self._stamp = stamp if read_at - newest > SETTLED_AFTER_NS else None
            return self._loaded

    def get_public(self, name: str) -> PublicKey:
        """Return the public part of a key, also while the keys are locked."""
        return KeyFolder(self._path, self._secrets).read_public(name)

    def get_status(self) -> Status:
        """Return the state for other processes. Raises `LocalStateError`."""
        protection = find_protection(self._path)
        is_locked = protection is not None and self._secrets is None
        return Status(
            custodians=() if protection is None else tuple(one.name for one in protection.custodians),
            is_locked=is_locked,
            is_memory_locked=self._is_memory_locked,
            key_ids=() if is_locked else self.get_sealing_keys().key_ids,
            open_files=KeyFolder(self._path).count_open_files(),
        )

    def unlock(self, passphrases: Sequence[str | bytes]) -> Status:
        """Open the keys. Raises `VaultError`: `wrong-passphrase`, `no-passphrase`, `busy`; `LocalStateError`."""
        # One at a time: each takes a quarter of a gigabyte for each custodian.
        if not self._unlocking.acquire(blocking=False):
            raise VaultError("Another person unlocks the vault at this moment. Try again.", reason="busy")
        try:
            protection = find_protection(self._path)
            if protection is None:
                raise make_open_error()
            secrets = open_protection(protection, passphrases)
            with self._lock:
                self._secrets, self._loaded = secrets, None
        except ReportAbuseError as error:
            log_event("vault-not-unlocked", reason=error.reason)
            raise
        finally:
            self._unlocking.release()
        log_event("vault-unlocked")
        return self.get_status()

    def lock(self) -> Status:
        """Forget the keys."""
        if find_protection(self._path) is None:
            raise make_open_error()
        with self._lock:
            self._secrets = self._loaded = None
        log_event("vault-locked")
        return self.get_status()


def unlock_with_credentials(keys: WatchedKeys) -> None:
    """Unlock with the passphrases that the service manager hands over, if there are any. Never raises."""
    folder = os.environ.get(CREDENTIALS_VARIABLE)
    paths = [Path(folder, name) for name in CREDENTIAL_FILES] if folder else []
    # After a failure it stays locked, and a person can still unlock it.
    try:
        passphrases = [_read_passphrase(path) for path in paths if path.is_file()]
    except OSError:
        log_event("vault-not-unlocked", reason="unreadable-credential")
        return
    if passphrases:
        with suppress(ReportAbuseError):  # logged
            keys.unlock(passphrases)
    for passphrase in passphrases:
        wipe(passphrase)


def _read_passphrase(path: Path) -> bytes:
    raw = bytearray(MAX_PASSPHRASE_BYTES + 2)  # one that a file object fills would leave copies
    with path.open("rb", buffering=0) as handle:
        length = handle.readinto(raw) or 0
    while length and raw[length - 1] in b"\r\n":
        length -= 1
    text = raw[:length].decode("utf-8", "replace")
    try:
        return normalise_passphrase(text)
    finally:
        wipe(raw)
