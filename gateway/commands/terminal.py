"""The terminal of `report-abuse-gateway`: its table of commands, their options, output and exit codes."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

from partner_sdk.command_table import Commands as Commands
from partner_sdk.command_table import CommandTable

DONE: Final = 0
FAULT: Final = 1
WRONG_USE: Final = 2

EXIT_CODES: Final = "Exit codes: 0 done; 1 a fault was found or a server did not stay up; 2 wrong use or settings."

Run = Callable[[argparse.Namespace], int]

# Each first word with its summary in the help, by the file that adds its command. A new word is one line.
WORDS: Final = CommandTable(
    program="report-abuse-gateway",
    description="Make, serve and examine a gateway that takes sealed reports.",
    epilog=EXIT_CODES,
    room="gateway.commands",
    files={
        "state": {
            "init": "Make the state folder of a new gateway.",
            "rotate-receipt-key": "Make the next receipt key, and a card of it for the desk; nothing stops meanwhile.",
            "pin": "Put a new agency.pin in place, such as one with a new feed key.",
            "restored": (
                "Begin a new epoch of receipts; run it after every restore of the database, "
                "before the gateway serves again."
            ),
        },
        "serve": {"serve": "Serve the configured listeners until SIGTERM or SIGINT."},
        "checks": {
            "doctor": "Say what is right with a gateway and what is not.",
            "counts": "List how often each campaign's link was followed and how the form was to fill in, by week.",
            "stale-data": (
                "List facts that were checked too long ago (bodies, numbers, countries, promises); "
                "gives 1 when there are any."
            ),
        },
        "demo": {"demo": "Run the demonstration."},
    },
)


def add_command(
    commands: "Commands[argparse.ArgumentParser]", name: str, *, run: Run, example: str
) -> argparse.ArgumentParser:
    """Add a command with an example; its summary stands in `WORDS`."""
    summary = WORDS.list_summaries()[name]
    command = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"Example:\n  report-abuse-gateway {name} {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=run)
    return command


def add_state(command: argparse.ArgumentParser) -> None:
    """Add `--state`."""
    command.add_argument("--state", type=Path, required=True, metavar="DIR", help="the gateway's state folder")


def add_json(command: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    command.add_argument("--json", action="store_true", help="print one JSON object for machines")


def parse_port(text: str) -> int:
    """Return the port that an option names: one that has a port after it."""
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= 65_534:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65534")
    return number


def say(text: str, *, to: TextIO | None = None) -> None:
    """Print one line at once."""
    stream = sys.stdout if to is None else to
    stream.write(f"{text}\n")
    stream.flush()


def print_json(value: object) -> None:
    """Print one JSON object."""
    say(json.dumps(value, sort_keys=True))


def complain(text: str, *, code: int) -> int:
    """Print what went wrong and what to do, and return the exit code."""
    say(f"report-abuse-gateway: {text}", to=sys.stderr)
    return code
