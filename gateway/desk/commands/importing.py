"""The command that takes in a sealed report which came as a file, by any channel, and writes its receipt."""

import sys
from pathlib import Path
from typing import Final

import click

from gateway.desk.collection.importing import Imported, import_report
from gateway.desk.outbox_run import send_outbox
from gateway.desk.people.permissions import Permission
from gateway.desk.terminal import DONE, FILE, LOOK, Call, desk_command, print_json, say
from gateway.desk.wiring import open_desk
from partner_sdk.durable_files import find_bytes, read_bounded, write_durably
from partner_sdk.errors import FormatError, LocalStateError
from partner_sdk.wire.submission import MAX_REPORT_BODY_BYTES

RECEIPT_SUFFIX: Final = ".receipt.json"
_FATES: Final = {
    "filed": "is filed as a case",
    "known": "was here already: no second case",
}


@desk_command(Permission.IMPORT_REPORTS, "import", example="report.sealed.json --receipt-out receipt.json")
@click.argument("path", type=FILE, metavar="FILE", help="The sealed report, as the partner sent it.")
@click.option("--receipt-out", type=FILE, metavar="FILE", help=f"The receipt's file.  [default: FILE{RECEIPT_SUFFIX}]")
def import_command(call: Call, path: Path, receipt_out: Path | None) -> int:
    """Import a sealed report from a file.

    The partner made the file with `report-abuse-partner report submit --to-file`. The report is judged and filed like
    one from the gateway, and the partner's receipt is written. The same file again gives the same receipt.

    Exit code 1: the report is in quarantine, with its reason and without a receipt, or the outbox needs a person.
    """
    desk = open_desk(call.state)
    receipt_path = receipt_out or path.with_name(path.name + RECEIPT_SUFFIX)
    raw = _read(path)
    imported = import_report(desk, raw, actor=call.actor)
    # An urgent report must raise its alert even if the receipt cannot be written.
    sent = send_outbox(desk)
    if imported.receipt is not None:
        _write_receipt(receipt_path, imported.receipt)
    if call.as_json:
        print_json(
            {
                "reason": imported.reason,
                "receipt": None if imported.receipt is None else str(receipt_path),
                "reference": imported.reference,
                "state": imported.state,
            }
            | sent.as_json()
        )
    else:
        _tell(imported, receipt_path)
        sent.tell(to=sys.stderr)
    return DONE if imported.receipt is not None and sent.is_well else LOOK


def _read(path: Path) -> bytes:
    raw = read_bounded(path, max_bytes=MAX_REPORT_BODY_BYTES)
    if len(raw) > MAX_REPORT_BODY_BYTES:
        raise FormatError(f"{path} is larger than a sealed report may be.", reason="too-large")
    return raw


def _write_receipt(path: Path, receipt: bytes) -> None:
    if find_bytes(path) not in {None, receipt}:
        raise LocalStateError(
            f"The report is here, but {path} holds something else: run it again with another --receipt-out.",
            reason="file-exists",
        )
    write_durably(path, receipt)


def _tell(imported: Imported, receipt_path: Path) -> None:
    if imported.receipt is None:
        say(f"IN QUARANTINE because of {imported.reason}: the file is kept here, and there is no receipt.")
        say("Read the page Quarantine.")
        say("Ask the partner by another channel whether it sent this.")
        return
    say(f"{imported.reference} {_FATES[imported.state]}.")
    say(f"Send {receipt_path} to the partner, which checks it with `report-abuse-partner receipt verify`.")
