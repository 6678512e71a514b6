"""Sends again what is safe to send again, with growing and random waits.

It stands above the signing: every try is signed afresh over the same body (WIRE.md §6.1).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from partner_sdk.errors import RateLimitedError, ReportAbuseError, TransportError, UnavailableError

T = TypeVar("T")

# No reply, 5xx and 429. Anything else would be refused again.
RETRIED_ERRORS = (TransportError, UnavailableError, RateLimitedError)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often one call is tried, and within how long altogether: tries and waits."""

    tries: int = 5
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 30.0
    patience_seconds: float = 120.0


DEFAULT_POLICY: Final = RetryPolicy()


def send_patiently(
    send: Callable[[], T],
    *,
    policy: RetryPolicy,
    sleep: Callable[[float], None],
    jitter: Callable[[], float],
    on_wait: Callable[[float, ReportAbuseError], None],
    count_seconds: Callable[[], float] = time.monotonic,
) -> T:
    """Return what `send` returns; on a passing failure wait and call it again, within `policy`.

    `jitter` gives a number from 0 to 1: the wait is that share of a span that doubles (so that many partners do not
    come back at one moment), and never less than the gateway's `Retry-After`. No try begins once `patience_seconds`
    have passed since the first; the last one may take as long as a call may (transport.py). Raises the last error.
    """
    begun, waited = count_seconds(), 0.0
    for attempt in range(1, policy.tries):
        try:
            return send()
        except RETRIED_ERRORS as error:
            wait = _wait_seconds(error, attempt=attempt, policy=policy, share=jitter())
            if max(waited, count_seconds() - begun) + wait > policy.patience_seconds:
                raise
            on_wait(wait, error)
        sleep(wait)
        waited += wait
    return send()


def _wait_seconds(error: ReportAbuseError, *, attempt: int, policy: RetryPolicy, share: float) -> float:
    span = min(policy.first_wait_seconds * 2 ** (attempt - 1), policy.longest_wait_seconds)
    asked = getattr(error, "retry_after_seconds", None) or 0
    return float(asked + span * share)
