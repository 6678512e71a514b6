"""Sends the waiting files of one journal entry, one after the other, and records each one that is complete.

Every file is measured again before it is sent again: a changed one gets a new id, and the caller is notified.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from msgspec import structs

from partner_sdk.client._evidence_files import (
    EvidenceJournal,
    FileFacts,
    JournalEntry,
    JournalFile,
    measure_file,
    size_of_file,
)
from partner_sdk.client._evidence_upload import Line, Progress, Stage, upload_file
from partner_sdk.client._partner_state import PartnerState
from partner_sdk.client._receipts import Receipt
from partner_sdk.errors import ConflictError, EvidenceError, ReportAbuseError
from partner_sdk.report import IndustryReport
from partner_sdk.wire.evidence import EvidenceReference, count_sealed_bytes
from partner_sdk.wire.submission import Priority, ReportKind

OnProgress = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """Do nothing with it."""


class Seal(Protocol):
    """Seals, signs and saves a report, without sending it; see `Partner.seal_report`."""

    def __call__(
        self,
        report: IndustryReport,
        *,
        priority: Priority,
        kind: ReportKind,
        earlier_reference: str | None,
        evidence: tuple[EvidenceReference, ...],
        report_id: str,
        replaces: bool,
        again: bool,
    ) -> str:
        """Return the id of the report."""
        ...


@dataclass(frozen=True, slots=True)
class EvidenceSession:
    """The parts of one partner that handing over uses."""

    state: PartnerState
    line: Line
    seal: Seal
    deliver: Callable[[str], Receipt]
    make_id: Callable[[], str]
    make_secret: Callable[[], bytes]
    clock: Callable[[], datetime]

    @property
    def journal(self) -> EvidenceJournal:
        """The journal in the partner's folder."""
        return EvidenceJournal(self.state.folder)


def measure(path: Path, *, file_id: str, on_progress: OnProgress) -> FileFacts:
    """Read a file through and report how far that is; raises `EvidenceError`."""
    return measure_file(path, on_bytes=_count(file_id, "reading", size_of_file(path), on_progress))


def send_waiting(
    room: EvidenceSession, entry: JournalEntry, *, facts: Mapping[str, FileFacts], is_new: bool, on_progress: OnProgress
) -> tuple[JournalEntry, ReportAbuseError | None]:
    """Send every file that waits; return the entry as it is saved then, and the first error.

    A file that is gone or still being written does not stop the others; anything else does. `facts` are of files that
    were measured in this run; `is_new`: nothing of this entry was sent before.
    """
    first_error: ReportAbuseError | None = None
    for file in entry.waiting:
        try:
            found = facts.get(file.file_id) or measure(Path(file.path), file_id=file.file_id, on_progress=on_progress)
            _send_one(room, entry, file, facts=found, is_new=is_new, on_progress=on_progress)
        except EvidenceError as error:
            first_error = first_error or error
        except ReportAbuseError as error:
            return room.journal.get(entry.report_id), error
        entry = room.journal.get(entry.report_id)
    return entry, first_error


def _send_one(
    room: EvidenceSession,
    entry: JournalEntry,
    file: JournalFile,
    *,
    facts: FileFacts,
    is_new: bool,
    on_progress: OnProgress,
) -> None:
    for is_last_try in (False, True):
        if facts.sha256.hex() != file.sha256:
            room.line.notify(
                f"{facts.path} has changed since it was first read: it starts again under a new evidence id."
            )
            file, is_new = _renew(room, entry, file, facts=facts), True
        try:
            digest = upload_file(
                facts,
                evidence_id=file.evidence_id,
                secret=entry.get_secret(),
                is_new=is_new,
                line=room.line,
                on_bytes=_count(file.file_id, "sending", count_sealed_bytes(facts.size_bytes), on_progress),
            )
        except EvidenceError as error:
            if is_last_try or error.reason != "file-changed":
                raise
            facts, is_new = measure(facts.path, file_id=file.file_id, on_progress=on_progress), False
        except ConflictError:
            if is_last_try:
                raise
            room.line.notify(f"The gateway holds other bytes under this id: {facts.path} starts again under a new one.")
            file, is_new = _renew(room, entry, file, facts=facts), True
        else:
            _save_file(room, entry, structs.replace(file, digest=digest))
            return


def _renew(room: EvidenceSession, entry: JournalEntry, file: JournalFile, *, facts: FileFacts) -> JournalFile:
    """Give a file a new id, on disk before anything is sent under it."""
    renewed = structs.replace(
        file,
        evidence_id=room.make_id(),
        has_new_id=room.state.find_submission(entry.report_id) is not None,
        sha256=facts.sha256.hex(),
        size_bytes=facts.size_bytes,
    )
    _save_file(room, entry, renewed)
    return renewed


def _save_file(room: EvidenceSession, entry: JournalEntry, file: JournalFile) -> None:
    room.journal.save(room.journal.get(entry.report_id).with_file(file))


def _count(file_id: str, stage: Stage, total: int, on_progress: OnProgress) -> Callable[[int], None]:
    done = 0

    def add(more: int) -> None:
        nonlocal done
        done += more
        on_progress(Progress(file_id=file_id, stage=stage, done_bytes=done, total_bytes=total))

    return add
