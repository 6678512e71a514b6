"""The commands `receipt verify`, which needs no network but with `--online`, and `receipt add`, for one by file."""

import argparse
from datetime import timedelta
from typing import Final

from partner_sdk._commands.delivery import list_receipt_fields
from partner_sdk._commands.runtime import (
    EXIT_ALARM,
    EXIT_DONE,
    EXIT_FAILED,
    CommandGroup,
    PartnerCall,
    pick,
    read_input,
)
from partner_sdk.client._receipts import DeskReceipt, Receipt, check_answer, keep_receipt
from partner_sdk.client.partner import Partner
from partner_sdk.errors import FormatError, ReportAbuseError, StatementError
from partner_sdk.wire.intake import is_desk_receipt, peek_desk_receipt, peek_intake

MAX_RECEIPT_BYTES = 64 * 1024


PROGRESS_AFTER: Final = timedelta(seconds=2)
_FINDINGS: Final = {
    "same": "the gateway has the same receipts",
    "other": "the gateway has ANOTHER receipt",
    "missing": "the gateway has NO receipt",
    "invalid": "the receipt kept here does NOT hold",
}


def run_verify(call: PartnerCall) -> int:
    """Verify a receipt file offline, or all that are kept against the gateway."""
    return _compare_all(call) if call.args.all else _judge(call, is_to_keep=False)


def find_misuse(args: argparse.Namespace) -> str | None:
    """Return why options do not go together, or None."""
    if args.all != args.online:
        return "--all and --online go together: all kept receipts are compared with the gateway"
    if args.all != (args.file is None):
        return "receipt verify takes FILE, or --all --online"
    return None


def _compare_all(call: PartnerCall) -> int:
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
    if call.args.json:
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
        speaker.warn("Keep this folder as it is, and phone the agency: not through this service.")
    return EXIT_ALARM if wrong else EXIT_DONE


def run_add(call: PartnerCall) -> int:
    """Verify a receipt file and keep it, so that its report waits no longer."""
    return _judge(call, is_to_keep=True)


def _judge(call: PartnerCall, *, is_to_keep: bool) -> int:
    partner, speaker, args = call.partner, call.speaker, call.args
    raw = read_input(args.file, max_bytes=MAX_RECEIPT_BYTES).rstrip(b"\n")
    try:
        is_of_the_desk = is_desk_receipt(raw)
        (peek_desk_receipt if is_of_the_desk else peek_intake)(raw)
    except FormatError:
        speaker.warn("This is not a receipt file (not-a-receipt)")
        if args.json:
            speaker.say_json({"reason": "not-a-receipt", "verified": False})
        return EXIT_FAILED
    try:
        receipt = _check(call, raw, is_of_the_desk=is_of_the_desk)
        if is_to_keep:
            is_new = keep_receipt(partner.state, receipt)
    except (FormatError, StatementError) as error:
        speaker.warn(f"The receipt does NOT hold: {error} ({error.reason})")
        if args.json:
            speaker.say_json({"reason": error.reason, "verified": False})
        return EXIT_ALARM
    whose = "agency's desk's" if is_of_the_desk else "gateway's"
    lines = [
        f"The receipt holds: {receipt.reference}, received {receipt.statement.received_at}.",
        f"It is the {whose} word for your report {receipt.report_id}.",
    ]
    if is_to_keep:
        lines.append("It is kept: the report waits no longer." if is_new else "A receipt of this kind was kept before.")
    return call.answer({"verified": True, **list_receipt_fields(partner, receipt)}, lines)


def _check(call: PartnerCall, raw: bytes, *, is_of_the_desk: bool) -> Receipt | DeskReceipt:
    partner = call.partner
    try:
        return _check_offline(call, raw, is_of_the_desk=is_of_the_desk)
    except StatementError as error:
        if error.reason != "unknown-key" or call.args.command is not run_add or not _has_fresh_key_set(partner):
            raise
    return _check_offline(call, raw, is_of_the_desk=is_of_the_desk)


def _check_offline(call: PartnerCall, raw: bytes, *, is_of_the_desk: bool) -> Receipt | DeskReceipt:
    if is_of_the_desk:
        return check_answer(call.partner.state, raw, now=call.runtime.clock())
    return call.partner.check_receipt(raw)


def _has_fresh_key_set(partner: Partner) -> bool:
    try:  # a receipt key younger than the saved key set; without a network the first answer stands
        partner.refresh_key_set()
    except ReportAbuseError:
        return False
    return True


def add_commands(top: CommandGroup) -> None:
    """Add the group `receipt`."""
    receipt = top.add_group("receipt")
    verify = receipt.add(
        "verify",
        run=run_verify,
        summary="verify a receipt, offline; or all that are kept, with the gateway",
        example="receipts/019ab3c5-....json",
        find_misuse=find_misuse,
    )
    verify.add_argument("file", metavar="FILE", nargs="?", help="the receipt file (- for standard input)")
    verify.add_argument("--all", action="store_true", help="every receipt that is kept here (with --online)")
    verify.add_argument("--online", action="store_true", help="compare with the gateway's copy, byte for byte")
    add = receipt.add(
        "add",
        run=run_add,
        summary="verify and keep the receipt of a report that went by file",
        example="from-the-desk.json",
    )
    add.add_argument("file", metavar="FILE", help="the receipt file (- for standard input)")
