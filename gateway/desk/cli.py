"""`report-abuse-desk`: makes a desk, publishes its keys, collects, opens and closes cases, answers partners."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from gateway.desk.commands.frame import DONE, EXIT_CODES, LOOK, TRY_AGAIN, WRONG_USE, Commands, Run, complain
from gateway.desk.unexpected import describe_unexpected
from gateway.web.process_guard import forbid_core_dumps
from partner_sdk.errors import ReportAbuseError, TransportError, UnavailableError

# Each file of `commands`, and the words that it adds with what the help says of each, in the order of the help: a new
# word is one line. A command loads its own file alone, and the help none, because all of them together cost every run
# some tenths of a second. A test holds that each summary is the command's own.
_SUBJECTS: Final = {
    "setup": {
        "init": "Make a desk with all its keys, and agency.pin for the gateway.",
        "gateway": "Gateways whose receipts this desk believes.",
        "publish": "Sign key set and register where they changed or are a day old, and publish them through the feed.",
        "doctor": "Say what is right with this desk and what is not.",
        "audit": "The log of who did what.",
    },
    "keys": {"keys": "The agency's own keys: list, rotate, renew, replace, destroy."},
    "collecting": {
        "collect": (
            "Collect reports and enrolments from the gateway, and send what waits: "
            "for it, for partners, notes and pages."
        ),
        "set-aside": "What did not verify or open.",
        "alarms": "List the alarms that nobody has cleared: gaps, forks, forgeries. Exit code 1 when there are any.",
    },
    "importing": {
        "import": "Take in a sealed report that came as a file (`report-abuse-partner report submit --to-file`)."
    },
    "evidence": {"evidence": "Files that partners handed over: list, save."},
    "partner": {"partner": "Online services that report, and get digests."},
    "placement": {"placement": "Where the button stands: agreements, link ids and checks."},
    "adoption": {"adoption": "Services that ask to show the button."},
    "case": {"case": "Cases: list, show, reply, ask, outcome, close."},
    "figures": {
        "figures": "Say how fast reports are read and replies given; counts and times only, nothing is opened."
    },
    "stale_data": {
        "stale-data": (
            "List facts that were checked too long ago (bodies, numbers, hours, words to send); "
            "gives 1 when there are any."
        )
    },
    "post": {"post": "The short notes to people who asked for one: send, list."},
    "digest": {
        "digest": "Digests: make, show, release, reject, list.",
        "synthetic": (
            "File marked, made-up, closed cases about a partner in a past quarter. They have no report behind them."
        ),
    },
    "pages": {
        "serve": "Serve the desk's pages on this machine until Ctrl-C, and print a start link for you.",
        "start-link": "Print an address that signs one person in to the desk's pages, once, within ten minutes.",
    },
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # A report that is open in memory must not end in a file of the crash handler.
    forbid_core_dumps()
    words = sys.argv[1:] if arguments is None else arguments
    subject = _find_subject(words)
    # The overview ends the process: with the help, or because the words are wrong.
    parsed = (make_overview() if subject is None else make_parser(words[0])).parse_args(words)
    command: Run = parsed.command
    # Imported here: it loads what the help and wrong words do not need.
    from gateway.desk.starting import check_release

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
    parser, commands = _make_bare_parser()
    subject = _find_subject([word] if word else [])
    for name in _SUBJECTS if subject is None else (subject,):
        import_module(f"gateway.desk.commands.{name}").add_commands(commands)
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
        prog="report-abuse-desk",
        description="The desk of the agency: the only holder of the keys that open reports.",
        epilog=EXIT_CODES,
    )
    return parser, parser.add_subparsers(required=True, metavar="COMMAND")


if __name__ == "__main__":
    sys.exit(main())
