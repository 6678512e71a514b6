"""The spool: sealed submissions that wait in the folder until a receipt proves that they arrived.

It holds sealed bodies only, which neither a thief of the folder nor the partner itself can open.
Several processes may flush at once: each report is held while it is sent (`PartnerState.holding_submission`).
"""

from collections.abc import Callable, Iterator
from typing import Final, Protocol

import msgspec

from partner_sdk.client._evidence_upload import EvidenceJournal
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client._receipts import Receipt
from partner_sdk.client.exchange import RETRIED_ERRORS
from partner_sdk.errors import ReportAbuseError, StatementError, TransportError
from partner_sdk.wire.canonical import format_time, get_id_time
from partner_sdk.wire.submission import Priority, ReportKind, peek_submission

# After this many failures of one priority in a row, its others wait for the next flush: a gateway that is
# down takes none of them. More than one, because a single report may be the cause itself; by priority, because each
# has a rate limit of its own.
MOST_UNANSWERED_IN_A_ROW: Final = 3


class Waiting(msgspec.Struct, frozen=True):
    """One sealed submission without a receipt.

    `since` is when it was sealed. An unreadable one counts as a P1, with the error: it may be one.
    """

    report_id: str
    priority: Priority
    kind: ReportKind | None
    since: str | None
    size_bytes: int
    error: ReportAbuseError | None = None


class WaitingEvidence(msgspec.Struct, frozen=True):
    """The files of one report that the gateway does not hold whole, or whose digests it has not received.

    `is_sealed` is false while the report itself was not sealed: then the same `report submit` continues it.
    """

    report_id: str
    since: str | None
    files: int
    size_bytes: int
    is_sealed: bool
    error: ReportAbuseError | None = None


class Attempt(msgspec.Struct, frozen=True):
    """The outcome of one report that had been waiting: a receipt, or the error that stopped it."""

    report_id: str
    priority: Priority
    receipt: Receipt | None
    error: ReportAbuseError | None


class Deliver(Protocol):
    """Sends one saved submission, with all patience or only once; raises `ReportAbuseError`."""

    def __call__(self, report_id: str, *, is_patient: bool) -> Receipt:
        """Return the verified and saved receipt."""
        ...


def find_oldest(waiting: list[Waiting]) -> str | None:
    """Return the time of the oldest waiting report, or None if no time is known."""
    return min((one.since for one in waiting if one.since is not None), default=None)


def list_waiting(state: PartnerState) -> list[Waiting]:
    """List waiting reports, P1 first and then the oldest; never raises for a damaged file."""
    found = [_read_waiting(state, report_id) for report_id in state.list_undelivered()]
    return sorted(found, key=lambda one: (one.priority, one.report_id))


def list_waiting_evidence(state: PartnerState) -> list[WaitingEvidence]:
    """List the reports whose evidence waits, the oldest first; never raises for an entry that is damaged."""
    journal = EvidenceJournal(state.folder)
    found = []
    for report_id in journal.list_ids():
        try:
            entry = journal.find(report_id)
            if entry is None or entry.is_done:
                continue
            is_sealed = state.find_submission(report_id) is not None
        except ReportAbuseError as error:
            found.append(WaitingEvidence(report_id, None, 0, 0, True, error))
            continue
        size = sum(file.size_bytes for file in entry.waiting)
        found.append(WaitingEvidence(report_id, entry.begun_at, len(entry.waiting), size, is_sealed))
    return found


def flush(
    state: PartnerState, *, deliver: Deliver, on_start: Callable[[int, int, Waiting], None] = lambda *_: None
) -> Iterator[Attempt]:
    """Send all waiting reports, P1 first, and yield the outcome of each; a failure does not stop the others.

    After one that got no answer, 5xx or 429, the next are sent once only, until one gets through; after
    `MOST_UNANSWERED_IN_A_ROW` of a priority the rest of it is left (`not-tried`). `on_start` hears before each one its
    place from 1, how many there are, and which it is. A report that another process discards meanwhile is skipped.
    """
    waiting = list_waiting(state)
    unanswered, priority, is_patient = 0, "", True
    for place, one in enumerate(waiting, start=1):
        if one.priority != priority:
            unanswered, priority = 0, one.priority
        if unanswered >= MOST_UNANSWERED_IN_A_ROW:
            yield _make_failure(one, _make_not_tried())
            continue
        on_start(place, len(waiting), one)
        try:
            # Its submit is still sending files, and seals the report once more with their digests before it goes.
            EvidenceJournal(state.folder).check_free(one.report_id)
            receipt = deliver(one.report_id, is_patient=is_patient)
        except RETRIED_ERRORS as error:
            unanswered, is_patient = unanswered + 1, False
            yield _make_failure(one, error)
        except ReportAbuseError as error:
            if isinstance(error, StatementError) and error.reason == "no-such-submission":
                continue
            unanswered = 0
            yield _make_failure(one, error)
        else:
            unanswered, is_patient = 0, True
            yield Attempt(report_id=one.report_id, priority=one.priority, receipt=receipt, error=None)


def _read_waiting(state: PartnerState, report_id: str) -> Waiting:
    since: str | None = None
    size = 0
    try:
        since = format_time(get_id_time(report_id))
        saved = state.find_submission(report_id)
        if saved is None:  # discarded since it was listed; the flush passes it by
            return Waiting(report_id, "P3", None, since, size)
        size = len(saved[0])
        said = peek_submission(saved[1].statement)
    except ReportAbuseError as error:
        return Waiting(report_id, "P1", None, since, size, error)
    return Waiting(report_id, said.priority, said.kind, since, size)


def _make_failure(one: Waiting, error: ReportAbuseError) -> Attempt:
    return Attempt(report_id=one.report_id, priority=one.priority, receipt=None, error=error)


def _make_not_tried() -> TransportError:
    return TransportError(
        f"Not tried, because the {MOST_UNANSWERED_IN_A_ROW} before it did not get through. It stays sealed and saved.",
        reason="not-tried",
    )
