"""Rate limits for one network, partner or reference, counted in Valkey or in the memory of one worker.

While Valkey is away or silent, each worker counts in its own memory, and looks for Valkey again by itself. Never stores
a name, an address or a key id: callers pass keyed hashes, and a nonce is hashed here. See docs/decisions/0038.

The library's own memory store starts a timer thread every 10 ms under load, which took a fifth of a report's time.
`ProcessStore` drops an expired count when it is next read, and sweeps all of them now and then.

Never refuses a child's Send: at the public door a limit only reports "over", and the door flags the report or shows a
page that slows down.
"""

import contextlib
import hashlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeVar

from flask import Flask, Response, g, request
from limits import RateLimitItemPerSecond
from limits.errors import ConfigurationError
from limits.storage import RedisStorage, Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from gateway.config import MEMORY_URI, STORE_SCHEMES
from gateway.exchange.request_signatures import MAX_AGE_SECONDS, MAX_SKEW_SECONDS
from gateway.web.callers import TIERS, BucketHasher, Tier, list_networks
from gateway.web.logs import METER, log_event, log_failure
from gateway.web.rules import REFUSED, RequestRefusedError, find_current_rule
from gateway.web.settings import SettingsError
from partner_sdk.durable_files import read_bounded
from partner_sdk.errors import LocalStateError
from partner_sdk.wire.problems import RATE_LIMITED

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


# Without Flask-Limiter: one shared limit by its decorator cost 12 % of a report's CPU in paired rounds, and other ways
# to use it up to 44 % (27 November 2026). The bar is 5 %.
SLOW_SECONDS = 3  # the shortest wait of a sender over a limit
TURN_SECONDS = 1
QUEUE_SECONDS = 30  # the longest wait, so that "wait a few seconds" stays true
MAX_QUEUES = 4096  # above this, past turns are dropped


class Effect(Enum):
    """The action when a limit is exceeded."""

    FLAG = "reported to the door, which decides"
    REFUSE = "429"


class Subject(Enum):
    """The subject that a limit counts."""

    NETWORK = "a network: /24, or /64, /56 and /48"
    PARTNER = "a partner, once its signature is verified"
    REFERENCE_HERE = "a report's reference, with the network that returns to it"
    WAIT = "one wait: the random mark of a wait page, or the journey that continues after it"


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One limit: a quota per window for each subject. A wider IPv6 network gets a multiple of the quota."""

    name: str
    quota: int
    window_seconds: int
    subject: Subject
    effect: Effect
    reason: str


_WIDER: Mapping[Tier, int] = {"/24": 1, "/64": 1, "/56": 4, "/48": 16}


def make_rows(*, partner_reports_per_minute: int) -> tuple[LimitRow, ...]:
    """Return the table of limits. The quotas allow for a school: hundreds of children behind one network."""
    reports = partner_reports_per_minute
    network, partner = Subject.NETWORK, Subject.PARTNER
    flag, refuse = Effect.FLAG, Effect.REFUSE
    return (
        LimitRow("public-start", 300, 600, network, flag, "a new draft takes storage"),
        LimitRow(
            "public-step", 3000, 600, network, flag, "a class of thirty fills in fourteen screens at the same time"
        ),
        LimitRow("public-send", 60, 600, network, flag, "a flood of reports is marked for the desk, never dropped"),
        LimitRow("public-return", 60, 600, network, flag, "guessing references is slow; a school can still return"),
        LimitRow(
            "public-adoption",
            20,
            3600,
            network,
            flag,
            "as adoption; over the limit a sender waits, and nothing is dropped",
        ),
        LimitRow("public-campaign", 30, 600, network, flag, "each count is a write; further visits are not counted"),
        LimitRow("public-wait", 1, 600, Subject.WAIT, flag, "one pass for each wait: its cookie can be copied"),
        LimitRow("public-walk", 60, 120, Subject.WAIT, flag, "after a wait, the speed of a person filling in a form"),
        LimitRow(
            "come-back", 10, 3600, Subject.REFERENCE_HERE, flag, "each try derives a key, right or wrong; see 0017"
        ),
        LimitRow("come-back-network", 300, 3600, network, flag, "the same across all references: 3 s of CPU; see 0017"),
        LimitRow("open-read", 600, 60, network, refuse, "keys, schema and status are public and cheap"),
        LimitRow("log-read", 3000, 60, network, refuse, "a check of the whole log reads a file for 256 entries"),
        LimitRow("enrol", 20, 600, network, refuse, "an enrolment is stored unverified"),
        LimitRow("adoption", 20, 3600, network, refuse, "a person reads each request to show the button"),
        LimitRow("partner-report", reports, 60, partner, refuse, "one partner's bug must not fill the disk"),
        LimitRow("partner-report-p1", reports, 60, partner, refuse, "a flood of P3 reports must not stop a P1"),
        LimitRow("partner-read", 1200, 60, partner, refuse, "polling"),
        LimitRow("partner-part", 6000, 60, partner, refuse, "800 MiB a second; each part costs a sync"),
        LimitRow("partner-evidence", 1200, 60, partner, refuse, "which parts are stored, which evidence is complete"),
        LimitRow("partner-entry", 300, 3600, partner, refuse, "a person reads each entry of a thread"),
        LimitRow("partner-account", 30, 3600, partner, refuse, "a person reads each change of keys or contacts"),
    )


@dataclass(frozen=True, slots=True)
class LimitState:
    """The result of a count; `is_over` is True when this request exceeds the quota."""

    row: LimitRow
    is_over: bool
    remaining: int
    reset_seconds: int


class TurnQueues:
    """Waiting queues of one process: each serves one caller at a time, TURN_SECONDS apart."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_turns: dict[str, float] = {}

    def find_turn(self, queue: str, *, now: float) -> float | None:
        """Take the next turn of a queue; return the seconds until then, or None when the queue is full."""
        with self._lock:
            turn = max(now + SLOW_SECONDS, self._last_turns.get(queue, 0.0) + TURN_SECONDS)
            if turn - now > QUEUE_SECONDS:
                return None
            if len(self._last_turns) >= MAX_QUEUES:
                self._last_turns = {one: at for one, at in self._last_turns.items() if at > now}
            self._last_turns[queue] = turn
            return turn - now


class Limits:
    """The limits of one app."""

    def __init__(
        self, *, rows: tuple[LimitRow, ...], store: SharedStore, hasher: BucketHasher, clock: Callable[[], float]
    ) -> None:
        self._hasher = hasher
        self._clock = clock
        self._turns = TurnQueues()
        self._rows = {row.name: row for row in rows}
        self._items = {(row.name, tier): _make_item(row, tier=tier) for row in rows for tier in TIERS}
        self.store = store

    @property
    def rows(self) -> Mapping[str, LimitRow]:
        """Every limit by its name."""
        return self._rows

    def register(self, app: Flask) -> None:
        """Count the routes of `app` whose rule names a refusing network limit; send RateLimit headers.

        Call it after the app has registered its own hooks, so that requests they refuse are counted too.
        """
        # Second, after the request id and before any hook that may refuse: a refusal costs as much as an answer.
        app.before_request_funcs[None].insert(1, self._check_route)
        app.after_request(self._add_headers)

    def is_over(self, name: str, *, subject: str | None = None) -> bool:
        """Count this request under a limit and return whether it exceeds the quota; never refuses.

        `subject` is the partner, reference or mark, for limits that count those. Raises `KeyError` for an unknown name.
        """
        counted = self._list_counted(self._rows[name], subject=subject)
        return self.store.count(lambda strategy: _has_breach(strategy, counted))

    def _count(self, name: str, *, subject: str | None) -> LimitState:
        row = self._rows[name]
        counted = self._list_counted(row, subject=subject)
        return self.store.count(
            lambda strategy: self._read_state(row, counted, strategy, is_over=_has_breach(strategy, counted))
        )

    def _list_counted(self, row: LimitRow, *, subject: str | None) -> list[tuple[RateLimitItemPerSecond, str]]:
        """List the counters of a request: the subject, or each tier of its network."""
        if row.subject is not Subject.NETWORK:
            return [(self._items[row.name, "/24"], self._hasher.hash_text(_name_subject(row, subject=subject)))]
        if subject is not None:
            raise ValueError(f"The limit {row.name} counts {row.subject.value}.")
        return [(self._items[row.name, tier], key) for tier, key in self._list_networks()]

    def _list_networks(self) -> list[tuple[Tier, str]]:
        """List the hashed tiers of this request's network, computed once per request."""
        networks: list[tuple[Tier, str]] | None = g.get("limit_networks")
        if networks is None:
            networks = g.limit_networks = self._hasher.hash_networks(request.remote_addr)
        return networks

    def pick_network_slot(self) -> int:
        """Return the storage slot of this request's network; many networks share a slot."""
        return self._hasher.pick_slot(request.remote_addr)

    def find_turn(self, name: str) -> float | None:
        """Take this network's next turn behind an exceeded limit; return the seconds until then, or None when full."""
        network = self._hasher.hash_whole_network(request.remote_addr)
        return self._turns.find_turn(f"{name} {network}", now=self._clock())

    def name_caller(self, subject: str) -> None:
        """Record the caller once it is known, so that a later refusal can still report the remaining quota."""
        g.limit_caller = subject

    def check(self, name: str, *, subject: str | None = None) -> None:
        """Count this request under a limit and raise `RequestRefusedError` (429) when it is over."""
        state = self._count(name, subject=subject)
        g.limit_states = [*g.get("limit_states", ()), state]
        if state.is_over:
            raise RequestRefusedError(RATE_LIMITED, retry_after_seconds=state.reset_seconds)

    def _check_route(self) -> None:
        if REFUSED in request.environ:
            # The server has already refused it.
            return
        stated = find_current_rule()
        row = self._rows.get(stated.limit) if stated is not None else None
        if row is not None and row.subject is Subject.NETWORK and row.effect is Effect.REFUSE:
            self.check(row.name)

    def _add_headers(self, response: Response) -> Response:
        states: list[LimitState] = g.get("limit_states", [])
        if states:
            set_headers(response, rows=[state.row for state in states], states=states)
            return response
        stated = find_current_rule()
        rows = [self._rows[name] for name in stated.limits if name in self._rows] if stated else []
        refusing = [row for row in rows if row.effect is Effect.REFUSE]
        if refusing:
            set_headers(response, rows=refusing, states=self._read_remaining(refusing))
        return response

    def _read_remaining(self, rows: list[LimitRow]) -> list[LimitState]:
        """Return the remaining quota of limits that did not count this request, or nothing if it is unknown."""
        subject = g.get("limit_caller")
        if subject is None or self.store.is_away():
            return []
        counted = [(row, self._list_counted(row, subject=subject)) for row in rows if row.subject is Subject.PARTNER]
        if not counted:
            return []
        return self.store.count(lambda strategy: [self._read_state(*one, strategy) for one in counted])

    def _read_state(
        self,
        row: LimitRow,
        counted: Sequence[tuple[RateLimitItemPerSecond, str]],
        strategy: FixedWindowRateLimiter,
        *,
        is_over: bool = False,
    ) -> LimitState:
        windows = [strategy.get_window_stats(item, key) for item, key in counted]
        reset_seconds = min(max(1, int(window.reset_time - self._clock()) + 1) for window in windows)
        return LimitState(
            row=row,
            is_over=is_over,
            remaining=0 if is_over else min(row.quota, *(window.remaining for window in windows)),
            reset_seconds=min(row.window_seconds, reset_seconds),
        )


def _has_breach(strategy: FixedWindowRateLimiter, counted: Sequence[tuple[RateLimitItemPerSecond, str]]) -> bool:
    """Count a request; stop at the first breach: one over the limit of its /64 is not counted for the /48 around it."""
    return not all(strategy.hit(item, key) for item, key in counted)


def _make_item(row: LimitRow, *, tier: Tier) -> RateLimitItemPerSecond:
    namespace = row.name if row.subject is not Subject.NETWORK else f"{row.name}{tier}"
    return RateLimitItemPerSecond(row.quota * _WIDER[tier], row.window_seconds, namespace=namespace)


def _name_subject(row: LimitRow, *, subject: str | None) -> str:
    if subject is None:
        raise ValueError(f"The limit {row.name} counts {row.subject.value}.")
    named = f"{row.subject.name.lower()} {subject}"
    if row.subject is not Subject.REFERENCE_HERE:
        return named
    return f"{named} {list_networks(request.remote_addr)[0][1]}"


def set_headers(response: Response, *, rows: Sequence[LimitRow], states: Sequence[LimitState]) -> None:
    """Send quota and window as policy, and the remaining quota as state (draft-ietf-httpapi-ratelimit-headers-10)."""
    policy = ", ".join(f'"{one.name}";q={one.quota};w={one.window_seconds}' for one in rows)
    response.headers["RateLimit-Policy"] = policy
    if states:
        left = ", ".join(f'"{state.row.name}";r={state.remaining};t={state.reset_seconds}' for state in states)
        response.headers["RateLimit"] = left
