"""How long one exchange with the gateway may take, and how large its reply may be.

Apart from transport.py, so that who only names a bound does not load what sends.
"""

from dataclasses import dataclass

MAX_REPLY_BYTES = 32 * 1024 * 1024
# Of a reply that says one thing: a status, a receipt, a stored part.
MAX_SMALL_REPLY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one call may take: to connect, between two reads, and altogether, however slowly bytes come."""

    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    total_seconds: float = 60.0


DEFAULT_TIMEOUTS = Timeouts()
