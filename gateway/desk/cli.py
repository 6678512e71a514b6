"""`report-abuse-desk`: makes a desk, publishes its keys, collects, opens and closes cases, answers partners."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from gateway.desk.commands import (
    case,
    collecting,
    digest,
    evidence,
    figures,
    importing,
    keys,
    pages,
    partner,
    post,
    setup,
    stale_data,
)
from gateway.desk.commands.frame import DONE, EXIT_CODES, LOOK, TRY_AGAIN, WRONG_USE, Run, complain
from gateway.desk.starting import check_release
from gateway.desk.unexpected import describe_unexpected
from gateway.web.process_guard import forbid_core_dumps
from partner_sdk.errors import ReportAbuseError, TransportError, UnavailableError

_SUBJECTS: Final = (
    *(setup, keys, collecting, importing, evidence, partner),
    *(case, figures, stale_data, post, digest, pages),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # A report that is open in memory must not end in a file of the crash handler.
    forbid_core_dumps()
    parsed = make_parser().parse_args(arguments)
    command: Run = parsed.command
    try:
        check_release()
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
            f"This release has a fault: {describe_unexpected(error)}. What was done before is kept; tell its makers.",
            code=LOOK,
        )


def make_parser() -> argparse.ArgumentParser:
    """Return the parser with every command."""
    parser = argparse.ArgumentParser(
        prog="report-abuse-desk",
        description="The desk of the agency: the only holder of the keys that open reports.",
        epilog=EXIT_CODES,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for subject in _SUBJECTS:
        subject.add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
