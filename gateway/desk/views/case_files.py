"""What the block "Files" of a case's page shows: the files of every report that the page has opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.desk.casework.cases import CaseRow
from gateway.desk.casework.joined_reports import OpenedReport
from gateway.desk.evidence.case_files import CaseFile, list_case_files
from gateway.desk.wiring import Desk

# The web server makes an answer whole before it sends it (docs/decisions/0009): more than this is saved by a command.
MOST_PAGE_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FilesOfReport:
    """The files of one opened report of a case, as the block shows them."""

    case: CaseRow
    files: Sequence[CaseFile]
    doubts: Sequence[str]


def list_page_files(desk: Desk, opened: Sequence[OpenedReport]) -> list[FilesOfReport]:
    """Return the files of the reports that a page has opened; what two reports name stands with the first of them."""
    listed: list[FilesOfReport] = []
    seen: set[str] = set()
    for one in opened:
        if one.content is None:
            continue
        found = list_case_files(desk, one.case, one.content)
        files = [file for file in found.files if file.reference is None or file.reference.evidence_id not in seen]
        seen.update(file.reference.evidence_id for file in files if file.reference is not None)
        if files or found.doubts:
            listed.append(FilesOfReport(one.case, files, found.doubts))
    return listed
