"""`report-abuse-desk`: makes a desk, publishes its keys, collects, opens and closes cases, answers partners."""

import argparse
import os
import sys
from collections.abc import Sequence

from gateway.desk.terminal import (
    COMMAND_TABLE,
    DONE,
    EXIT_CODES,
    LOOK,
    TRY_AGAIN,
    WRONG_USE,
    Run,
    complain,
    naming_state,
)
from gateway.web.logs import format_exception
from gateway.web.process_guard import protect_memory
from partner_sdk.command_table import Commands, end_by_overview
from partner_sdk.errors import ReportAbuseError, TransportError, UnavailableError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # A report that is open in memory must not end in a file of the crash handler, or with another program.
    protect_memory()
    words = sys.argv[1:] if arguments is None else arguments
    word = COMMAND_TABLE.find_word(words)
    if word is None:
        end_by_overview(make_overview(), words)
    parsed = make_parser(word).parse_args(words)
    with naming_state(getattr(parsed, "state", None)):
        return _run(parsed)


def _run(parsed: argparse.Namespace) -> int:
    command: Run = parsed.command
    # Imported here: it loads what the help and wrong words do not need.
    from gateway.desk.cases.reply_templates import check_release

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
            f"This release has a fault: {format_exception(error)}. What was done before is kept; tell its makers.",
            code=LOOK,
        )


def make_parser(word: str | None = None) -> argparse.ArgumentParser:
    """Return the parser with the commands of the file that adds `word`; with every command for any other word."""
    parser, commands = _make_bare_parser()
    COMMAND_TABLE.add_commands(commands, word=word)
    return parser


def make_overview() -> argparse.ArgumentParser:
    """Return a parser that knows each word and its summary, as the help lists them, and loads no command."""
    parser, commands = _make_bare_parser()
    COMMAND_TABLE.add_overview(commands)
    return parser


def _make_bare_parser() -> "tuple[argparse.ArgumentParser, Commands[argparse.ArgumentParser]]":
    parser = argparse.ArgumentParser(
        prog="report-abuse-desk",
        description="The desk of the agency: the only holder of the keys that open reports.",
        epilog=EXIT_CODES,
    )
    return parser, parser.add_subparsers(required=True, metavar="COMMAND")


if __name__ == "__main__":
    sys.exit(main())
