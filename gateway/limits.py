"""How much one network, partner or reference may ask for in a while, counted by the library `limits`.

Never keeps a name or a number: only keyed hashes. Never refuses a child's Send: at the public door a limit only says
"over", and the door flags or shows a page that slows down. Never fails with its store: when that is down, each worker
counts in its own memory.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from flask import Flask, Response, current_app, g, request
from limits import RateLimitItemPerSecond
from limits.errors import ConfigurationError
from limits.storage import Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

from gateway.limit_store import SCHEME, ProcessStore
from gateway.web.logs import log_failure
from gateway.web.network_bucket import TIERS, BucketHasher, Tier, list_networks
from gateway.web.problem_pages import RequestRefusedError
from gateway.web.request_checks import REFUSED
from gateway.web.rules import find_current_rule
from gateway.web.settings import SettingsError
from partner_sdk.wire.problems import RATE_LIMITED

# Not by Flask-Limiter: one shared limit by its decorator cost 12 % of a report's CPU in paired rounds, other ways to
# use it up to 44 %, 27 November 2026. The bar is 5 %.
T = TypeVar("T")

MEMORY_URI = "memory://"
RETRY_SECONDS = 15  # a store that failed is left alone for so long, and each worker counts in its own memory
SLOW_SECONDS = 3  # the shortest wait of a sender over a limit
TURN_SECONDS = 1
QUEUE_SECONDS = 30  # the longest wait that is given out: "wait a few seconds" must stay true
MAX_QUEUES = 4096  # turns that have passed are forgotten when there are more


class Effect(Enum):
    """What happens when a limit is over."""

    FLAG = "the door is told, and decides"
    REFUSE = "429"


class Subject(Enum):
    """Whom a limit counts."""

    NETWORK = "a network: /24, or /64, /56 and /48"
    PARTNER = "a partner, after its signature was checked"
    REFERENCE_HERE = "a report, by the reference that is returned to, and the network that asks for it"
    WAIT = "one wait: the random mark of a page that asked to wait, or the journey that walks on after it"


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One limit: so many in a window for one subject. A wider IPv6 network gets several times as many."""

    name: str
    quota: int
    window_seconds: int
    subject: Subject
    effect: Effect
    reason: str


_WIDER: Mapping[Tier, int] = {"/24": 1, "/64": 1, "/56": 4, "/48": 16}


def make_rows(*, partner_reports_per_minute: int) -> tuple[LimitRow, ...]:
    """Return the table of limits; a school, with hundreds of children, is one network."""
    reports = partner_reports_per_minute
    network, partner = Subject.NETWORK, Subject.PARTNER
    flag, refuse = Effect.FLAG, Effect.REFUSE
    return (
        LimitRow("public-start", 300, 600, network, flag, "new drafts cost storage"),
        LimitRow("public-step", 3000, 600, network, flag, "a class of thirty walks fourteen screens at once"),
        LimitRow("public-send", 60, 600, network, flag, "a flood of reports is marked for the desk, never dropped"),
        LimitRow("public-return", 60, 600, network, flag, "who tries many references waits; a school may return too"),
        LimitRow("public-adoption", 20, 3600, network, flag, "as adoption; who is over it waits, and is never dropped"),
        LimitRow("public-campaign", 30, 600, network, flag, "each count is a write; more are not counted"),
        LimitRow(
            "public-wait", 1, 600, Subject.WAIT, flag, "who waited goes on once: the cookie of a wait can be copied"
        ),
        LimitRow(
            "public-walk", 60, 120, Subject.WAIT, flag, "who waited at a step walks on, as fast as a person walks"
        ),
        LimitRow("come-back", 10, 3600, Subject.REFERENCE_HERE, flag, "each try costs a key, right or wrong; see 0017"),
        LimitRow("come-back-network", 300, 3600, network, flag, "the same over all references: 3 s of CPU; see 0017"),
        LimitRow("open-read", 600, 60, network, refuse, "keys, schema and status are public and cheap"),
        LimitRow("enrol", 20, 600, network, refuse, "an enrolment is stored before anyone can check it"),
        LimitRow("adoption", 20, 3600, network, refuse, "a request to show the button is for a person to read"),
        LimitRow("partner-report", reports, 60, partner, refuse, "one partner's fault must not fill the disk"),
        LimitRow("partner-report-p1", reports, 60, partner, refuse, "a flood of P3 must not stop a P1"),
        LimitRow("partner-read", 1200, 60, partner, refuse, "polling"),
        LimitRow("partner-part", 6000, 60, partner, refuse, "800 MiB a second; smaller parts cost a sync each"),
        LimitRow("partner-evidence", 1200, 60, partner, refuse, "what is here, what is complete"),
        LimitRow("partner-account", 30, 3600, partner, refuse, "a change of keys or people is for a person to read"),
    )


@dataclass(frozen=True, slots=True)
class LimitState:
    """What a count found: `is_over` when this request is beyond the quota."""

    name: str
    is_over: bool
    quota: int
    window_seconds: int
    remaining: int
    reset_seconds: int


class TurnQueues:
    """The turns of those who wait, for one process: each queue serves one at a time, TURN_SECONDS apart."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_turns: dict[str, float] = {}

    def find_turn(self, queue: str, *, now: float) -> float | None:
        """Take the next turn of a queue; return how many seconds away it is, or None when all of them are taken."""
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
        self, *, rows: tuple[LimitRow, ...], storage_uri: str, hasher: BucketHasher, clock: Callable[[], float]
    ) -> None:
        self._hasher = hasher
        self._clock = clock
        self._turns = TurnQueues()
        self._rows = {row.name: row for row in rows}
        self._items = {(row.name, tier): _make_item(row, tier=tier) for row in rows for tier in TIERS}
        self.store = _open_store(storage_uri)
        self._shared = FixedWindowRateLimiter(self.store)
        self._own = FixedWindowRateLimiter(ProcessStore())
        self._left_alone_until = 0.0

    @property
    def names(self) -> frozenset[str]:
        """The names that a route's rule may state."""
        return frozenset(self._rows)

    @property
    def rows(self) -> Mapping[str, LimitRow]:
        """Every limit by its name."""
        return self._rows

    def register(self, app: Flask) -> None:
        """Count the routes of `app` whose rule names a network limit that refuses; send RateLimit headers.

        Call it when the app has its own hooks: what a hook refuses by the rule of a route is counted too.
        """
        # Second, behind the id of the request and before whatever may refuse it: a refusal costs as much as an answer.
        app.before_request_funcs[None].insert(1, self._check_route)
        app.after_request(self._add_headers)

    def limit_state(self, name: str, *, subject: str | None = None) -> LimitState:
        """Count this request under a limit and say whether it is over; never refuses.

        `subject` is the partner, the reference or the mark for a limit that counts those. Raises `KeyError` for an
        unknown name.
        """
        row = self._rows[name]
        counted = self._list_counted(row, subject=subject)

        def count(strategy: FixedWindowRateLimiter) -> LimitState:
            # A breach ends it: what is over for a /64 is not counted for the /48 around it.
            is_over = not all(strategy.hit(item, key) for item, key in counted)
            return self._read_state(row, counted, strategy, is_over=is_over)

        return self._ask_store(count)

    def _ask_store(self, ask: Callable[[FixedWindowRateLimiter], T]) -> T:
        """Ask the shared store; while it is down, this worker's own memory."""
        if not self._is_store_down():
            try:
                return ask(self._shared)
            except Exception as error:  # noqa: BLE001 - the store's errors are its driver's own; memory takes its place
                log_failure(error)
                self._left_alone_until = time.monotonic() + RETRY_SECONDS
        return ask(self._own)

    def _is_store_down(self) -> bool:
        return time.monotonic() < self._left_alone_until

    def _list_counted(self, row: LimitRow, *, subject: str | None) -> list[tuple[RateLimitItemPerSecond, str]]:
        """List what a request is counted as: the subject, or each tier of its network."""
        if row.subject is not Subject.NETWORK:
            return [(self._items[row.name, "/24"], self._hasher.hash_text(_name_subject(row, subject=subject)))]
        if subject is not None:
            raise ValueError(f"The limit {row.name} counts {row.subject.value}.")
        return [(self._items[row.name, tier], key) for tier, key in self._list_networks()]

    def _list_networks(self) -> list[tuple[Tier, str]]:
        """List the tiers of this request's network with their hashes, worked out once."""
        networks: list[tuple[Tier, str]] | None = g.get("limit_networks")
        if networks is None:
            networks = g.limit_networks = self._hasher.hash_networks(request.remote_addr)
        return networks

    def pick_network_slot(self) -> int:
        """Return the slot of this request's network, for what is stored: many networks share each."""
        return self._hasher.pick_slot(request.remote_addr)

    def find_turn(self, name: str) -> float | None:
        """Take this network's next turn behind a limit that is over; return the seconds until then, None when full."""
        network = self._hasher.hash_whole_network(request.remote_addr)
        return self._turns.find_turn(f"{name} {network}", now=self._clock())

    def name_caller(self, subject: str) -> None:
        """Say whose request this is, once that is known: a refusal before it is counted tells how much is left, too."""
        g.limit_caller = subject

    def check(self, name: str, *, subject: str | None = None) -> None:
        """Count this request under a limit and raise `RequestRefusedError` (429) when it is over."""
        state = self.limit_state(name, subject=subject)
        g.limit_states = [*g.get("limit_states", ()), state]
        if state.is_over:
            raise RequestRefusedError(RATE_LIMITED, retry_after_seconds=state.reset_seconds)

    def _check_route(self) -> None:
        if REFUSED in request.environ:
            # The server has refused it already, and its word stands.
            return
        stated = find_current_rule(current_app)
        row = self._rows.get(stated.limit) if stated is not None else None
        if row is not None and row.subject is Subject.NETWORK and row.effect is Effect.REFUSE:
            self.check(row.name)

    def _add_headers(self, response: Response) -> Response:
        states: list[LimitState] = g.get("limit_states", [])
        if states:
            set_headers(response, policies=states, states=states)
            return response
        stated = find_current_rule(current_app)
        rows = [self._rows[name] for name in stated.limits if name in self._rows] if stated else []
        refusing = [row for row in rows if row.effect is Effect.REFUSE]
        if refusing:
            set_headers(response, policies=refusing, states=self._look(refusing))
        return response

    def _look(self, rows: list[LimitRow]) -> list[LimitState]:
        """Return how much is left of limits that did not count this request; none where that is not known."""
        subject = g.get("limit_caller")
        if subject is None or self._is_store_down():
            return []
        try:
            return [
                self._read_state(row, self._list_counted(row, subject=subject), self._shared)
                for row in rows
                if row.subject is Subject.PARTNER
            ]
        except Exception as error:  # noqa: BLE001 - the store's errors are its driver's own; figures are worth no failure
            log_failure(error)
            return []

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
            name=row.name,
            is_over=is_over,
            quota=row.quota,
            window_seconds=row.window_seconds,
            remaining=0 if is_over else min(row.quota, *(window.remaining for window in windows)),
            reset_seconds=min(row.window_seconds, reset_seconds),
        )


def _open_store(storage_uri: str) -> Storage:
    """Return the store of an address. Raises `SettingsError` for one that cannot be used."""
    uri = f"{SCHEME}://" if storage_uri == MEMORY_URI else storage_uri
    try:
        store = storage_from_string(uri, **_storage_options(storage_uri))
    except ConfigurationError:
        # The library's message repeats the address, which may hold a password.
        raise SettingsError(
            "limits.storage_uri names a store that is not known or whose client library is not installed.",
            reason="bad-settings",
        ) from None
    if not isinstance(store, Storage):
        raise SettingsError("limits.storage_uri names a store for asynchronous programs.", reason="bad-settings")
    return store


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


def set_headers(response: Response, *, policies: Sequence[LimitRow | LimitState], states: Sequence[LimitState]) -> None:
    """Say quota and window as policy, and what is left as state (draft-ietf-httpapi-ratelimit-headers-10)."""
    policy = ", ".join(f'"{one.name}";q={one.quota};w={one.window_seconds}' for one in policies)
    response.headers["RateLimit-Policy"] = policy
    if states:
        left = ", ".join(f'"{state.name}";r={state.remaining};t={state.reset_seconds}' for state in states)
        response.headers["RateLimit"] = left


def _storage_options(storage_uri: str) -> dict[str, str | int]:
    # A store that hangs must not hang a door: give up after a second and count in memory.
    if storage_uri.startswith(("redis", "valkey")):
        return {"socket_connect_timeout": 1, "socket_timeout": 1}
    return {}
