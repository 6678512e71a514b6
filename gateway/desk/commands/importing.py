"""The command that takes in a sealed report which came as a file, by any channel, and writes its receipt."""

import argparse
import sys
from pathlib import Path
from typing import Final

from gateway.desk.collection.importing import Imported, import_report
from gateway.desk.commands.outbox import send_what_waits
from gateway.desk.terminal import DONE, LOOK, Commands, add_command, get_actor, print_json, say
from gateway.desk.wiring import open_desk
from partner_sdk.durable_files import find_bytes, write_durably
from partner_sdk.errors import FormatError, LocalStateError
from partner_sdk.wire.submission import MAX_REPORT_BODY_BYTES

RECEIPT_SUFFIX: Final = ".receipt.json"
_WHAT: Final = {
    "filed": "is filed as a case",
    "known": "was here already: no second case",
}


def run_import(parsed: argparse.Namespace) -> int:
    """Run `import`, and return its exit code.

    It is judged and filed like one that comes through the gateway, and the receipt is written for the partner: beside
    the file, or where --receipt-out says. The same file again gives the same receipt. Exit code 1 says that the report
    was set aside, with its reason; there is no receipt then.
    """
    desk, path = open_desk(parsed.state), parsed.file
    receipt_path = parsed.receipt_out or path.with_name(path.name + RECEIPT_SUFFIX)
    raw = _read(path)
    imported = import_report(desk, raw, actor=get_actor(parsed))
    # Whatever becomes of the receipt's file, an urgent report must reach somebody.
    sent = send_what_waits(desk)
    if imported.receipt is not None:
        _write_receipt(receipt_path, imported.receipt)
    if parsed.json:
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


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's command."""
    command = add_command(commands, "import", run=run_import, example="report.sealed.json --receipt-out receipt.json")
    command.add_argument("file", type=Path, metavar="FILE", help="the sealed report, as the partner sent it")
    command.add_argument(
        "--receipt-out", type=Path, metavar="FILE", help=f"where the receipt goes (default: FILE{RECEIPT_SUFFIX})"
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as handle:
            raw = handle.read(MAX_REPORT_BODY_BYTES + 1)
    except OSError as error:
        raise LocalStateError(f"{path} cannot be read: {error.strerror}.", reason="unreadable") from None
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
        say(f"SET ASIDE because of {imported.reason}: the file is kept here, and there is no receipt.")
        say("See `set-aside list`. Ask the partner by another way whether it sent this.")
        return
    say(f"{imported.reference} {_WHAT[imported.state]}.")
    say(f"Send {receipt_path} to the partner, which checks it: report-abuse-partner receipt verify.")
