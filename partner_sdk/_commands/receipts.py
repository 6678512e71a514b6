"""The group `receipt`: verify receipts, offline or against the gateway, and keep one that came as a file."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click

from partner_sdk._commands.reports import list_receipt_fields
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
from partner_sdk.client._partner_state import Signer
from partner_sdk.client._receipts import Receipt, check_kept_receipt, keep_receipt
from partner_sdk.errors import FormatError, LogError, ReportAbuseError, StatementError
from partner_sdk.wire.receipts import SIGNED_DESK_RECEIPT, SIGNED_INTAKE, is_desk_receipt

if TYPE_CHECKING:
    from partner_sdk.client._receipts import PublicLog

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
    log: PublicLog | None = None
    log_error: LogError | None = None
    try:
        log = call.partner.open_log()
    except LogError as error:
        log_error = error
    last_said = now()

    def say_progress(done: int, count: int) -> None:
        nonlocal last_said
        if now() - last_said >= PROGRESS_AFTER:
            last_said = now()
            speaker.say_progress(f"{done} of {count} receipts compared")

    compared = call.partner.compare_receipts(log=log, on_progress=say_progress)
    counts = {finding: sum(one.finding == finding for one in compared) for finding in _FINDINGS}
    alarms = 0
    for finding, said in _FINDINGS.items():
        if finding != "same" and counts[finding]:
            alarms += finding not in _NO_ALARM
            speaker.warn(f"{'' if finding in _NO_ALARM else 'ALARM: '}{counts[finding]} receipt(s): {said}.")
    if counts["unread"]:
        speaker.warn("Ask for these again tomorrow. If they stay unread, tell the agency: its database is damaged.")
    if log_error is not None:
        speaker.warn(f"ALARM: {log_error} ({log_error.reason})")
    fields = {
        "compared": len(compared),
        "counts": counts,
        "differing": [
            pick(one, "finding", "reason", "reference", "report_id") for one in compared if one.finding != "same"
        ],
        "log": {
            "reason": None if log_error is None else log_error.reason,
            "size": None if log is None else log.size,
        },
        # The log began after these receipts, so it does not prove their times.
        "pre_log": sum(one.reason == "pre-log" for one in compared),
    }
    if alarms or log_error is not None:
        speaker.warn("Leave this folder as it is, and phone the agency; do not use this service for that.")
        return call.answer(fields, code=EXIT_ALARM)
    return call.answer(fields, code=EXIT_FAILED if counts["unread"] else EXIT_LATE if counts["late"] else EXIT_DONE)


def _judge(call: Call, file: str, *, is_to_keep: bool, is_online: bool = False) -> int:
    """Check one receipt; look it up in the public log, or keep it."""
    partner, speaker = call.partner, call.speaker
    raw = read_input(file, max_bytes=MAX_RECEIPT_BYTES).rstrip(b"\n")
    try:
        is_of_the_desk = is_desk_receipt(raw)
        (SIGNED_DESK_RECEIPT.peek if is_of_the_desk else SIGNED_INTAKE.peek)(raw)
    except FormatError:
        speaker.warn("This is not a receipt file (not-a-receipt)")
        return call.answer({"reason": "not-a-receipt", "verified": False}, code=EXIT_FAILED)

    by: Signer = "desk" if is_of_the_desk else "gateway"

    def check() -> Receipt:
        return check_kept_receipt(partner.state, raw, now=call.runtime.clock(), by=by)

    fields: dict[str, object] = {}
    try:
        try:
            found = check()
        except StatementError as error:
            if error.reason != "unknown-key" or not is_to_keep or not _has_fresh_key_set(call):
                raise
            found = check()
        if is_to_keep:
            fields["kept"] = keep_receipt(partner.state, found)  # false: one of this kind was kept before
        if is_online:
            fields["log"] = _look_into_log(call, found)
    except (FormatError, LogError, StatementError) as error:
        if error.reason == "late":
            speaker.warn(f"The receipt is valid, and late in the public log, which had stopped: {error}")
            return call.answer({"reason": error.reason, "verified": True}, code=EXIT_LATE)
        title = "ALARM" if isinstance(error, LogError) else "The receipt is NOT valid"
        speaker.warn(f"{title}: {error} ({error.reason})")
        return call.answer({"reason": error.reason, "verified": False}, code=EXIT_ALARM)
    return call.answer({"verified": True, **list_receipt_fields(partner, found), **fields})


def _look_into_log(call: Call, receipt: Receipt) -> dict[str, object] | None:
    """Return the public log for JSON, or None if it holds no receipt of this kind; raises `LogError` for a fault."""
    log = None if receipt.signed_by == "desk" else call.partner.open_log()
    if log is None:
        return None
    fault = log.find_fault(receipt)
    if fault is not None and fault.reason != "pre-log":
        raise fault
    return {"reason": None if fault is None else fault.reason, "size": log.size}


def _has_fresh_key_set(call: Call) -> bool:
    """Fetch the key set, which may be older than the receipt's key. Without a network the first answer stands."""
    try:
        call.partner.refresh_key_set()
    except ReportAbuseError:
        return False
    return True
