"""`report-abuse-gateway demo`: runs the demonstration."""

import argparse
from pathlib import Path
from typing import Final

from gateway.commands.terminal import Commands, add_command, add_json, parse_port

DEMO_PORT: Final = 8700


def run_demo_command(parsed: argparse.Namespace) -> int:
    """Run `demo`, and return its exit code."""
    # Imported here: the help of the commands never needs it.
    from gateway.demo import run_demo

    return run_demo(parsed)


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's command."""
    command = add_command(commands, "demo", run=run_demo_command, example="--once --json --state /tmp/demo --port 8700")
    command.add_argument("--state", type=Path, required=True, metavar="DIR", help="where everything is written")
    command.add_argument(
        "--port", type=parse_port, default=DEMO_PORT, help="first of four ports (default: %(default)s)"
    )
    command.add_argument("--once", action="store_true", help="run the loop once and end")
    add_json(command)
