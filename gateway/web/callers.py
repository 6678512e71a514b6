"""Fair shares among the networks of callers: keyed hashes that limits count by, and worker threads.

Never logs or stores an address. The hash key changes every day and is derived from the receipt key on the disk, so the
limiter's store alone does not reveal addresses; the store and that key together do.

Each network has a limited share of the threads, so that the next caller is answered soon. Within a network, callers
that have begun a form have a separate share. A plain queue takes less CPU for each request than the standard library's
executor (measured under load).
"""

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, Literal

from gateway.web.logs import log_failure

Tier = Literal["/24", "/64", "/56", "/48"]

_V4_TIERS: tuple[Tier, ...] = ("/24",)
_V6_TIERS: tuple[Tier, ...] = ("/64", "/56", "/48")
TIERS: tuple[Tier, ...] = (*_V4_TIERS, *_V6_TIERS)
_LABEL = b"report-abuse limit key v1|"
_HASH_BYTES = 16
SLOTS = 4096


@dataclass(frozen=True, slots=True)
class _DailyKey:
    day: date
    key: bytes


class BucketHasher:
    """Hashes networks and partner names under a key derived from a secret and the UTC date.

    All workers derive the same key (HMAC, RFC 2104).
    """

    def __init__(self, secret: bytes, *, clock: Callable[[], datetime]) -> None:
        self._secret = secret
        self._clock = clock
        self._daily = self._make_key(clock().date())

    def hash_networks(self, address: str | None) -> list[tuple[Tier, str]]:
        """Return the hash of each tier of an address's network, widest last."""
        return [(tier, self.hash_text(network)) for tier, network in list_networks(address)]

    def pick_slot(self, address: str | None) -> int:
        """Return the slot (one of SLOTS) of an address's whole network (/24 or /48); many networks share it."""
        return int(self.hash_whole_network(address), 16) % SLOTS

    def hash_whole_network(self, address: str | None) -> str:
        """Return the hash of the widest network of an address: /24 or /48."""
        return self.hash_text(name_whole_network(address))

    def hash_text(self, text: str) -> str:
        """Return today's keyed hash of a text."""
        return hmac.digest(self._get_key(), text.encode("utf-8"), "sha256")[:_HASH_BYTES].hex()

    def _get_key(self) -> bytes:
        today = self._clock().date()
        if self._daily.day != today:
            self._daily = self._make_key(today)
        return self._daily.key

    def _make_key(self, day: date) -> _DailyKey:
        message = _LABEL + day.isoformat().encode("ascii")
        return _DailyKey(day=day, key=hmac.new(self._secret, message, hashlib.sha256).digest())


class CallerNetworks:
    """Hashes callers' networks for one process (BLAKE2, RFC 7693), with a key that is never stored."""

    def __init__(self, *, trusted_proxies: int) -> None:
        self._trusted_proxies = trusted_proxies
        self._key = secrets.token_bytes(_HASH_BYTES)

    def name_caller(self, environ: Mapping[str, Any]) -> bytes:
        """Return the hash of the caller's whole network (/24 or /48)."""
        address = find_caller(environ, trusted_proxies=self._trusted_proxies)
        return hashlib.blake2b(name_whole_network(address).encode(), key=self._key, digest_size=_HASH_BYTES).digest()


def find_caller(environ: Mapping[str, Any], *, trusted_proxies: int) -> str | None:
    """Return the caller's address behind `trusted_proxies` proxies, as Werkzeug's ProxyFix reads it."""
    if trusted_proxies:
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        if len(forwarded) >= trusted_proxies and forwarded[-trusted_proxies].strip():
            return str(forwarded[-trusted_proxies].strip())
    address: str | None = environ.get("REMOTE_ADDR")
    return address


def name_whole_network(address: str | None) -> str:
    """Return the widest network of an address as text: /24 or /48."""
    return list_networks(address)[-1][1]


def list_networks(address: str | None) -> list[tuple[Tier, str]]:
    """List the tiers of an address with their networks as text, widest last. No address: one shared bucket."""
    text = (address or "").split("%", 1)[0]
    if text.count(".") == 3 and text.replace(".", "").isdecimal() and text.isascii():
        return [("/24", f"{text.rpartition('.')[0]}.0/24")]  # no parsing: runs for every request
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return [("/24", "unknown")]
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if isinstance(parsed, ipaddress.IPv4Address):
        return [("/24", str(ipaddress.IPv4Network((int(parsed), 24), strict=False)))]
    return [(tier, str(ipaddress.IPv6Network((int(parsed), int(tier[1:])), strict=False))) for tier in _V6_TIERS]


Job = Callable[[], None]
# Above this, a network is answered a few requests at a time until the window ends.
REFUSALS_ALLOWED: Final = 60
MOST_AFTER_REFUSALS: Final = 4
REFUSAL_SECONDS: Final = 600.0
MAX_WAITING_AFTER_REFUSALS: Final = 16
# Above this, a journey of the form counts as none until the window ends.
REFUSALS_OF_A_JOURNEY: Final = 20
MOST_OF_A_JOURNEY: Final = 2
MAX_COUNTED_NETWORKS: Final = 4096
_Work = tuple[Job, asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class RequestThreads:
    """A fixed number of threads, which end with the process."""

    def __init__(self, count: int) -> None:
        self._queue: SimpleQueue[_Work] = SimpleQueue()
        for number in range(count):
            Thread(target=self._work, name=f"request-{number}", daemon=True).start()

    async def run(self, job: Job) -> None:
        """Wait until a thread has done the job; logs its exception instead of raising it."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._queue.put((job, loop, done))
        await done

    def _work(self) -> None:
        while True:
            # A call of its own: a thread that waits must keep no name of the job it did last. That would keep the text
            # of a report in memory, and a connection open whose body did not come whole.
            _do(*self._queue.get())


def _do(job: Job, loop: asyncio.AbstractEventLoop, done: "asyncio.Future[None]") -> None:
    try:
        job()
    except Exception as error:  # noqa: BLE001 - the thread must survive for the next job
        log_failure(error)
    # A closed loop waits for nothing.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(_finish, done)


def _finish(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_result(None)


@dataclass(slots=True)
class _Refusals:
    number: int
    ends_at: float


class TooManyWaitingError(Exception):
    """A network whose posts keep being refused has reached its limit of waiting requests."""


class NetworkTurns:
    """Limits the concurrent requests of each network. Only for the event loop's thread."""

    def __init__(
        self, most: int, *, refusals_allowed: int = REFUSALS_ALLOWED, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._refusals_allowed = refusals_allowed
        self._clock = clock
        self._at_work: dict[bytes, int] = {}
        self._waiting: dict[bytes, deque[asyncio.Future[None]]] = {}
        self._refusals: dict[bytes, _Refusals] = {}

    async def enter(self, network: bytes) -> None:
        """Wait for a place among the requests of a network; return it with `leave`.

        Raises `TooManyWaitingError`.
        """
        if self._at_work.get(network, 0) >= self._count_most(network):
            await self._wait(network)
        else:
            self._at_work[network] = self._at_work.get(network, 0) + 1

    def count_refusal(self, network: bytes) -> None:
        """Count a refused post."""
        now = self._clock()
        counted = self._refusals.get(network)
        if counted is None or counted.ends_at <= now:
            if len(self._refusals) >= MAX_COUNTED_NETWORKS:
                self._refusals = {name: one for name, one in self._refusals.items() if one.ends_at > now}
            counted = self._refusals[network] = _Refusals(number=0, ends_at=now + REFUSAL_SECONDS)
        counted.number += 1

    def is_refused_often(self, network: bytes) -> bool:
        """Return whether more of its posts were refused than allowed."""
        counted = self._refusals.get(network)
        return counted is not None and counted.number > self._refusals_allowed and counted.ends_at > self._clock()

    def _count_most(self, network: bytes) -> int:
        return min(self._most, MOST_AFTER_REFUSALS) if self.is_refused_often(network) else self._most

    async def _wait(self, network: bytes) -> None:
        waiting = self._waiting.setdefault(network, deque())
        if len(waiting) >= MAX_WAITING_AFTER_REFUSALS and self.is_refused_often(network):
            raise TooManyWaitingError("too many requests from one network are waiting")
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave(network)  # the place was assigned and will not be used
            raise

    def leave(self, network: bytes) -> None:
        """Return a place, and assign free places to waiting requests."""
        at_work, most = self._at_work[network] - 1, self._count_most(network)
        waiting = self._waiting.get(network)
        while waiting and at_work < most:
            place = waiting.popleft()
            if not place.done():
                place.set_result(None)
                at_work += 1
        if not waiting:
            self._waiting.pop(network, None)
        if at_work:
            self._at_work[network] = at_work
        else:
            self._at_work.pop(network, None)


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller: its network, and the form journey in its signed cookie, both as hashes."""

    network: bytes
    journey: bytes | None = None


class CallerTurns:
    """Limits the concurrent requests of each network, with a second, equal share for begun journeys.

    A flood of refused posts slows only strangers of its network and the journey it came with, not a classmate's.
    """

    def __init__(self, most: int) -> None:
        self.strangers = NetworkTurns(most)
        self._begun = NetworkTurns(most)
        self._journeys = NetworkTurns(MOST_OF_A_JOURNEY, refusals_allowed=REFUSALS_OF_A_JOURNEY)

    def find_begun(self, caller: Caller) -> bytes | None:
        """Return the journey that precedes strangers, or None if there is none or it was refused too often."""
        journey = caller.journey
        return None if journey is None or self._journeys.is_refused_often(journey) else journey

    async def run(self, caller: Caller, threads: RequestThreads, job: Job) -> None:
        """Run the job when it is this caller's turn. Raises `TooManyWaitingError`."""
        journey = self.find_begun(caller)
        turns = self.strangers if journey is None else self._begun
        if journey is not None:
            await self._journeys.enter(journey)
        try:
            await turns.enter(caller.network)
            try:
                await threads.run(job)
            finally:
                turns.leave(caller.network)
        finally:
            if journey is not None:
                self._journeys.leave(journey)

    def count_refusal(self, caller: Caller) -> None:
        """Count a refused post against its journey, or against its network if there is none."""
        journey = self.find_begun(caller)
        if journey is None:
            self.strangers.count_refusal(caller.network)
        else:
            self._journeys.count_refusal(journey)
