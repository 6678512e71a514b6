"""`report-abuse-desk`: makes a desk, publishes its keys, collects, opens and closes cases, answers partners."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from gateway.desk.commands.frame import DONE, EXIT_CODES, LOOK, TRY_AGAIN, WRONG_USE, Run, complain
from gateway.desk.starting import check_release
from gateway.desk.unexpected import describe_unexpected
from gateway.web.process_guard import forbid_core_dumps
from partner_sdk.errors import ReportAbuseError, TransportError, UnavailableError

# Each file of `commands` and the words that it adds, in the order of the help: a new group is one line. A command loads
# its own file alone, because all of them together cost every run some tenths of a second.
_SUBJECTS: Final = {
    "setup": ("init", "gateway", "publish", "doctor", "audit"),
    "keys": ("keys",),
    "collecting": ("collect", "set-aside", "alarms"),
    "importing": ("import",),
    "evidence": ("evidence",),
    "partner": ("partner",),
    "placement": ("placement",),
    "adoption": ("adoption",),
    "case": ("case",),
    "figures": ("figures",),
    "stale_data": ("stale-data",),
    "post": ("post",),
    "digest": ("digest", "synthetic"),
    "pages": ("serve", "start-link"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # A report that is open in memory must not end in a file of the crash handler.
    forbid_core_dumps()
    words = sys.argv[1:] if arguments is None else arguments
    parsed = make_parser(words[0] if words else None).parse_args(words)
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


def make_parser(word: str | None = None) -> argparse.ArgumentParser:
    """Return the parser with the commands of the file that adds `word`; with every command for any other word."""
    parser = argparse.ArgumentParser(
        prog="report-abuse-desk",
        description="The desk of the agency: the only holder of the keys that open reports.",
        epilog=EXIT_CODES,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    named = [subject for subject, words in _SUBJECTS.items() if word in words]
    for subject in named or _SUBJECTS:
        import_module(f"gateway.desk.commands.{subject}").add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
