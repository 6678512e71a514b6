"""The way round a gateway that is down for long: a sealed report leaves as a file, and the desk's receipt comes back.

The file is exactly the body of `POST /v1/reports`, sealed and signed already: it may travel by any channel. Never takes
anything out of the spool but for a receipt that holds.
"""

from datetime import datetime
from pathlib import Path

from partner_sdk.client.evidence_journal import EvidenceJournal
from partner_sdk.client.partner_state import PartnerState
from partner_sdk.client.receipt_check import DeskReceipt, Receipt, check_desk_receipt
from partner_sdk.client.report_sealing import check_may_leave
from partner_sdk.durable_files import write_new_durably
from partner_sdk.errors import LocalStateError, StatementError
from partner_sdk.wire.desk_receipt import peek_desk_receipt


def check_free(path: Path) -> None:
    """Raise `LocalStateError` (`file-exists`) if something is there: it would not be written over."""
    if path.exists() or path.is_symlink():
        raise LocalStateError(f"{path} is there already: name a new file.", reason="file-exists")


def write_sealed_file(state: PartnerState, report_id: str, path: Path, *, now: datetime) -> int:
    """Write the sealed and signed body of a saved submission to a new file (0600), and return its size in bytes.

    Raises `LocalStateError` (`no-such-submission`, `file-exists`, `not-saved`), and for one that has no receipt yet
    `LocalStateError` (`in-use`) and as `check_may_leave`.
    """
    saved = state.find_submission(report_id)
    if saved is None:
        raise LocalStateError("There is no submission with this id.", reason="no-such-submission")
    if report_id in state.list_undelivered():
        EvidenceJournal(state.folder).check_free(report_id)
        check_may_leave(saved[1], key_set=state.read_key_set(now=now, allow_expired=True), now=now)
    write_new_durably(path, saved[0])
    return len(saved[0])


def check_answer(state: PartnerState, raw: bytes, *, now: datetime) -> DeskReceipt:
    """Verify a desk receipt offline against the saved key set and the saved submission.

    Raises `FormatError` and `StatementError` (`receipt-mismatch` if it is for nothing that was sealed here).
    """
    saved = state.find_submission(peek_desk_receipt(raw).clear.report_id)
    if saved is None:
        raise StatementError("This receipt is for a report that was not sealed here.", reason="receipt-mismatch")
    key_set = state.read_key_set(now=now, allow_expired=True)
    return check_desk_receipt(raw, post=saved[1], key_set=key_set, now=now)


def keep_receipt(state: PartnerState, receipt: Receipt | DeskReceipt) -> bool:
    """Save a receipt that was checked, so that its report waits no longer; return whether there was none of its kind.

    A second receipt of the same kind changes nothing: the first one is the proof that is kept.
    """
    with state.holding_submission(receipt.report_id):
        if isinstance(receipt, DeskReceipt):
            is_new = state.find_desk_receipt(receipt.report_id) is None
            if is_new:
                state.save_desk_receipt(receipt.report_id, receipt.raw)
        else:
            is_new = state.find_receipt(receipt.report_id) is None
            if is_new:
                state.save_receipt(receipt.report_id, receipt.raw)
    return is_new


def list_desk_receipts(state: PartnerState) -> list[DeskReceipt]:
    """Return the saved receipts of the desk, oldest report first, without any network."""
    found = (state.find_desk_receipt(report_id) for report_id in state.list_desk_receipts())
    return [DeskReceipt(statement=peek_desk_receipt(raw), raw=raw) for raw in found if raw is not None]
