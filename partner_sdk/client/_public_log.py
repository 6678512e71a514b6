"""The gateway's public log, as a partner checks it: one history, with an entry for each of its receipts (WIRE.md §6.8).

Remembers the newest checkpoint in the partner's folder, as it was signed. A signed one that contradicts it is kept
beside it under its size and root, and never written again: together they prove the contradiction.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client._receipts import Receipt
from partner_sdk.client.transport import Transport
from partner_sdk.durable_files import find_bytes, write_durably, write_new_durably
from partner_sdk.errors import LocalStateError, LogError, RefusedError
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.public_log import (
    CLOCK_SKEW_SECONDS,
    CONTRADICTION_FILE,
    LOGGED_WITHIN_SECONDS,
    LogView,
    find_contradiction_file,
    origin_of,
    view_log,
)
from partner_sdk.wire.signing import KeySet, verify_keys

CHECKPOINT_FILE = "log.checkpoint"
NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class PublicLog:
    """The log at its newest checkpoint, which continues the one that was remembered."""

    view: LogView
    now: datetime

    @property
    def size(self) -> int:
        """The number of its entries, real and random."""
        return self.view.checkpoint.size

    def find_fault(self, receipt: Receipt) -> LogError | None:
        """Return the fault of a receipt's entry, or None, also while the receipt is too new to be logged.

        Reasons: `not-included`, `passed-over`, `ahead` (of our clock), `wrong-time`; and two that are no alarm:
        `pre-log`, the log began after this receipt and does not prove its time; `late`, it stood still at that time.
        Raises the errors of sending.
        """
        received_at = parse_time(receipt.statement.received_at)
        age = (self.now - received_at).total_seconds()
        if age < -CLOCK_SKEW_SECONDS:
            return LogError(f"The receipt states a time {-age:.0f} seconds ahead of this clock.", reason="ahead")
        fault = self.view.find_fault(receipt.raw, received_at=int(received_at.timestamp()))
        is_new = age <= LOGGED_WITHIN_SECONDS + CLOCK_SKEW_SECONDS
        return None if is_new and fault is not None and fault.reason == "not-included" else fault


def open_log(
    state: PartnerState, transport: Transport, *, key_set: KeySet, now: datetime, patiently: Callable[..., bytes]
) -> PublicLog | None:
    """Return the log at its newest checkpoint, and remember that; None if the agency lists no key of a log.

    Raises the errors of sending, and `LogError`: `rolled-back`, `forked` or another reason not to believe the log.
    """
    remembered, notes = find_bytes(state.folder / CHECKPOINT_FILE), list[bytes]()
    keys = verify_keys(key_set.log_keys, signed_at=now, now=now)
    if not keys and remembered is None:
        return None

    def fetch(path: str, max_bytes: int) -> bytes:
        try:
            raw = patiently(lambda: transport.send("GET", f"/log/{path}", is_signed=False, max_bytes=max_bytes).body)
        except RefusedError as error:
            if error.status != NOT_FOUND:
                raise
            raise LogError("The gateway does not show its public log, or not all of it.", reason="no-log") from None
        if path == "checkpoint":
            notes.append(raw)
        return raw

    origin = origin_of(state.profile.origin)
    try:
        view = view_log(fetch, origin=origin, public_keys=list(keys.values()), remembered=remembered)
    except LogError:
        path, public_keys = state.folder / CONTRADICTION_FILE, list(keys.values())
        for note in notes if remembered is not None else []:
            own = find_contradiction_file(path, note, origin=origin, public_keys=public_keys)
            if own is not None:
                with suppress(LocalStateError):  # the alarm counts more
                    write_new_durably(own, note)
        raise
    write_durably(state.folder / CHECKPOINT_FILE, view.note)
    return PublicLog(view, now)
