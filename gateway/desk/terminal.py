"""Shared by every command of the desk: options, suggested commands, output and exit codes."""

import getpass
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

import click

from gateway.desk.hidden_text import replace_hidden
from gateway.desk.suggestions import PROGRAM
from partner_sdk.lazy_group import ExampleCommand

DONE: Final = 0
LOOK: Final = 1
WRONG_USE: Final = 2
TRY_AGAIN: Final = 3
EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 done, but something needs a person; 2 wrong usage or settings, or refused; "
    "3 the gateway did not answer: try again."
)
FILE: Final = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class Call:
    """The shared options of one command."""

    state: Path
    as_json: bool
    named_actor: str | None = None

    @property
    def actor(self) -> str:
        """The person that the audit log names."""
        return self.named_actor or getpass.getuser()


class DeskCommand(ExampleCommand):
    """A command that takes `--state`, `--as` and `--json`, and passes them to its function as `call`."""

    def __init__(self, *args: Any, params: Sequence[click.Parameter] = (), example: str = "", **settings: Any) -> None:
        shared = [
            click.Option(
                ["--state"],
                type=FILE,
                required=True,
                metavar="DIR",
                envvar="REPORT_ABUSE_DESK_STATE",
                show_envvar=True,
                help="The desk's state folder.",
            ),
            click.Option(
                ["--as", "named_actor"], metavar="NAME", help="Your name in the audit log.  [default: your login]"
            ),
            click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object for machines."),
        ]
        settings.setdefault("epilog", EXIT_CODES)
        super().__init__(*args, params=[*params, *shared], example=f"--state DIR {example}".rstrip(), **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the program's own check, `ctx.obj`, and the command's function with a `Call`."""
        if ctx.obj is not None:
            ctx.obj()
        shared = {name: ctx.params.pop(name) for name in ("state", "named_actor", "as_json")}
        ctx.params["call"] = Call(**shared)
        return super().invoke(ctx)


def desk_command(name: str | None = None, *, example: str = "") -> Callable[[Callable[..., int]], DeskCommand]:
    """Make a command; its docstring is its help, and `example` its own part of an example, e.g. `--json`."""
    return click.command(name, cls=DeskCommand, example=example)


def say(text: str, *, to: TextIO | None = None) -> None:
    """Print one line. A line end or a control character in it is replaced: a terminal would obey it."""
    stream = sys.stdout if to is None else to
    stream.write(replace_hidden(text, lambda _: "\N{REPLACEMENT CHARACTER}") + "\n")
    stream.flush()


def say_lines(text: str, *, to: TextIO | None = None) -> None:
    """Print text that has lines of its own, such as a table."""
    for line in text.split("\n"):
        say(line, to=to)


def print_json(value: object) -> None:
    """Print one JSON object."""
    say(json.dumps(value, sort_keys=True))


def print_result(call: Call, value: object, *lines: str, empty: str = "", code: int = DONE) -> int:
    """Print a value for `--json`, else its lines, or `empty` where there are none; return the exit code."""
    if call.as_json:
        print_json(value)
    else:
        for line in lines or ([empty] if empty else []):
            say(line)
    return code


def complain(text: str, *, code: int) -> int:
    """Print an error and its remedy, and return the exit code."""
    say(f"{PROGRAM}: {text}", to=sys.stderr)
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
