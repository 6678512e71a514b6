"""What is being handed over as evidence, in the partner's own folder: enough to go on after any crash, and no more.

`evidence/REPORT_ID.json` (0600, in a folder of 0700) holds, for one report: its evidence secret, the ids of the
evidence, where the files lie, what they held, and the cover of the supplement to come (report/evidence_cover.py).

**The secret**: each report has its own, 32 random bytes. With the SHA-256 of a file it opens the sealed copy of that
file (WIRE.md §6.6). It lies here in the clear until the evidence is complete and the supplement is delivered, or the
report with its digests is saved in sealed form; then the entry forgets it. It guards only what is at the gateway: the
same files lie in the clear on this machine. The bytes on the disk are freed, not scrubbed.

Which parts the gateway holds is not written down here: the gateway is asked, and each part is compared by its digest.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import structs

from partner_sdk.durable_files import find_bytes, make_private_folder, sync_folder, write_durably
from partner_sdk.errors import FormatError, LocalStateError
from partner_sdk.report import IndustryReport
from partner_sdk.wire.canonical import check_report_id, encode, parse_base64url, parse_exact, to_base64url
from partner_sdk.wire.evidence import SECRET_BYTES, EvidenceReference, PlainSize, Sha256Hex
from partner_sdk.wire.submission import Priority

FOLDER: Final = "evidence"
MAX_ENTRY_BYTES: Final = 8 * 1024 * 1024  # MAX_EVIDENCE_IDS files with the longest paths


class JournalFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file: what it is called in the report and at the gateway, and what was in it. `digest` once it is complete.

    `has_new_id`: the report, sealed before, names another evidence id than this one.
    """

    digest: Sha256Hex | None
    evidence_id: str
    file_id: str
    has_new_id: bool
    path: str
    sha256: Sha256Hex
    size_bytes: PlainSize


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one report hands over. `secret` and `cover` are null once all is done.

    `report_id` is the report's own, `supplement_id` that of the supplement that may have to follow: both are settled
    before anything is sent, so that nothing is sealed twice.
    """

    begun_at: str
    cover: IndustryReport | None
    files: tuple[JournalFile, ...]
    priority: Priority
    report_id: str
    secret: str | None
    supplement_id: str
    type: Literal["report-abuse/evidence"] = "report-abuse/evidence"

    @property
    def is_done(self) -> bool:
        """Whether all is handed over, and the secret forgotten."""
        return self.secret is None

    @property
    def waiting(self) -> tuple[JournalFile, ...]:
        """The files that the gateway does not hold whole yet."""
        return tuple(file for file in self.files if file.digest is None)

    def get_secret(self) -> bytes:
        """Return the 32 bytes; raises `LocalStateError` (`forgotten`) once they are forgotten."""
        if self.secret is None:
            raise LocalStateError("The secret of this evidence is forgotten: all was handed over.", reason="forgotten")
        return parse_base64url(self.secret, length=SECRET_BYTES)

    def make_references(self) -> tuple[EvidenceReference, ...]:
        """Return what a sealed report says of these files."""
        secret = to_base64url(self.get_secret())
        return tuple(
            EvidenceReference(
                digest=file.digest,
                evidence_id=file.evidence_id,
                file_id=file.file_id,
                secret=secret,
                sha256=file.sha256,
                size_bytes=file.size_bytes,
            )
            for file in self.files
        )

    def with_file(self, changed: JournalFile) -> "JournalEntry":
        """Return the entry with one file changed, found by its `file_id`."""
        return structs.replace(
            self, files=tuple(changed if file.file_id == changed.file_id else file for file in self.files)
        )


@dataclass(frozen=True, slots=True)
class EvidenceJournal:
    """The entries of one partner's folder."""

    state_folder: Path

    def save(self, entry: JournalEntry) -> None:
        """Put an entry on disk."""
        path = self._path(entry.report_id)
        make_private_folder(path.parent)
        write_durably(path, encode(entry))

    def find(self, report_id: str) -> JournalEntry | None:
        """Return the entry of a report, or None; raises `LocalStateError` (`damaged-state`)."""
        path = self._path(report_id)
        raw = find_bytes(path)
        if raw is None:
            return None
        try:
            return parse_exact(raw, kind=JournalEntry, max_bytes=MAX_ENTRY_BYTES)
        except FormatError:
            raise LocalStateError(f"{path} is damaged.", reason="damaged-state") from None

    def get(self, report_id: str) -> JournalEntry:
        """Return the entry of a report; raises `LocalStateError` (`no-such-evidence`)."""
        entry = self.find(report_id)
        if entry is None:
            raise LocalStateError("There is no evidence of this report here.", reason="no-such-evidence")
        return entry

    def list_ids(self) -> list[str]:
        """Return the ids of the reports that have an entry, the oldest first."""
        return sorted(path.stem for path in (self.state_folder / FOLDER).glob("[0-9a-f]*.json"))

    def forget(self, entry: JournalEntry) -> None:
        """Keep of an entry only that it is done: secret and cover go."""
        self.save(structs.replace(entry, cover=None, secret=None))
        self._path(entry.report_id).with_suffix(".lock").unlink(missing_ok=True)

    def discard(self, report_id: str) -> None:
        """Delete an entry with its secret: what the gateway holds of it can not be opened by this partner again."""
        for name in (self._path(report_id), self._path(report_id).with_suffix(".lock")):
            name.unlink(missing_ok=True)
        sync_folder(self.state_folder / FOLDER)

    @contextmanager
    def holding(self, report_id: str) -> Iterator[None]:
        """Hold an entry against other processes and threads; raises `LocalStateError` (`in-use`) at once if it is held.

        Never waits: who holds it may be sending ten gigabytes. Released when a process dies.
        """
        path = self._path(report_id).with_suffix(".lock")
        make_private_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise LocalStateError("Another process is sending this evidence now.", reason="in-use") from None
            yield
        finally:
            os.close(descriptor)

    def check_free(self, report_id: str) -> None:
        """Raise `LocalStateError` (`in-use`) while another process sends the evidence of this report."""
        if self._path(report_id).exists():
            with self.holding(report_id):
                pass

    def _path(self, report_id: str) -> Path:
        check_report_id(report_id)  # a file name is never built from anything else
        return self.state_folder / FOLDER / f"{report_id}.json"
