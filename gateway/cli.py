"""`report-abuse-gateway`: makes, serves and examines a gateway, and runs the demonstration.

Exit codes: 0 done; 1 a fault was found or a server did not stay up; 2 the command line or the settings are wrong.
"""

import argparse
import sys
from collections.abc import Sequence

from gateway.commands.terminal import EXIT_CODES, WORDS, WRONG_USE, Run, complain
from gateway.web.process_guard import protect_memory
from partner_sdk.command_table import Commands, end_by_overview
from partner_sdk.errors import ReportAbuseError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    protect_memory()
    words = sys.argv[1:] if arguments is None else arguments
    word = WORDS.find_word(words)
    if word is None:
        end_by_overview(make_overview(), words)
    parsed = make_parser(word).parse_args(words)
    command: Run = parsed.command
    try:
        return command(parsed)
    except ReportAbuseError as error:
        return complain(str(error), code=WRONG_USE)


def make_parser(word: str | None = None) -> argparse.ArgumentParser:
    """Return the parser with the commands of the file that adds `word`; with every command for any other word."""
    parser, commands = _make_bare_parser()
    WORDS.add_commands(commands, word=word)
    return parser


def make_overview() -> argparse.ArgumentParser:
    """Return a parser that knows each word and its summary, as the help lists them, and loads no command."""
    parser, commands = _make_bare_parser()
    WORDS.add_overview(commands)
    return parser


def _make_bare_parser() -> "tuple[argparse.ArgumentParser, Commands[argparse.ArgumentParser]]":
    parser = argparse.ArgumentParser(
        prog="report-abuse-gateway",
        description="Make, serve and examine a gateway that takes sealed reports.",
        epilog=EXIT_CODES,
    )
    return parser, parser.add_subparsers(required=True, metavar="COMMAND")


if __name__ == "__main__":
    sys.exit(main())
