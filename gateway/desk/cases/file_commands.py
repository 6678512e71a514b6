"""Commands about the files that partners handed over: list those of a case (`case show` too), save one of them opened.

Never prints the key that opens a file.
"""

import argparse
from pathlib import Path
from typing import Final

from gateway.desk.cases.file_saving import open_case_files, save_file
from gateway.desk.cases.files import ANOTHER_HASH, FileOfReport, FileState, WholeCaseFiles
from gateway.desk.cases.lines import say_typed
from gateway.desk.cases.model import CaseRow
from gateway.desk.cases.reading.labels import title_of
from gateway.desk.evidence.collecting import EvidenceCollected
from gateway.desk.terminal import DONE, Commands, add_group, get_actor, print_json, say
from gateway.desk.wiring import open_desk


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
    say(f"{_format_state(one.state):15} {'' if one.reference is None else one.reference.evidence_id}".rstrip())
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


WHY_LEFT: Final = {
    "busy": "another run is fetching it",
    "bytes": "one run takes no more",
    "circle": "the gateway's list leads in a circle",
    "disk": "too little of this disk is free",
    "list": "one run holds no more of the gateway's list",
    "pages": "the gateway's list does not end",
    "time": "the time of this round is used up",
}


def run_list(parsed: argparse.Namespace) -> int:
    """List the files of a case: what its reports say of each, and whether its bytes are here.

    Its reports are opened for that, and it is noted that you read them. No file is opened.
    """
    desk = open_desk(parsed.state)
    case, files = open_case_files(desk, parsed.case, actor=get_actor(parsed))
    if parsed.json:
        doubts = [doubt for _, doubt in files.doubts]
        print_json({"case_id": case.case_id, "doubts": doubts, "files": list_file_json(files)})
        return DONE
    say_files(files, case=case)
    if not files.files:
        say("The case names no file.")
    return DONE


def run_save(parsed: argparse.Namespace) -> int:
    """Open one file of a case and write it to a new file that only you can read; that you did is noted.

    Of a file that a later report replaced, the newest that is here; an evidence id names one exactly.

    It gets its name only when all of it is what the report names. It may be harmful to open and to see: move it to the
    machine that is meant for that.
    """
    desk = open_desk(parsed.state)
    row = save_file(desk, parsed.case, parsed.file, to=parsed.out, actor=get_actor(parsed))
    saved, reference = row.file, row.file.reference
    size_bytes = 0 if reference is None else reference.size_bytes
    if parsed.json:
        doubts = list(saved.doubts)
        print_json({"doubts": doubts, "file_id": saved.file_id, "out": str(parsed.out), "size_bytes": size_bytes})
        return DONE
    # The file key is made from the hash that is sealed with it: that check always held, or nothing was saved.
    say(f"{parsed.out}: {size_bytes:,} bytes, checked: size and SHA-256 are as sealed.")
    for doubt in saved.doubts:
        say(f"{'NOT THE SAME' if doubt == ANOTHER_HASH else 'DOUBT'}: {doubt}")
    if saved.replaced_by is not None:
        say(f"{saved.advice} This is the older one, {'' if reference is None else reference.evidence_id}.")
    return DONE


def tell_evidence(done: EvidenceCollected) -> None:
    """Print what a run of `collect` brought in of evidence, and what a person has to look at."""
    if done.collected or done.fetched_bytes:
        say(f"{done.collected} files of evidence are here now, {done.fetched_bytes:,} bytes fetched.")
    if done.spoiled:
        say(f"ALARM: {done.spoiled} files of evidence are not what the gateway's list says. The next run tries again.")
    if done.refused:
        say(f"ALARM: {done.refused} lines of the gateway's list of evidence are wrong. See `alarms`.")
    if done.over_share:
        say(
            f"ALARM: {done.over_share} files are left: their partners have used their share of this disk. See `alarms`."
        )
    if done.unnamed:
        say(f"{done.unnamed} files of evidence wait for the report that names them.")
    if done.left is not None:
        say(f"Evidence is left for the next run: {WHY_LEFT[done.left]}.")


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    add = add_group(commands, "evidence")
    listed = add("list", run=run_list, example="K7QF-2M9TX-D")
    listed.add_argument("case", metavar="CASE", help="its reference or case id")
    save = add("save", run=run_save, example="K7QF-2M9TX-D file-1 --out file-1.bin")
    save.add_argument("case", metavar="CASE", help="its reference or case id")
    save.add_argument("file", metavar="FILE_ID", help="its id in the list, or its evidence id")
    save.add_argument("--out", type=Path, required=True, metavar="FILE", help="a file that is not there yet")
