"""The agency's key set as a client uses it: fetched at most every ten minutes, else the newest one saved."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from partner_sdk.client._events import log_event
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client.transport import Transport
from partner_sdk.errors import FormatError, KeySetError, ProblemError, ReportAbuseError, TransportError
from partner_sdk.wire.signing import MAX_LIST_BYTES, KeySet

KEY_SET_KEPT_FOR: Final = timedelta(minutes=10)


class KeySets:
    """The key sets of one folder and one gateway. `notify` gets a line when a saved one has to do."""

    def __init__(
        self,
        state: PartnerState,
        transport: Transport,
        *,
        clock: Callable[[], datetime],
        notify: Callable[[str], None],
    ) -> None:
        self._state = state
        self._transport = transport
        self._clock = clock
        self._notify = notify
        self._fetched_at: datetime | None = None

    def refresh(self) -> KeySet:
        """Fetch the key set, check it against the pinned root and the newest one seen, save and return it."""
        reply = self._transport.send("GET", "/v1/keys", is_signed=False, max_bytes=MAX_LIST_BYTES)
        now = self._clock()
        key_set = self._state.accept_key_set(reply.body, now=now)
        self._fetched_at = now
        log_event("key-set-fetched", serial=key_set.serial)
        return key_set

    def get(self) -> KeySet:
        """Return a key set in force: fetched lately, fetched now, or, with a word about it, the newest one saved."""
        now = self._clock()
        if self._fetched_at is not None and abs(now - self._fetched_at) < KEY_SET_KEPT_FOR:
            return self._state.read_key_set(now=now)
        try:
            return self.refresh()
        except (TransportError, ProblemError, KeySetError, FormatError) as error:
            try:
                kept = self._state.read_key_set(now=now)
            except ReportAbuseError:
                raise error from None
            log_event("key-set-kept", serial=kept.serial, reason=error.reason)
            self._notify(f"The key set could not be renewed; the saved one (serial {kept.serial}) is used. {error}")
            return kept
