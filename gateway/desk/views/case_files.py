"""What the block "Files" of a case's page shows: the files of every report that the page has opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.desk.casework.joined_reports import OpenedReport
from gateway.desk.evidence.case_files import ComparedReports
from gateway.desk.evidence.whole_case import FileOfReport, make_whole_case
from gateway.desk.wiring import Desk

# The web server makes an answer whole before it sends it (docs/decisions/0009): more than this is saved by a command.
MOST_PAGE_BYTES: Final = 64 * 1024 * 1024
# More rows than this nobody reads on a page; `evidence list` shows them all.
MOST_FILES: Final = 500
# Sealed bytes of reports that are opened for their files alone.
MOST_COMPARED_BYTES: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PageFiles:
    """The files of the opened reports of a case, as the block shows them; doubts name the report they are about."""

    files: Sequence[FileOfReport]
    doubts: Sequence[str]
    left_out: int = 0


def make_page_files(desk: Desk, opened: Sequence[OpenedReport]) -> PageFiles:
    """Return the files of the reports that a page has opened, of each the newest reference first.

    Of very many the first ones, and how many are left out.
    """
    compared = ComparedReports(bytes_left=MOST_COMPARED_BYTES)
    found = make_whole_case(desk, opened, compared=compared)
    files = found.files[:MOST_FILES]
    doubts = [doubt if len(opened) == 1 else f"{case.reference}: {doubt}" for case, doubt in found.doubts]
    return PageFiles(files, (*doubts, *_spell_too_large(compared)), left_out=len(found.files) - len(files))


def _spell_too_large(compared: ComparedReports) -> list[str]:
    names = ", ".join(sorted(compared.too_large))
    compared.too_large.clear()
    if not names:
        return []
    return [f"These reports name the same evidence and are too large to compare on a page: {names}. Open each."]
