"""Commands for the files that partners handed over: list those of a case (as `case show` does), save one of them.

Never prints the key that opens a file.
"""

from pathlib import Path
from typing import Final

import click

from gateway.desk.cases.case_files import (
    ANOTHER_HASH,
    FileOfReport,
    FileState,
    WholeCaseFiles,
    open_case_files,
    save_file,
)
from gateway.desk.cases.lines import print_typed
from gateway.desk.cases.model import CaseRow
from gateway.desk.cases.reading.labels import title_of
from gateway.desk.evidence.collecting import EvidenceCollected
from gateway.desk.people.permissions import Permission
from gateway.desk.suggestions import suggest
from gateway.desk.terminal import DONE, FILE, Call, desk_command, print_json, say
from gateway.desk.wiring import open_desk

WHY_LEFT: Final = {
    "busy": "another run is fetching it",
    "bytes": "this run has reached its size limit",
    "circle": "the gateway's list repeats itself",
    "disk": "too little disk space is free",
    "list": "the gateway's list is too long for one run",
    "pages": "the gateway's list does not end",
    "time": "this run is out of time",
}


def say_files(files: WholeCaseFiles, *, case: CaseRow) -> None:
    """Print each file of a case with its state, its description and any doubts."""
    for report, doubt in files.doubts:
        named = "" if report.case_id == case.case_id else f" ({report.reference})"
        say(f"DOUBT: {doubt}{named}")
    for row in files.files:
        _say_file(row, case=case)
    if any(row.file.held is not None for row in files.files):
        say(f"Save one: {suggest(f'evidence save {case.reference} FILE_ID --out FILE')}")


def list_file_json(files: WholeCaseFiles) -> list[dict[str, object]]:
    """Return the same for machines, without the secrets."""
    return [_to_json(row) for row in files.files]


def _say_file(row: FileOfReport, *, case: CaseRow) -> None:
    one = row.file
    say(f"{_format_state(one.state):15} {'' if one.reference is None else one.reference.evidence_id}".rstrip())
    print_typed("  File", one.file_id)
    if one.name:
        print_typed("  Name", one.name)
    if one.media_type:
        print_typed("  Type", one.media_type)
    if one.reference is not None:
        say(f"  Size: {one.reference.size_bytes:,} bytes")
    if row.case.case_id != case.case_id:
        say(f"  Named by {row.case.reference}.")
    if one.advice:
        say(f"  {one.advice}")
    for doubt in one.doubts:
        say(f"  DOUBT: {doubt}")


def _format_state(state: FileState) -> str:
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


@desk_command(Permission.READ_CASES, example="K7QF-2M9TX-D")
@click.argument("case", help="Its reference or case id.")
def evidence_list(call: Call, case: str) -> int:
    """List the files of a case, with their descriptions and whether their bytes are here.

    This opens its reports, which the audit log records. It opens no file.
    """
    desk = open_desk(call.state)
    row, files = open_case_files(desk, case, actor=call.actor)
    if call.as_json:
        doubts = [doubt for _, doubt in files.doubts]
        print_json({"case_id": row.case_id, "doubts": doubts, "files": list_file_json(files)})
        return DONE
    say_files(files, case=row)
    if not files.files:
        say("The case names no file.")
    return DONE


@desk_command(Permission.OPEN_FILES, example="K7QF-2M9TX-D file-1 --out file-1.bin")
@click.argument("case", help="Its reference or case id.")
@click.argument("file_id", metavar="FILE_ID", help="Its id in the list, or its evidence id.")
@click.option("--out", type=FILE, required=True, metavar="FILE", help="A file that does not exist yet.")
def evidence_save(call: Call, case: str, file_id: str, out: Path) -> int:
    """Open one file of a case and write it to a new file that only you can read.

    The audit log records it. A file id means the newest version that is here; an evidence id names one exactly. The
    new file gets its name only when its size and hash match the report.

    The file may be harmful to open and to see: move it to the machine that is meant for that.
    """
    desk = open_desk(call.state)
    row = save_file(desk, case, file_id, to=out, actor=call.actor)
    saved, reference = row.file, row.file.reference
    size_bytes = 0 if reference is None else reference.size_bytes
    if call.as_json:
        doubts = list(saved.doubts)
        print_json({"doubts": doubts, "file_id": saved.file_id, "out": str(out), "size_bytes": size_bytes})
        return DONE
    # The file key is made from the hash that is sealed with it: that check always held, or nothing was saved.
    say(f"{out}: {size_bytes:,} bytes, checked: size and SHA-256 are as sealed.")
    for doubt in saved.doubts:
        say(f"{'NOT THE SAME' if doubt == ANOTHER_HASH else 'DOUBT'}: {doubt}")
    if saved.replaced_by is not None:
        say(f"{saved.advice} This is the older one, {'' if reference is None else reference.evidence_id}.")
    return DONE


def print_evidence(done: EvidenceCollected) -> None:
    """Print the evidence that a run of `collect` fetched, and the faults that a person has to look at."""
    if done.collected or done.fetched_bytes:
        say(f"{done.collected} files of evidence are here now, {done.fetched_bytes:,} bytes fetched.")
    if done.spoiled:
        say(f"ALARM: {done.spoiled} files of evidence do not match the gateway's list. The next run tries again.")
    if done.refused:
        say(f"ALARM: {done.refused} lines of the gateway's list of evidence are wrong. See: {suggest('alarms')}")
    if done.over_share:
        say(
            f"ALARM: {done.over_share} files are left: their partners have used their share of this disk. "
            f"See: {suggest('alarms')}"
        )
    if done.unnamed:
        say(f"{done.unnamed} files of evidence wait for the report that names them.")
    if done.left is not None:
        say(f"Evidence is left for the next run: {WHY_LEFT[done.left]}.")
