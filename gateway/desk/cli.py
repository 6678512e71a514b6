"""`report-abuse-desk`: makes a desk, publishes its keys, collects, opens and closes cases, answers partners."""

import argparse
import os
import sys
from collections.abc import Sequence

from gateway.desk.terminal import (
    COMMAND_TABLE,
    DONE,
    LOOK,
    TRY_AGAIN,
    WRONG_USE,
    Run,
    complain,
    naming_state,
)
from gateway.web.logs import format_exception
from gateway.web.process_guard import protect_memory
from partner_sdk.errors import ReportAbuseError, TransportError, UnavailableError

make_parser, make_overview = COMMAND_TABLE.make_parser, COMMAND_TABLE.make_overview


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # A report that is open in memory must not end in a file of the crash handler, or with another program.
    protect_memory()
    parsed = COMMAND_TABLE.parse(arguments)
    with naming_state(getattr(parsed, "state", None)):
        return _run(parsed)


def _run(parsed: argparse.Namespace) -> int:
    command: Run = parsed.command
    # Imported here: it loads what the help and wrong words do not need.
    from gateway.desk.cases.reply_templates import load_release_files

    try:
        load_release_files()
        return command(parsed)
    except BrokenPipeError:
        # Whoever reads has seen enough (`| head`); nothing more is written, not even at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (TransportError, UnavailableError) as error:
        return complain(f"{error} What was done is kept: run it again.", code=TRY_AGAIN)
    except ReportAbuseError as error:
        return complain(str(error), code=WRONG_USE)
    except Exception as error:  # noqa: BLE001 - a traceback would print its message, which may be a report's words
        return complain(
            f"This release has a fault: {format_exception(error)}. What was done before is kept; tell its makers.",
            code=LOOK,
        )


if __name__ == "__main__":
    sys.exit(main())
