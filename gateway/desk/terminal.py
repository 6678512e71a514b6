"""The base of every command of the desk: the table of first words, parser, state folder, output and exit codes."""

import argparse
import getpass
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Final, TextIO

from gateway.desk.hidden_text import replace_hidden
from partner_sdk.command_table import Commands as Commands
from partner_sdk.command_table import CommandTable

EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 done, but something waits for a person; 2 wrong use, wrong settings or refused; "
    "3 the gateway did not answer, run it again."
)

# A new command is one line.
COMMAND_TABLE: Final = CommandTable(
    program="report-abuse-desk",
    description="The desk of the agency: the only holder of the keys that open reports.",
    epilog=EXIT_CODES,
    room="gateway.desk",
    files={
        "commands.setup": {
            "init": "Make a desk with all its keys, and agency.pin for the gateway.",
            "gateway": "Gateways whose receipts this desk believes.",
            "publish": (
                "Sign key set and register where they changed or are a day old, and publish them through the feed."
            ),
            "doctor": "Say what is right with this desk and what is not.",
            "audit": "The log of who did what.",
        },
        "keyring.commands": {"keys": "The agency's own keys: list, rotate, renew, replace, destroy."},
        "commands.collecting": {
            "collect": (
                "Collect reports and enrolments from the gateway, and send what waits: "
                "for it, for partners, notes and alerts."
            ),
            "alarms": (
                "List the alarms that nobody has cleared: gaps, forks, forgeries. Exit code 1 when there are any."
            ),
        },
        "commands.set_aside": {"set-aside": "What did not verify or open: list, open, retry, resolve."},
        "commands.importing": {
            "import": "Take in a sealed report that came as a file (`report-abuse-partner report submit --to-file`)."
        },
        "cases.file_commands": {"evidence": "Files that partners handed over: list, save."},
        "partners.commands": {"partner": "Online services that report, and get digests."},
        "placements.commands": {"placement": "Where the button stands: agreements, link ids and checks."},
        "partners.adoption_commands": {"adoption": "Services that ask to show the button."},
        "cases.commands": {"case": "Cases: list, next, show, move, reply, ask, outcome, close."},
        "cases.figures_commands": {
            "figures": "Say how fast reports are read and replies given; counts and times only, nothing is opened."
        },
        "commands.stale_data": {
            "stale-data": (
                "List facts that were checked too long ago (bodies, numbers, hours, words to send); "
                "gives 1 when there are any."
            )
        },
        "commands.outbox": {
            "outbox": "All that this desk sends, short notes too: send, list, retry.",
            "alert": "Alerts to the people on duty: list, acknowledge.",
        },
        "digests.commands": {
            "digest": "Digests: make, show, release, reject, list.",
            "synthetic": (
                "File marked, made-up, closed cases about a partner in a past quarter. They have no report behind them."
            ),
        },
        "commands.serving": {
            "serve": "Serve the desk's pages on this machine until Ctrl-C.",
            "start-link": "Print an address that signs one person in to the desk's pages, once, within ten minutes.",
        },
    },
)


# First words that are a command by themselves; behind every other one comes a second word. `stale-data` has no desk.
ALONE: Final = (
    "alarms",
    "collect",
    "doctor",
    "figures",
    "import",
    "init",
    "publish",
    "serve",
    "start-link",
    "synthetic",
)
_COMMAND: Final = re.compile(
    rf"report-abuse-desk (?:(?:{'|'.join(ALONE)})(?![\w-])"
    rf"|(?!stale-data|(?:{'|'.join(ALONE)})[ `.,;])[a-z-]+ [a-z-]+)(?!.*--state)"
)
# Beginnings of the lines that a desk's command writes itself: what somebody else wrote stands behind two spaces.
_OWN_LINE: Final = re.compile(r"(?:\S.*: |  or: )?report-abuse-desk ")
_STATE: Final[ContextVar[Path | None]] = ContextVar("state", default=None)


@contextmanager
def naming_state(state: Path | None) -> Iterator[None]:
    """Let what is said inside suggest commands for this state folder."""
    token = _STATE.set(state)
    try:
        yield
    finally:
        _STATE.reset(token)


def add_state(text: str) -> str:
    """Return words of the desk's own with `--state` in each command of theirs that lacks it."""
    state = _STATE.get()
    if state is None:
        return text
    return _COMMAND.sub(lambda found: f"{found.group()} --state {shlex.quote(str(state))}", text)


def add_state_to_line(line: str) -> str:
    """Return a line with the same, if it begins as the suggestions of the commands do."""
    return add_state(line) if _OWN_LINE.match(line) else line


DONE: Final = 0
LOOK: Final = 1
WRONG_USE: Final = 2
TRY_AGAIN: Final = 3

Run = Callable[[argparse.Namespace], int]
# Adds a command to a first word, e.g. `add("list", run=run_list, example="--json")`.
AddCommand = Callable[..., argparse.ArgumentParser]


def add_command(
    commands: "Commands[argparse.ArgumentParser]", name: str, *, run: Run, example: str = "", group: str = ""
) -> argparse.ArgumentParser:
    """Add a command with `--state`, `--as`, `--json` and an example.

    The summary of a first word stands in the table; that of a word of a `group` is the first line of the docstring of
    `run`. What else the docstring says, the help says too.
    """
    first_line, _, more = (run.__doc__ or "").strip().partition("\n")
    summary = first_line if group else COMMAND_TABLE.list_summaries()[name]
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


def add_group(commands: "Commands[argparse.ArgumentParser]", name: str) -> AddCommand:
    """Add a first word that has commands of its own, such as `partner`, and return the `add_command` of its words."""
    summary = COMMAND_TABLE.list_summaries()[name]
    group = commands.add_parser(name, help=summary, description=summary, epilog=EXIT_CODES)
    return partial(add_command, group.add_subparsers(required=True, metavar="COMMAND"), group=name)


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


def print_result(parsed: argparse.Namespace, value: object, *lines: str, empty: str = "", code: int = DONE) -> int:
    """Print a value for `--json`, else its lines, or `empty` where there are none; return the exit code."""
    if parsed.json:
        print_json(value)
    else:
        for line in lines or ([empty] if empty else []):
            say(line)
    return code


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
