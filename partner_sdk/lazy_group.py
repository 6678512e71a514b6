"""Click programs that import a command only when it runs: all of them together would slow every start."""

import gc
import math
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError
from click.shell_completion import CompletionItem

from partner_sdk.finding import make_printable

INTERRUPTED = 130  # as a shell reports a process that SIGINT ended


class LazyGroup(click.Group):
    """A click group whose help, completion and usage errors import no command.

    `table` maps each command's name to its object, written as an entry point, and its summary in the help, e.g.
    `{"doctor": ("partner_sdk._commands.account:doctor", "List faults.")}`. The help keeps its order.
    A group inside is no entry point but another `LazyGroup`. `distributions` names the one to install for a package
    that may be absent, e.g. `{"partner_sdk.console": "report-abuse-partner-console"}`.
    """

    def __init__(
        self,
        *args: Any,
        table: Mapping[str, tuple[str | click.Command, str]],
        distributions: Mapping[str, str] = MappingProxyType({}),
        **settings: Any,
    ) -> None:
        settings.setdefault("context_settings", {"help_option_names": ["-h", "--help"]})
        super().__init__(*args, **settings)
        self.table = table
        self.distributions = distributions

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of the help."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command and return it, or None for an unknown name."""
        if cmd_name not in self.table:
            return None
        target = self.table[cmd_name][0]
        if isinstance(target, click.Command):
            return target
        try:
            return _load(target)
        except ModuleNotFoundError as error:
            distribution = self.distributions.get(error.name or "")
            if distribution is None:
                raise
            raise click.ClickException(f"This is a package of its own: pip install {distribution}") from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command with its summary."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.table.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin with `incomplete`."""
        commands = [
            CompletionItem(name, help=summary)
            for name, (_, summary) in self.table.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


def _load(target: str) -> click.Command:
    """Import a command. Nothing of it is garbage, and each search for some takes time: a quarter of such an import."""
    module, _, attribute = target.partition(":")
    is_new, was_enabled = module not in sys.modules, gc.isenabled()
    gc.disable()
    try:
        command: click.Command = getattr(import_module(module), attribute)
    finally:
        if is_new:
            gc.freeze()  # else the next search, and each one at the end, walks through all of it
        if was_enabled:
            gc.enable()
    return command


class ExampleCommand(click.Command):
    """A click command whose help ends with an example: its own path and `example`, e.g. `--state DIR --json`."""

    def __init__(self, *args: Any, example: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example and then the epilog."""
        with formatter.section("Example"):
            formatter.write(f"{'':{formatter.current_indent}}{ctx.command_path} {self.example}".rstrip() + "\n")
        super().format_epilog(ctx, formatter)


class FiniteRange(click.FloatRange):
    """A range of numbers without NaN, which click's own range lets through."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number, or fail."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


def run_program(program: click.Command, arguments: Sequence[str] | None, *, name: str, obj: object = None) -> int:
    """Run a program on its arguments (default: of this process, which then ends) and return its exit code.

    Commands get `obj`. A usage error is one line that names the command's help, e.g. ``report-abuse-desk: Missing
    option '--state'. See `report-abuse-desk doctor --help`.``; its code is 2.
    """
    try:
        return int(program.main(arguments, prog_name=name, standalone_mode=False, obj=obj) or 0)
    except NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        path = name if error.ctx is None else error.ctx.command_path
        message = make_printable(" ".join(error.format_message().split()).removesuffix("."))
        sys.stderr.write(f"{name}: {message}. See `{path} --help`.\n")
        return error.exit_code
    except click.ClickException as error:
        sys.stderr.write(f"{name}: {error.format_message()}\n")
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    finally:
        if arguments is None:
            gc.freeze()  # the end of a process searches all that was imported for garbage: a fifth of a short command
