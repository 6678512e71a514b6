"""Receipts: each is checked offline against its own post, and all kept ones against the gateway and its public log.

While a gateway is down for long, a sealed report leaves as a file and the desk's receipt comes back. The file is
exactly the body of `POST /v1/reports`, sealed and signed: it may travel by any channel. Only a receipt that holds takes
a report out of the spool.

The public log has one history, with an entry for each receipt (WIRE.md §6.8). Its newest checkpoint is kept in the
folder, as it was signed. A signed one that contradicts it is kept beside it under its size and root, and never written
again: together they prove the contradiction.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from partner_sdk.client._evidence_upload import EvidenceJournal
from partner_sdk.client._partner_state import GatewaySession, PartnerState, Signer
from partner_sdk.client._submissions import check_may_leave, find_receipt, find_taken_before, send_submission
from partner_sdk.client.exchange import MAX_SMALL_REPLY_BYTES, log_event
from partner_sdk.durable_files import find_bytes, make_private_folder, write_durably, write_new_durably
from partner_sdk.errors import FormatError, LocalStateError, LogError, RefusedError, StatementError, UnavailableError
from partner_sdk.wire.canonical import (
    check_reference,
    check_report_id,
    encode,
    parse_exact,
    parse_reference,
    parse_time,
)
from partner_sdk.wire.public_log import (
    CLOCK_SKEW_SECONDS,
    CONTRADICTION_FILE,
    LOGGED_WITHIN_SECONDS,
    LogView,
    find_contradiction_file,
    origin_of,
    view_log,
)
from partner_sdk.wire.receipts import (
    SIGNED_DESK_RECEIPT,
    SIGNED_INTAKE,
    DeskReceiptStatement,
    IntakeStatement,
    verify_desk_receipt,
    verify_receipt,
)
from partner_sdk.wire.signing import KeySet, verify_keys
from partner_sdk.wire.submission import (
    SIGNED_SUBMISSION,
    Progress,
    ReportPost,
    ReportProgress,
    clear_fields_of,
)

if TYPE_CHECKING:
    pass

# With it comes all that sends, which a command that runs alone does not need.


_REFERENCES: Final = "references"


class Receipt(msgspec.Struct, frozen=True):
    """The signed statement that a report is stored. `raw` is the proof: keep it as it is.

    The gateway's, or for a report that went as a file the desk's.
    """

    statement: IntakeStatement | DeskReceiptStatement
    raw: bytes

    @property
    def reference(self) -> str:
        """The reference to quote."""
        return self.statement.reference

    @property
    def report_id(self) -> str:
        """The id of the report."""
        return self.statement.clear.report_id

    @property
    def signed_by(self) -> Signer:
        """Whose receipt it is."""
        return "desk" if isinstance(self.statement, DeskReceiptStatement) else "gateway"


def peek_receipt(raw: bytes, *, by: Signer = "gateway") -> Receipt:
    """Return a receipt that was verified before, or is to be; raises `FormatError`."""
    return Receipt(statement=(SIGNED_DESK_RECEIPT if by == "desk" else SIGNED_INTAKE).peek(raw), raw=raw)


def check_receipt(raw: bytes, *, post: ReportPost, key_set: KeySet, now: datetime, by: Signer = "gateway") -> Receipt:
    """Return the receipt if its signer made it for this post; raises `FormatError`, `StatementError`."""
    verify = verify_desk_receipt if by == "desk" else verify_receipt
    statement = verify(raw, key_set=key_set, submission=encode(post.statement), now=now)
    submission = SIGNED_SUBMISSION.peek(post.statement)
    said = (statement.clear, statement.envelope_sha256)
    if said != (clear_fields_of(submission), submission.envelope_sha256):
        raise StatementError("The receipt does not match the submission.", reason="receipt-mismatch")
    return Receipt(statement=statement, raw=raw)


Finding = Literal["same", "other", "missing", "unread", "late", "not-logged", "invalid"]


class ComparedReceipt(msgspec.Struct, frozen=True):
    """One kept receipt beside that of the gateway.

    `same`: byte for byte, and in the public log if there is one (`reason` is `pre-log` for a receipt of before the log,
    which does not prove its time). `other`: the gateway has another one for this report.
    `missing`: it has none. `unread`: it cannot read its own row, and answers the others. `late`: the public log stood
    still and holds it since. `not-logged`: that does not hold it as it must. `invalid`: the kept one is not valid, e.g.
    it was changed on this disk. For these `reason` is the cause.
    """

    report_id: str
    reference: str | None
    finding: Finding
    reason: str | None = None


_FINDINGS: Final[dict[str, Finding]] = {"pre-log": "same", "late": "late"}


def compare_receipts(
    session: GatewaySession,
    *,
    find_fault: Callable[[Receipt], LogError | None] | None,
    on_progress: Callable[[int, int], None],
) -> Iterator[ComparedReceipt]:
    """Yield each kept receipt of the gateway beside the one that it has now, oldest first.

    `find_fault` returns why a receipt does not stand in the public log, if there is one.
    """
    state, now = session.state, session.clock()
    report_ids, is_answering = state.list_receipts(), True
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
            ask = partial(find_receipt, session.transport, report_id)
            try:
                # A damaged row of the gateway answers for itself; after it no patience is lost on each of its page.
                answer = session.send_patiently(ask) if is_answering else ask()
            except UnavailableError as error:
                is_answering = False
                yield ComparedReceipt(report_id, receipt.reference, "unread", error.reason)
            else:
                is_answering = True
                there = None if answer is None else answer.body
                fault = find_fault(receipt) if find_fault is not None and there == kept else None
                finding: Finding = "same" if there == kept else "missing" if there is None else "other"
                if fault is not None:
                    finding = _FINDINGS.get(fault.reason, "not-logged")
                yield ComparedReceipt(report_id, receipt.reference, finding, None if fault is None else fault.reason)
        on_progress(place, len(report_ids))


def check_new_receipt(session: GatewaySession, raw: bytes, *, post: ReportPost) -> Receipt:
    """Return a receipt that has just come if it holds under the saved key set, or under one that is fetched now."""
    now = session.clock()
    try:
        key_set = session.state.read_key_set(now=now, allow_expired=True)
        return check_receipt(raw, post=post, key_set=key_set, now=now)
    except StatementError as error:
        if error.reason != "unknown-key":
            raise
    # A receipt key younger than our key set: look once more.
    return check_receipt(raw, post=post, key_set=session.refresh_key_set(), now=now)


def deliver_submission(session: GatewaySession, report_id: str, *, is_patient: bool = True) -> Receipt:
    """Send a saved submission; save and return its receipt. One with a receipt is not sent again."""
    state = session.state
    with state.holding_submission(report_id):
        _, post = state.get_submission(report_id)
        kept = state.find_receipt(report_id)
        if kept is not None:
            return peek_receipt(kept)
        reply = find_taken_before(session, post) or session.send_patiently(
            lambda: send_submission(session, report_id), is_patient=is_patient
        )
        _, post = state.get_submission(report_id)
        receipt = check_new_receipt(session, reply.body, post=post)
        save_receipt(state, receipt)
    log_event("report-delivered", report_id=report_id, reference=receipt.reference)
    return receipt


def fetch_progress(session: GatewaySession, report_id: str) -> ReportProgress:
    """Ask how far an own report is, and save its receipt once more. Raises as `Partner.get_progress`."""
    check_report_id(report_id)
    reply = session.transport.send("GET", f"/v1/reports/{report_id}", max_bytes=MAX_SMALL_REPLY_BYTES)
    progress = parse_exact(reply.body, kind=Progress, max_bytes=MAX_SMALL_REPLY_BYTES)
    _, post = session.state.get_submission(report_id)
    save_receipt(session.state, check_new_receipt(session, encode(progress.receipt), post=post))
    reason = progress.set_aside_reason
    return ReportProgress(report_id, progress.stage, outcome=progress.outcome, set_aside_reason=reason)


def check_kept_receipt(state: PartnerState, raw: bytes, *, now: datetime, by: Signer = "gateway") -> Receipt:
    """Verify a receipt offline against the saved key set and the saved submission of this folder.

    Raises `FormatError` and `StatementError` (`receipt-mismatch` if it is for nothing that was sealed here).
    """
    saved = state.find_submission(peek_receipt(raw, by=by).report_id)
    if saved is None:
        raise StatementError("This receipt is for a report that was not sealed here.", reason="receipt-mismatch")
    key_set = state.read_key_set(now=now, allow_expired=True)
    return check_receipt(raw, post=saved[1], key_set=key_set, now=now, by=by)


def check_free(path: Path) -> None:
    """Raise `LocalStateError` (`file-exists`) if something is there: it would not be written over."""
    if path.exists() or path.is_symlink():
        raise LocalStateError(f"{path} already exists: give a new file.", reason="file-exists")


def read_sealed(state: PartnerState, report_id: str, *, now: datetime) -> bytes:
    """Return the sealed and signed body of a saved submission, to send another way.

    Raises `LocalStateError` (`no-such-submission`), and for one that has no receipt yet `LocalStateError` (`in-use`)
    and as `check_may_leave`.
    """
    saved = state.find_submission(report_id)
    if saved is None:
        raise LocalStateError("There is no submission with this id.", reason="no-such-submission")
    if not state.is_delivered(report_id):
        EvidenceJournal(state.folder).check_free(report_id)
        check_may_leave(saved[1], key_set=state.read_key_set(now=now, allow_expired=True), now=now)
    return saved[0]


def write_sealed_file(state: PartnerState, report_id: str, path: Path, *, now: datetime) -> int:
    """Write the result of `read_sealed` to a new file (0600), and return its size in bytes.

    Raises also `LocalStateError` (`file-exists`, `not-saved`).
    """
    raw = read_sealed(state, report_id, now=now)
    write_new_durably(path, raw)
    return len(raw)


def keep_receipt(state: PartnerState, receipt: Receipt) -> bool:
    """Save a receipt that was checked, so that its report waits no longer; return whether there was none of its kind.

    A second receipt of the same kind changes nothing: the first one is the proof that is kept.
    """
    with state.holding_submission(receipt.report_id):
        is_new = state.find_receipt(receipt.report_id, by=receipt.signed_by) is None
        if is_new:
            save_receipt(state, receipt)
    return is_new


def save_receipt(state: PartnerState, receipt: Receipt) -> None:
    """Save a receipt that was checked, never over a different one, so that its reference finds it."""
    state.save_receipt(receipt.report_id, receipt.raw, by=receipt.signed_by)
    _link(state, receipt)


def _link(state: PartnerState, receipt: Receipt) -> None:
    """Link a reference to its receipt. Not synced, and a failure changes nothing: `get_report_id` finds it without."""
    folder = state.folder / _REFERENCES
    kept = state.get_receipt_path(receipt.report_id, by=receipt.signed_by).relative_to(state.folder)
    with suppress(OSError, FormatError):
        check_reference(receipt.reference)  # a file name is never built from anything else
        try:
            (folder / receipt.reference).symlink_to(".." / kept)
        except FileNotFoundError:
            make_private_folder(folder)
            (folder / receipt.reference).symlink_to(".." / kept)


def list_kept_receipts(state: PartnerState, *, by: Signer) -> list[Receipt]:
    """Return the saved receipts of a signer, oldest report first, without any network."""
    found = (state.find_receipt(report_id, by=by) for report_id in state.list_receipts(by=by))
    return [peek_receipt(raw, by=by) for raw in found if raw is not None]


def find_delivery(state: PartnerState, report_id: str) -> Receipt | None:
    """Return the receipt of a report, from the gateway or from the desk, or None."""
    signers: tuple[Signer, ...] = ("gateway", "desk")
    found = ((by, state.find_receipt(report_id, by=by)) for by in signers)
    return next((peek_receipt(raw, by=by) for by, raw in found if raw is not None), None)


def get_report_id(state: PartnerState, named: str) -> str:
    """Return the id of a report of this folder that an id or a reference names, without any network.

    Raises `FormatError` (`bad-reference`) for neither, and `LocalStateError` (`no-such-receipt`) for a reference that
    no receipt here has.
    """
    try:
        check_report_id(named)
    except FormatError:
        reference = parse_reference(named)
    else:
        return named
    with suppress(OSError, FormatError):
        report_id = (state.folder / _REFERENCES / reference).readlink().stem
        receipt = find_delivery(state, report_id)
        if receipt is not None and receipt.reference == reference:
            return report_id
    # Receipts from before there were links, or after a crash between the two: they are linked on the way.
    for report_id in sorted(state.list_delivered(), reverse=True):
        receipt = find_delivery(state, report_id)
        if receipt is None:
            continue
        _link(state, receipt)
        if receipt.reference == reference:
            return report_id
    raise LocalStateError(
        "No receipt of this folder has this reference: `report list` shows them all.", reason="no-such-receipt"
    )


CHECKPOINT_FILE = "log.checkpoint"
NOT_FOUND = 404


class PublicLog(msgspec.Struct, frozen=True):
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


def open_log(session: GatewaySession) -> PublicLog | None:
    """Return the log at its newest checkpoint, and remember that; None if the agency lists no key of a log.

    Raises the errors of sending, and `LogError`: `rolled-back`, `forked` or another reason not to believe the log.
    """
    key_set, now = session.get_key_set(), session.clock()
    state, transport = session.state, session.transport
    remembered, notes = find_bytes(state.folder / CHECKPOINT_FILE), list[bytes]()
    keys = verify_keys(key_set.log_keys, signed_at=now, now=now)
    if not keys and remembered is None:
        return None

    def fetch(path: str, max_bytes: int) -> bytes:
        try:
            raw = session.send_patiently(
                lambda: transport.send("GET", f"/log/{path}", is_signed=False, max_bytes=max_bytes).body
            )
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
