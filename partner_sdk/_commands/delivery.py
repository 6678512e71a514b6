"""How a delivery is shown: receipts, faults and files that wait, for a person and for a machine, and a progress bar.

The bar is drawn on a terminal only, and only for work that takes longer than two seconds.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from partner_sdk._commands.runtime import EXIT_FAILED, Call, Speaker, make_printable
from partner_sdk.client._receipts import DeskReceipt, Receipt
from partner_sdk.client.exchange import describe
from partner_sdk.errors import ProblemError, ReportAbuseError, ReportError

if TYPE_CHECKING:
    from partner_sdk.client._evidence_handover import HandedOver
    from partner_sdk.client._evidence_upload import Progress
    from partner_sdk.client.partner import Partner

# Names of types only: with them comes all that sends, which a command that runs alone does not need.


def say_receipt(partner: "Partner", speaker: Speaker, receipt: Receipt | DeskReceipt) -> None:
    """Write that a report is delivered, and where its receipt lies."""
    speaker.say(f"Delivered. Reference {receipt.reference}, received {receipt.statement.received_at}.")
    speaker.say(f"Report {receipt.report_id}; receipt in {_receipt_file(partner, receipt)}")


def say_fault(speaker: Speaker, error: ReportAbuseError) -> None:
    """Write why a command stopped, field by field where the error names fields."""
    speaker.warn(describe(error))
    for fault in error.faults if isinstance(error, (ReportError, ProblemError)) else ():
        speaker.warn(f"  {fault.pointer}: {fault.detail}")
    if isinstance(error, ProblemError) and error.request_id:
        speaker.warn(f"  request id {error.request_id}")


def end_with_fault(call: Call, error: ReportAbuseError) -> int:
    """Show why a command stopped, as JSON too where that is asked for, and return `EXIT_FAILED`."""
    say_fault(call.speaker, error)
    if call.args.json:
        faults = error.faults if isinstance(error, ReportError) else ()
        call.speaker.say_json({"faults": {one.pointer: one.detail for one in faults}, "reason": error.reason})
    return EXIT_FAILED


def say_gone_files(speaker: Speaker, handed: "HandedOver") -> None:
    """Advise on each waiting file that is no longer in its place: trying again alone would never end."""
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


# The name of a type only: with it comes all that sends.

PATIENCE_SECONDS: Final = 2.0
REDRAWN_AFTER_SECONDS: Final = 0.2
_WIDTH: Final = 24
_MOST_OF_A_NAME: Final = 24
_MEGABYTE: Final = 1_000_000
_WORDS: Final = {"reading": "read", "sending": "sent"}


class EvidenceBar:
    """Draws one line again and again; `end` leaves it. Writes nothing outside a terminal."""

    def __init__(self, stream: IO[str], *, label: str, count_seconds: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._label = label
        self._count_seconds = count_seconds
        self._is_watched = stream.isatty()
        self._started: float | None = None
        self._drawn_at = 0.0
        self._is_drawn = False

    def show(self, progress: "Progress") -> None:
        """Draw how far a file is, if it is time to."""
        if not self._is_watched:
            return
        now = self._count_seconds()
        if self._started is None:
            self._started = now
        if now - self._started < PATIENCE_SECONDS or (self._is_drawn and now - self._drawn_at < REDRAWN_AFTER_SECONDS):
            return
        self._drawn_at, self._is_drawn = now, True
        self._stream.write(f"\r{format_progress(progress, label=self._label)}")
        self._stream.flush()

    def end(self) -> None:
        """Go on to the next line, where one was drawn."""
        if self._is_drawn:
            self._stream.write("\n")
            self._stream.flush()
            self._is_drawn = False


def format_progress(progress: "Progress", *, label: str) -> str:
    """Return one line of a fixed width for one name: the share, a bar, and megabytes."""
    share = min(1.0, progress.done_bytes / progress.total_bytes) if progress.total_bytes else 1.0
    done = round(share * _WIDTH)
    name = make_printable(progress.file_id)[:_MOST_OF_A_NAME]
    bar = "#" * done + "-" * (_WIDTH - done)
    total = f"{progress.total_bytes / _MEGABYTE:,.0f}"
    count = f"{progress.done_bytes / _MEGABYTE:,.0f}".rjust(len(total))
    return f"{label} {name} {_WORDS[progress.stage]} [{bar}] {share:4.0%} {count} of {total} MB".lstrip()
