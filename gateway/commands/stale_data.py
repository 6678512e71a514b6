"""`report-abuse-gateway stale-data`: lists the dated facts of the public form that were checked too long ago.

Each file is strict where it is loaded; here only its days are read, so the command needs no state.
"""

import argparse
from typing import Final

from gateway.clock import utc_now
from gateway.commands.frame import Commands, add_command
from gateway.guidance.countries import COUNTRIES_FILE
from gateway.guidance.signposts import SIGNPOSTS_FILE
from gateway.guidance.stale_command import add_stale_options, print_stale

# One line a file; a test fails for a dated file that is in no list.
DATED_FILES: Final = (SIGNPOSTS_FILE, COUNTRIES_FILE)


def run_stale_data(parsed: argparse.Namespace) -> int:
    """Run `stale-data`, and return its exit code."""
    return print_stale(DATED_FILES, today=utc_now().date(), parsed=parsed)


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's command."""
    add_stale_options(add_command(commands, "stale-data", run=run_stale_data, example="--days 90 --json"))
