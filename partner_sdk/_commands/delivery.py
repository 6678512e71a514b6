"""The options and the output that commands share which send: kinds and priorities, receipts, and a progress bar.

The bar is drawn on a terminal only, and only for work that takes longer than two seconds.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, TypedDict, get_args

import click

from partner_sdk._commands.runtime import EXIT_FAILED, EXIT_NOT_DELIVERED, Call, Run, pick
from partner_sdk.client._receipts import DeskReceipt, Receipt
from partner_sdk.errors import KeySetError, RepeatedReportError, ReportAbuseError, SealingError
from partner_sdk.finding import make_printable
from partner_sdk.wire.submission import Priority, ReportKind

if TYPE_CHECKING:
    # Types only: these modules load the HTTP client, which a command that sends nothing does not need.
    from partner_sdk.client._evidence_handover import HandedOver
    from partner_sdk.client._evidence_upload import Progress
    from partner_sdk.client.partner import Partner

PRIORITIES: Final[tuple[Priority, ...]] = get_args(Priority)
_NOT_AGAIN: Final = "Nothing was sealed or sent this time."
KINDS: Final[tuple[ReportKind, ...]] = get_args(ReportKind)


class SentAs(TypedDict):
    """The clear fields of a report that a person chooses."""

    priority: Priority
    kind: ReportKind
    earlier_reference: str | None


def priority_option(
    *, is_required: bool = False, default: Priority | None = None, more: str = ""
) -> Callable[[Run], Run]:
    """Return the option `--priority`. It takes `p1` as `P1`: no urgent report may fail for its spelling."""
    return click.option(
        "--priority",
        metavar=f"[{'|'.join(PRIORITIES)}]",
        type=click.Choice(PRIORITIES, case_sensitive=False),
        required=is_required,
        default=default,
        help=f"P1: a child is at risk now.{more}",
    )


def kind_option(function: Run) -> Run:
    """Add the option for the kind of a report that is no answer: `request answer` sends those."""
    kinds = [kind for kind in KINDS if kind != "response"]
    return click.option("--kind", type=click.Choice(kinds), help="[default: initial]")(function)


def answering_options(function: Run) -> Run:
    """Add the options for the kind of a report, and for the question that it answers."""
    function = click.option(
        "--answers", metavar="REQUEST_ID", help="The question that this answers; `request list` shows them."
    )(function)
    return click.option("--kind", type=click.Choice(KINDS), help="[default: initial, or response with --answers]")(
        function
    )


again_option: Final = click.option(
    "--again", is_flag=True, help="Send it although the same report went within the last hour."
)


def settle_repeat(call: Call, error: RepeatedReportError, *, send_again: Callable[[], int]) -> int:
    """Ask the person at the terminal whether the same report is to go once more; without one, `--again` says so."""
    if call.is_json or not sys.stdin.isatty():
        return fail_to_submit(call, error, report_id=None)
    call.speaker.warn(str(error))
    if click.confirm("Send it once more?", default=False, err=True):
        return send_again()
    call.speaker.warn(_NOT_AGAIN)
    return EXIT_FAILED


def choose_kind(kind: ReportKind | None, *, answers: str | None) -> ReportKind:
    """Return the kind of a report: with `--answers` it is a response. Raises `click.UsageError` for another one."""
    if answers is None:
        return kind or "initial"
    if kind not in {None, "response"}:
        raise click.UsageError("--answers makes a report of kind response: leave --kind out.")
    return "response"


def say_receipt(call: Call, receipt: Receipt | DeskReceipt) -> None:
    """Write that a report is delivered, and the place of its receipt."""
    call.speaker.say(f"Delivered. Reference {receipt.reference}, received {receipt.statement.received_at}.")
    call.speaker.say(f"Report {receipt.report_id}; receipt in {_receipt_file(call.partner, receipt)}")


def fail_to_submit(call: Call, error: ReportAbuseError, *, report_id: str | None, then: str = "") -> int:
    """Show why a report was not delivered, and whether it is saved; return the exit code."""
    call.warn_of(error)
    if report_id is not None:
        call.speaker.warn(f"NOT DELIVERED. Report {report_id} is sealed and saved: `spool flush` sends it{then}.")
    elif isinstance(error, (SealingError, KeySetError)):
        if isinstance(error, KeySetError):  # a SealingError has it in its own text
            call.speaker.warn("Nothing was sealed or saved.")
        call.speaker.warn(
            "Ask the agency for another way to report now. Once the gateway answers, `doctor` saves a key set."
        )
    elif isinstance(error, RepeatedReportError):
        call.speaker.warn(f"{_NOT_AGAIN} If it is to go once more, give --again.")
    if call.is_json:
        fields: dict[str, object] = {"delivered": False, "reason": error.reason, "report_id": report_id}
        if isinstance(error, RepeatedReportError):
            fields["same_as"] = pick(error, "reference", "report_id")
        call.speaker.say_json(fields)
    return EXIT_FAILED if report_id is None else EXIT_NOT_DELIVERED


def warn_of_gone_files(call: Call, handed: "HandedOver") -> None:
    """Warn of each waiting file that is no longer in its place: trying again alone would never end."""
    for file in handed.waiting:
        if not Path(file.path).exists():
            call.speaker.warn(
                f"  {file.file_id}: put it back at {file.path}, or run `evidence discard {handed.report_id}`."
            )


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


PATIENCE_SECONDS: Final = 2.0
REDRAWN_AFTER_SECONDS: Final = 0.2
_WIDTH: Final = 24
_MOST_OF_A_NAME: Final = 24
_MEGABYTE: Final = 1_000_000


class EvidenceBar:
    """Draws one line again and again, and leaves it at the end. Writes nothing outside a terminal."""

    def __init__(
        self, label: str, *, stream: IO[str] | None = None, count_seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._label = label
        self._count_seconds = count_seconds
        self._is_watched = self._stream.isatty()
        self._started: float | None = None
        self._drawn_at = 0.0
        self._is_drawn = False

    def __enter__(self) -> "EvidenceBar":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def show(self, progress: "Progress") -> None:
        """Draw the progress of a file, if it is time to."""
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
        """Move to the next line, if a bar was drawn."""
        if self._is_drawn:
            self._stream.write("\n")
            self._stream.flush()
            self._is_drawn = False


def format_progress(progress: "Progress", *, label: str) -> str:
    """Return one line of a fixed width for one name: the share, a bar, and megabytes."""
    done = round(progress.share * _WIDTH)
    name = make_printable(progress.file_id)[:_MOST_OF_A_NAME]
    bar = "#" * done + "-" * (_WIDTH - done)
    total = f"{progress.total_bytes / _MEGABYTE:,.0f}"
    count = f"{progress.done_bytes / _MEGABYTE:,.0f}".rjust(len(total))
    return f"{label} {name} {progress.verb} [{bar}] {progress.share:4.0%} {count} of {total} MB".lstrip()
