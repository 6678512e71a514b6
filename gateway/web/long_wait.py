"""Requests that wait for news without a thread: the event loop looks again each second until there is some.

A view that has nothing to tell yet puts a `Wait` into its request, beside its ordinary answer. The bridge
holds that answer back and looks (`Wait.find_body`) for a better one. Between two looks a wait costs a connection and no
thread, and one process looks with one thread at most: a silent database cannot take the others. Looking works alike for
every database and for several gateways. Why: docs/decisions/0067.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.web.body_reader import Receive
from gateway.web.logs import log_failure
from gateway.web.request_threads import RequestThreads

WAIT_KEY: Final = "report_abuse.wait"
LOOK_SECONDS: Final = 1.0
# Of one process. Each look is one read by an index, so that all of them take some hundredths of a CPU.
MOST_WAITING: Final = 64
# One that a caller lost with its network, and the one that follows; or two copies of a program.
MOST_OF_ONE: Final = 2
# For a caller that finds no place: ask again as if there were no waiting.
COME_BACK_SECONDS: Final = 10
# The newest signatures that held a place. Far more than all partners send within the 360 seconds that one is accepted.
MOST_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Wait:
    """A request that waits at most `seconds`, as one of `subject`, e.g. a partner.

    `find_body` returns the body that the answer then has, or None while there is no news; it is called in a thread.
    `signature` is that of the request: a repeat of the same bytes gets no place, so a captured request cannot take the
    places of its partner, also where no store of nonces is shared.
    """

    subject: str
    signature: str
    seconds: float
    find_body: Callable[[], bytes | None]


class NoPlaceError(Exception):
    """Every place to wait is taken, the subject has its share, or the same request held one before."""


class CallerLeftError(Exception):
    """The caller closed the connection."""


class Waits:
    """The waiting requests of one process. Only for the event loop's thread."""

    def __init__(self, threads: RequestThreads, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._threads = threads
        self._look_seconds = look_seconds
        self._held: Counter[str] = Counter()
        self._remembered: dict[str, None] = {}
        self._looking = asyncio.Lock()
        self._is_ended = False

    def end(self) -> None:
        """Let every wait end at its next look, as if its time were over."""
        self._is_ended = True

    def count(self) -> int:
        """Return the number of waiting requests."""
        return self._held.total()

    async def find_body(self, wait: Wait, *, receive: Receive) -> bytes | None:
        """Wait for news; None when there was none in time. Raises `NoPlaceError` at once, and `CallerLeftError`."""
        if self.count() >= MOST_WAITING or self._held[wait.subject] >= MOST_OF_ONE:
            raise NoPlaceError
        if wait.signature in self._remembered:
            raise NoPlaceError
        self._remembered[wait.signature] = None
        if len(self._remembered) > MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._held[wait.subject] += 1
        leaving = asyncio.ensure_future(_wait_until_gone(receive))
        try:
            return await self._look_on(wait, leaving)
        finally:
            leaving.cancel()
            self._held[wait.subject] -= 1
            self._held += Counter()  # drops subjects without a wait

    async def _look_on(self, wait: Wait, leaving: "asyncio.Future[None]") -> bytes | None:
        clock = asyncio.get_running_loop().time
        ends_at = clock() + wait.seconds
        # Callers that came in the same moment, e.g. after a restart, do not look in the same moment for ever.
        pause = self._look_seconds * (1 + secrets.randbelow(100) / 100) / 2
        while not self._is_ended and clock() < ends_at:
            await asyncio.wait({leaving}, timeout=min(pause, ends_at - clock()))
            if leaving.done():
                raise CallerLeftError
            pause = self._look_seconds
            async with self._looking:
                found = await self._look(wait)
            if found is not None:
                return found
        return None

    async def _look(self, wait: Wait) -> bytes | None:
        found: list[bytes | None] = []

        def look() -> None:
            try:
                found.append(wait.find_body())
            except Exception as error:  # noqa: BLE001 - the database may be away for a moment, and the caller waits on
                log_failure(error)

        await self._threads.run(look)
        return found[0] if found else None


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
