"""The group `spool`: list sealed reports that wait for a receipt, send them, and write one to a file."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from partner_sdk._commands.delivery import EvidenceBar, list_receipt_fields, say_fault, say_gone_files, say_receipt
from partner_sdk._commands.runtime import EMERGENCY, EXIT_DONE, EXIT_NOT_DELIVERED, CommandGroup, PartnerCall, pick
from partner_sdk.client._receipts import find_delivery, write_sealed_file
from partner_sdk.client._spool import (
    Attempt,
    Waiting,
    WaitingEvidence,
    find_oldest,
    flush,
    list_waiting,
    list_waiting_evidence,
)
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.submission import Priority, peek_submission

if TYPE_CHECKING:
    from partner_sdk.client._evidence_handover import HandedOver

# With it comes all that sends, which the other commands of `report` do not need.

_NOTHING_WAITS: Final = "Nothing waits: every sealed report has its receipt, and all evidence is handed over."
_DAY_SECONDS, _HOUR_SECONDS, _MINUTE_SECONDS = 86_400, 3600, 60


def run_status(call: PartnerCall) -> int:
    """Show the waiting reports: how many, since when, of which priority, how large."""
    speaker, now = call.speaker, call.runtime.clock()
    waiting, evidence = list_waiting(call.partner.state), list_waiting_evidence(call.partner.state)
    call.urgency.is_p1_waiting = any(one.priority == "P1" for one in waiting)
    if call.args.json:
        speaker.say_json(_list_status_fields(waiting, evidence, now=now))
    else:
        _say_status(call, waiting, evidence, now=now)
    return EXIT_NOT_DELIVERED if waiting or evidence else EXIT_DONE


def run_flush(call: PartnerCall) -> int:
    """Send waiting reports, P1 first, and show the outcome of each."""
    partner, speaker, args = call.partner, call.speaker, call.args
    urgent = {one.report_id for one in list_waiting(partner.state) if one.priority == "P1"}
    call.urgency.is_p1_waiting = bool(urgent)
    attempts = []
    for attempt in flush(partner.state, deliver=partner.deliver, on_start=lambda *place: _say_start(call, *place)):
        attempts.append(attempt)
        if attempt.receipt is not None:
            urgent.discard(attempt.report_id)
        call.urgency.is_p1_waiting = bool(urgent)
        _say_attempt(call, attempt)
    failed = [attempt for attempt in attempts if attempt.error is not None]
    call.urgency.is_p1_waiting = any(attempt.priority == "P1" for attempt in failed)
    evidence = _resume_evidence(call)
    for one in evidence:
        _say_evidence(call, one)
    left = list_waiting_evidence(partner.state)
    if args.json:
        delivered = [list_receipt_fields(partner, one.receipt) for one in attempts if one.receipt is not None]
        undelivered = [one.report_id for one in failed]
        evidence_left = [one.report_id for one in left]
        speaker.say_json({"delivered": delivered, "evidence_waiting": evidence_left, "undelivered": undelivered})
    elif not (attempts or evidence or left):
        speaker.say(_NOTHING_WAITS)
    for waiting in left:
        speaker.warn(f"NOT WHOLE: evidence of report {waiting.report_id}. {_advise(waiting)}")
    return EXIT_NOT_DELIVERED if failed or left else EXIT_DONE


def run_write(call: PartnerCall) -> int:
    """Write one report that waits to a file that may travel by any channel."""
    return write_for_travel(call, call.args.report_id, Path(call.args.out))


def write_for_travel(call: PartnerCall, report_id: str, path: Path) -> int:
    """Write a sealed report to a new file, and show how it may travel and whether it still waits."""
    state, speaker = call.partner.state, call.speaker
    size = write_sealed_file(state, report_id, path, now=call.runtime.clock())
    saved = state.find_submission(report_id)
    clear = peek_submission(saved[1].statement) if saved is not None else None
    receipt = find_delivery(state, report_id)
    if call.args.json:
        speaker.say_json(
            {
                "delivered": receipt is not None,
                "file": str(path),
                "reference": None if receipt is None else receipt.reference,
                "report_id": report_id,
                "size_bytes": size,
            }
        )
    else:
        speaker.say(f"Report {report_id} is in {path}: {size:,} bytes, sealed and signed.")
        speaker.say("It may travel by any way: e-mail, a messenger, a memory stick. Only the desk can open it.")
        speaker.say("Readable on the way: your partner id, priority, kind, ids and time. Nothing that you reported.")
        if clear is not None and clear.evidence_ids:
            speaker.say("The files of evidence do not travel in it. They follow through the gateway.")
        if receipt is not None:
            speaker.say(f"It was delivered before, as {receipt.reference}: nothing of it waits, and twice counts once.")
        else:
            speaker.say("It still waits in the spool until a receipt comes, and it counts once if it arrives twice:")
            speaker.say("`receipt add FILE` takes the desk's receipt; `spool flush` sends it when the gateway is back.")
    if receipt is None and clear is not None and clear.priority == "P1":
        speaker.warn(f"NOT DELIVERED yet. {EMERGENCY}")
    return EXIT_DONE


def add_commands(top: CommandGroup) -> None:
    """Add the group `spool`."""
    spool = top.add_group("spool")
    spool.add(
        "status", run=run_status, summary="list waiting reports, and since when (exit code 3 if any)", example="--json"
    )
    spool.add("flush", run=run_flush, summary="send all that waits, P1 first", example="")
    write = spool.add(
        "write",
        run=run_write,
        summary="write a report that waits to a file that may travel by any way",
        example="019ab3c5-... for-the-desk.json",
    )
    write.add_argument("report_id", metavar="REPORT_ID")
    write.add_argument("out", metavar="OUT", help="the file to make; never over another")


def format_age(since: str, *, now: datetime) -> str:
    """Return how long ago a time was, in the largest whole unit: `3 hours`."""
    seconds = max(0, int((now - parse_time(since)).total_seconds()))
    for span, name in ((_DAY_SECONDS, "day"), (_HOUR_SECONDS, "hour"), (_MINUTE_SECONDS, "minute")):
        if seconds >= span:
            return f"{seconds // span} {name}{'s' if seconds >= 2 * span else ''}"
    return "less than a minute"


def _say_status(call: PartnerCall, waiting: list[Waiting], evidence: list[WaitingEvidence], *, now: datetime) -> None:
    speaker = call.speaker
    if not waiting and not evidence:
        speaker.say(_NOTHING_WAITS)
        return
    if waiting:
        total = sum(one.size_bytes for one in waiting)
        counts = ", ".join(f"{count} {priority}" for priority, count in _count(waiting).items() if count)
        speaker.say(f"{len(waiting)} sealed report(s) wait: {counts}; {total:,} bytes.")
    oldest = find_oldest(waiting)
    if oldest is not None:
        speaker.say(f"The oldest since {oldest}, {format_age(oldest, now=now)} ago.")
    for one in waiting:
        speaker.say(f"{one.priority}  {one.since or 'unknown time'}  {one.size_bytes:>9,} bytes  {one.report_id}")
        if one.error is not None:
            speaker.warn(f"{one.report_id} cannot be read, and counts as P1. {one.error}")
    for files in evidence:
        since = files.since or "unknown time"
        speaker.say(f"Evidence since {since}: {files.files} file(s), {files.size_bytes:,} bytes, of {files.report_id}")
        speaker.say(f"  {_advise(files)}")
    if waiting:
        speaker.say("`spool flush` sends them.")


def _advise(evidence: WaitingEvidence) -> str:
    if evidence.error is not None:
        return str(evidence.error)
    if not evidence.is_sealed:
        return "Its report was not sealed yet: run the same `report submit` again."
    return "`spool flush` goes on with it."


def _list_status_fields(waiting: list[Waiting], evidence: list[WaitingEvidence], *, now: datetime) -> dict[str, Any]:
    oldest = find_oldest(waiting)
    return {
        "by_priority": _count(waiting),
        "evidence": [
            {
                **pick(one, "files", "report_id", "since", "size_bytes"),
                "error": None if one.error is None else one.error.reason,
                "report_is_sealed": one.is_sealed,
            }
            for one in evidence
        ],
        "oldest": oldest,
        "oldest_seconds": None if oldest is None else int((now - parse_time(oldest)).total_seconds()),
        "reports": [
            {
                **pick(one, "kind", "priority", "report_id", "since", "size_bytes"),
                "error": None if one.error is None else one.error.reason,
            }
            for one in waiting
        ],
        "size_bytes": sum(one.size_bytes for one in waiting),
        "waiting": len(waiting),
    }


def _count(waiting: list[Waiting]) -> dict[str, int]:
    return {name: sum(one.priority == name for one in waiting) for name in get_args(Priority)}


def _say_start(call: PartnerCall, place: int, count: int, one: Waiting) -> None:
    call.speaker.say_progress(f"{place} of {count}: {one.priority}, {one.size_bytes:,} bytes, report {one.report_id}")


def _say_attempt(call: PartnerCall, attempt: Attempt) -> None:
    if attempt.error is not None:
        call.speaker.warn(f"NOT DELIVERED: report {attempt.report_id}, {attempt.priority}")
        say_fault(call.speaker, attempt.error)
    elif attempt.receipt is not None and not call.args.json:
        say_receipt(call.partner, call.speaker, attempt.receipt)


def _resume_evidence(call: PartnerCall) -> "list[HandedOver]":
    bar = EvidenceBar(sys.stderr, label=call.speaker.label)
    try:
        return call.partner.resume_evidence(on_progress=bar.show)
    finally:
        bar.end()


def _say_evidence(call: PartnerCall, handed: "HandedOver") -> None:
    if handed.error is not None:
        say_fault(call.speaker, handed.error)
        say_gone_files(call.speaker, handed)
    elif not call.args.json:
        call.speaker.say(f"The evidence of report {handed.report_id} is handed over whole.")
