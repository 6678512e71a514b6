"""Rate limits for one network, partner or reference, counted with the library `limits`.

Never stores a name or an address, only keyed hashes. Never refuses a child's Send: at the public door a limit only
reports "over", and the door flags the report or shows a page that slows down. Never fails with its store, which counts
in the worker's own memory while Valkey is away.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from flask import Flask, Response, g, request
from limits import RateLimitItemPerSecond
from limits.strategies import FixedWindowRateLimiter

from gateway.shared_store import SharedStore
from gateway.web.network_bucket import TIERS, BucketHasher, Tier, list_networks
from gateway.web.problem_pages import RequestRefusedError
from gateway.web.request_checks import REFUSED
from gateway.web.rules import find_current_rule
from partner_sdk.wire.problems import RATE_LIMITED

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

    name: str
    is_over: bool
    quota: int
    window_seconds: int
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
    def names(self) -> frozenset[str]:
        """The limit names that a route's rule may use."""
        return frozenset(self._rows)

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
            set_headers(response, policies=states, states=states)
            return response
        stated = find_current_rule()
        rows = [self._rows[name] for name in stated.limits if name in self._rows] if stated else []
        refusing = [row for row in rows if row.effect is Effect.REFUSE]
        if refusing:
            set_headers(response, policies=refusing, states=self._read_remaining(refusing))
        return response

    def _read_remaining(self, rows: list[LimitRow]) -> list[LimitState]:
        """Return the remaining quota of limits that did not count this request, or nothing if it is unknown."""
        subject = g.get("limit_caller")
        if subject is None or self.store.is_away():
            return []
        return [self._read_remaining_of(row, subject=subject) for row in rows if row.subject is Subject.PARTNER]

    def _read_remaining_of(self, row: LimitRow, *, subject: str) -> LimitState:
        counted = self._list_counted(row, subject=subject)
        return self.store.count(lambda strategy: self._read_state(row, counted, strategy))

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


def set_headers(response: Response, *, policies: Sequence[LimitRow | LimitState], states: Sequence[LimitState]) -> None:
    """Send quota and window as policy, and the remaining quota as state (draft-ietf-httpapi-ratelimit-headers-10)."""
    policy = ", ".join(f'"{one.name}";q={one.quota};w={one.window_seconds}' for one in policies)
    response.headers["RateLimit-Policy"] = policy
    if states:
        left = ", ".join(f'"{state.name}";r={state.remaining};t={state.reset_seconds}' for state in states)
        response.headers["RateLimit"] = left
