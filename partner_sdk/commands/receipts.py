"""The commands `receipt verify`, which needs no network, and `receipt add`, which keeps a receipt that came by file."""

from partner_sdk.client.by_file import check_answer, keep_receipt
from partner_sdk.client.partner import Partner
from partner_sdk.client.receipt_check import DeskReceipt, Receipt
from partner_sdk.commands.delivery_words import list_receipt_fields
from partner_sdk.commands.frame import CommandGroup, PartnerCall, read_input
from partner_sdk.commands.output import EXIT_ALARM, EXIT_DONE, EXIT_FAILED
from partner_sdk.errors import FormatError, ReportAbuseError, StatementError
from partner_sdk.wire.desk_receipt import is_desk_receipt, peek_desk_receipt
from partner_sdk.wire.intake import peek_intake

MAX_RECEIPT_BYTES = 64 * 1024


def run_verify(call: PartnerCall) -> int:
    """Verify a receipt file offline."""
    return _judge(call, is_to_keep=False)


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
    if args.json:
        speaker.say_json({"verified": True, **list_receipt_fields(partner, receipt)})
        return EXIT_DONE
    speaker.say(f"The receipt holds: {receipt.reference}, received {receipt.statement.received_at}.")
    whose = "agency's desk's" if is_of_the_desk else "gateway's"
    speaker.say(f"It is the {whose} word for your report {receipt.report_id}.")
    if is_to_keep:
        said = "It is kept: the report waits no longer." if is_new else "A receipt of this kind was kept before."
        speaker.say(said)
    return EXIT_DONE


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
        return check_answer(call.partner.state, raw, now=call.surroundings.clock())
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
    for name, run, summary, example in (
        ("verify", run_verify, "verify a receipt, offline", "receipts/019ab3c5-....json"),
        ("add", run_add, "verify and keep the receipt of a report that went by file", "from-the-desk.json"),
    ):
        command = receipt.add(name, run=run, summary=summary, example=example)
        command.add_argument("file", metavar="FILE", help="the receipt file (- for standard input)")
