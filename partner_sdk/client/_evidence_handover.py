"""Sends a report with its files, in order; what is not sent yet waits sealed in the spool.

- A P1 goes first. Its evidence follows, and then a supplement that brings the digests.
- For a P2 or P3 the evidence goes first and the report carries the digests. If the evidence does not get through, the
  report does not wait for it: it goes as a P1 does.
- Every report is sealed and on disk before the first part is sent. An interrupted one continues as a P1 does, with
  `resume` and `resume_evidence`.

Never sends a byte of a file that has changed since the report: it gets a new id, and the caller is notified.

The spool holds sealed bodies until a receipt proves that they arrived; neither a thief of the folder nor the partner
itself can open them. Several processes may flush it at once (`PartnerState.holding_submission`).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

import msgspec
from msgspec import structs

from partner_sdk.client._evidence_upload import (
    EvidenceJournal,
    FileFacts,
    JournalEntry,
    JournalFile,
    Progress,
    Stage,
    check_file,
    measure_file,
    size_of_file,
    upload_file,
)
from partner_sdk.client._partner_state import GatewaySession, PartnerState
from partner_sdk.client._receipts import Receipt, deliver_submission, find_delivery
from partner_sdk.client._submissions import ReportToSend, SentAs, check_not_repeated, list_unnamed, seal_report
from partner_sdk.client.exchange import RETRIED_ERRORS
from partner_sdk.errors import (
    ConflictError,
    EvidenceError,
    FieldFault,
    LocalStateError,
    ReportAbuseError,
    ReportError,
    StatementError,
    TransportError,
)
from partner_sdk.report import IndustryReport
from partner_sdk.wire.canonical import format_time, get_id_time, parse_time, to_base64url
from partner_sdk.wire.evidence import SECRET_BYTES, count_sealed_bytes
from partner_sdk.wire.submission import MAX_EVIDENCE_IDS, SIGNED_SUBMISSION, Priority, ReportKind

OnProgress = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """Do nothing with it."""


def _journal(session: GatewaySession) -> EvidenceJournal:
    return EvidenceJournal(session.state.folder)


def measure(path: Path, *, file_id: str, on_progress: OnProgress) -> FileFacts:
    """Read a file through and report how far that is; raises `EvidenceError`."""
    return measure_file(path, on_bytes=_count(file_id, "reading", size_of_file(path), on_progress))


def send_waiting(
    session: GatewaySession,
    entry: JournalEntry,
    *,
    facts: Mapping[str, FileFacts],
    is_new: bool,
    on_progress: OnProgress,
) -> tuple[JournalEntry, ReportAbuseError | None]:
    """Send every file that waits; return the entry as it is saved then, and the first error.

    A file that is gone or still being written does not stop the others; anything else does. `facts` are of files that
    were measured in this run; `is_new`: nothing of this entry was sent before.
    """
    first_error: ReportAbuseError | None = None
    for file in entry.waiting:
        try:
            found = facts.get(file.file_id) or measure(Path(file.path), file_id=file.file_id, on_progress=on_progress)
            _send_one(session, entry, file, facts=found, is_new=is_new, on_progress=on_progress)
        except EvidenceError as error:
            first_error = first_error or error
        except ReportAbuseError as error:
            return _journal(session).get(entry.report_id), error
        entry = _journal(session).get(entry.report_id)
    return entry, first_error


def _send_one(
    session: GatewaySession,
    entry: JournalEntry,
    file: JournalFile,
    *,
    facts: FileFacts,
    is_new: bool,
    on_progress: OnProgress,
) -> None:
    for is_last_try in (False, True):
        if facts.sha256.hex() != file.sha256:
            session.notify(
                f"{facts.path} has changed since it was first read: it starts again under a new evidence id."
            )
            file, is_new = _renew(session, entry, file, facts=facts), True
        try:
            digest = upload_file(
                facts,
                evidence_id=file.evidence_id,
                secret=entry.get_secret(),
                is_new=is_new,
                session=session,
                on_bytes=_count(file.file_id, "sending", count_sealed_bytes(facts.size_bytes), on_progress),
            )
        except EvidenceError as error:
            if is_last_try or error.reason != "file-changed":
                raise
            facts, is_new = measure(facts.path, file_id=file.file_id, on_progress=on_progress), False
        except ConflictError:
            if is_last_try:
                raise
            session.notify(f"The gateway holds other bytes under this id: {facts.path} starts again under a new one.")
            file, is_new = _renew(session, entry, file, facts=facts), True
        else:
            _save_file(session, entry, structs.replace(file, digest=digest))
            return


def _renew(session: GatewaySession, entry: JournalEntry, file: JournalFile, *, facts: FileFacts) -> JournalFile:
    """Give a file a new id, on disk before anything is sent under it."""
    renewed = structs.replace(
        file,
        evidence_id=session.make_id(),
        has_new_id=session.state.find_submission(entry.report_id) is not None,
        sha256=facts.sha256.hex(),
        size_bytes=facts.size_bytes,
    )
    _save_file(session, entry, renewed)
    return renewed


def _save_file(session: GatewaySession, entry: JournalEntry, file: JournalFile) -> None:
    _journal(session).save(_journal(session).get(entry.report_id).with_file(file))


def _count(file_id: str, stage: Stage, total: int, on_progress: OnProgress) -> Callable[[int], None]:
    done = 0

    def add(more: int) -> None:
        nonlocal done
        done += more
        on_progress(Progress(file_id=file_id, stage=stage, done_bytes=done, total_bytes=total))

    return add


# It brings no new fact, and the way of the P1 is for children at risk.
SUPPLEMENT_PRIORITY: Final[Priority] = "P3"
_OTHER_FILE: Final = "The file has a different {}: hand over the reported file, or correct this field."
_WAITS_ALREADY: Final = (
    "Report {report_id} with these same files is already sealed and saved: `spool flush` sends the rest of it and no "
    "part twice. This is a different report."
)
# The gateway sweeps parts that no report has named for 14 days: those half as old are not counted on.
KEPT_UNSEALED_FOR: Final = timedelta(days=7)


class HandedOver(msgspec.Struct, frozen=True):
    """A report that is delivered, and how far its evidence is. Look at `is_complete`.

    `waiting` names the files that the gateway does not hold whole, and `error` the reason: nothing has to be
    submitted again, `Partner.resume_evidence` continues. `supplement` is the receipt of the supplement that brought the
    digests; a report that carried them itself needs none.
    """

    receipt: Receipt
    supplement: Receipt | None
    waiting: tuple[JournalFile, ...]
    error: ReportAbuseError | None

    @property
    def is_complete(self) -> bool:
        """Whether the agency can have every file, and knows its digest."""
        return self.error is None and not self.waiting

    @property
    def reference(self) -> str:
        """The reference to quote."""
        return self.receipt.reference

    @property
    def report_id(self) -> str:
        """The id of the report."""
        return self.receipt.report_id


def hand_over(
    session: GatewaySession,
    sent: ReportToSend,
    *,
    files: Mapping[str, Path],
    on_progress: OnProgress = ignore_progress,
    on_saved: Callable[[str], None] = lambda _: None,
    on_receipt: Callable[[Receipt], None] = lambda _: None,
) -> HandedOver:
    """Send a report with the files that belong to its `file_id`s.

    `on_saved` hears its id once it is sealed on the disk, and `on_receipt` as soon as it is delivered.

    Raises `ReportError` or `EvidenceError` before anything is sent, and the errors of `Partner.deliver` while the
    report itself is not delivered: then it is sealed and saved. Later errors are in `HandedOver`. Without any file
    only the report is sent.
    """
    check_names(sent.report, files)
    is_named = not list_unnamed(sent.report, dict.fromkeys(files, ""))
    if is_named:  # the words tell the files apart: none is read
        _check_not_repeated(session, sent, facts={})
    if not files:
        receipt = deliver_submission(
            session, seal_report(session, structs.replace(sent, again=True), on_saved=on_saved)
        )
        on_receipt(receipt)
        return HandedOver(receipt=receipt, supplement=None, waiting=(), error=None)
    for path in files.values():
        check_file(path)
    facts = {
        file_id: measure(path.absolute(), file_id=file_id, on_progress=on_progress)
        for file_id, path in sorted(files.items())
    }
    _check_is_described(sent.report, facts=facts)
    if not is_named:
        _check_not_repeated(session, sent, facts=facts)
    sent = structs.replace(sent, again=True)  # that was judged above
    with ExitStack() as stack:
        entry, is_new = _open_entry(session, sent, facts=facts, stack=stack)
        references = entry.make_references()
        seal_report(session, sent, evidence=references, report_id=entry.report_id, on_saved=on_saved)
        error: ReportAbuseError | None = None
        if sent.priority != "P1":
            entry, error = send_waiting(session, entry, facts=facts, is_new=is_new, on_progress=on_progress)
            if isinstance(error, EvidenceError):
                session.state.discard_submission(entry.report_id)  # never sent: a flush leaves it to its journal
                raise error  # a file changes or is gone: the caller decides how the report describes it then
            references = entry.make_references()
            seal_report(session, sent, evidence=references, report_id=entry.report_id, replaces=True)
            # The report names the ids of now: no supplement has to name an older one.
            entry = structs.replace(entry, files=tuple(structs.replace(file, has_new_id=False) for file in entry.files))
            _journal(session).save(entry)
        if not entry.waiting:  # the sealed report holds all
            _journal(session).forget(entry)
        receipt = deliver_submission(session, entry.report_id)
        on_receipt(receipt)
        if not entry.waiting or error is not None:
            return HandedOver(receipt=receipt, supplement=None, waiting=entry.waiting, error=error)
        return _finish(session, entry, receipt=receipt, facts=facts, is_new=is_new, on_progress=on_progress)


def resume_evidence(session: GatewaySession, *, on_progress: OnProgress = ignore_progress) -> list[HandedOver]:
    """Go on with the evidence of every report that is delivered; one that fails does not stop the others.

    A report that another process is sending is left to it. Evidence of a report that waits in the spool waits with it.
    """
    done = []
    for report_id in _journal(session).list_ids():
        try:
            with _journal(session).holding(report_id):
                entry = _journal(session).find(report_id)
                receipt = find_delivery(session.state, report_id)
                if entry is not None and receipt is not None and not entry.is_done:
                    done.append(
                        _finish(session, entry, receipt=receipt, facts={}, is_new=False, on_progress=on_progress)
                    )
        except LocalStateError as error:
            session.notify(f"Evidence of report {report_id}: {error}")
    return done


def check_names(report: IndustryReport, files: Mapping[str, Path]) -> None:
    """Raise `ReportError` unless each file belongs to one that the report lists; a listed one need not come along."""
    from partner_sdk.report import list_given

    listed = {file.file_id for file in list_given(report.files)}
    faults = []
    for file_id, path in files.items():
        if file_id in listed:
            continue
        if str(path) in listed:
            detail = "The file_id comes first and the path second: swap them."
        else:
            detail = "No file in the report has this file_id: list the file in the report first, or leave it out here."
        faults.append(FieldFault("#/files", detail))
    if len(files) > MAX_EVIDENCE_IDS:
        faults.append(FieldFault("#/files", f"Hand over at most {MAX_EVIDENCE_IDS:,} files with one report."))
    if faults:
        raise ReportError("The files and the report do not match.", reason="bad-field", faults=faults)


def _check_not_repeated(session: GatewaySession, sent: ReportToSend, *, facts: Mapping[str, FileFacts]) -> None:
    if sent.again:
        return
    unnamed = list_unnamed(sent.report, {file_id: found.sha256.hex() for file_id, found in facts.items()})
    sent_as = SentAs(sent.priority, sent.kind, sent.earlier_reference, unnamed)
    check_not_repeated(session, sent.report, sent_as)


def _check_is_described(report: IndustryReport, *, facts: Mapping[str, FileFacts]) -> None:
    """Raise `ReportError` for a file that is not the one that the report describes: neither could be trusted."""
    from partner_sdk.report import list_given

    faults = []
    for place, file in enumerate(list_given(report.files)):
        found = facts.get(file.file_id)
        if found is None:
            continue
        said = {one.value.lower() for one in list_given(file.hashes) if one.type == "sha256"}
        if said and found.sha256.hex() not in said:
            faults.append(FieldFault(f"#/files/{place}/hashes", _OTHER_FILE.format("SHA-256")))
        if isinstance(file.size_bytes, int) and file.size_bytes != found.size_bytes:
            faults.append(FieldFault(f"#/files/{place}/size_bytes", _OTHER_FILE.format("size")))
    if faults:
        raise ReportError("A file does not match its description in the report.", reason="other-file", faults=faults)


def _open_entry(
    session: GatewaySession, sent: ReportToSend, *, facts: Mapping[str, FileFacts], stack: ExitStack
) -> tuple[JournalEntry, bool]:
    """Return a new entry, held until the stack ends; or that of an interrupted `submit` of the same files."""
    for report_id in _journal(session).list_ids():
        try:
            with ExitStack() as trial:
                trial.enter_context(_journal(session).holding(report_id))
                entry = _journal(session).find(report_id)
                if entry is None or entry.is_done:
                    continue
                # A secret is that of one report: once a report is sealed with it, no other may use it.
                if session.state.find_submission(report_id) is not None:
                    if _has_same_files(entry, facts):
                        session.notify(_WAITS_ALREADY.format(report_id=report_id))
                    continue
                if session.clock() - parse_time(entry.begun_at) > KEPT_UNSEALED_FOR:
                    _journal(session).discard(report_id)
                elif _has_same_files(entry, facts):
                    entry = structs.replace(entry, priority=sent.priority, cover=_make_cover(sent, facts))
                    _journal(session).save(entry)
                    session.notify("These files were partly sent before: only the rest is sent now.")
                    stack.push(trial.pop_all())
                    return entry, False
        except LocalStateError:  # held by another process, or damaged: not ours to continue
            continue
    entry = JournalEntry(
        begun_at=format_time(session.clock()),
        cover=_make_cover(sent, facts),
        files=tuple(_make_file(session, file_id, one) for file_id, one in facts.items()),
        priority=sent.priority,
        report_id=session.make_id(),
        secret=to_base64url(session.random_bytes(SECRET_BYTES)),
        supplement_id=session.make_id(),
    )
    stack.enter_context(_journal(session).holding(entry.report_id))
    _journal(session).save(entry)
    return entry, True


def _has_same_files(entry: JournalEntry, facts: Mapping[str, FileFacts]) -> bool:
    return {file.file_id: file.sha256 for file in entry.files} == {
        file_id: one.sha256.hex() for file_id, one in facts.items()
    }


def _make_cover(sent: ReportToSend, facts: Mapping[str, FileFacts]) -> IndustryReport:
    from partner_sdk.report.reading import make_evidence_cover

    return make_evidence_cover(sent.report, file_ids=facts)


def _make_file(session: GatewaySession, file_id: str, facts: FileFacts) -> JournalFile:
    return JournalFile(
        digest=None,
        evidence_id=session.make_id(),
        file_id=file_id,
        has_new_id=False,
        path=str(facts.path),
        sha256=facts.sha256.hex(),
        size_bytes=facts.size_bytes,
    )


def _finish(
    session: GatewaySession,
    entry: JournalEntry,
    *,
    receipt: Receipt,
    facts: Mapping[str, FileFacts],
    is_new: bool,
    on_progress: OnProgress,
) -> HandedOver:
    """Upload waiting files and deliver the supplement; an error is in the result, and the journal keeps the rest."""
    supplement: Receipt | None = None
    error: ReportAbuseError | None = None
    try:
        entry, error = send_waiting(session, entry, facts=facts, is_new=is_new, on_progress=on_progress)
        if error is None:
            supplement = _send_supplement(session, entry, reference=receipt.reference)
            _journal(session).forget(entry)
    except ReportAbuseError as failure:
        error = failure
    return HandedOver(receipt=receipt, supplement=supplement, waiting=entry.waiting, error=error)


def _send_supplement(session: GatewaySession, entry: JournalEntry, *, reference: str) -> Receipt:
    from partner_sdk.report.reading import note_new_ids

    if entry.cover is None:
        raise LocalStateError("The journal of this evidence is damaged.", reason="damaged-state")
    if session.state.find_submission(entry.supplement_id) is None:
        renewed = [file.file_id for file in entry.files if file.has_new_id]
        report = note_new_ids(entry.cover, file_ids=renewed) if renewed else entry.cover
        sent = ReportToSend(report, SUPPLEMENT_PRIORITY, "supplement", earlier_reference=reference, again=True)
        seal_report(session, sent, evidence=entry.make_references(), report_id=entry.supplement_id)
    return deliver_submission(session, entry.supplement_id)


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
        said = SIGNED_SUBMISSION.peek(saved[1].statement)
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
