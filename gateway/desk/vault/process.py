"""The vault as a process: it answers on its socket, with keys that are locked until the passphrases came.

Each connection is answered in a thread; one vault for each desk. The keys are read again when a file of them has
changed. Never writes content: not to a file, and not to its log. Bytes that are no message end their connection.
"""

import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Final

from gateway.desk.vault import Answer, Ask, PublicKey, Request, Status, VaultError
from gateway.desk.vault.client import (
    SOCKET_FILE,
    Refused,
    check_peer,
    encode_message,
    make_decoder,
    make_refusal,
    parse_message,
    receive_frame,
    send_frame,
    short_path,
)
from gateway.desk.vault.key_folder import (
    MAX_PASSPHRASE_BYTES,
    KeyFolder,
    Secrets,
    find_protection,
    make_locked_error,
    make_open_error,
    normalise_passphrase,
    open_protection,
    wipe,
)
from gateway.desk.vault.opening import SealingKeys
from gateway.web.logs import log_event, log_failure
from partner_sdk.errors import FormatError, ReportAbuseError

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


# More than the threads of all processes of a desk: pages, collector and commands.
MAX_CONNECTIONS: Final = 64
# A connection that a process keeps for its next request; the process makes a new one after that.
IDLE_SECONDS: Final = 300.0
# For the rest of a message after its first byte, and for taking an answer.
MESSAGE_SECONDS: Final = 10.0
LOCK_FILE: Final = "vault.lock"
_REQUESTS: Final = make_decoder(Request)


@contextmanager
def listen(folder: Path) -> Iterator[socket.socket]:
    """Yield the listening socket of a desk's vault, in a folder that only its user can enter.

    Raises `VaultError` (`vault-runs`) if another vault has it.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listener, hold_place(folder):
        # The lock is ours, so a socket that is there is left from a vault that was killed.
        (folder / SOCKET_FILE).unlink(missing_ok=True)
        former = os.umask(0o177)
        try:
            with short_path(folder, SOCKET_FILE) as path:
                listener.bind(path)
        finally:
            os.umask(former)
        listener.listen(MAX_CONNECTIONS)
        yield listener
        (folder / SOCKET_FILE).unlink(missing_ok=True)


@contextmanager
def hold_place(folder: Path) -> Iterator[None]:
    """Be the one vault of a desk, or keep any from starting. Raises `VaultError` (`vault-runs`) if one runs."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise VaultError("A vault of this desk runs already: stop it first.", reason="vault-runs") from None
        yield
    finally:
        os.close(lock)


def serve_connections(listener: socket.socket, *, answer: Ask) -> None:
    """Answer until the listener is closed. Run it in a thread of its own."""
    places = threading.BoundedSemaphore(MAX_CONNECTIONS)
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            if listener.fileno() < 0:
                return
            continue  # the other end is gone already, or no file is free: the next one is taken
        if not places.acquire(blocking=False):
            connection.close()
            continue
        threading.Thread(target=_serve, args=(connection, answer, places), daemon=True).start()


def _serve(connection: socket.socket, answer: Ask, places: threading.BoundedSemaphore) -> None:
    try:
        with connection, suppress(OSError, VaultError):
            check_peer(connection)
            while _answer_one(connection, answer):
                pass
    finally:
        places.release()


def _answer_one(connection: socket.socket, answer: Ask) -> bool:
    """Answer one request; False at the end of the connection, or after bytes that are no request."""
    try:
        raw = receive_frame(connection, wait_seconds=IDLE_SECONDS, seconds=MESSAGE_SECONDS)
        if raw is None:
            return False
        request = parse_message(raw, decoder=_REQUESTS)
        wipe(raw)  # it may hold a passphrase
    except FormatError as error:
        send_frame(connection, encode_message(make_refusal(error)), seconds=MESSAGE_SECONDS)
        return False
    send_frame(connection, encode_message(_get_answer(request, answer)), seconds=MESSAGE_SECONDS)
    return True


def _get_answer(request: Request, answer: Ask) -> Answer | Refused:
    try:
        return answer(request)
    except ReportAbuseError as error:
        return make_refusal(error)
    except Exception as error:  # noqa: BLE001 - one request ends no other; the error's text may be content
        log_failure(error, event="vault-failed")
        text = "The vault failed at this request. Its log names the place."
        return Refused(error="vault", reason="vault-failed", text=text)
