"""The files of a whole case: those of its first report and of all that its sender added, each file once.

Never hides a reference behind a newer one: a file that was replaced stays in the list and says by what.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from gateway.desk.cases.joined_reports import OpenedReport
from gateway.desk.cases.model import CaseRow
from gateway.desk.evidence.case_files import CaseFile, CaseFileError, ComparedReports, FileState, list_case_files
from gateway.desk.wiring import Desk
from partner_sdk.report.model import ReportedFile
from partner_sdk.report.values import list_given


@dataclass(frozen=True, slots=True)
class FileOfReport:
    """A file of a case, and the report that names it as it stands here."""

    case: CaseRow
    file: CaseFile


@dataclass(frozen=True, slots=True)
class WholeCaseFiles:
    """The files of the opened reports of a case, of each file the newest reference first; doubts name their report."""

    files: tuple[FileOfReport, ...] = ()
    doubts: tuple[tuple[CaseRow, str], ...] = ()


def make_whole_case(
    desk: Desk, opened: Sequence[OpenedReport], *, compared: ComparedReports | None = None
) -> WholeCaseFiles:
    """Return the files of reports that are open, in the order of the reports; `compared` as `list_case_files`."""
    compared = compared or ComparedReports()
    for one in opened:
        if one.content is not None:
            compared.add(one.case, one.content)
    by_file_id: dict[str, list[FileOfReport]] = {}
    told: dict[str, ReportedFile] = {}
    doubts: list[tuple[CaseRow, str]] = []
    seen: set[str] = set()
    for one in opened:
        if one.content is None:
            continue
        for said in list_given(one.content.report.files):
            told.setdefault(said.file_id, said)
        found = list_case_files(desk, one.case, one.content, compared=compared, without=seen)
        doubts += [(one.case, doubt) for doubt in found.doubts]
        seen.update(file.reference.evidence_id for file in found.files if file.reference is not None)
        for file in found.files:
            by_file_id.setdefault(file.file_id, []).append(FileOfReport(one.case, file))
    ordered = (row for rows in by_file_id.values() for row in _order(rows))
    return WholeCaseFiles(tuple(_add_name(row, told) for row in ordered), tuple(doubts))


def get_saved_file(files: WholeCaseFiles, wanted: str) -> FileOfReport:
    """Return the file with this evidence id, or the newest with this file id whose bytes are here.

    Raises `CaseFileError` (`unknown-file`, `not-here`).
    """
    by_evidence = [row for row in files.files if row.file.reference and row.file.reference.evidence_id == wanted]
    found = by_evidence or [row for row in files.files if row.file.file_id == wanted]
    if not found:
        raise CaseFileError("The case names no such file: `evidence list` shows them.", reason="unknown-file")
    if len([row for row in found if row.file.replaced_by is None]) > 1:
        raise CaseFileError("A report names two such files: say its evidence id instead.", reason="unknown-file")
    here = [row for row in found if row.file.held is not None]
    if not here:
        raise CaseFileError("The bytes of this file are not here.", reason="not-here")
    return here[0]


def _order(rows: Sequence[FileOfReport]) -> list[FileOfReport]:
    """Return the rows of one file id, the newest report first; what is named again without bytes is left out."""
    handed_over = [row for row in rows if row.file.reference is not None]
    if not handed_over:
        return [row for row in rows if row.case == rows[0].case]
    newest = [row for row in handed_over if row.case == handed_over[-1].case]
    reference = newest[0].file.reference
    evidence_id = None if reference is None else reference.evidence_id
    older = [row for row in reversed(handed_over) if row.case != newest[0].case]
    return [*newest, *(_mark_replaced(row, evidence_id) for row in older)]


def _mark_replaced(row: FileOfReport, evidence_id: str | None) -> FileOfReport:
    # What is here stays here and can be opened; what is not will not come any more.
    state: FileState = "here" if row.file.held is not None else "replaced"
    return replace(row, file=replace(row.file, state=state, replaced_by=evidence_id))


def _add_name(row: FileOfReport, told: dict[str, ReportedFile]) -> FileOfReport:
    """Give a file the name and type that an earlier report of the case says, where its own says none."""
    own, other = row.file.told, told.get(row.file.file_id)
    if own is None or other is None:
        return row if other is None else replace(row, file=replace(row.file, told=other))
    named = structs.replace(own, name=own.name or other.name, media_type=own.media_type or other.media_type)
    return replace(row, file=replace(row.file, told=named))
