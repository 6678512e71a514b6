"""The group `spool`: list sealed reports that wait for a receipt, send them, and write one to a file."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from partner_sdk._commands.delivery import PRIORITIES, EvidenceBar, list_receipt_fields, say_receipt, warn_of_gone_files
from partner_sdk._commands.runtime import (
    EMERGENCY,
    EXIT_DONE,
    EXIT_NOT_DELIVERED,
    Call,
    PartnerGroup,
    pick,
    shared_options,
)
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
from partner_sdk.client.threads import EntryAttempt, KeptEntry
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.submission import peek_submission

if TYPE_CHECKING:
    from partner_sdk.client._evidence_handover import HandedOver

_NOTHING_WAITS: Final = (
    "Nothing is waiting: every sealed report has its receipt, all evidence is handed over, and all your words are sent."
)
_DAY_SECONDS, _HOUR_SECONDS, _MINUTE_SECONDS = 86_400, 3600, 60


@click.group(cls=PartnerGroup)
def spool() -> None:
    """Sealed reports waiting for their receipts."""


@spool.command(example="--json")
@shared_options
def status(call: Call) -> int:
    """List waiting reports and their age (exit code 3 if any)."""
    now = call.runtime.clock()
    waiting, evidence = list_waiting(call.partner.state), list_waiting_evidence(call.partner.state)
    words = call.partner.threads.list_waiting()
    call.is_p1_waiting = any(one.priority == "P1" for one in waiting)
    if call.is_json:
        call.speaker.say_json({**_list_status_fields(waiting, evidence, now=now), "words": _list_word_fields(words)})
    elif waiting or evidence or words:
        _say_status(call, waiting, evidence, now=now)
        _say_words(call, words)
    else:
        call.speaker.say(_NOTHING_WAITS)
    return EXIT_NOT_DELIVERED if waiting or evidence or words else EXIT_DONE


@spool.command("flush", example="")
@shared_options
def flush_command(call: Call) -> int:
    """Send everything that waits, P1 first."""
    return flush_all(call)


def flush_all(call: Call) -> int:
    """Send waiting reports, P1 first, and show the outcome of each; return the exit code."""
    partner = call.partner
    urgent = {one.report_id for one in list_waiting(partner.state) if one.priority == "P1"}
    call.is_p1_waiting = bool(urgent)
    attempts = []
    for attempt in flush(partner.state, deliver=partner.deliver, on_start=lambda *place: _say_start(call, *place)):
        attempts.append(attempt)
        if attempt.receipt is not None:
            urgent.discard(attempt.report_id)
        call.is_p1_waiting = bool(urgent)
        _say_attempt(call, attempt)
    failed = [attempt for attempt in attempts if attempt.error is not None]
    call.is_p1_waiting = any(attempt.priority == "P1" for attempt in failed)
    with EvidenceBar(call.speaker.label) as bar:
        evidence = partner.resume_evidence(on_progress=bar.show)
    for one in evidence:
        _say_evidence(call, one)
    left = list_waiting_evidence(partner.state)
    words = partner.threads.send_waiting()
    unsent = [one for one in words if one.error is not None]
    for attempt_of_words in words:
        _say_words_attempt(call, attempt_of_words)
    if call.is_json:
        call.speaker.say_json(
            {
                "delivered": [list_receipt_fields(partner, one.receipt) for one in attempts if one.receipt is not None],
                "evidence_waiting": [one.report_id for one in left],
                "undelivered": [one.report_id for one in failed],
                "words_sent": _list_word_fields([one.entry for one in words if one.error is None]),
                "words_waiting": _list_word_fields([one.entry for one in unsent]),
            }
        )
    elif not (attempts or evidence or left or words):
        call.speaker.say(_NOTHING_WAITS)
    for waiting in left:
        call.speaker.warn(f"INCOMPLETE: evidence of report {waiting.report_id}. {_advise(waiting)}")
    return EXIT_NOT_DELIVERED if failed or left or unsent else EXIT_DONE


@spool.command(example="019ab3c5-... for-the-desk.json")
@click.argument("report_id", metavar="REPORT_ID")
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@shared_options
def write(call: Call, *, report_id: str, out: Path) -> int:
    """Write a waiting report to a file, to send another way."""
    return write_for_travel(call, report_id, out)


def write_for_travel(call: Call, report_id: str, path: Path) -> int:
    """Write a sealed report to a new file, and show how it may travel and whether it still waits."""
    state, speaker = call.partner.state, call.speaker
    size = write_sealed_file(state, report_id, path, now=call.runtime.clock())
    saved = state.find_submission(report_id)
    clear = peek_submission(saved[1].statement) if saved is not None else None
    receipt = find_delivery(state, report_id)
    fields = {
        "delivered": receipt is not None,
        "file": str(path),
        "reference": None if receipt is None else receipt.reference,
        "report_id": report_id,
        "size_bytes": size,
    }
    lines = [
        f"Report {report_id} is in {path}: {size:,} bytes, sealed and signed.",
        "Send it any way you can: e-mail, a messenger, a memory stick. Only the desk can open it.",
        "Readable on the way: your partner id, priority, kind, ids and time. Nothing that you reported.",
    ]
    if clear is not None and clear.evidence_ids:
        lines.append("It contains no evidence files. They follow through the gateway.")
    if receipt is not None:
        lines.append(
            f"It was delivered before, as {receipt.reference}: it no longer waits, and a second copy does not count."
        )
    else:
        lines.append("It waits in the spool until a receipt arrives, and counts once even if it arrives twice:")
        lines.append("`receipt add FILE` takes the desk's receipt; `spool flush` sends it when the gateway is back.")
    call.answer(fields, lines)
    if receipt is None and clear is not None and clear.priority == "P1":
        speaker.warn(f"NOT DELIVERED yet. {EMERGENCY}")
    return EXIT_DONE


def format_age(since: str, *, now: datetime) -> str:
    """Return how long ago a time was, in the largest whole unit: `3 hours`."""
    seconds = max(0, int((now - parse_time(since)).total_seconds()))
    for span, name in ((_DAY_SECONDS, "day"), (_HOUR_SECONDS, "hour"), (_MINUTE_SECONDS, "minute")):
        if seconds >= span:
            return f"{seconds // span} {name}{'s' if seconds >= 2 * span else ''}"
    return "less than a minute"


def _say_status(call: Call, waiting: list[Waiting], evidence: list[WaitingEvidence], *, now: datetime) -> None:
    speaker = call.speaker
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
    return "`spool flush` sends the rest."


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
    return {name: sum(one.priority == name for one in waiting) for name in PRIORITIES}


def _say_start(call: Call, place: int, count: int, one: Waiting) -> None:
    call.speaker.say_progress(f"{place} of {count}: {one.priority}, {one.size_bytes:,} bytes, report {one.report_id}")


def _say_attempt(call: Call, attempt: Attempt) -> None:
    if attempt.error is not None:
        call.speaker.warn(f"NOT DELIVERED: report {attempt.report_id}, {attempt.priority}")
        call.warn_of(attempt.error)
    elif attempt.receipt is not None and not call.is_json:
        say_receipt(call, attempt.receipt)


def _say_evidence(call: Call, handed: "HandedOver") -> None:
    if handed.error is not None:
        call.warn_of(handed.error)
        warn_of_gone_files(call, handed)
    elif not call.is_json:
        call.speaker.say(f"All evidence of report {handed.report_id} is handed over.")


def _say_words(call: Call, words: list[KeptEntry]) -> None:
    for entry in words:
        call.speaker.say(f"Your {entry.kind} of {entry.written_at} ({entry.by}), about message {entry.about}")


def _say_words_attempt(call: Call, attempt: EntryAttempt) -> None:
    if attempt.error is not None:
        call.speaker.warn(f"NOT SENT: your {attempt.entry.kind} about message {attempt.entry.about}")
        call.warn_of(attempt.error)
    elif not call.is_json:
        call.speaker.say(f"Sent: your {attempt.entry.kind} about message {attempt.entry.about}")


def _list_word_fields(words: list[KeptEntry]) -> list[dict[str, Any]]:
    return [pick(one, "about", "by", "entry_id", "kind", "outcome", "report_id", "written_at") for one in words]
