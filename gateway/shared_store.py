"""Counts limits and nonces where all gateways see them, in Valkey, or in the memory of one worker.

While Valkey is away or silent, each worker counts in its own memory, and looks for Valkey again by itself. Never stores
a name, an address or a key id: callers pass keyed hashes, and a nonce is hashed here. See docs/decisions/0038.

The library's own memory store starts a timer thread every 10 ms under load, which took a fifth of a report's time.
`ProcessStore` drops an expired count when it is next read, and sweeps all of them now and then.
"""

import contextlib
import hashlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from limits.errors import ConfigurationError
from limits.storage import RedisStorage, Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from gateway.config import MEMORY_URI, STORE_SCHEMES
from gateway.web.logs import log_event, log_failure
from gateway.web.metrics import METER
from gateway.web.settings import SettingsError
from partner_sdk.durable_files import read_bounded
from partner_sdk.errors import LocalStateError
from partner_sdk.wire.signature_profile import MAX_AGE_SECONDS, MAX_SKEW_SECONDS

T = TypeVar("T")

SCHEME = "process"
SWEEP_EVERY = 4096
ANSWER_SECONDS: Final = 0.1  # Valkey answers in well under a millisecond; a request waits no longer for it
RETRY_SECONDS: Final = 15  # after a failure of Valkey, each worker counts in its own memory for this long
# A signature may be seen first when it lies MAX_SKEW_SECONDS ahead. The last term is for clocks that differ.
NONCE_SECONDS: Final = MAX_AGE_SECONDS + MAX_SKEW_SECONDS + 60
MAX_OWN_NONCES: Final = 100_000
MAX_PASSWORD_BYTES: Final = 1024
NO_EVICTION: Final = "noeviction"


@dataclass(slots=True)
class _Count:
    number: int
    expires_at: float


class ProcessStore(Storage):
    """A fixed-window store in memory, registered with the library as `process://`."""

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


class ValkeyStore(RedisStorage):
    """The library's store in Valkey, with nonces beside the counts. Redis 7 answers it too."""

    STORAGE_SCHEME = list(STORE_SCHEMES)  # noqa: RUF012 - as above; replaces the library's own for these addresses

    def claim_nonce(self, nonce: str, *, delivery: str) -> bool:
        """Return whether this delivery is the first with the nonce, or the same one again."""
        key = self.prefixed_key(f"nonce/{nonce}")
        found = self.storage.set(key, delivery, nx=True, ex=NONCE_SECONDS, get=True)
        return found is None or found == delivery.encode()

    def find_weakness(self) -> str | None:
        """Return what is wrong with the server's settings, or None; raises the client's errors."""
        found: Mapping[str, str] = self.storage.config_get("appendonly", "save", "maxmemory-policy")
        if found["appendonly"] != "no" or found["save"]:
            return "Valkey writes hashes of visitors' networks to its disk (appendonly or save)."
        if found["maxmemory-policy"] != NO_EVICTION:
            return f"Valkey forgets limits and nonces when its memory is full (maxmemory-policy is not {NO_EVICTION})."
        return None


class OwnNonces:
    """The nonces that one worker has seen while Valkey was away; drops the oldest above MAX_OWN_NONCES."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[str, float]] = {}

    def claim(self, nonce: str, *, delivery: str) -> bool:
        """Return whether this delivery is the first with the nonce, or the same one again."""
        now = time.monotonic()
        with self._lock:
            found, expires_at = self._seen.pop(nonce, (delivery, 0.0))
            if expires_at <= now:
                found, expires_at = delivery, now + NONCE_SECONDS
            self._seen[nonce] = found, expires_at
            if len(self._seen) > MAX_OWN_NONCES:
                del self._seen[next(iter(self._seen))]
            return found == delivery


class SharedStore:
    """The store of one app: counts in Valkey or in memory; nonces only if they are shared, in Valkey."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._shared = FixedWindowRateLimiter(storage)
        self._own = FixedWindowRateLimiter(ProcessStore())
        self._own_nonces = OwnNonces()
        self._left_alone_until = 0.0
        self._asking_again = threading.Lock()

    def count(self, ask: Callable[[FixedWindowRateLimiter], T]) -> T:
        """Call `ask` with the shared counts, or with this worker's own while Valkey is away."""
        return self._ask(lambda: ask(self._shared), lambda: ask(self._own))

    def claim_nonce(self, key_id: str, nonce: str, *, delivery: str) -> bool:
        """Return False for a nonce that a key has used before, in another delivery.

        `delivery` names the attempts of a proxy that passes one request to a second gateway. Without Valkey nothing is
        kept, and every nonce counts as new.
        """
        store = self.storage
        if not isinstance(store, ValkeyStore):
            return True
        # Not the daily key, which would forget at midnight. A nonce has 16 random characters: it cannot be guessed.
        hashed = hashlib.sha256(f"{key_id} {nonce}".encode()).hexdigest()[:32]
        return self._ask(
            lambda: store.claim_nonce(hashed, delivery=delivery),
            lambda: self._own_nonces.claim(hashed, delivery=delivery),
        )

    def is_away(self) -> bool:
        """Return whether Valkey failed a moment ago, so that it is left alone."""
        return time.monotonic() < self._left_alone_until

    def look_again(self) -> None:
        """Ask Valkey at the next request, and not RETRY_SECONDS after its failure."""
        self._left_alone_until = min(self._left_alone_until, time.monotonic())

    def _ask(self, shared: Callable[[], T], own: Callable[[], T]) -> T:
        if not self._left_alone_until:
            return self._try(shared, own)
        # A silent server holds each thread that asks it: one finds out whether it is back.
        if not self._asking_again.acquire(blocking=False):
            return own()
        try:
            return own() if self.is_away() else self._try(shared, own)
        finally:
            self._asking_again.release()

    def _try(self, shared: Callable[[], T], own: Callable[[], T]) -> T:
        try:
            answer = shared()
        except Exception as error:  # noqa: BLE001 - each driver has its own errors; fall back to memory
            log_failure(error, event="limit-store-away")
            METER.count("limit_store_failures")
            self._left_alone_until = time.monotonic() + RETRY_SECONDS
            return own()
        if self._left_alone_until:
            self._left_alone_until = 0.0
            log_event("limit-store-back", level=logging.WARNING)
        return answer


def open_shared_store(uri: str, *, password_file: str = "") -> SharedStore:
    """Return the store at an address, not yet connected; raises `SettingsError` if it cannot be used."""
    if uri in ("", MEMORY_URI):
        return SharedStore(ProcessStore())
    try:
        storage = storage_from_string(uri, **_make_options(uri, password_file=password_file))
    except (ConfigurationError, ImportError):
        # The library's message repeats the address.
        raise SettingsError(
            "limits.storage_uri names an unknown kind of store, or the package `valkey` is not installed "
            "(the extra `valkey`).",
            reason="bad-settings",
        ) from None
    if not isinstance(storage, Storage):
        raise SettingsError("limits.storage_uri names an asynchronous store.", reason="bad-settings")
    return SharedStore(storage)


def _make_options(uri: str, *, password_file: str) -> dict[str, Any]:
    if not uri.startswith(STORE_SCHEMES):
        return {}
    options: dict[str, Any] = {"socket_connect_timeout": ANSWER_SECONDS, "socket_timeout": ANSWER_SECONDS}
    if uri.startswith(("valkey:", "valkeys:")):
        options["connection_class"] = _make_connection_class(is_encrypted=uri.startswith("valkeys:"))
    if uri.startswith("valkeys:"):
        options["ssl_check_hostname"] = True  # the client's default is False
    if password_file:
        options["password"] = _read_password(Path(password_file))
    return options


def _make_connection_class(*, is_encrypted: bool) -> type:
    """Return the client's connection with a limit to the look-up of its host. Raises ImportError."""
    from valkey.connection import Connection, SSLConnection

    class PunctualConnection(Connection):
        """Waits no longer for the system's resolver than for the server; a socket's own limits begin after it."""

        def _connect(self) -> Any:
            look_up = threading.Thread(target=_look_up, args=(self.host, self.port), daemon=True, name="name-look-up")
            look_up.start()
            look_up.join(ANSWER_SECONDS)
            if look_up.is_alive():
                raise TimeoutError("The host name is not resolved in time.")
            return super()._connect()  # type: ignore[no-untyped-call]  # the client states no types here

    class PunctualTlsConnection(SSLConnection, PunctualConnection):
        """As above, over TLS."""

    return PunctualTlsConnection if is_encrypted else PunctualConnection


def _look_up(host: str, port: int) -> None:
    # The answer is thrown away: the client asks again, now that the resolver is known to answer.
    with contextlib.suppress(OSError):
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _read_password(path: Path) -> str:
    try:
        text = read_bounded(path, max_bytes=MAX_PASSWORD_BYTES).decode("utf-8").removesuffix("\n")
    except (LocalStateError, UnicodeDecodeError):
        text = ""
    if not text or "\n" in text:
        raise SettingsError(
            "The file of limits.password_file must have one line, the password of Valkey.", reason="bad-settings"
        )
    return text
