"""Shared by every command of the desk: options, suggested commands, output and exit codes."""

import getpass
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TextIO

import click

from gateway.desk.office.hidden_text import replace_hidden
from gateway.desk.office.people.permissions import BY_THE_DESK, Permission, Role
from gateway.desk.office.suggestions import DEFAULT_PORT, PROGRAM
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
            from gateway.desk.office.people import register
            from gateway.desk.office.wiring import open_desk

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
    stream.write(replace_hidden(text, lambda _: "\N{REPLACEMENT CHARACTER}") + "\n")
    stream.flush()


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
