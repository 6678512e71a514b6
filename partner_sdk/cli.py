"""`report-abuse-partner`: the SDK for scripts. Runs one command and returns its exit code."""

import sys
from collections.abc import Sequence
from typing import Final

import click

from partner_sdk import __version__
from partner_sdk._commands.runtime import DISTRIBUTIONS, EMERGENCY, EXIT_CODES, EXIT_DONE, EXIT_FAILED, Call, Runtime
from partner_sdk.lazy_group import LazyGroup, run_program

PROGRAM: Final = "report-abuse-partner"
_ROOM: Final = "partner_sdk._commands"
COMMANDS: Final = {
    "report": (f"{_ROOM}.reports:report", "Submit reports and follow them."),
    "spool": (f"{_ROOM}.reports:spool", "List and send everything that waits."),
    "evidence": (f"{_ROOM}.reports:evidence", "Give up files that belong to reports."),
    "receipt": (f"{_ROOM}.receipts:receipt", "Check and keep receipts."),
    "inbox": (f"{_ROOM}.mailbox:inbox", "Fetch, check, save and list the agency's messages."),
    "thread": (f"{_ROOM}.mailbox:thread", "Read packages, requests and alerts, and write about them."),
    "digest": (f"{_ROOM}.mailbox:digest", "Print your newest digest."),
    "enrol": (f"{_ROOM}.account:enrol", "Answer the agency's invitation."),
    "keys": (f"{_ROOM}.account:keys", "List and change this partner's keys."),
    "account": (f"{_ROOM}.account:account", "Register this partner, or show its registration."),
    "console": (
        "partner_sdk.console.commands:console",
        "Serve pages in your browser, for people without a developer.",
    ),
    "button": (f"{_ROOM}.button:button", "Put the Report Abuse button on your pages, and check it."),
    "doctor": (f"{_ROOM}.account:doctor", "List faults and how to fix them."),
}


@click.group(
    PROGRAM,
    cls=LazyGroup,
    table=COMMANDS,
    distributions=DISTRIBUTIONS,
    epilog=f"\b\nExample:\n  {PROGRAM} report submit report.json --priority P2\n\n\b\n{EXIT_CODES}",
)
@click.version_option(__version__, message="%(version)s")
def program() -> None:
    """Submit sealed reports to the agency, and read its packages, requests, alerts and digests."""


def main(arguments: Sequence[str] | None = None, *, runtime: Runtime | None = None) -> int:
    """Run one command and return its exit code, e.g. 0 when it is done. `runtime` defaults to this machine's own."""
    words = sys.argv[1:] if arguments is None else arguments
    names_p1 = "P1" in {word.upper().rpartition("=")[2] for word in words}
    call = Call(Runtime() if runtime is None else runtime, is_p1_waiting=names_p1)
    code = EXIT_FAILED
    try:
        code = run_program(program, arguments, name=PROGRAM, obj=call)
    finally:
        # Also after a usage error: a typing mistake must not hide that a child is at risk.
        if code != EXIT_DONE and call.is_p1_waiting:
            call.speaker.warn(EMERGENCY)
    return code


if __name__ == "__main__":
    sys.exit(main())
