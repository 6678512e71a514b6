"""What the block "Files" of a case's page shows: the files of every report that the page has opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.desk.casework.cases import CaseRow
from gateway.desk.casework.joined_reports import OpenedReport
from gateway.desk.evidence.case_files import CaseFile, ComparedReports, list_case_files
from gateway.desk.wiring import Desk

# The web server makes an answer whole before it sends it (docs/decisions/0009): more than this is saved by a command.
MOST_PAGE_BYTES: Final = 64 * 1024 * 1024
# More rows than this nobody reads on a page; `evidence list` shows them all.
MOST_FILES: Final = 500
# Sealed bytes of reports that are opened for their files alone.
MOST_COMPARED_BYTES: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FilesOfReport:
    """The files of one opened report of a case, as the block shows them."""

    case: CaseRow
    files: Sequence[CaseFile]
    doubts: Sequence[str]
    left_out: int = 0


def list_page_files(desk: Desk, opened: Sequence[OpenedReport]) -> list[FilesOfReport]:
    """Return the files of the reports that a page has opened; what two reports name stands with the first of them.

    Of very many the first ones, and how many are left out.
    """
    compared = ComparedReports(bytes_left=MOST_COMPARED_BYTES)
    for one in opened:
        if one.content is not None:
            compared.add(one.case, one.content)
    listed: list[FilesOfReport] = []
    seen: set[str] = set()
    room = MOST_FILES
    for one in opened:
        if one.content is None:
            continue
        found = list_case_files(desk, one.case, one.content, compared=compared, without=seen)
        seen.update(file.reference.evidence_id for file in found.files if file.reference is not None)
        files = found.files[:room]
        room -= len(files)
        doubts = (*found.doubts, *_spell_too_large(compared))
        if found.files or doubts:
            listed.append(FilesOfReport(one.case, files, doubts, left_out=len(found.files) - len(files)))
    return listed


def _spell_too_large(compared: ComparedReports) -> list[str]:
    names = ", ".join(sorted(compared.too_large))
    compared.too_large.clear()
    if not names:
        return []
    return [f"These reports name the same evidence and are too large to compare on a page: {names}. Open each."]
