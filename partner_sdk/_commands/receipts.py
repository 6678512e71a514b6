"""The group `receipt`: verify receipts, offline or against the gateway, and keep one that came as a file."""

from datetime import timedelta
from functools import partial
from typing import Final

import click

from partner_sdk._commands.delivery import list_receipt_fields
from partner_sdk._commands.runtime import (
    EXIT_ALARM,
    EXIT_DONE,
    EXIT_FAILED,
    Call,
    PartnerGroup,
    pick,
    read_input,
    shared_options,
)
from partner_sdk.client._receipts import DeskReceipt, Receipt, check_answer, keep_receipt
from partner_sdk.errors import FormatError, ReportAbuseError, StatementError
from partner_sdk.wire.intake import is_desk_receipt, peek_desk_receipt, peek_intake

MAX_RECEIPT_BYTES = 64 * 1024
PROGRESS_AFTER: Final = timedelta(seconds=2)
_FINDINGS: Final = {
    "same": "the gateway has the same receipts",
    "other": "the gateway has ANOTHER receipt",
    "missing": "the gateway has NO receipt",
    "invalid": "the receipt kept here is NOT valid",
}


@click.group(cls=PartnerGroup)
def receipt() -> None:
    """Check and keep receipts."""


@receipt.command(example="receipts/019ab3c5-....json")
@click.argument("file", required=False)
@click.option("--all", "is_all", is_flag=True, help="Every receipt that is kept here (with --online).")
@click.option("--online", "is_online", is_flag=True, help="Compare with the gateway's copy, byte for byte.")
@shared_options
def verify(call: Call, *, file: str | None, is_all: bool, is_online: bool) -> int:
    """Verify a receipt offline, or all kept ones with the gateway.

    FILE is the receipt; - reads standard input.
    """
    if is_all != is_online:
        raise click.UsageError("--all and --online go together: all kept receipts are compared with the gateway.")
    if is_all == (file is not None):
        raise click.UsageError("receipt verify takes FILE, or --all --online.")
    return _compare_all(call) if file is None else _judge(call, file, is_to_keep=False)


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
    last_said = now()

    def say_progress(done: int, count: int) -> None:
        nonlocal last_said
        if now() - last_said >= PROGRESS_AFTER:
            last_said = now()
            speaker.say_progress(f"{done} of {count} receipts compared")

    compared = call.partner.compare_receipts(on_progress=say_progress)
    wrong = [one for one in compared if one.finding != "same"]
    counts = {finding: sum(one.finding == finding for one in compared) for finding in _FINDINGS}
    if call.is_json:
        rows = [pick(one, "finding", "reason", "reference", "report_id") for one in wrong]
        speaker.say_json({"compared": len(compared), "counts": counts, "differing": rows})
    else:
        speaker.say(f"{counts['same']} of {len(compared)}: {_FINDINGS['same']}, byte for byte.")
    for one in wrong:
        why = "" if one.reason is None else f" ({one.reason})"
        speaker.warn(
            f"ALARM: {one.reference or 'no reference'}, report {one.report_id}: {_FINDINGS[one.finding]}{why}."
        )
    if wrong:
        speaker.warn("Leave this folder as it is, and phone the agency; do not use this service for that.")
    return EXIT_ALARM if wrong else EXIT_DONE


def _judge(call: Call, file: str, *, is_to_keep: bool) -> int:
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
    except (FormatError, StatementError) as error:
        call.speaker.warn(f"The receipt is NOT valid: {error} ({error.reason})")
        if call.is_json:
            call.speaker.say_json({"reason": error.reason, "verified": False})
        return EXIT_ALARM
    signer = "agency's desk" if is_of_the_desk else "gateway"
    lines = [
        f"The receipt is valid: {found.reference}, received {found.statement.received_at}.",
        f"The {signer} signed it for your report {found.report_id}.",
    ]
    if is_to_keep:
        lines.append(
            "It is kept: the report is no longer waiting." if is_new else "A receipt of this kind was kept before."
        )
    return call.answer({"verified": True, **list_receipt_fields(partner, found)}, lines)


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
