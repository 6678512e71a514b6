"""The way back to a report: made at Send, and opened for whoever returns with the reference and the four words.

Never stands in the way of Send: when too many codes are being made, the report goes without one. Never says why nothing
was found: wrong, unknown, expired and tried too often are all None. How tries are counted: docs/decisions/0017.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from gateway.key_state import KeyState
from gateway.limits import Limits
from gateway.public.returning import return_code
from gateway.public.returning.places import Returned, ReturnPlace
from gateway.public.returning.replies import open_place, open_replies, seal_place
from gateway.public.returning.return_code import QueueFullError, ReturnCodes, make_reply_public_key
from gateway.store import Store
from gateway.store.collection import STAGE_OPENED
from gateway.store.replies import list_replies
from gateway.store.reports import STAGE_RECEIVED, find_stage
from gateway.store.return_places import extend_return_place, find_return_place, put_return_place
from partner_sdk.errors import FormatError, ReportAbuseError
from partner_sdk.wire.reference import parse_reference
from partner_sdk.wire.reply_message import ReplyMessage

RETURN_DAYS: Final = 180
MOST_SHOWN: Final = 50
TRY_LIMITS: Final = ("come-back", "come-back-all")
STAGE_READ: Final = "read"  # said only to who returns: the store knows that a report was opened, not that it was read


@dataclass(frozen=True, slots=True)
class WayBack:
    """The words for the person, the public key for the report, and the sealed place for the store."""

    words: str
    reply_key: str
    box: bytes


@dataclass(frozen=True, slots=True)
class FoundPlace:
    """What the store and the words give together; `messages` are the newest first."""

    place: ReturnPlace
    stage: str
    messages: list[ReplyMessage]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaysBack:
    """Makes ways back, keeps their places in the store, and opens them."""

    store: Store
    limits: Limits
    key_state: KeyState
    clock: Callable[[], datetime]
    random: Callable[[int], bytes]
    codes: ReturnCodes

    def find_new(self, place: ReturnPlace, *, may_wait: bool = True) -> WayBack | None:
        """Make the way back to a reference that was drawn; None when the queue is full. Raises SealingError.

        Without `may_wait` it is None as soon as anybody else is at it. To be called outside of any transaction:
        others would wait for the costly step.
        """
        words = self.codes.draw(random=self.random)
        try:
            with self.codes.to_send.turn(may_wait=may_wait):
                seed = return_code.derive_seed(words, reference=place.reference)
        except QueueFullError:
            return None
        reply_key = make_reply_public_key(seed)
        return WayBack(words=words, reply_key=reply_key, box=seal_place(place, reply_key=reply_key))

    def store_place(self, connection: Connection, way_back: WayBack, *, reference: str) -> None:
        """Store the place in the transaction that stores the report."""
        put_return_place(connection, reference=reference, box=way_back.box, expires_at=self._get_expiry())

    def keep_place(self, connection: Connection, *, reference: str) -> None:
        """Keep a place for as long again, because more was sent to its reference."""
        extend_return_place(connection, reference=reference, expires_at=self._get_expiry())

    def find_returned(self, *, typed_reference: str, typed_words: str) -> Returned | None:
        """Find the one who comes back: the turn first, then the reference, the limits of tries, and the costly step.

        Only words that could be a code and are wrong count as a try. The turn comes before the lookup, so that a full
        queue tells nothing of a reference. Raises QueueFullError and StorageUnavailableError.
        """
        with self.codes.to_return.turn():
            return self._find_returned(typed_reference, self.codes.find_code(typed_words))

    def _find_returned(self, typed_reference: str, code: str | None) -> Returned | None:
        try:
            reference = parse_reference(typed_reference)
        except FormatError:
            return None
        with self.store.read() as connection:
            box = find_return_place(connection, reference=reference, now=self.clock())
        if box is None or code is None or any(self.limits.is_spent(name, subject=reference) for name in TRY_LIMITS):
            return None
        returned = Returned(reference=reference, seed=return_code.derive_seed(code, reference=reference))
        if self._find_opened(box, returned) is not None:
            return returned
        for name in TRY_LIMITS:
            self.limits.limit_state(name, subject=reference)
        return None

    def find_place(self, returned: Returned) -> FoundPlace | None:
        """Open the place of somebody who came back, with what waits there; None when it has had its time.

        Raises StorageUnavailableError.
        """
        with self.store.read() as connection:
            box = find_return_place(connection, reference=returned.reference, now=self.clock())
            stage = find_stage(connection, reference=returned.reference)
            stored = list_replies(connection, reference=returned.reference, limit=MOST_SHOWN)
        place = None if box is None else self._find_opened(box, returned)
        if place is None:
            return None
        keys = self.key_state.find_keys()
        signers = () if keys is None else keys.key_set.mailbox_keys
        messages = open_replies(stored, seed=returned.seed, place=place, signers=signers, now=self.clock())
        # Who writes an answer has read the report, also where no note says so.
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
