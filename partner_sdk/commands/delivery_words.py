"""How receipts, faults and tries are told, in lines for a person and in fields for a machine."""

from pathlib import Path
from typing import TYPE_CHECKING

from partner_sdk.client.advice import describe
from partner_sdk.client.receipt_check import DeskReceipt, Receipt
from partner_sdk.commands.output import Speaker
from partner_sdk.errors import ProblemError, ReportAbuseError, ReportError

# Names of types only: with them comes all that sends, which a command that runs alone does not need.
if TYPE_CHECKING:
    from partner_sdk.client.evidence_handover import HandedOver
    from partner_sdk.client.partner import Partner


def say_receipt(partner: "Partner", speaker: Speaker, receipt: Receipt | DeskReceipt) -> None:
    """Say that a report is delivered, and where its receipt lies."""
    speaker.say(f"Delivered. Reference {receipt.reference}, received {receipt.statement.received_at}.")
    speaker.say(f"Report {receipt.report_id}; receipt in {_receipt_file(partner, receipt)}")


def say_fault(speaker: Speaker, error: ReportAbuseError) -> None:
    """Say what stopped a command, field by field where the error names fields."""
    speaker.warn(describe(error))
    for fault in error.faults if isinstance(error, (ReportError, ProblemError)) else ():
        speaker.warn(f"  {fault.pointer}: {fault.detail}")
    if isinstance(error, ProblemError) and error.request_id:
        speaker.warn(f"  request id {error.request_id}")


def say_gone_files(speaker: Speaker, handed: "HandedOver") -> None:
    """Say of each file that waits and is no longer where it was what to do: trying again alone would never end."""
    for file in handed.waiting:
        if not Path(file.path).exists():
            speaker.warn(f"  {file.file_id}: put it back at {file.path}, or `evidence discard {handed.report_id}`.")


def list_receipt_fields(partner: "Partner", receipt: Receipt | DeskReceipt) -> dict[str, str]:
    """Return a receipt for JSON."""
    return {
        "kind": receipt.statement.clear.kind,
        "priority": receipt.statement.clear.priority,
        "receipt_file": str(_receipt_file(partner, receipt)),
        "received_at": receipt.statement.received_at,
        "reference": receipt.reference,
        "report_id": receipt.report_id,
        "signed_by": "desk" if isinstance(receipt, DeskReceipt) else "gateway",
    }


def _receipt_file(partner: "Partner", receipt: Receipt | DeskReceipt) -> Path:
    kept_in = "desk-receipts" if isinstance(receipt, DeskReceipt) else "receipts"
    return partner.state.folder / kept_in / f"{receipt.report_id}.json"
