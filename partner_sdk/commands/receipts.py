"""The command `receipt verify`, which needs no network."""

from partner_sdk.commands.delivery_words import list_receipt_fields
from partner_sdk.commands.frame import CommandGroup, PartnerCall, read_input
from partner_sdk.commands.output import EXIT_ALARM, EXIT_DONE, EXIT_FAILED
from partner_sdk.errors import FormatError, StatementError
from partner_sdk.wire.intake import peek_intake

MAX_RECEIPT_BYTES = 64 * 1024


def run_verify(call: PartnerCall) -> int:
    """Verify a receipt file offline."""
    partner, speaker, args = call.partner, call.speaker, call.args
    raw = read_input(args.file, max_bytes=MAX_RECEIPT_BYTES).rstrip(b"\n")
    try:
        peek_intake(raw)
    except FormatError:
        speaker.warn("This is not a receipt file (not-a-receipt)")
        if args.json:
            speaker.say_json({"reason": "not-a-receipt", "verified": False})
        return EXIT_FAILED
    try:
        receipt = partner.check_receipt(raw)
    except (FormatError, StatementError) as error:
        speaker.warn(f"The receipt does NOT hold: {error} ({error.reason})")
        if args.json:
            speaker.say_json({"reason": error.reason, "verified": False})
        return EXIT_ALARM
    if args.json:
        speaker.say_json({"verified": True, **list_receipt_fields(partner, receipt)})
    else:
        speaker.say(f"The receipt holds: {receipt.reference}, received {receipt.statement.received_at}.")
        speaker.say(f"It is the gateway's word for your report {receipt.report_id}.")
    return EXIT_DONE


def add_commands(top: CommandGroup) -> None:
    """Add the group `receipt`."""
    verify = top.add_group("receipt", summary="check receipts").add(
        "verify", run=run_verify, summary="verify a receipt, offline", example="receipts/019ab3c5-....json"
    )
    verify.add_argument("file", metavar="FILE", help="the receipt file (- for standard input)")
