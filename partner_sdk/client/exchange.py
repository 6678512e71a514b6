"""An exchange with the gateway, apart from sending: address, bounds, when to try again, advice on errors, and the log.

Loads nothing that sends: a command that only names an address or a bound imports this file alone. Retries stand above
the signing: every try is signed afresh over the same body (WIRE.md §6.1).

The log is one logger of the standard library, with events and never a word of a report.

    logging.getLogger("report_abuse_partner").setLevel(logging.INFO)

An event has a name and fields of the table below: in its line, and as `event` and `fields` of the record.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec

from partner_sdk.errors import (
    FormatError,
    KeySetError,
    NotAuthorisedError,
    RateLimitedError,
    ReportAbuseError,
    TransportError,
    UnavailableError,
)
from partner_sdk.wire.problems import NOT_AUTHORISED, UNKNOWN_AGENCY_KEY

LOGGER: Final = logging.getLogger("report_abuse_partner")
LOGGER.addHandler(logging.NullHandler())  # silent until the program configures logging

# The level and the fields of each event.
EVENTS: Final = {
    "report-sealed": (logging.INFO, ("report_id", "priority", "kind")),
    "report-delivered": (logging.INFO, ("report_id", "reference")),
    "report-repeated": (logging.WARNING, ("report_id", "priority")),
    "trying-again": (logging.WARNING, ("seconds", "reason")),
    "key-set-fetched": (logging.INFO, ("serial",)),
    "key-set-kept": (logging.WARNING, ("serial", "reason")),
    "message-saved": (logging.INFO, ("number", "kind")),
    "mailbox-alarm": (logging.ERROR, ("reason",)),
}


def log_event(event: str, **fields: str | float) -> None:
    """Log one event of the table, with exactly its fields; raises `KeyError` and `ValueError` for any other."""
    level, names = EVENTS[event]
    if set(fields) != set(names):
        raise ValueError(f"The event {event} has the fields {', '.join(names)}.")
    if LOGGER.isEnabledFor(level):
        line = " ".join([event, *(f"{name}={fields[name]}" for name in names)])
        LOGGER.log(level, "%s", line, extra={"event": event, "fields": fields})


MAX_REPLY_BYTES = 32 * 1024 * 1024
# Of a reply that says one thing: a status, a receipt, a stored part.
MAX_SMALL_REPLY_BYTES = 64 * 1024


class Reply(msgspec.Struct, frozen=True):
    """A reply that is not an error."""

    status: int
    body: bytes
    retry_after_seconds: int | None = None


class Timeouts(msgspec.Struct, frozen=True):
    """How long one call may take: to connect, between two reads, and altogether, however slowly bytes come."""

    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    total_seconds: float = 60.0


DEFAULT_TIMEOUTS = Timeouts()


DEFAULT_PORTS: Final[Mapping[str, str]] = {"http": "80", "https": "443"}
# One spelling, as the gateway's own: it signs over the address that it is configured with.
_ORIGIN = re.compile(r"(https?)://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[::1\])(?::([1-9][0-9]{0,4}))?")
_LOOPBACK = re.compile(r"localhost|127(?:\.[0-9]{1,3}){3}|\[::1\]")


def check_origin(origin: str) -> None:
    """Raise `FormatError` (`bad-origin`) unless `origin` is `https://host[:port]`, or http on loopback."""
    found = _ORIGIN.fullmatch(origin)
    if found is None or found[3] == DEFAULT_PORTS[found[1]]:
        raise FormatError(
            "Give an address like https://report.example: in lower case, without a path or a / at the end.",
            reason="bad-origin",
        )
    if found[1] == "http" and not _LOOPBACK.fullmatch(found[2]):
        raise FormatError(
            "Use https:// instead of http://, which works only for this machine itself.", reason="bad-origin"
        )


T = TypeVar("T")

# No reply, 5xx and 429. Anything else would be refused again.
RETRIED_ERRORS = (TransportError, UnavailableError, RateLimitedError)


class RetryPolicy(msgspec.Struct, frozen=True):
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
    """Return the result of `send`; after a passing failure wait and call it again, within `policy`.

    `jitter` gives a number from 0 to 1: the wait is that share of a span that doubles (so that many partners do not
    come back at one moment), and never less than the gateway's `Retry-After`. No try begins once `patience_seconds`
    have passed since the first; the last one may take as long as a call may (transport.py). Raises the last error.
    """
    begun, waited = count_seconds(), 0.0
    for attempt in range(1, policy.tries):
        try:
            return send()
        except RETRIED_ERRORS as error:
            span = min(policy.first_wait_seconds * 2 ** (attempt - 1), policy.longest_wait_seconds)
            wait = float((getattr(error, "retry_after_seconds", None) or 0) + span * jitter())
            if max(waited, count_seconds() - begun) + wait > policy.patience_seconds:
                raise
            log_event("trying-again", seconds=round(wait, 1), reason=error.reason)
            on_wait(wait, error)
        sleep(wait)
        waited += wait
    return send()


# Reports in a folder whose keys count no more cannot be opened here, and are never taken from it.
ENROLLED_ANEW = (
    "If the agency has enrolled you again, submit the reports of `spool status` again from your case files, "
    "with the new folder."
)
NOT_KNOWN = (
    "The gateway does not know your key: not approved yet, suspended, revoked, or replaced by a newer enrolment. "
    f"Call the agency; then `spool flush`. {ENROLLED_ANEW} `doctor` shows more."
)
_SEALED_FOR_NOBODY = (
    " Submit the report again from your case file; once it is delivered, remove this one with `report discard`."
)
_KEY_SET_ADVICE = {
    "wrong-root": " Stop here. Phone the agency and compare the fingerprint.",
    "wrong-environment": " Ask the agency for a new invitation.",
}


def describe(error: ReportAbuseError) -> str:
    """Return the error's message and reason, with the next step if there is one."""
    if isinstance(error, NotAuthorisedError) and error.detail in ("", NOT_AUTHORISED.advice):
        return f"{NOT_KNOWN} ({error.reason})"
    advice = _KEY_SET_ADVICE.get(error.reason, "") if isinstance(error, KeySetError) else ""
    if error.reason == UNKNOWN_AGENCY_KEY.slug:
        advice = _SEALED_FOR_NOBODY
    return f"{error}{advice} ({error.reason})"
