"""Shared by the commands of `report-abuse-gateway`: the table of commands, options, output and exit codes."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TextIO

import click

from partner_sdk.durable_files import check_owner
from partner_sdk.lazy_group import ExampleCommand, LazyGroup

DONE: Final = 0
FAULT: Final = 1
WRONG_USE: Final = 2

EXIT_CODES: Final = "Exit codes: 0 done; 1 a fault was found or a server stopped; 2 wrong usage or settings."
PORT: Final = click.IntRange(1, 65_534)  # the port after it is used too

_SIGNOFF: Final = "List, give and withdraw the checks of the words that people read."
program: Final = LazyGroup(
    help="Set up, run and check a gateway that takes sealed reports.",
    epilog=EXIT_CODES,
    table={
        "init": ("gateway.commands.state:init", "Make the state folder of a new gateway."),
        "rotate-receipt-key": (
            "gateway.commands.state:rotate_receipt_key",
            "Make the next receipt key and its card for the desk.",
        ),
        "rotate-log-key": (
            "gateway.commands.state:rotate_log_key",
            "Make the next key of the public log and its card for the desk.",
        ),
        "publish-form": (
            "gateway.commands.state:publish_form",
            "Put the hashes of the form's files and documents into the public log.",
        ),
        "pin": ("gateway.commands.state:pin", "Install a new agency.pin."),
        "restored": ("gateway.commands.state:restored", "Begin a new epoch of receipts after a restore."),
        "copy-evidence": (
            "gateway.commands.state:copy_evidence",
            "Copy the evidence folder into the bucket that the settings name.",
        ),
        "move-database": (
            "gateway.commands.state:move_database",
            "Copy the rows of gateway.sqlite to the server of database_uri.",
        ),
        "serve": ("gateway.commands.serve:serve", "Serve the configured listeners until SIGTERM or SIGINT."),
        "doctor": ("gateway.commands.state:doctor", "Check a gateway and list its faults."),
        "counts": ("gateway.commands.state:counts", "List the weekly counts of the form and of each campaign's link."),
        "stale-data": ("gateway.commands.state:stale_data", "List facts whose last check is too old."),
        "signoff": (
            LazyGroup(
                "signoff",
                help=_SIGNOFF,
                epilog=EXIT_CODES,
                table={
                    "list": ("gateway.commands.state:list_all", "List every check: given, owed or stale."),
                    "give": ("gateway.commands.state:give", "Record that the words of a check were read."),
                    "withdraw": ("gateway.commands.state:withdraw", "Withdraw a check that was given."),
                },
            ),
            _SIGNOFF,
        ),
        "demo": ("gateway.commands.demo:demo", "Run the demonstration."),
        "cluster": ("gateway.commands.demo:cluster", "Run the demonstration on a cluster of servers."),
        "sandbox": ("gateway.commands.demo:sandbox", "Serve a gateway and an automatic desk for a service's tests."),
    },
)

Run = Callable[..., int]


def command(*, example: str) -> Callable[[Run], click.Command]:
    """Make a command; its docstring is its help, and `example` its options in an example."""
    return click.command(cls=ExampleCommand, example=example, epilog=EXIT_CODES)


def state_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--state`."""

    def check(ctx: click.Context, option: click.Parameter, folder: Path) -> Path:
        del ctx, option
        check_owner(folder)
        return folder

    kind, words = click.Path(path_type=Path), "The gateway's state folder."
    return click.option("--state", type=kind, required=True, callback=check, metavar="DIR", help=words)(function)


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines.")(function)


def say(text: str, *, to: TextIO | None = None) -> None:
    """Print one line at once."""
    stream = sys.stdout if to is None else to
    stream.write(f"{text}\n")
    stream.flush()


def print_json(value: object) -> None:
    """Print one JSON object."""
    say(json.dumps(value, sort_keys=True))


def complain(text: str, *, code: int) -> int:
    """Print an error and its remedy, and return the exit code."""
    say(f"report-abuse-gateway: {text}", to=sys.stderr)
    return code
