"""`report-abuse-gateway`: makes, serves and examines a gateway, and runs the demonstration.

Exit codes: 0 done; 1 a fault was found or a server did not stay up; 2 the command line or the settings are wrong.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from gateway.commands.frame import EXIT_CODES, WRONG_USE, Commands, Run, complain
from gateway.web.process_guard import forbid_core_dumps
from partner_sdk.errors import ReportAbuseError

# Each file of `commands`, and the words that it adds with what the help says of each, in the order of the help: a new
# word is one line. A command loads its own file alone, and the help none, because all of them together cost every run
# some tenths of a second. A test holds that each summary is the command's own.
_SUBJECTS: Final = {
    "init": {"init": "Make the state folder of a new gateway."},
    "serve": {"serve": "Serve the configured listeners until SIGTERM or SIGINT."},
    "doctor": {"doctor": "Say what is right with a gateway and what is not."},
    "restored": {
        "restored": (
            "Begin a new epoch of receipts; run it after every restore of the database, "
            "before the gateway serves again."
        )
    },
    "counts": {"counts": "List how often each campaign's link was followed and how the form was to fill in, by week."},
    "keys": {
        "rotate-receipt-key": "Make the next receipt key, and a card of it for the desk; nothing stops meanwhile.",
        "pin": "Put a new agency.pin in place, such as one with a new feed key.",
    },
    "stale_data": {
        "stale-data": (
            "List facts that were checked too long ago (bodies, numbers, countries, promises); "
            "gives 1 when there are any."
        )
    },
    "demo": {"demo": "Run the demonstration."},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    forbid_core_dumps()
    words = sys.argv[1:] if arguments is None else arguments
    subject = _find_subject(words)
    # The overview ends the process: with the help, or because the words are wrong.
    parsed = (make_overview() if subject is None else make_parser(words[0])).parse_args(words)
    command: Run = parsed.command
    try:
        return command(parsed)
    except ReportAbuseError as error:
        return complain(str(error), code=WRONG_USE)


def make_parser(word: str | None = None) -> argparse.ArgumentParser:
    """Return the parser with the commands of the file that adds `word`; with every command for any other word."""
    parser, commands = _make_bare_parser()
    subject = _find_subject([word] if word else [])
    for name in _SUBJECTS if subject is None else (subject,):
        import_module(f"gateway.commands.{name}").add_commands(commands)
    return parser


def make_overview() -> argparse.ArgumentParser:
    """Return a parser that knows each word and its summary, as the help lists them, and loads no command."""
    parser, commands = _make_bare_parser()
    for words in _SUBJECTS.values():
        for word, summary in words.items():
            commands.add_parser(word, help=summary)
    return parser


def _find_subject(words: Sequence[str]) -> str | None:
    """Return the file that adds the first word, or None for none."""
    return next((subject for subject, added in _SUBJECTS.items() if words and words[0] in added), None)


def _make_bare_parser() -> "tuple[argparse.ArgumentParser, Commands[argparse.ArgumentParser]]":
    parser = argparse.ArgumentParser(
        prog="report-abuse-gateway",
        description="Make, serve and examine a gateway that takes sealed reports.",
        epilog=EXIT_CODES,
    )
    return parser, parser.add_subparsers(required=True, metavar="COMMAND")


if __name__ == "__main__":
    sys.exit(main())
