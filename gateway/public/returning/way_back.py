"""Ways back to reports: made at every Send, opened by the reference together with the five words.

Never reveals why nothing was found: wrong, unknown, expired and tried too often are all None. For the counting of tries
and their cost see docs/decisions/0017.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from gateway.key_state import KeyState
from gateway.limits import Limits
from gateway.public.returning import return_code
from gateway.public.returning.return_code import (
    Returned,
    ReturnPlace,
    draw_code,
    find_code,
    make_reply_public_key,
    open_place,
    open_replies,
    seal_place,
)
from gateway.store import Store
from gateway.store.boxes import extend_return_place, find_return_place, put_return_place
from gateway.store.collection import STAGE_OPENED
from gateway.store.items import list_own_items
from gateway.store.reports import STAGE_RECEIVED, find_stage
from partner_sdk.errors import FormatError, ReportAbuseError
from partner_sdk.wire.items import REPLY
from partner_sdk.wire.reference import parse_reference
from partner_sdk.wire.reply_message import ReplyMessage

RETURN_DAYS: Final = 180
MOST_SHOWN: Final = 50
MOST_DERIVED_AT_ONCE: Final = 2  # in one process: 32 MiB, for any number of threads
STAGE_READ: Final = "read"  # shown only to the returned sender; the store knows no stage after opened


@dataclass(frozen=True, slots=True)
class WayBack:
    """The words for the person, the public key for the report, and the sealed place for the store."""

    words: str
    reply_key: str
    box: bytes


@dataclass(frozen=True, slots=True)
class FoundPlace:
    """A place, combined from the store and the words; `messages` are newest first."""

    place: ReturnPlace
    stage: str
    messages: list[ReplyMessage]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaysBack:
    """Makes ways back, stores their places, and opens them."""

    store: Store
    limits: Limits
    key_state: KeyState
    clock: Callable[[], datetime]
    random: Callable[[int], bytes]
    words: tuple[str, ...]
    # A turn takes 10 ms and every caller waits for one: with MAX_THREADS (64), the last waits a third of a second.
    derivations: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(MOST_DERIVED_AT_ONCE)
    )

    def make(self, place: ReturnPlace) -> WayBack:
        """Make the way back to a drawn reference; raises SealingError.

        Call it outside any transaction, because it is slow.
        """
        words = draw_code(self.words, random=self.random)
        reply_key = make_reply_public_key(self._derive_seed(words, reference=place.reference))
        return WayBack(words=words, reply_key=reply_key, box=seal_place(place, reply_key=reply_key))

    def store_place(self, connection: Connection, way_back: WayBack, *, reference: str) -> None:
        """Store the place in the transaction that stores the report."""
        put_return_place(connection, reference=reference, box=way_back.box, expires_at=self._get_expiry())

    def keep_place(self, connection: Connection, *, reference: str) -> None:
        """Extend the life of a place after an addition to its report."""
        extend_return_place(connection, reference=reference, expires_at=self._get_expiry())

    def find_returned(self, *, typed_reference: str, typed_words: str) -> Returned | None:
        """Look up the reference, count the try, and only then derive the key; raises StorageUnavailableError.

        Right and wrong words count alike, so repeating right ones costs the gateway no more than guessing. Input that
        cannot be a code (e.g. four words) costs nothing and is not counted.
        """
        try:
            reference = parse_reference(typed_reference)
        except FormatError:
            return None
        with self.store.read() as connection:
            box = find_return_place(connection, reference=reference, now=self.clock())
        code = find_code(typed_words, words=self.words)
        if box is None or code is None or self._is_tried_too_often(reference):
            return None
        returned = Returned(reference=reference, seed=self._derive_seed(code, reference=reference))
        return None if self._find_opened(box, returned) is None else returned

    def _is_tried_too_often(self, reference: str) -> bool:
        # The reference first: a try refused there does not use the network's share.
        if self.limits.is_over("come-back", subject=reference):
            return True
        return self.limits.is_over("come-back-network")

    def _derive_seed(self, code: str, *, reference: str) -> bytes:
        with self.derivations:
            return return_code.derive_seed(code, reference=reference)

    def find_place(self, returned: Returned) -> FoundPlace | None:
        """Open the place of a returned sender, with its messages; None once it has expired.

        Raises StorageUnavailableError.
        """
        with self.store.read() as connection:
            box = find_return_place(connection, reference=returned.reference, now=self.clock())
            stage = find_stage(connection, reference=returned.reference)
            stored = list_own_items(
                connection, REPLY, address=returned.reference, limit=MOST_SHOWN, is_newest_first=True
            )
        place = None if box is None else self._find_opened(box, returned)
        if place is None:
            return None
        keys = self.key_state.find_keys()
        signers = () if keys is None else keys.key_set.mailbox_keys
        messages = open_replies(stored, seed=returned.seed, place=place, signers=signers, now=self.clock())
        # An answer implies that the report was read, even if no stage was set.
        is_read = bool(messages) or stage == STAGE_OPENED
        return FoundPlace(place, STAGE_READ if is_read else stage or STAGE_RECEIVED, messages)

    def _find_opened(self, box: bytes, returned: Returned) -> ReturnPlace | None:
        environment = self.key_state.environment
        try:
            return open_place(box, seed=returned.seed, environment=environment, reference=returned.reference)
        except ReportAbuseError:
            return None

    def _get_expiry(self) -> datetime:
        return self.clock() + timedelta(days=RETURN_DAYS)
