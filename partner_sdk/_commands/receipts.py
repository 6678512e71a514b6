"""The group `receipt`: verify receipts, offline or against the gateway, and keep one that came as a file."""

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from partner_sdk._commands.delivery import list_receipt_fields
from partner_sdk._commands.runtime import (
    EXIT_ALARM,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_LATE,
    Call,
    PartnerGroup,
    pick,
    read_input,
    shared_options,
)
from partner_sdk.client._receipts import DeskReceipt, Receipt, check_answer, keep_receipt
from partner_sdk.errors import FormatError, LogError, ReportAbuseError, StatementError
from partner_sdk.wire.receipts import is_desk_receipt, peek_desk_receipt, peek_intake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from partner_sdk._commands.runtime import Speaker
    from partner_sdk.client._receipts import ComparedReceipt, PublicLog

MAX_RECEIPT_BYTES = 64 * 1024
PROGRESS_AFTER: Final = timedelta(seconds=2)
_FINDINGS: Final = {
    "same": "the gateway has the same receipts",
    "other": "the gateway has ANOTHER receipt",
    "missing": "the gateway has NO receipt",
    "unread": "the gateway cannot read its own row of it",
    "late": "the public log stood still, and holds the receipt since",
    "not-logged": "the receipt is NOT in the public log as it must be",
    "invalid": "the receipt kept here is NOT valid",
}
_NO_ALARM: Final = ("unread", "late")
_MOST_NAMED: Final = 20
_PRE_LOG: Final = "the log began after the receipt, so it does not prove the time (pre-log)."


@click.group(cls=PartnerGroup)
def receipt() -> None:
    """Check and keep receipts."""


@receipt.command(example="receipts/019ab3c5-....json")
@click.argument("file", required=False)
@click.option("--all", "is_all", is_flag=True, help="Every receipt that is kept here (with --online).")
@click.option("--online", "is_online", is_flag=True, help="Look in the public log; with --all, ask the gateway too.")
@shared_options
def verify(call: Call, *, file: str | None, is_all: bool, is_online: bool) -> int:
    """Verify a receipt offline, in the public log, or all kept ones.

    FILE is the receipt; - reads standard input.
    """
    if is_all == (file is not None) or (is_all and not is_online):
        raise click.UsageError("receipt verify takes FILE, FILE --online, or --all --online.")
    return _compare_all(call) if file is None else _judge(call, file, is_to_keep=False, is_online=is_online)


@receipt.command(example="from-the-desk.json")
@click.argument("file")
@shared_options
def add(call: Call, *, file: str) -> int:
    """Keep the receipt of a report that was sent as a file.

    FILE is the receipt; - reads standard input.
    """
    return _judge(call, file, is_to_keep=True)


def _compare_all(call: Call) -> int:
    """Compare every kept receipt with the gateway; an alarm for each that is not the same there."""
    speaker, now = call.speaker, call.runtime.clock
    log, log_error = _open_log(call)
    last_said = now()

    def say_progress(done: int, count: int) -> None:
        nonlocal last_said
        if now() - last_said >= PROGRESS_AFTER:
            last_said = now()
            speaker.say_progress(f"{done} of {count} receipts compared")

    compared = call.partner.compare_receipts(log=log, on_progress=say_progress)
    wrong = [one for one in compared if one.finding != "same"]
    counts = {finding: sum(one.finding == finding for one in compared) for finding in _FINDINGS}
    if call.is_json:
        rows = [pick(one, "finding", "reason", "reference", "report_id") for one in wrong]
        fields = {"compared": len(compared), "counts": counts, "differing": rows}
        speaker.say_json({**fields, "log": _list_log_fields(log, log_error)})
    else:
        speaker.say(f"{counts['same']} of {len(compared)}: {_FINDINGS['same']}, byte for byte.")
        speaker.say(_describe_log(log, log_error))
        if old := sum(one.reason == "pre-log" for one in compared):
            speaker.say(f"{old} of them: {_PRE_LOG}")
    _warn_by_kind(speaker, wrong)
    if counts["unread"]:
        speaker.warn("Ask for these again tomorrow. If they stay unread, tell the agency: its database is damaged.")
    alarms = [one for one in wrong if one.finding not in _NO_ALARM]
    if log_error is not None:
        speaker.warn(f"ALARM: {log_error} ({log_error.reason})")
    if alarms or log_error is not None:
        speaker.warn("Leave this folder as it is, and phone the agency; do not use this service for that.")
        return EXIT_ALARM
    return EXIT_FAILED if counts["unread"] else EXIT_LATE if counts["late"] else EXIT_DONE


def _warn_by_kind(speaker: "Speaker", wrong: "Sequence[ComparedReceipt]") -> None:
    """Write one line for all receipts that differ in the same way, and their names below."""
    same_kind: dict[tuple[str, str | None], list[str]] = {}
    for one in wrong:
        named = f"{one.reference or 'no reference'}, report {one.report_id}"
        same_kind.setdefault((one.finding, one.reason), []).append(named)
    for (finding, reason), some in same_kind.items():
        mark = "" if finding in _NO_ALARM else "ALARM: "
        counted = some[0] if len(some) == 1 else f"{len(some)} receipts"
        speaker.warn(f"{mark}{counted}: {_FINDINGS[finding]}{'' if reason is None else f' ({reason})'}.")
        for named in some[:_MOST_NAMED] if len(some) > 1 else ():
            speaker.warn(f"  {named}")
        if len(some) > _MOST_NAMED:
            speaker.warn(f"  and {len(some) - _MOST_NAMED} more; --json lists all")


def _open_log(call: Call) -> "tuple[PublicLog | None, LogError | None]":
    """Return the public log, or the alarm that it raises; neither if the gateway keeps none."""
    try:
        return call.partner.open_log(), None
    except LogError as error:
        return None, error


def _list_log_fields(log: "PublicLog | None", error: LogError | None) -> dict[str, object]:
    size = None if log is None else log.size
    return {"reason": None if error is None else error.reason, "size": size}


def _describe_log(log: "PublicLog | None", error: LogError | None) -> str:
    if log is not None:
        return f"The public log continues the one seen before; it has {log.size} entries, real and random."
    return "The agency lists no public log." if error is None else "The public log cannot be believed."


def _judge(call: Call, file: str, *, is_to_keep: bool, is_online: bool = False) -> int:
    partner = call.partner
    raw = read_input(file, max_bytes=MAX_RECEIPT_BYTES).rstrip(b"\n")
    try:
        is_of_the_desk = is_desk_receipt(raw)
        (peek_desk_receipt if is_of_the_desk else peek_intake)(raw)
    except FormatError:
        call.speaker.warn("This is not a receipt file (not-a-receipt)")
        if call.is_json:
            call.speaker.say_json({"reason": "not-a-receipt", "verified": False})
        return EXIT_FAILED
    check = partial(_check, call, raw, is_of_the_desk=is_of_the_desk)
    try:
        try:
            found = check()
        except StatementError as error:
            if error.reason != "unknown-key" or not is_to_keep or not _has_fresh_key_set(call):
                raise
            found = check()
        is_new = is_to_keep and keep_receipt(partner.state, found)
        log_lines = _look_into_log(call, found) if is_online else []
    except (FormatError, LogError, StatementError) as error:
        if error.reason == "late":
            call.speaker.warn(f"The receipt is valid, and late in the public log, which had stopped: {error}")
            if call.is_json:
                call.speaker.say_json({"reason": error.reason, "verified": True})
            return EXIT_LATE
        title = "ALARM" if isinstance(error, LogError) else "The receipt is NOT valid"
        call.speaker.warn(f"{title}: {error} ({error.reason})")
        if call.is_json:
            call.speaker.say_json({"reason": error.reason, "verified": False})
        return EXIT_ALARM
    signer = "agency's desk" if is_of_the_desk else "gateway"
    lines = [
        f"The receipt is valid: {found.reference}, received {found.statement.received_at}.",
        f"The {signer} signed it for your report {found.report_id}.",
        *log_lines,
    ]
    if is_to_keep:
        lines.append(
            "It is kept: the report is no longer waiting." if is_new else "A receipt of this kind was kept before."
        )
    return call.answer({"verified": True, **list_receipt_fields(partner, found)}, lines)


def _look_into_log(call: Call, receipt: Receipt | DeskReceipt) -> list[str]:
    """Return the line about a receipt in the public log; raises `LogError` if it does not stand there."""
    if isinstance(receipt, DeskReceipt):
        return ["The gateway's public log holds no receipts of the desk."]
    log = call.partner.open_log()
    fault = None if log is None else log.find_fault(receipt)
    if fault is not None and fault.reason != "pre-log":
        raise fault
    return [_describe_log(log, None), *([_PRE_LOG] if fault is not None else [])]


def _check(call: Call, raw: bytes, *, is_of_the_desk: bool) -> Receipt | DeskReceipt:
    if is_of_the_desk:
        return check_answer(call.partner.state, raw, now=call.runtime.clock())
    return call.partner.check_receipt(raw)


def _has_fresh_key_set(call: Call) -> bool:
    """Fetch the key set, which may be older than the receipt's key. Without a network the first answer stands."""
    try:
        call.partner.refresh_key_set()
    except ReportAbuseError:
        return False
    return True
