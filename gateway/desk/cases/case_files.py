"""The files of a report and of a whole case, any contradictions, and handing one opened file to a person.

Never trusts a file because its bytes are here: only the sealed hash, size and digest count. Never hides a reference
behind a newer one. Never names a file, and never sends a browser its first byte, before all of it is verified. Access
is recorded before the first byte is opened.
"""

import os
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Final, Literal

import msgspec
from sqlalchemy import Connection

from gateway.desk.cases.model import CaseRow, list_cases_of, list_sealed_sizes
from gateway.desk.cases.opening import OpenedReport, open_case, open_report, open_whole_case
from gateway.desk.collection.evidence_holdings import (
    Held,
    SealedParts,
    check_file,
    find_held,
    get_parts,
    list_reports_naming,
    open_file,
)
from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.office.wiring import Desk
from gateway.desk.store import audit
from partner_sdk.durable_files import sync_folder
from partner_sdk.errors import FormatError, LocalStateError, OpeningError, ReportAbuseError
from partner_sdk.report import SealedIndustryReport
from partner_sdk.report.model import ReportedFile
from partner_sdk.report.outline import list_given
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.evidence import EvidenceReference

# The gateway keeps a report's files until the desk has them, so a file can still arrive after this: a person asks.
LATE_AFTER: Final = timedelta(days=14)
LATE_ADVICE: Final = f"Still missing after {LATE_AFTER.days} days: ask the partner."
ANOTHER_HASH: Final = (
    "The report gives two different SHA-256 values for this file: one in its description, one in the seal."
)
# A file named in more reports than this gains nothing from the next one.
MOST_OTHERS: Final = 20
# The web server builds a response whole before sending it (docs/decisions/0009): larger files are saved by a command.
MOST_PAGE_BYTES: Final = 64 * 1024 * 1024

FileState = Literal["here", "on_the_way", "late", "not_handed_over", "replaced"]


class CaseFileError(ReportAbuseError):
    """The file is unknown, or its bytes are not here (`unknown-file`, `not-here`)."""


@dataclass(frozen=True, slots=True)
class CaseFile:
    """One file as the report describes it. `reference` opens it: never shown, stored or logged.

    `described` is None if the report has only a reference; `reference` is None if no file was handed over.
    """

    file_id: str
    state: FileState
    described: ReportedFile | None
    reference: EvidenceReference | None
    held: Held | None
    doubts: tuple[str, ...] = ()
    replaced_by: str | None = None  # the evidence id in a later report of the case for the same file id

    @property
    def name(self) -> str | None:
        """The sender's name for the file, if any."""
        return self.described.name if self.described is not None and isinstance(self.described.name, str) else None

    @property
    def advice(self) -> str:
        """Advice about the file; often empty."""
        if self.replaced_by is not None:
            # The files under both ids may differ: a person looks at both.
            words = "Replaced by" if self.state == "replaced" else "A later report names another file for this id:"
            return f"{words} {self.replaced_by}."
        return LATE_ADVICE if self.state == "late" else ""

    @property
    def media_type(self) -> str | None:
        """The sender's media type for the file, if any."""
        return (
            self.described.media_type
            if self.described is not None and isinstance(self.described.media_type, str)
            else None
        )


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """All files of a report, in its order, and doubts about the whole."""

    files: tuple[CaseFile, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Other:
    """A report that names the same evidence: its references by evidence id, without digests, and the digests apart."""

    files: Mapping[str, ReportedFile]
    references: Mapping[str, Sequence[EvidenceReference]]
    digests: Mapping[str, frozenset[str]]


@dataclass(slots=True)
class ComparedReports:
    """One sender's reports that one page compares, by report id: each is opened once. None means it does not open.

    `left` is the number of further reports that may be opened, `bytes_left` their sealed bytes; None means any size.
    """

    left: int = MOST_OTHERS
    bytes_left: int | None = None
    found: dict[str, _Other | None] = field(default_factory=dict)
    too_large: set[str] = field(default_factory=set)

    def add(self, case: CaseRow, content: SealedIndustryReport) -> None:
        """Add a report that is already open."""
        self.found[case.report_id] = _index(content)

    def find(self, desk: Desk, case: CaseRow, *, size: int, actor: str) -> _Other | None:
        """Return a report, opening it if needed; None if it does not open or is over the limit."""
        if case.report_id not in self.found:
            if self.bytes_left is not None and size > self.bytes_left:
                self.too_large.add(case.reference)
                return None
            if self.left <= 0:
                return None
            self.left -= 1
            if self.bytes_left is not None:
                self.bytes_left -= size
            self.found[case.report_id] = _open_other(desk, case, actor=actor)
        return self.found[case.report_id]


def make_case_files(
    desk: Desk,
    case: CaseRow,
    content: SealedContent,
    *,
    actor: str,
    compared: ComparedReports | None = None,
    without: Collection[str] = (),
) -> CaseFiles:
    """Return the files of an opened report, except the evidence ids in `without`.

    The caller has recorded the reader. The sender's other reports are opened for digests of the same evidence that came
    later; from them only the file descriptions are passed on. `compared` holds the reports that are open already.
    """
    if not isinstance(content, SealedIndustryReport):
        return CaseFiles()
    references = [one for one in content.evidence if one.evidence_id not in without]
    compared = compared or ComparedReports()
    others = _list_others(desk, case, references, actor=actor, compared=compared) if references else []
    described: dict[str, ReportedFile] = {}
    for other in others:
        described |= other.files
    described |= {one.file_id: one for one in list_given(content.report.files)}
    with desk.store.read() as connection:
        files = [
            _make_handed_over(
                connection,
                reference,
                case=case,
                described=described.get(reference.file_id),
                others=others,
                now=desk.clock(),
            )
            for reference in references
        ]
    handed_over = {one.file_id for one in content.evidence}
    kept = [
        CaseFile(one.file_id, "not_handed_over", described=one, reference=None, held=None)
        for one in list_given(content.report.files)
        if one.file_id not in handed_over
    ]
    return CaseFiles((*files, *kept), doubts=tuple(_list_doubts(content)))


def _list_others(
    desk: Desk, case: CaseRow, references: Sequence[EvidenceReference], *, actor: str, compared: ComparedReports
) -> Sequence[_Other]:
    """Return the sender's other reports that name the same evidence, if they open."""
    evidence_ids = {one.evidence_id for one in references}
    with desk.store.read() as connection:
        named = list_reports_naming(connection, partner=case.partner, evidence_ids=evidence_ids, limit=MOST_OTHERS + 1)
        others = list_cases_of(connection, partner=case.partner, report_ids=set(named) - {case.report_id})
        others = others[:MOST_OTHERS]
        sizes = list_sealed_sizes(
            connection,
            environment=case.environment,
            partner=case.partner,
            report_ids=[one.report_id for one in others],
        )
    found = [compared.find(desk, one, size=sizes.get(one.report_id, 0), actor=actor) for one in others]
    return [one for one in found if one is not None]


def _open_other(desk: Desk, case: CaseRow, *, actor: str) -> _Other | None:
    try:
        opened = open_report(desk, case, actor=actor, reason="check")
    except (OpeningError, FormatError):
        return None  # its key was destroyed at the end of its time
    return _index(opened) if isinstance(opened, SealedIndustryReport) else None


def _index(content: SealedIndustryReport) -> _Other:
    references: dict[str, list[EvidenceReference]] = {}
    digests: dict[str, set[str]] = {}
    for one in content.evidence:
        references.setdefault(one.evidence_id, []).append(_without_digest(one))
        if one.digest is not None:
            digests.setdefault(one.evidence_id, set()).add(one.digest)
    return _Other(
        files={one.file_id: one for one in list_given(content.report.files)},
        references=references,
        digests={evidence_id: frozenset(named) for evidence_id, named in digests.items()},
    )


def _make_handed_over(
    connection: Connection,
    reference: EvidenceReference,
    *,
    case: CaseRow,
    described: ReportedFile | None,
    others: Sequence[_Other],
    now: datetime,
) -> CaseFile:
    held = find_held(connection, partner=case.partner, evidence_id=reference.evidence_id)
    own = _without_digest(reference)
    same = [one for other in others for one in other.references.get(reference.evidence_id, ())]
    digests = {named for other in others for named in other.digests.get(reference.evidence_id, ())}
    if reference.digest is not None:
        digests.add(reference.digest)
    whole = reference
    if reference.digest is None and len(digests) == 1:
        whole = msgspec.structs.replace(reference, digest=next(iter(digests)))
    doubts = []
    if any(one != own for one in same):
        doubts.append("Another report from this sender describes this file differently.")
    if len(digests) > 1:
        doubts.append("The sender's reports give two different digests for this file.")
    if held is not None and any(bytes.fromhex(one) != held.digest for one in digests):
        doubts.append("The sealed bytes at this desk do not match the digest in the report, so the file will not open.")
    hashes = () if described is None else list_given(described.hashes)
    said = {one.value.lower() for one in hashes if one.type == "sha256"}
    if said and reference.sha256 not in said:
        doubts.append(ANOTHER_HASH)
    state: FileState = "here"
    if held is None:
        is_late = now - parse_time(case.received_at) > LATE_AFTER
        state = "late" if is_late else "on_the_way"
    return CaseFile(reference.file_id, state, described=described, reference=whole, held=held, doubts=tuple(doubts))


def _without_digest(reference: EvidenceReference) -> EvidenceReference:
    return msgspec.structs.replace(reference, digest=None)


def _list_doubts(content: SealedIndustryReport) -> Sequence[str]:
    clear, sealed = set(content.clear.evidence_ids), [one.evidence_id for one in content.evidence]
    doubts = []
    if unopened := sorted(clear - set(sealed)):
        doubts.append(f"Declared to the gateway, but the report has no secret to open it: {', '.join(unopened)}.")
    if unnamed := sorted(set(sealed) - clear):
        doubts.append(
            f"Sealed in the report but not declared to the gateway, so it will never arrive: {', '.join(unnamed)}."
        )
    if len(sealed) != len(set(sealed)):
        doubts.append("Two files in the report share one evidence id.")
    return doubts


@dataclass(frozen=True, slots=True)
class FileOfReport:
    """A file of a case, and the report that names it."""

    case: CaseRow
    file: CaseFile


@dataclass(frozen=True, slots=True)
class WholeCaseFiles:
    """The files of the opened reports of a case, the newest reference of each file first; doubts name their report."""

    files: tuple[FileOfReport, ...] = ()
    doubts: tuple[tuple[CaseRow, str], ...] = ()


def make_whole_case(
    desk: Desk, opened: Sequence[OpenedReport], *, actor: str, compared: ComparedReports | None = None
) -> WholeCaseFiles:
    """Return the files of open reports, in the order of the reports; `compared` as in `make_case_files`."""
    compared = compared or ComparedReports()
    for one in opened:
        if one.content is not None:
            compared.add(one.case, one.content)
    by_file_id: dict[str, list[FileOfReport]] = {}
    described: dict[str, ReportedFile] = {}
    doubts: list[tuple[CaseRow, str]] = []
    seen: set[str] = set()
    for one in opened:
        if one.content is None:
            continue
        for said in list_given(one.content.report.files):
            described.setdefault(said.file_id, said)
        found = make_case_files(desk, one.case, one.content, actor=actor, compared=compared, without=seen)
        doubts += [(one.case, doubt) for doubt in found.doubts]
        seen.update(file.reference.evidence_id for file in found.files if file.reference is not None)
        for file in found.files:
            by_file_id.setdefault(file.file_id, []).append(FileOfReport(one.case, file))
    ordered = (row for rows in by_file_id.values() for row in _order(rows))
    return WholeCaseFiles(tuple(_add_name(row, described) for row in ordered), tuple(doubts))


def get_saved_file(files: WholeCaseFiles, wanted: str) -> FileOfReport:
    """Return the file with this evidence id, or the newest file with this file id that is at the desk.

    Raises `CaseFileError` (`unknown-file`, `not-here`).
    """
    by_evidence = [row for row in files.files if row.file.reference and row.file.reference.evidence_id == wanted]
    found = by_evidence or [row for row in files.files if row.file.file_id == wanted]
    if not found:
        raise CaseFileError("The case names no such file.", reason="unknown-file")
    if len([row for row in found if row.file.replaced_by is None]) > 1:
        raise CaseFileError("A report has two files with this id. Use the evidence id instead.", reason="unknown-file")
    here = [row for row in found if row.file.held is not None]
    if not here:
        raise CaseFileError("This file has not reached the desk yet.", reason="not-here")
    return here[0]


def _order(rows: Sequence[FileOfReport]) -> list[FileOfReport]:
    """Return the rows of one file id, the newest report first; repeated names without bytes are left out."""
    handed_over = [row for row in rows if row.file.reference is not None]
    if not handed_over:
        return [row for row in rows if row.case == rows[0].case]
    newest = [row for row in handed_over if row.case == handed_over[-1].case]
    reference = newest[0].file.reference
    evidence_id = None if reference is None else reference.evidence_id
    older = [row for row in reversed(handed_over) if row.case != newest[0].case]
    return [*newest, *(_mark_replaced(row, evidence_id) for row in older)]


def _mark_replaced(row: FileOfReport, evidence_id: str | None) -> FileOfReport:
    # A file that is here stays here and can be opened; a missing one will never arrive.
    state: FileState = "here" if row.file.held is not None else "replaced"
    return replace(row, file=replace(row.file, state=state, replaced_by=evidence_id))


def _add_name(row: FileOfReport, described: dict[str, ReportedFile]) -> FileOfReport:
    """Fill in the name and type from an earlier report of the case if the file's own report gives none."""
    own, other = row.file.described, described.get(row.file.file_id)
    if own is None or other is None:
        return row if other is None else replace(row, file=replace(row.file, described=other))
    named = msgspec.structs.replace(own, name=own.name or other.name, media_type=own.media_type or other.media_type)
    return replace(row, file=replace(row.file, described=named))


def open_case_files(desk: Desk, wanted: str, *, actor: str) -> tuple[CaseRow, WholeCaseFiles]:
    """Open the reports of a case for the list of its files, recorded like any reading; returns both.

    For an addition, only that one. Raises as `open_case`.
    """
    opened = open_case(desk, wanted, actor=actor)
    if not isinstance(opened.content, SealedIndustryReport):
        return opened.case, WholeCaseFiles()
    reports = open_whole_case(desk, opened.case, opened.content, actor=actor)
    return opened.case, make_whole_case(desk, reports, actor=actor)


def save_file(desk: Desk, case: str, wanted: str, *, to: Path, actor: str) -> FileOfReport:
    """Open one file of a case into a new file that only its owner can read; for a replaced file, the newest one here.

    Raises `CaseFileError`, `OpeningError` if it does not match the report, and `LocalStateError` (`file-exists`,
    `not-saved`); then nothing is left behind.
    """
    opened, files = open_case_files(desk, case, actor=actor)
    found = get_saved_file(files, wanted)
    if to.exists() or to.is_symlink():
        raise _make_exists_error(to)
    pieces = _begin(desk, opened.case_id, found.file, actor=actor, way="save")
    with open_new_file(to) as handle:
        for piece in pieces:
            handle.write(piece)
    return found


def stream_file(
    desk: Desk, case: str, wanted: str, *, actor: str, most_bytes: int, way: str = "page"
) -> tuple[CaseFile, Iterator[bytes]]:
    """Verify one whole file of one report, then return it with its bytes, piece by piece; `way` is for the record.

    Raises as `save_file`, and `CaseFileError` (`too-large`) for more than `most_bytes`.
    """
    opened = open_case(desk, case, actor=actor)
    content = opened.content if isinstance(opened.content, SealedIndustryReport) else None
    found = get_saved_file(make_whole_case(desk, [OpenedReport(opened.case, content)], actor=actor), wanted).file
    if found.reference is not None and found.reference.size_bytes > most_bytes:
        raise CaseFileError(
            "This file is too large for a page. It can be saved on the desk's own machine.",
            reason="too-large",
        )
    pieces = _begin(desk, opened.case.case_id, found, actor=actor, way=way)
    reference, held, parts = _get_sealed(desk, found)
    check_file(parts, held, reference=reference)
    return found, pieces


def find_still_type(raw: bytes) -> str | None:
    """Return the media type of a picture that stands still, or None for any other file.

    By its first bytes, never by the sender's word for it. Formats that can move are left out, and so is a moving PNG:
    nothing may play by itself.
    """
    if raw.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if raw.startswith(b"\x89PNG\r\n\x1a\n") and b"acTL" not in raw.partition(b"IDAT")[0]:
        return "image/png"
    return None


def _begin(desk: Desk, case_id: str, found: CaseFile, *, actor: str, way: str) -> Iterator[bytes]:
    reference, held, parts = _get_sealed(desk, found)
    with desk.store.write() as connection:
        audit.append_entry(
            connection, "open-evidence", case_id, at=desk.clock(), actor=actor, evidence_id=held.evidence_id, way=way
        )
    return open_file(parts, held, reference=reference)


def _get_sealed(desk: Desk, found: CaseFile) -> tuple[EvidenceReference, Held, SealedParts]:
    if found.held is None or found.reference is None:
        raise CaseFileError("This file has not reached the desk yet.", reason="not-here")
    held = found.held
    parts = get_parts(desk.paths.evidence, partner=held.partner, evidence_id=held.evidence_id)
    return found.reference, held, parts


@contextmanager
def open_new_file(to: Path) -> Iterator[IO[bytes]]:
    """Yield a file that gets its name if the block ends without an error; otherwise it is removed."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=".report-abuse-", dir=to.parent)  # 0600
    except OSError as error:
        raise LocalStateError(f"Cannot write {to}: {error.strerror}.", reason="not-saved") from None
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        _give_name(beside, to)
        sync_folder(to.parent)
    except OSError as error:
        raise LocalStateError(f"Cannot write {to}: {error.strerror}.", reason="not-saved") from None
    finally:
        beside.unlink(missing_ok=True)


def _give_name(beside: Path, to: Path) -> None:
    try:
        os.link(beside, to)  # unlike a rename, it never replaces an existing file
    except FileExistsError:
        raise _make_exists_error(to) from None
    except OSError:
        if to.exists() or to.is_symlink():
            raise _make_exists_error(to) from None
        beside.rename(to)  # FAT on a memory stick has no hard links


def _make_exists_error(to: Path) -> LocalStateError:
    return LocalStateError(f"{to} already exists: choose a new file name.", reason="file-exists")
