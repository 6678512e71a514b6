"""Prints the files of a case, the same for `evidence list` and `case show`.

Never prints what opens a file.
"""

from gateway.desk.casework.cases import CaseRow
from gateway.desk.commands.contact_lines import say_typed
from gateway.desk.commands.frame import say
from gateway.desk.evidence.case_files import FileState
from gateway.desk.evidence.whole_case import FileOfReport, WholeCaseFiles
from gateway.desk.reading.words import title_of


def say_files(files: WholeCaseFiles, *, case: CaseRow) -> None:
    """Print each file: where it is, what is said of it and what is in doubt; `case` is whose page this is."""
    for report, doubt in files.doubts:
        named = "" if report.case_id == case.case_id else f" ({report.reference})"
        say(f"DOUBT: {doubt}{named}")
    for row in files.files:
        _say_file(row, case=case)
    if any(row.file.held is not None for row in files.files):
        say(f"Save one: report-abuse-desk evidence save {case.reference} FILE_ID --out FILE")


def list_file_json(files: WholeCaseFiles) -> list[dict[str, object]]:
    """Return the same for machines, without the secrets."""
    return [_to_json(row) for row in files.files]


def _say_file(row: FileOfReport, *, case: CaseRow) -> None:
    one = row.file
    say(f"{_spell_state(one.state):15} {'' if one.reference is None else one.reference.evidence_id}".rstrip())
    say_typed("  File", one.file_id)
    if one.name:
        say_typed("  Name", one.name)
    if one.media_type:
        say_typed("  Type", one.media_type)
    if one.reference is not None:
        say(f"  Size: {one.reference.size_bytes:,} bytes")
    if row.case.case_id != case.case_id:
        say(f"  Named by {row.case.reference}.")
    if one.advice:
        say(f"  {one.advice}")
    for doubt in one.doubts:
        say(f"  DOUBT: {doubt}")


def _spell_state(state: FileState) -> str:
    words = title_of(state)
    return words.upper() if state == "late" else words


def _to_json(row: FileOfReport) -> dict[str, object]:
    one, reference = row.file, row.file.reference
    return {
        "doubts": list(one.doubts),
        "evidence_id": None if reference is None else reference.evidence_id,
        "file_id": one.file_id,
        "media_type": one.media_type,
        "name": one.name,
        "named_by": row.case.reference,
        "replaced_by": one.replaced_by,
        "sha256": None if reference is None else reference.sha256,
        "size_bytes": None if reference is None else reference.size_bytes,
        "state": one.state,
    }
