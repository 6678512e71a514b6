"""`report-abuse-gateway`: makes, serves and examines a gateway, and runs the demonstration.

Exit codes: 0 done; 1 a fault was found or a server did not stay up; 2 the command line or the settings are wrong.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from gateway.commands.frame import EXIT_CODES, WRONG_USE, Run, complain
from gateway.web.process_guard import forbid_core_dumps
from partner_sdk.errors import ReportAbuseError

# Each file of `commands` and the words that it adds, in the order of the help. A command loads its own file alone,
# because all of them together cost every run some tenths of a second.
_SUBJECTS: Final = {
    "init": ("init",),
    "serve": ("serve",),
    "doctor": ("doctor",),
    "restored": ("restored",),
    "counts": ("counts",),
    "keys": ("rotate-receipt-key", "pin"),
    "stale_data": ("stale-data",),
    "demo": ("demo",),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    forbid_core_dumps()
    words = sys.argv[1:] if arguments is None else arguments
    parsed = make_parser(words[0] if words else None).parse_args(words)
    command: Run = parsed.command
    try:
        return command(parsed)
    except ReportAbuseError as error:
        return complain(str(error), code=WRONG_USE)


def make_parser(word: str | None = None) -> argparse.ArgumentParser:
    """Return the parser with the commands of the file that adds `word`; with every command for any other word."""
    parser = argparse.ArgumentParser(
        prog="report-abuse-gateway",
        description="Make, serve and examine a gateway that takes sealed reports.",
        epilog=EXIT_CODES,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    named = [subject for subject, words in _SUBJECTS.items() if word in words]
    for subject in named or _SUBJECTS:
        import_module(f"gateway.commands.{subject}").add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
