"""How much one network, partner or reference may ask for in a while, counted by Flask-Limiter.

Never keeps a name or a number: only keyed hashes. Never refuses a child's Send: at the public door a limit only says
"over", and the door flags or shows a page that slows down. Never fails with its store: when that is down, each worker
counts in its own memory.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

from flask import Flask, Response, current_app, g, request
from flask_limiter import Limiter, RateLimitExceeded
from limits import RateLimitItemPerSecond
from limits.errors import ConfigurationError
from limits.strategies import RateLimiter

from gateway.limit_store import SCHEME
from gateway.web.body_limit import REFUSED
from gateway.web.logs import log_failure
from gateway.web.network_bucket import TIERS, BucketHasher, Tier, find_network
from gateway.web.problem_pages import RequestRefusedError
from gateway.web.rules import find_current_rule
from gateway.web.settings import SettingsError
from partner_sdk.wire.problems import RATE_LIMITED

MEMORY_URI = "memory://"
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


@dataclass(frozen=True, slots=True)
class _Counter:
    row: LimitRow
    count: Callable[[], None]


class Limits:
    """The limits of one app."""

    def __init__(
        self, *, rows: tuple[LimitRow, ...], storage_uri: str, hasher: BucketHasher, clock: Callable[[], float]
    ) -> None:
        self._hasher = hasher
        self._clock = clock
        self._turns = TurnQueues()
        self.limiter = Limiter(
            self._get_subject_key,
            storage_uri=f"{SCHEME}://" if storage_uri == MEMORY_URI else storage_uri,
            storage_options=_storage_options(storage_uri),
            strategy="fixed-window",
            headers_enabled=False,
            swallow_errors=False,
            in_memory_fallback_enabled=True,
        )
        self._strategy: RateLimiter | None = None
        self._counters = {row.name: _Counter(row=row, count=self._make_counter(row)) for row in rows}

    @property
    def names(self) -> frozenset[str]:
        """The names that a route's rule may state."""
        return frozenset(self._counters)

    @property
    def rows(self) -> Mapping[str, LimitRow]:
        """Every limit by its name."""
        return {name: counter.row for name, counter in self._counters.items()}

    def register(self, app: Flask) -> None:
        """Count the routes of `app` whose rule names a network limit that refuses; send RateLimit headers.

        Call it when the app has its own hooks: what a hook refuses by the rule of a route is counted too.

        Raises `SettingsError` for a store that can not be used.
        """
        before, after = list(app.before_request_funcs[None]), list(app.after_request_funcs[None])
        try:
            self.limiter.init_app(app)
        except ConfigurationError:
            # The library's message repeats the address, which may hold a password.
            raise SettingsError(
                "limits.storage_uri names a store that is not known or whose client library is not installed.",
                reason="bad-settings",
            ) from None
        # Routes state their limit in their rule and are counted by it: the library's own look at every request finds no
        # decorated route and no header to add, and costs a tenth of a report.
        app.before_request_funcs[None], app.after_request_funcs[None] = before, after
        self._strategy = self.limiter.limiter
        # Second, behind the id of the request and before whatever may refuse it: a refusal costs as much as an answer.
        app.before_request_funcs[None].insert(1, self._check_route)
        app.after_request(self._add_headers)

    def limit_state(self, name: str, *, subject: str | None = None) -> LimitState:
        """Count this request under a limit and say whether it is over; never refuses.

        `subject` is the partner, the reference or the mark for a limit that counts those. Raises `KeyError` for an
        unknown name.
        """
        counter = self._counters[name]
        g.limit_subject = _name_subject(counter.row, subject=subject)
        if counter.row.subject is not Subject.NETWORK and self.limiter.limiter is self._strategy:
            try:
                return self._count_named(counter.row)
            except Exception as error:  # noqa: BLE001 - whatever the store's driver raises: the library falls back below
                log_failure(error)
        try:
            counter.count()
            is_over = False
        except RateLimitExceeded:
            is_over = True
        return self._make_state(counter.row, is_over=is_over)

    def _count_named(self, row: LimitRow) -> LimitState:
        """Count a named subject (partner, reference, wait) with the library's strategy itself, while its store is up.

        The library's way through a decorated function looks at routes, blueprints and exemptions first, which cost more
        than the rest of a report's checks together.
        """
        item = _make_item(row)
        strategy, key = self.limiter.limiter, self._get_subject_key()
        is_over = not strategy.hit(item, key)
        reset_at, left = strategy.get_window_stats(item, key)
        return LimitState(
            name=row.name,
            is_over=is_over,
            quota=row.quota,
            window_seconds=row.window_seconds,
            remaining=0 if is_over else left,
            reset_seconds=self._count_seconds_to(reset_at, row=row),
        )

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
        counter = self._counters.get(stated.limit) if stated is not None else None
        if counter is None or counter.row.subject is not Subject.NETWORK or counter.row.effect is not Effect.REFUSE:
            return
        self.check(counter.row.name)

    def _add_headers(self, response: Response) -> Response:
        states: list[LimitState] = g.get("limit_states", [])
        if states:
            set_headers(response, policies=states, states=states)
            return response
        stated = find_current_rule(current_app)
        rows = [self._counters[name].row for name in stated.limits if name in self._counters] if stated else []
        refusing = [row for row in rows if row.effect is Effect.REFUSE]
        if refusing:
            set_headers(response, policies=refusing, states=self._look(refusing))
        return response

    def _look(self, rows: list[LimitRow]) -> list[LimitState]:
        """Return how much is left of limits that did not count this request; none where that is not known."""
        subject = g.get("limit_caller")
        if subject is None or self.limiter.limiter is not self._strategy:
            return []
        try:
            return [self._read_state(row, subject=subject) for row in rows if row.subject is Subject.PARTNER]
        except Exception as error:  # noqa: BLE001 - the store's errors are the driver's own; figures are not worth a failure
            log_failure(error)
            return []

    def _read_state(self, row: LimitRow, *, subject: str) -> LimitState:
        g.limit_subject = _name_subject(row, subject=subject)
        reset_at, left = self.limiter.limiter.get_window_stats(_make_item(row), self._get_subject_key())
        return LimitState(
            name=row.name,
            is_over=False,
            quota=row.quota,
            window_seconds=row.window_seconds,
            remaining=left,
            reset_seconds=self._count_seconds_to(reset_at, row=row),
        )

    def _count_seconds_to(self, reset_at: float, *, row: LimitRow) -> int:
        return min(row.window_seconds, max(1, int(reset_at - self._clock()) + 1))

    def _make_state(self, row: LimitRow, *, is_over: bool) -> LimitState:
        remaining, reset_seconds = row.quota, row.window_seconds
        for limit in self.limiter.current_limits:
            try:
                reset_at, left = limit.window
            except Exception:  # noqa: BLE001 - the store's errors are the driver's own; figures are not worth a failure
                reset_at, left = self._clock() + row.window_seconds, 0
            remaining = min(remaining, left)
            reset_seconds = min(reset_seconds, max(1, int(reset_at - self._clock()) + 1))
        return LimitState(
            name=row.name,
            is_over=is_over,
            quota=row.quota,
            window_seconds=row.window_seconds,
            remaining=0 if is_over else remaining,
            reset_seconds=reset_seconds,
        )

    def _make_counter(self, row: LimitRow) -> Callable[[], None]:
        counter: Callable[[], None] = _CountedStep(row.name)
        if row.subject is not Subject.NETWORK:
            text = f"{row.quota} per {row.window_seconds} second"
            return self._limit(text, scope=row.name, key_func=self._get_subject_key, exempt_when=None)(counter)
        for tier in TIERS:
            text = f"{row.quota * _WIDER[tier]} per {row.window_seconds} second"
            key = _NetworkKey(self._hasher, tier)
            counter = self._limit(text, scope=f"{row.name}{tier}", key_func=key, exempt_when=key.is_absent)(counter)
        return counter

    def _limit(
        self, text: str, *, scope: str, key_func: Callable[[], str], exempt_when: Callable[[], bool] | None
    ) -> Callable[[Callable[[], None]], Callable[[], None]]:
        decorate: Any = self.limiter.shared_limit(text, scope=scope, key_func=key_func, exempt_when=exempt_when)
        return cast("Callable[[Callable[[], None]], Callable[[], None]]", decorate)

    def _get_subject_key(self) -> str:
        return self._hasher.hash_text(g.limit_subject)


class _CountedStep:
    """What Flask-Limiter wraps: a named step that does nothing, so that each limit is found by its own name.

    Its context manager finds a limit by file and line instead, which two threads at once would confuse.
    """

    def __init__(self, name: str) -> None:
        self.__module__ = __name__
        self.__name__ = name
        self.__qualname__ = f"count {name}"

    def __call__(self) -> None:
        return None


class _NetworkKey:
    """The key of one tier of the caller's network. The address is the socket's peer, or what the proxy count says."""

    def __init__(self, hasher: BucketHasher, tier: Tier) -> None:
        self._hasher = hasher
        self._tier = tier

    def __call__(self) -> str:
        return self._hasher.hash_network(request.remote_addr, tier=self._tier) or ""

    def is_absent(self) -> bool:
        return self._hasher.hash_network(request.remote_addr, tier=self._tier) is None


def _make_item(row: LimitRow) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(row.quota, row.window_seconds, namespace=row.name)


def _name_subject(row: LimitRow, *, subject: str | None) -> str:
    if (row.subject is not Subject.NETWORK) != (subject is not None):
        raise ValueError(f"The limit {row.name} counts {row.subject.value}.")
    named = f"{row.subject.name.lower()} {subject}"
    if row.subject is not Subject.REFERENCE_HERE:
        return named
    networks = (find_network(request.remote_addr, tier=tier) for tier in TIERS)
    return f"{named} {next(network for network in networks if network is not None)}"


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
