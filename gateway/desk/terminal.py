"""Shared by every command of the desk: options, suggested commands, output and exit codes."""

import getpass
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TextIO

import click

from gateway.desk import DEFAULT_PORT
from gateway.desk.hidden_text import replace_hidden
from gateway.desk.people.permissions import BY_THE_DESK, Permission, Role
from gateway.desk.suggestions import PROGRAM
from partner_sdk.durable_files import check_owner
from partner_sdk.lazy_group import ExampleCommand

DONE: Final = 0
LOOK: Final = 1
WRONG_USE: Final = 2
TRY_AGAIN: Final = 3
EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 done, but something needs a person; 2 wrong usage or settings, or refused; "
    "3 the gateway did not answer: try again."
)
HOST: Final = "127.0.0.1"
FILE: Final = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class Call:
    """The shared options of one command."""

    state: Path
    as_json: bool
    actor: str = BY_THE_DESK
    roles: frozenset[Role] = frozenset()


class DeskCommand(ExampleCommand):
    """A command that takes `--state` and `--json`, and passes them to its function as `call`, with the person.

    The person is that of the account that runs it, and needs the command's permission.
    """

    def __init__(
        self,
        *args: Any,
        permission: Permission | None,
        params: Sequence[click.Parameter] = (),
        example: str = "",
        **settings: Any,
    ) -> None:
        self.permission = permission
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
            click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object for machines."),
        ]
        settings.setdefault("epilog", EXIT_CODES)
        super().__init__(*args, params=[*params, *shared], example=f"--state DIR {example}".rstrip(), **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the program's own check, `ctx.obj`, and the command's function with a `Call`."""
        if ctx.obj is not None:
            ctx.obj()
        state, as_json = ctx.params.pop("state"), ctx.params.pop("as_json")
        check_owner(state)
        # Set before the person is known: the remedies of an error need its `--state`.
        call = ctx.params["call"] = Call(state, as_json)
        if self.permission is not None:
            # Imported here: the database is of no use to help and usage errors.
            from gateway.desk.people import register
            from gateway.desk.wiring import open_desk

            with open_desk(state).store.read() as connection:
                actor = register.get_actor(connection, self.permission, account=register.get_account())
            ctx.params["call"] = replace(call, actor=actor.person, roles=actor.roles)
        return super().invoke(ctx)


def desk_command(
    permission: Permission | None, name: str | None = None, *, example: str = ""
) -> Callable[[Callable[..., int]], DeskCommand]:
    """Make a command; its docstring is its help, and `example` its own part of an example, e.g. `--json`.

    Without a permission it is for anyone with the state folder, e.g. `init`, which runs before there are people.
    """
    return click.command(name, cls=DeskCommand, permission=permission, example=example)


def port_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--port`, of the desk's pages, to a command."""
    return click.option(
        "--port",
        type=click.IntRange(1, 65_535),
        default=DEFAULT_PORT,
        show_default=True,
        metavar="N",
        help=f"The port of the desk's pages, on {HOST}.",
    )(function)


def say(text: str, *, to: TextIO | None = None) -> None:
    """Print one line. A line end or a control character in it is replaced: a terminal would obey it."""
    stream = sys.stdout if to is None else to
    stream.write(_mark_hidden(text) + "\n")
    stream.flush()


def _mark_hidden(text: str) -> str:
    return replace_hidden(text, lambda _: "\N{REPLACEMENT CHARACTER}")


def say_typed(title: str, text: str, *, indent: str, to: TextIO | None = None) -> None:
    """Print a text from outside behind its title, e.g. `Message: Hello`; its further lines begin with `indent`.

    A screen would break a long line itself and put its rest into the first column, where it can pass for a line of ours
    (`WE MUST NOT CONTACT: ...` behind eighty spaces). So lines are broken here, at the width of the screen if there is
    one: standard output, or standard error beside a pager.
    """
    for row in break_typed(f"{title}{text}", indent=indent, to=to):
        say(row, to=to)


def break_typed(text: str, *, indent: str, to: TextIO | None = None) -> Iterator[str]:
    """Yield the rows of a text from outside, each but the first behind `indent`."""
    first, *others = text.split("\n")
    width = _find_width(to or sys.stdout, sys.stderr)
    for line in (first, *(indent + one for one in others)):
        yield from _break_line(_mark_hidden(line), indent=indent, width=width)


def _find_width(*streams: TextIO) -> int | None:
    """Return the columns of the first stream that is a terminal."""
    for stream in streams:
        if stream.isatty():
            return os.get_terminal_size(stream.fileno()).columns
    return None


def _break_line(line: str, *, indent: str, width: int | None) -> Iterator[str]:
    """Yield the rows of a line, each but the first behind `indent`; after a space where there is one."""
    if not width:  # no screen, or one that does not name its width
        yield line
        return
    indent = indent[: width // 2]
    while (end := _count_fitting(line, width)) < len(line):
        end = max(line.rfind(" ", len(indent), end) + 1 or end, len(indent) + 1)
        yield line[:end].rstrip(" ")
        line = indent + line[end:]
    yield line


def _count_fitting(line: str, width: int) -> int:
    # East Asian signs fill two columns, and ambiguous ones may. A mark without a width counts too: rows get no longer.
    used = 0
    for place, sign in enumerate(line):
        used += 1 + (unicodedata.east_asian_width(sign) in {"A", "F", "W"})
        if used > width:
            return place
    return len(line)


def ask_passphrase(title: str) -> str:
    """Return a passphrase typed unseen on the terminal, or the next line of standard input if that is none."""
    if sys.stdin.isatty():
        return getpass.getpass(title)
    return sys.stdin.readline().rstrip("\r\n")


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


def show_progress(done: int, *, verb: str = "collected") -> None:
    """Show a running count, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done} {verb}")
        sys.stderr.flush()


def end_progress() -> None:
    """Leave the line of the running count."""
    if sys.stderr.isatty():
        sys.stderr.write("\n")
