"""What every command of the desk shares: its parser, its state folder, how it speaks and which exit code it gives."""

import argparse
import getpass
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

from gateway.desk.commands.suggested import add_state, add_state_to_line
from gateway.desk.commands.words import WORDS
from gateway.desk.hidden_text import replace_hidden
from partner_sdk.command_table import Commands as Commands

DONE: Final = 0
LOOK: Final = 1
WRONG_USE: Final = 2
TRY_AGAIN: Final = 3

EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 done, but something waits for a person; 2 wrong use, wrong settings or refused; "
    "3 the gateway did not answer, run it again."
)

Run = Callable[[argparse.Namespace], int]


def add_command(
    commands: "Commands[argparse.ArgumentParser]", name: str, *, run: Run, example: str, group: str = ""
) -> argparse.ArgumentParser:
    """Add a command with `--state`, `--as`, `--json` and an example.

    The summary of a first word stands in words.py; that of a word of a `group` is the first line of the docstring of
    `run`. What else the docstring says, the help says too.
    """
    first_line, _, more = (run.__doc__ or "").strip().partition("\n")
    summary = first_line if group else WORDS.list_summaries()[name]
    words = f"{group} {name}".strip()
    command = commands.add_parser(
        name,
        help=summary,
        description=f"{summary}\n{more}".rstrip(),
        epilog=f"Example:\n  report-abuse-desk {words} --state DIR {example}".rstrip() + f"\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--state", type=Path, required=True, metavar="DIR", help="the desk's state folder")
    command.add_argument(
        "--as", dest="actor", default=None, metavar="NAME", help="who does it, for the audit log (default: your login)"
    )
    command.add_argument("--json", action="store_true", help="print one JSON object for machines")
    command.set_defaults(command=run)
    return command


def add_group(commands: "Commands[argparse.ArgumentParser]", name: str) -> "Commands[argparse.ArgumentParser]":
    """Add a first word that has commands of its own, such as `partner`; its summary stands in words.py."""
    summary = WORDS.list_summaries()[name]
    group = commands.add_parser(name, help=summary, description=summary, epilog=EXIT_CODES)
    return group.add_subparsers(required=True, metavar="COMMAND")


def get_actor(parsed: argparse.Namespace) -> str:
    """Return who runs the command."""
    return str(parsed.actor or getpass.getuser())


def say(text: str, *, to: TextIO | None = None) -> None:
    """Print one line, whatever is in it: a terminal obeys control characters, and a line end would forge a line.

    A command that it suggests gets the state folder of the one that runs.
    """
    _write(add_state_to_line(text), to=to)


def _write(text: str, *, to: TextIO | None = None) -> None:
    stream = sys.stdout if to is None else to
    stream.write(replace_hidden(text, lambda _: "\N{REPLACEMENT CHARACTER}") + "\n")
    stream.flush()


def say_lines(text: str, *, to: TextIO | None = None) -> None:
    """Print text that has lines of its own, such as a table."""
    for line in text.split("\n"):
        _write(line, to=to)


def print_json(value: object) -> None:
    """Print one JSON object."""
    _write(json.dumps(value, sort_keys=True))


def complain(text: str, *, code: int) -> int:
    """Print what went wrong and what to do, and return the exit code."""
    _write(f"report-abuse-desk: {add_state(text)}", to=sys.stderr)
    return code


def show_progress(done: int) -> None:
    """Show a running count, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done} collected")
        sys.stderr.flush()


def end_progress() -> None:
    """Leave the line of the running count."""
    if sys.stderr.isatty():
        sys.stderr.write("\n")
