"""Chance that gives every new house the same references and return codes, in the same order.

So the costly step between them, which is the same each time, is taken once in a process. All else comes from the
system's source, and no house is given anything twice.
"""

import hashlib
import secrets
from collections import Counter
from threading import Lock

from gateway.public.returning.return_code import CODE_WORDS
from partner_sdk.wire.reference import RANDOM_BYTES

_DRAWN_IN_ORDER = frozenset({RANDOM_BYTES, 2 * CODE_WORDS})  # what is drawn for a reference, and for a code


class SameForEveryHouse:
    """A source of chance for one house; `drawn` says how many were given of each size."""

    def __init__(self) -> None:
        self.drawn: Counter[int] = Counter()
        self._turn = Lock()

    def __call__(self, size: int) -> bytes:
        """Return so many bytes."""
        if size not in _DRAWN_IN_ORDER:
            return secrets.token_bytes(size)
        with self._turn:
            self.drawn[size] += 1
            return hashlib.sha256(b"%d bytes, draw %d" % (size, self.drawn[size])).digest()[:size]
