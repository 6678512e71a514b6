"""Checks a receipt against the very post that it answers, offline, and all kept ones against those of the gateway."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from partner_sdk.client.partner_state import PartnerState
from partner_sdk.errors import FormatError, StatementError
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.desk_receipt import DeskReceiptStatement, verify_desk_receipt
from partner_sdk.wire.intake import IntakeStatement, peek_intake, verify_receipt
from partner_sdk.wire.keys import KeySet
from partner_sdk.wire.submission import ReportPost, clear_fields_of, peek_submission


@dataclass(frozen=True, slots=True)
class Receipt:
    """The gateway's signed word that a report is stored. `raw` is what counts: keep it as it is."""

    statement: IntakeStatement
    raw: bytes

    @property
    def reference(self) -> str:
        """The reference to say aloud or to quote."""
        return self.statement.reference

    @property
    def report_id(self) -> str:
        """The id of the report."""
        return self.statement.clear.report_id


@dataclass(frozen=True, slots=True)
class DeskReceipt:
    """The agency's signed word that a report which came as a file is at its desk. `raw` is what counts."""

    statement: DeskReceiptStatement
    raw: bytes

    @property
    def reference(self) -> str:
        """The reference to say aloud or to quote."""
        return self.statement.reference

    @property
    def report_id(self) -> str:
        """The id of the report."""
        return self.statement.clear.report_id


def check_receipt(raw: bytes, *, post: ReportPost, key_set: KeySet, now: datetime) -> Receipt:
    """Return the receipt if the gateway signed it for this very post; raises `FormatError`, `StatementError`."""
    statement = verify_receipt(raw, key_set=key_set, submission=encode(post.statement), now=now)
    _check_same(statement, post)
    return Receipt(statement=statement, raw=raw)


@dataclass(frozen=True, slots=True)
class ComparedReceipt:
    """One kept receipt beside that of the gateway.

    `same`: byte for byte. `other`: the gateway has another one for this report. `missing`: it has none. `invalid`: the
    kept one does not hold, e.g. it was changed on this disk; `reason` says why.
    """

    report_id: str
    reference: str | None
    finding: Literal["same", "other", "missing", "invalid"]
    reason: str | None = None


def compare_receipts(
    state: PartnerState,
    *,
    ask: Callable[[str], bytes | None],
    now: datetime,
    on_progress: Callable[[int, int], None],
) -> Iterator[ComparedReceipt]:
    """Yield each kept receipt of the gateway beside what `ask` returns for its report id, oldest first."""
    report_ids = state.list_receipts()
    for place, report_id in enumerate(report_ids, start=1):
        kept = state.find_receipt(report_id) or b""
        receipt: Receipt | None = None
        try:
            receipt = check_kept_receipt(state, kept, now=now)
        except (FormatError, StatementError) as error:
            yield ComparedReceipt(report_id, None, "invalid", error.reason)
        if receipt is not None and receipt.report_id != report_id:  # a file of another name
            yield ComparedReceipt(report_id, receipt.reference, "invalid", "receipt-mismatch")
        elif receipt is not None:
            there = ask(report_id)
            finding: Literal["same", "other", "missing"] = "missing" if there is None else "other"
            yield ComparedReceipt(report_id, receipt.reference, "same" if there == kept else finding)
        on_progress(place, len(report_ids))


def check_new_receipt(
    state: PartnerState, raw: bytes, *, post: ReportPost, clock: Callable[[], datetime], refresh: Callable[[], KeySet]
) -> Receipt:
    """Return a receipt that has just come if it holds under the saved key set, or under one that is fetched now."""
    now = clock()
    try:
        return check_receipt(raw, post=post, key_set=state.read_key_set(now=now, allow_expired=True), now=now)
    except StatementError as error:
        if error.reason != "unknown-key":
            raise
    # A receipt key younger than our key set: look once more.
    return check_receipt(raw, post=post, key_set=refresh(), now=now)


def check_kept_receipt(state: PartnerState, raw: bytes, *, now: datetime) -> Receipt:
    """Verify a receipt offline against the saved key set and the saved submission of this folder.

    Raises `FormatError` and `StatementError` (`receipt-mismatch` if it is for nothing that was sent from here).
    """
    saved = state.find_submission(peek_intake(raw).clear.report_id)
    if saved is None:
        raise StatementError("This receipt is for a report that was not sent from here.", reason="receipt-mismatch")
    return check_receipt(raw, post=saved[1], key_set=state.read_key_set(now=now, allow_expired=True), now=now)


def check_desk_receipt(raw: bytes, *, post: ReportPost, key_set: KeySet, now: datetime) -> DeskReceipt:
    """Return the receipt if the desk signed it for this very post; raises `FormatError`, `StatementError`."""
    statement = verify_desk_receipt(raw, key_set=key_set, submission=encode(post.statement), now=now)
    _check_same(statement, post)
    return DeskReceipt(statement=statement, raw=raw)


def _check_same(statement: IntakeStatement | DeskReceiptStatement, post: ReportPost) -> None:
    submission = peek_submission(post.statement)
    said = (statement.clear, statement.envelope_sha256)
    if said != (clear_fields_of(submission), submission.envelope_sha256):
        raise StatementError("The receipt says something else than the submission.", reason="receipt-mismatch")
